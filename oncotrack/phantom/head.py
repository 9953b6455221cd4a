"""The head: skull, brain, orbits, sinuses, and the jaw with its teeth.

Template coordinates as in `trunk`: C2 at S 187, foramen magnum near 232, middle of the brain at 290, vertex near 365.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from oncotrack.phantom.canvas import Canvas
from oncotrack.phantom.layers import Beads, Block, Paint, Step
from oncotrack.phantom.shapes import Waves, ellipsoid, plane, smooth_max, smooth_min, tube
from oncotrack.phantom.skeleton import frames_along, rod
from oncotrack.phantom.tissues import LABEL
from oncotrack.phantom.trunk import TrunkFields

LOWEST = 150.0
"""Height (mm) below which nothing of the head is drawn: the chin."""
_LOW, _HIGH = (-110.0, -120.0, LOWEST), (110.0, 150.0, 900.0)
_JAW = [(54, 28, 238), (53, 26, 212), (48, 34, 196), (38, 66, 187), (18, 93, 183), (0, 98, 183)]


@dataclass(frozen=True, eq=False)
class Head:
    """Everything random about one patient's head."""

    size: float
    gyri: Waves
    cells: Waves
    ventricles: float
    bones: Beads
    marrow: Beads
    teeth: Beads

    @classmethod
    def random(cls, rng: np.random.Generator) -> Head:
        """Draw a plausible head."""
        bones = Beads.join(_bones())
        return cls(
            float(rng.uniform(0.96, 1.04)),
            Waves.random(rng, (26, 26, 26), 8),
            Waves.random(rng, (8, 8, 8), 6),
            float(rng.uniform(0.7, 1.4)),
            bones,
            bones.shrink("marrow", 1.6),
            _teeth(rng),
        )

    def shape(self, fields: TrunkFields, canvas: Canvas) -> None:
        """Blend skin and flesh of the neck into those of the head."""
        at = canvas.within(_LOW, _HIGH)
        if at is None:
            return
        p = canvas.template_points[(slice(None), *at)]
        mirrored = torch.stack([p[0].abs(), p[1], p[2]])
        cranium = ellipsoid(p, (0, 12, 290), np.array((77, 97, 75)) * self.size)
        face = ellipsoid(p, (0, 56, 242), (63, 58, 56))
        jaw = ellipsoid(p, (0, 56, 202), (66, 58, 36))
        nose = ellipsoid(p, (0, 113, 244), (13, 17, 18))
        head = smooth_min(smooth_min(smooth_min(cranium, face, 16), jaw, 14), nose, 10)
        ears = ellipsoid(mirrored, (75, -4, 258), (5, 13, 25))
        neck = p[2] - 280
        fields.skin[at] = smooth_min(smooth_min(smooth_max(fields.skin[at], neck, 10), head, 14), ears, 5)
        fields.muscle[at] = smooth_min(smooth_max(fields.muscle[at], neck + 5, 10), head + 7.5, 8)

    def paint(self, canvas: Canvas, fields: TrunkFields) -> Iterator[Step]:
        """Yield skull with brain, face, jaw and upper spine, in order."""
        at = canvas.within(_LOW, _HIGH)
        if at is None:
            return
        p = canvas.template_points[(slice(None), *at)]
        mirrored = torch.stack([p[0].abs(), p[1], p[2]])
        skin = fields.skin[at]
        cavity = self._cavity(p)
        gyri, cells = self.gyri(p), self.cells(p)
        yield from self._skull(p, mirrored, at, skin, cavity, gyri, cells)
        yield from self._brain(p, mirrored, at, cavity, gyri)
        yield from self._face(p, mirrored, at, skin, cells)
        yield from self._jaw(p, mirrored, at, skin, gyri, cells)
        yield self.bones
        yield self.marrow
        yield self.teeth

    def _cavity(self, p: Tensor) -> Tensor:
        """Return the signed distance of the inside of the skull: an ellipsoid above the front fossa or the clivus."""
        vault = ellipsoid(p, (0, 12, 290), np.array((66, 86, 64)) * self.size)
        front = plane(p, (0, 50, 268), (0, 0.34, -0.94))
        clivus = plane(p, (0, 45, 264), (0, 0.62, -0.79))
        temporal = ellipsoid(torch.stack([p[0].abs(), p[1], p[2]]), (44, 32, 268), (19, 30, 22))
        return smooth_min(smooth_max(vault, smooth_min(front, clivus, 4), 8), temporal, 5)

    def _skull(
        self, p: Tensor, mirrored: Tensor, at: Block, skin: Tensor, cavity: Tensor, gyri: Tensor, cells: Tensor
    ) -> Iterator[Paint]:
        """Yield the skull with mastoid cells, ear canals and foramen magnum."""
        wall = torch.maximum(cavity - 6.5 - 0.8 * gyri, skin + 3.5)
        yield Paint("cortical bone", wall, at, LABEL["bone"])
        yield Paint("marrow", torch.maximum(wall + 1.8, 1.8 - cavity), at, LABEL["bone"], soft=0.6)
        petrous = smooth_min(
            tube(mirrored, [(60, -8, 240), (18, 24, 252)], [14, 8]),
            ellipsoid(mirrored, (56, -12, 232), (14, 17, 20)),
            6,
        )
        yield Paint("cortical bone", torch.maximum(petrous, skin + 5), at, LABEL["bone"])
        cells = torch.maximum(ellipsoid(mirrored, (57, -12, 234), (11, 14, 16)), 1.0 - 3.5 * cells)
        yield Paint("gas", torch.maximum(cells, skin + 8), at)
        yield Paint("gas", tube(mirrored, [(84, -2, 250), (50, 0, 250)], [3.5, 3]), at)
        foramen = torch.maximum(ellipsoid(p, (0, -8, 232), (15, 17, 400)), (p[2] - 234).abs() - 14)
        yield Paint("cerebrospinal fluid", foramen, at, LABEL["spinal canal"])

    def _brain(self, p: Tensor, mirrored: Tensor, at: Block, cavity: Tensor, bend: Tensor) -> Iterator[Paint]:
        """Yield grey and white matter, ventricles, cerebellum and brain stem in their fluid."""
        brain = LABEL["brain"]
        yield Paint("cerebrospinal fluid", cavity, at, brain)
        core = ellipsoid(p, (0, 10, 288), (200, 48, 24))
        grey = cavity + 1.8
        yield Paint("grey matter", grey, at, brain)
        fold = bend.abs() * 4.5
        yield Paint("cerebrospinal fluid", torch.maximum(grey - 0.5, -14 - cavity), at, brain, sheet=bend * 4.5,
                    thickness=1.3)  # fmt: skip
        white = torch.maximum(cavity + 5.0, torch.minimum(3.0 - fold, cavity + 15))
        yield Paint("white matter", torch.maximum(white, 3.0 - p[0].abs()), at, brain, soft=1.0)
        yield Paint("white matter", tube(mirrored, [(0, 40, 300), (0, 8, 310), (0, -24, 302)], 4.0), at, brain)
        yield Paint("grey matter", ellipsoid(mirrored, (18, 14, 288), (11, 22, 13)), at, brain, soft=1.0)
        yield Paint("cerebrospinal fluid", torch.maximum(1.2 - core, grey), at, brain, sheet=p[0], thickness=2.2)
        horns = tube(mirrored, [(8, 42, 299), (9, 10, 305), (15, -24, 300), (27, -30, 284)],
                     np.array([3.5, 3.5, 4.5, 3]) * self.ventricles)  # fmt: skip
        yield Paint("cerebrospinal fluid", horns, at, brain)
        hind = smooth_max(ellipsoid(mirrored, (22, -42, 252), (30, 31, 23)), cavity + 2, 3)
        yield Paint("cerebrospinal fluid", torch.maximum(hind - 1.5, cavity), at, brain)
        yield Paint("grey matter", hind, at, brain)
        yield Paint("white matter", hind + 5, at, brain, sheet=(p[2] + 0.5 * p[1]).remainder(6.0) - 3, thickness=2.0)
        stem = tube(p, [(0, -6, 222), (0, 4, 246), (0, 10, 258)], [6, 12, 13])
        yield Paint("cerebrospinal fluid", torch.maximum(torch.maximum(stem - 3, cavity), p[2] - 264), at, brain)
        yield Paint("white matter", stem, at, brain)

    def _face(self, p: Tensor, mirrored: Tensor, at: Block, skin: Tensor, cells: Tensor) -> Iterator[Paint]:
        """Yield the bones of the face, orbits, sinuses, nose and throat."""
        bone = LABEL["bone"]
        inside = skin + 8
        middle = smooth_min(ellipsoid(p, (0, 70, 244), (38, 32, 36)), ellipsoid(p, (0, 78, 222), (28, 26, 14)), 8)
        yield Paint("marrow", torch.maximum(middle, inside), at, bone, soft=1.0)
        cheek = tube(mirrored, [(40, 94, 252), (57, 74, 248), (66, 46, 248), (67, 14, 252)], [7, 7, 4.5, 4.5])
        yield Paint("cortical bone", torch.maximum(cheek, skin + 4), at, bone)
        orbit = smooth_max(tube(mirrored, [(12, 52, 266), (33, 92, 266), (35, 120, 266)], [5, 20, 23]), skin + 2, 3)
        rim = torch.maximum(orbit - 3.0, torch.maximum(inside - 2, p[1] - 100))
        yield Paint("cortical bone", rim, at, bone)
        yield Paint("fat", orbit, at)
        for shift in ((9, 0), (-9, 0), (0, 9), (0, -9), (0, 0)):
            cord = tube(mirrored, [(13, 54, 266), (33 + shift[0], 84, 266 + shift[1])], [1.6, 2.2])
            yield Paint("muscle", cord, at, LABEL["muscle"])
        globe = ellipsoid(mirrored, (33, 94, 266), (12, 12, 12))
        yield Paint("muscle", globe, at, LABEL["eye"])
        yield Paint("cerebrospinal fluid", globe + 1.4, at, LABEL["eye"])
        yield Paint("muscle", ellipsoid(mirrored, (33, 102, 266), (4.5, 2.2, 4.5)), at, LABEL["eye"])
        for centre, radii, walls in (
            ((25, 84, 240), (14, 16, 17), 0.0), ((6, 82, 264), (7, 22, 9), 1.6), ((8, 52, 256), (9, 12, 10), 0.0),
            ((12, 102, 291), (13, 5, 11), 0.0),
        ):  # fmt: skip
            sinus = torch.maximum(ellipsoid(mirrored, centre, radii) + 0.8 * cells, skin + 5)
            yield Paint("cortical bone", sinus - 1.3, at, bone)
            yield Paint("gas", torch.maximum(sinus, walls - 3.0 * cells.abs()) if walls else sinus, at)
        nose = torch.maximum(ellipsoid(p, (0, 84, 242), (12, 36, 17)), skin + 3)
        yield Paint("muscle", nose, at, LABEL["muscle"])
        passage = torch.maximum(nose + 1.2, torch.maximum(1.8 - p[0].abs(), 1.2 - 3.0 * cells.abs()))
        yield Paint("gas", passage, at, LABEL["airway"])
        throat = tube(p, [(0, 24, 196), (0, 28, 222), (0, 46, 240)], [8, 9, 9], flat=0.6)
        yield Paint("gas", throat, at, LABEL["airway"])

    def _jaw(
        self, p: Tensor, mirrored: Tensor, at: Block, skin: Tensor, gyri: Tensor, cells: Tensor
    ) -> Iterator[Paint]:
        """Yield tongue, parotid glands, cheek fat and jaw."""
        tongue = ellipsoid(p, (0, 62, 205), (23, 30, 15))
        yield Paint("fat plane", tongue - 2.0, at)
        yield Paint("muscle", tongue, at, LABEL["muscle"])
        yield Paint("fat plane", tongue + 2, at, sheet=p[0] + 1.5 * gyri, thickness=1.2)
        parotid = torch.maximum(ellipsoid(mirrored, (58, 10, 214), (10, 18, 26)), 3 - tube(mirrored, _JAW[:3], 9))
        yield Paint("gland", torch.maximum(parotid + 0.8 * cells, skin + 4), at, LABEL["gland"])
        pad = ellipsoid(mirrored, (44, 70, 222), (11, 17, 17)) + 1.5 * gyri
        yield Paint("fat", pad, at)
        jaw = tube(mirrored, _JAW, [5, 5, 7, 8, 9, 9.5])
        yield Paint("cortical bone", jaw, at, LABEL["bone"])
        yield Paint("marrow", jaw + 2.8, at, LABEL["bone"])


