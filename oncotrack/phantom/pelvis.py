"""The pelvis and the upper legs: their outline, muscles, bladder, bowel, prostate or uterus, vessels and bones.

Template coordinates as in `trunk`: iliac crest at S -304, femoral heads at -440, perineum at -490.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator
from torch import Tensor

from oncotrack.phantom.canvas import Canvas
from oncotrack.phantom.layers import Beads, Block, Paint, Step
from oncotrack.phantom.pelvic_bones import HIP, PelvicBones, build_pelvic_bones
from oncotrack.phantom.shapes import Waves, ellipsoid, plane, smooth_max, smooth_min, smooth_path, tube
from oncotrack.phantom.tissues import LABEL
from oncotrack.phantom.trunk import TrunkFields
from oncotrack.phantom.vessels import path_beads

HIGHEST = -306.0
"""Height (mm) above which the trunk is unchanged."""
_LOW, _HIGH = (-420.0, -260.0, -1400.0), (420.0, 260.0, HIGHEST)
# height: half width, front, back of the flesh without its fat (mm)
_FLESH = np.array([
    (-560, 165, 56, -100), (-500, 166, 62, -102), (-460, 164, 66, -106), (-420, 157, 72, -106), (-380, 147, 80, -102),
    (-345, 138, 88, -94), (-300, 130, 94, -84),
])  # fmt: skip
# points (R, A, S, radius) of the right side
_VESSELS: dict[str, list[list[tuple[float, float, float, float]]]] = {
    "artery": [
        [(-3, 11, -306, 7.5), (16, 8, -334, 6), (40, -4, -366, 5.5), (56, 10, -394, 5), (70, 34, -424, 5),
         (78, 50, -450, 5), (84, 48, -500, 4.5), (86, 30, -600, 4), (80, 10, -760, 3.5)],
        [(40, -4, -366, 4.5), (48, -30, -388, 4), (54, -44, -408, 3)],
        [(80, 50, -462, 3.8), (92, 34, -510, 3.4), (98, 10, -600, 2.5)],
    ],
    "vein": [
        [(16, 10, -308, 8.5), (26, -2, -336, 7.5), (38, -16, -370, 7), (52, -2, -398, 6.5), (61, 26, -426, 6.5),
         (66, 44, -452, 6.5), (74, 40, -500, 6), (80, 20, -600, 5), (76, 0, -760, 4.5)],
        [(38, -16, -370, 5), (44, -40, -392, 4.5), (52, -52, -410, 3.5)],
        [(68, 50, -456, 3.5), (62, 58, -500, 3), (50, 52, -640, 2.5)],
    ],
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Pelvis:
    """Everything random about one patient's pelvis; `urine_suv` is the FDG uptake of the bladder."""

    bladder: np.ndarray
    urine_suv: float
    female: bool
    colon: list[np.ndarray]
    loops: list[np.ndarray]
    ripple: Waves
    lobules: Waves
    vessels: dict[str, Beads]
    bones: PelvicBones

    @classmethod
    def random(cls, rng: np.random.Generator, female: bool) -> Pelvis:
        """Draw a plausible pelvis."""
        sigmoid = np.array([(-104, -8, -296, 15), (-100, 8, -330, 14), (-84, 26, -362, 13), (-46, 26, -384, 13),
                            (-8, 2, -372, 13), (14, -22, -384, 13), (4, -46, -404, 14), (0, -54, -436, 16),
                            (0, -44, -466, 13), (0, -44, -498, 5)], float)  # fmt: skip
        caecum = np.array([(92, 4, -286, 24), (94, 12, -316, 25), (88, 18, -340, 20)], float)
        for path in (sigmoid, caecum):
            path[1:-2, :3] += rng.normal(size=(len(path) - 3, 3)) * 4
            path[:, 3] *= rng.uniform(0.85, 1.15)
        return cls(
            np.array([42, 36, 32]) * rng.uniform(0.75, 1.2) * rng.uniform(0.92, 1.08, 3),
            float(rng.uniform(12, 38)),
            female,
            [smooth_path(sigmoid, 8.0), smooth_path(caecum, 8.0)],
            _loops(rng),
            Waves.random(rng, (30, 30, 30), 6),
            Waves.random(rng, (12, 12, 12), 7),
            {name: _both_sides(name, paths) for name, paths in _VESSELS.items()},
            build_pelvic_bones(),
        )

    def shape(self, fields: TrunkFields, canvas: Canvas) -> None:
        """Blend the trunk's skin, flesh and cavity into those of the pelvis and the thighs."""
        at = canvas.within(_LOW, _HIGH)
        if at is None:
            return
        p = canvas.template_points[(slice(None), *at)]
        fat = fields.trunk.fat_mm
        flesh = _flesh(p) + fields.ripple[at]
        legs = [(86, -18, -470), (84, -20, -560), (76, -16, -700), (70, -12, -900), (68, -20, -1400)]
        thigh = tube(torch.stack([p[0].abs(), p[1], p[2]]), legs, [78, 74, 64, 52, 48])
        flesh = smooth_min(smooth_max(flesh, -486 - p[2], 30), thigh + 0.25 * fat, 12)
        thick = fat * (0.75 + 0.35 * (p[0] / 150).square() + 0.25 * (p[1] / -100).clamp(0, 1)) + 2.0
        skin = smooth_max(flesh - thick, plane(p, (0, -111 - 0.5 * fat, 0), (0, -1, 0)), 14)
        cleft = ellipsoid(p, (0, -120 - 0.5 * fat, -478), (4, 30, 52))
        skin = smooth_max(skin, -cleft, 8)
        flesh = smooth_max(flesh, plane(p, (0, -105 - 0.25 * fat, 0), (0, -1, 0)), 14)
        false = ellipsoid(p, (0, 20, -318), (106, 74, 92))
        true = ellipsoid(p, (0, -16, -416), (55, 56, 66))
        hollow = smooth_min(false, true, 16) + fields.ripple[at]
        part = ((HIGHEST - p[2]) / 60).clamp(0, 1)
        part = part.square() * (3 - 2 * part)
        for field, other in ((fields.skin, skin), (fields.muscle, flesh), (fields.cage, hollow)):
            field[at] = torch.lerp(field[at], other, part)
        fields.belly[at] = torch.maximum(fields.cage[at] + 1.5, fields.dome[at] + 1.0)

    def paint(self, canvas: Canvas, fields: TrunkFields) -> Iterator[Step]:
        """Yield the soft tissues, back to front."""
        at = canvas.within((-200, -150, -760), (200, 140, HIGHEST + 30))
        if at is None:
            return
        p = canvas.template_points[(slice(None), *at)]
        mirrored = torch.stack([p[0].abs(), p[1], p[2]])
        ripple, lobules = self.ripple(p), self.lobules(p)
        bladder = self._bladder(p, ripple)
        yield from self._muscles(p, mirrored, at, fields, ripple)
        yield from self._bowel(p, at, fields, bladder, ripple, lobules)
        yield from self._organs(p, mirrored, at, bladder, ripple, lobules)
        yield from self.vessels.values()

    def paint_bones(self, canvas: Canvas) -> Iterator[Step]:
        """Yield hip joints and bones."""
        at = canvas.within((-150, -110, -760), (150, 70, HIGHEST + 10))
        if at is None:
            return
        p = canvas.template_points[(slice(None), *at)]
        mirrored = torch.stack([p[0].abs(), p[1], p[2]])
        bones = self.bones
        yield bones.plates
        yield bones.plate_marrow
        ball = ellipsoid(mirrored, HIP, (1, 1, 1)) + 1
        open_side = plane(mirrored, np.add(HIP, (4, 0, -4)), (0.72, 0.12, -0.68))
        cup = torch.maximum(ball - 32.5, open_side - 2)
        yield Paint("cortical bone", cup, at, LABEL["bone"])
        yield Paint("marrow", torch.maximum(cup + 1.6, 28.4 - ball), at, LABEL["bone"])
        yield Paint("disc", torch.maximum(ball - 26.8, open_side - 6), at)
        yield bones.cortex
        yield bones.shafts
        yield bones.marrow
        yield bones.shaft_marrow
        yield bones.foramina
        symphysis = ellipsoid(p, (0, 45, -464), (3.2, 12, 20))
        yield Paint("disc", symphysis, at)

    def _muscles(self, p: Tensor, mirrored: Tensor, at: Block, fields: TrunkFields, ripple: Tensor) -> Iterator[Paint]:
        """Yield the fat between the muscles, iliopsoas, obturator and the pelvic floor."""
        flesh = fields.muscle[at]
        low = torch.maximum(flesh + 1.5, mirrored[2] - HIGHEST + 30)
        outside = torch.maximum(low, 8 - fields.cage[at])
        yield Paint("muscle", torch.maximum(outside, mirrored[2] - HIGHEST + 36), at, LABEL["muscle"])
        buttock = flesh + 30 + 5 * ripple + 0.06 * (mirrored[0] - 90)
        yield Paint("fat plane", torch.maximum(outside, p[1] + 20), at, sheet=buttock, thickness=2.6)
        yield Paint("fat plane", torch.maximum(outside, p[1] - 30), at, sheet=flesh + 52 + 6 * ripple, thickness=1.8)
        x, y = mirrored[0] - 88, p[1] + 16
        spokes = torch.atan2(y, x) * 5 + 1.2 * ripple
        sheet = torch.sin(spokes) * (x.square() + y.square()).sqrt() / 5
        thigh = torch.maximum(torch.maximum(low, p[2] + 492), 16 - (x.square() + y.square()).sqrt())
        yield Paint("fat plane", thigh, at, sheet=sheet, thickness=1.6)
        for centre, radii in (((27, -54, -484), (17, 27, 26)), ((76, 54, -462), (24, 17, 46)),
                              ((62, -72, -420), (13, 14, 24)), ((0, 60, -446), (34, 9, 22))):  # fmt: skip
            yield Paint("fat", ellipsoid(mirrored, centre, radii) + 2 * ripple, at, LABEL["fat"])
        iliopsoas = tube(mirrored, [(40, -6, -330), (58, 10, -372), (80, 22, -408), (92, 26, -436), (112, -12, -500)],
                         [18, 19, 18, 17, 10])  # fmt: skip
        fossa = tube(mirrored, [(96, -26, -325), (100, -4, -360), (94, 10, -400)], [13, 15, 12])
        iliacus = smooth_min(iliopsoas, fossa, 14) + ripple
        yield Paint("fat plane", iliacus - 1.5, at)
        yield Paint("muscle", iliacus, at, LABEL["muscle"])
        wall = tube(mirrored, [(62, -10, -418), (60, -20, -450), (56, -28, -480)], [8, 9, 8]) + ripple
        yield Paint("muscle", wall, at, LABEL["muscle"])
        piriformis = tube(mirrored, [(22, -52, -398), (58, -58, -410), (96, -40, -420)], [8, 10, 8])
        yield Paint("muscle", piriformis, at, LABEL["muscle"])
        floor = tube(mirrored, [(3, -62, -476), (14, -30, -484), (8, 18, -482)], [6, 6, 5])
        yield Paint("muscle", floor, at, LABEL["muscle"])

    def _bowel(
        self, p: Tensor, at: Block, fields: TrunkFields, bladder: Tensor, ripple: Tensor, lobules: Tensor
    ) -> Iterator[Paint]:
        """Yield loops of small bowel, caecum, sigmoid and rectum with stool and gas."""
        label = LABEL["bowel"]
        room = smooth_max(fields.cage[at] + 3, bladder.neg() + 4, 6)
        yield Paint("septum", torch.maximum(room + 3, p[2] - HIGHEST), at, sheet=ripple * 4 + lobules, thickness=0.9)
        for path in self.loops:
            wall = smooth_max(tube(p, path[:, :3], path[:, 3]), room, 4)
            yield Paint("visceral fat", wall - 1.2, at)
            yield Paint("bowel wall", wall, at, label)
            yield Paint("bowel content", wall + 2.4 + lobules, at, label, soft=1.0)
        for path in self.colon:
            low = torch.maximum(room, HIGHEST + 24 - p[2]) if path is self.colon[1] else bladder.neg() + 3
            wall = smooth_max(tube(p, path[:, :3], path[:, 3]) + ripple, low, 4)
            yield Paint("visceral fat", wall - 3.0, at)
            yield Paint("bowel wall", wall, at, label)
            yield Paint("stool", wall + 2.8, at, label, soft=0.5)
            yield Paint("gas", torch.maximum(wall + 3.2, smooth_max(18 * ripple + 4, lobules * 4 - 2, 5)), at)

    def _organs(
        self, p: Tensor, mirrored: Tensor, at: Block, bladder: Tensor, ripple: Tensor, lobules: Tensor
    ) -> Iterator[Paint]:
        """Yield bladder, and uterus or prostate with seminal vesicles."""
        if self.female:
            body = smooth_min(
                ellipsoid(p, (4, -12, -412), (26, 21, 27)), ellipsoid(p, (0, -18, -446), (14, 12, 22)), 12
            )
            body = torch.maximum(body + 1.2 * ripple, 2 - bladder)
            yield Paint("visceral fat", body - 1.5, at)
            yield Paint("uterus", body, at, LABEL["uterus"], soft=0.8)
            yield Paint("stomach content", ellipsoid(p, (4, -12, -412), (11, 2.5, 12)), at, soft=1.0)
        else:
            yield Paint("prostate", ellipsoid(mirrored, (16, -22, -452), (14, 6, 7)) + lobules, at)
            gland = ellipsoid(p, (0, -4, -474), (22, 17, 18)) + 0.6 * lobules
            yield Paint("prostate", gland, at, LABEL["prostate"])
        yield Paint("visceral fat", bladder - 1.5, at)
        yield Paint("bladder wall", bladder, at, LABEL["bladder"])
        yield Paint("urine", bladder + 3.2, at, LABEL["bladder"])

    def _bladder(self, p: Tensor, ripple: Tensor) -> Tensor:
        """Return the signed distance of the bladder."""
        return ellipsoid(p, (0, 12, -462 + float(self.bladder[2])), self.bladder) + 1.0 * ripple