def _bones() -> Iterator[Beads]:
    """Yield atlas and dens."""
    yield rod([(0, 8, 190), (0, 9, 205), (0, 9, 217)], [(6, 6), (5.5, 5.5), (4, 4)], up=(0, 1, 0))
    angle = np.linspace(0, 2 * np.pi, 17)
    ring = np.stack([25 * np.sin(angle), -6 + 22 * np.cos(angle), np.full(17, 209.0)], 1)
    yield rod(ring, (3.5, 5.0))
    for side in (-1, 1):
        yield rod([(side * 23, -1, 199), (side * 22, 0, 219)], [(9, 7), (9, 7)], up=(0, 1, 0))
        yield rod([(side * 24, -4, 209), (side * 38, -6, 208)], (4.0, 4.0))


def _teeth(rng: np.random.Generator) -> Beads:
    """Draw two arches of teeth, some of them missing."""
    angle = np.radians(np.linspace(-78, 78, 14))
    arches = [np.stack([27 * np.sin(angle), 66 + 32 * np.cos(angle), np.full(14, z)], 1) for z in (213.0, 198.0)]
    centres = np.concatenate(arches)[rng.random(28) < 0.9]
    out = centres - (0, 66, 0)
    out[:, 2] = 0
    radii = np.tile([3.2, 6.5, 3.6], (len(centres), 1))
    return Beads("tooth", centres, frames_along(out), radii, LABEL["bone"])