def _flesh(p: Tensor) -> Tensor:
    """Return the signed distance of a superellipse whose size changes with height."""
    order = np.argsort(_FLESH[:, 0])
    heights = np.arange(-560.0, -299.0, 2.0)
    at = ((p[2] - float(heights[0])) / 2).clamp(0, len(heights) - 1).long()
    half, front, back = (
        torch.as_tensor(PchipInterpolator(_FLESH[order, 0], _FLESH[order, n])(heights), dtype=p.dtype).to(p.device)[at]
        for n in (1, 2, 3)
    )
    y, deep = p[1] - (front + back) / 2, (front - back) / 2
    ring = ((p[0].abs() / half) ** 2.5 + (y.abs() / deep) ** 2.5 + 1e-9) ** 0.4
    return (p[0].square() + y.square()).sqrt() * (1 - 1 / ring)


def _loops(rng: np.random.Generator) -> list[np.ndarray]:
    """Draw loops of small bowel: points and radius, (K, 4) each."""
    loops = []
    for centre in [
        (x, y, z) for z in (-330, -356, -384) for y in (24, 52) for x in (-44, -8, 28, 58) if y < 52 or z > -370
    ]:
        turn = rng.uniform(0, 2 * np.pi)
        angle = turn + np.linspace(0, rng.uniform(0.9, 1.6) * np.pi, 6)
        ring = np.stack([np.cos(angle), np.sin(angle), rng.normal() * 0.6 * np.cos(angle)], 1)
        points = np.asarray(centre) + rng.normal(size=3) * 4 + ring * rng.uniform(10, 17)
        loops.append(smooth_path(np.concatenate([points, rng.uniform(8, 12, (6, 1))], 1), 8.0))
    return loops


def _both_sides(tissue: str, paths: list[list[tuple[float, float, float, float]]]) -> Beads:
    """Return the vessels of both sides; the first point of the first path lies in the middle."""
    parts = []
    for side in (1, -1):
        for path in paths:
            table = np.array(path, float)
            away = np.arange(len(table)) > 0 if path is paths[0] else np.ones(len(table), bool)
            table[away, 0] *= side
            dense = smooth_path(table, 7.0)
            parts.append(path_beads(dense[:, :3], dense[:, 3], tissue, LABEL[tissue]))
    return Beads.join(parts)
