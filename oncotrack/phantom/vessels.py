"""Blood vessels and airways: the named large ones as tubes, and volume-filling trees of branches.

A tree grows towards a cloud of points (Tawhai et al. 2000, "Generation of an anatomically based three-dimensional
model of the conducting airways", Ann Biomed Eng 28): each branch runs part of the way to the cloud's centre, the cloud
is split there, and each half grows its own branch; radii follow Murray's law (r^3 adds up).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch
from torch import Tensor

from oncotrack.phantom.canvas import Canvas
from oncotrack.phantom.layers import Beads, Block, Paint
from oncotrack.phantom.shapes import smooth_min, smooth_path
from oncotrack.phantom.skeleton import frames_along
from oncotrack.phantom.tissues import LABEL

THIN_MM = 4.2
"""Vessels whose largest radius is below this are drawn as beads."""


@dataclass(frozen=True, eq=False)
class Vessel:
    """A named tube: (K, 3) points and (K,) radii, mm, its tissue and label; `pad` mm of fat lie between it and the lung."""

    name: str
    tissue: str
    label: str
    points: np.ndarray
    radii: np.ndarray
    pad: float = 3.0

    @property
    def thin(self) -> bool:
        """Whether it is drawn as beads."""
        return float(self.radii.max()) < THIN_MM


_A, _V, _S = ("artery", "artery"), ("vein", "vein"), ("vena cava superior", "vein")
# name: (tissue, label), points (R, A, S, radius)
_NAMED: dict[str, tuple[tuple[str, str], list[tuple[float, float, float, float]]]] = {
    "aorta": (_A, [(-6, 30, -50, 14), (6, 37, -24, 15.5), (12, 36, 2, 15.5), (9, 28, 27, 14.5), (0, 15, 38, 14),
            (-13, 0, 38, 13.5),
                   (-23, -14, 26, 12.8), (-26, -22, 4, 12.5), (-25, -25, -40, 12), (-20, -22, -90, 11.5),
                           (-11, -8, -130, 11),
                   (-6, 1, -165, 10.3), (-4, 8, -210, 9.5), (-4, 11, -260, 8.6), (-3, 11, -312, 8.2)]),
    "pulmonary trunk": (("right heart blood", "artery"), [(-20, 48, -44, 13), (-22, 38, -26, 14),
            (-19, 26, -12, 13.5), (-14, 18, -8, 12)]),
    "right pulmonary artery": (("right heart blood", "artery"), [(-15, 19, -10, 11), (8, 12, -15, 10.5),
            (32, 6, -18, 10), (44, 2, -26, 7.5)]),
    "left pulmonary artery": (("right heart blood", "artery"), [(-17, 22, -9, 12), (-34, 8, -3, 10),
            (-44, -6, -10, 9), (-48, -12, -26, 7)]),
    "superior vena cava": (_S, [(25, 24, 58, 8), (26, 24, 20, 9), (26, 22, -20, 9.2), (27, 20, -48, 9.5)]),
    "left brachiocephalic vein": (_S, [(-30, 28, 78, 6), (-12, 38, 62, 6.8), (10, 36, 52, 7), (24, 25, 42, 7.5)]),
    "right brachiocephalic vein": (_S, [(32, 22, 82, 6.5), (26, 24, 56, 7.5)]),
    "right jugular vein": (_V, [(31, 22, 82, 7), (32, 20, 120, 6.5), (30, 14, 165, 6), (26, 8, 235, 5)]),
    "left jugular vein": (_V, [(-30, 28, 78, 6), (-31, 20, 120, 5.8), (-30, 14, 165, 5.5), (-26, 8, 235, 4.5)]),
    "right subclavian vein": (_V, [(32, 22, 82, 6), (62, 30, 88, 5.5), (98, 14, 82, 5), (126, -6, 66, 4.6),
            (150, -16, 80, 4)]),
    "left subclavian vein": (_S, [(-30, 28, 78, 6), (-62, 30, 88, 5.5), (-98, 14, 82, 5), (-126, -6, 66, 4.6),
            (-150, -16, 80, 4)]),
    "brachiocephalic artery": (_A, [(3, 21, 44, 6.5), (9, 20, 62, 6), (17, 18, 80, 6)]),
    "right carotid": (_A, [(17, 18, 80, 4.3), (22, 17, 105, 3.8), (24, 16, 140, 3.6), (26, 10, 235, 3)]),
    "left carotid": (_A, [(-8, 11, 44, 4.3), (-14, 14, 70, 4), (-22, 16, 110, 3.7), (-26, 10, 235, 3)]),
    "right subclavian artery": (_A, [(17, 18, 80, 5), (40, 12, 94, 4.5), (70, 8, 86, 4), (110, -6, 70, 3.8),
            (146, -22, 76, 3)]),
    "left subclavian artery": (_A, [(-16, 1, 44, 5.5), (-21, -2, 70, 5), (-42, 8, 94, 4.5), (-75, 8, 86, 4),
            (-112, -6, 70, 3.8), (-146, -22, 76, 3)]),
    "inferior vena cava": (_V, [(26, 16, -80, 11), (25, 9, -108, 11), (23, 5, -150, 10.5), (21, 8, -200, 10),
            (19, 10, -260, 9.5), (16, 10, -312, 9)]),
    "azygos": (_V, [(8, -12, -170, 1.8), (9, -15, -90, 2.6), (9, -14, -10, 3.2), (11, -10, 8, 3.6),
            (22, 2, 17, 3.8), (26, 14, 18, 3.8)]),
    "hemiazygos": (_V, [(-12, -16, -150, 1.5), (-13, -22, -70, 1.8), (-6, -16, -45, 1.8), (8, -15, -40, 1.8)]),
    "right superior pulmonary vein": (("heart blood", "vein"), [(14, 4, -50, 8), (32, 12, -42, 7), (46, 12, -36, 5.5)]),
    "right inferior pulmonary vein": (("heart blood", "vein"), [(16, -4, -56, 8), (34, -8, -60, 7),
            (50, -14, -64, 5.5)]),
    "left superior pulmonary vein": (("heart blood", "vein"), [(-22, 6, -46, 8), (-38, 8, -36, 7),
            (-50, 12, -28, 5.5)]),
    "left inferior pulmonary vein": (("heart blood", "vein"), [(-22, -4, -56, 8), (-38, -10, -58, 7),
            (-54, -16, -62, 5.5)]),
    "right mammary": (_A, [(24, 62, 70, 1.4), (24, 82, 20, 1.4), (26, 98, -50, 1.2), (30, 104, -100, 1)]),
    "left mammary": (_A, [(-24, 62, 70, 1.4), (-24, 82, 20, 1.4), (-26, 98, -50, 1.2), (-30, 104, -100, 1)]),
    "coeliac trunk": (_A, [(-5, 8, -157, 3.8), (-4, 19, -159, 3.6)]),
    "splenic artery": (_A, [(-4, 19, -159, 2.9), (-22, 10, -163, 2.8), (-40, 8, -155, 2.7), (-60, -8, -163, 2.6),
            (-86, -24, -152, 2.2)]),
    "hepatic artery": (_A, [(-4, 19, -159, 2.8), (12, 30, -168, 2.7), (26, 27, -158, 2.4), (38, 20, -146, 2)]),
    "left gastric artery": (_A, [(-4, 19, -158, 2), (-14, 20, -142, 1.9), (-26, 26, -136, 1.6), (-34, 34, -160, 1.3)]),
    "superior mesenteric artery": (_A, [(-4, 12, -171, 3.8), (-4, 24, -177, 3.7), (-3, 30, -200, 3.6),
            (2, 36, -240, 3), (10, 40, -275, 2.2)]),
    "superior mesenteric vein": (_V, [(18, 42, -275, 4), (10, 36, -240, 5), (9, 34, -205, 5.6), (10, 32, -190, 6.2)]),
    "portal vein": (_V, [(10, 32, -192, 6.4), (20, 26, -170, 6.8), (34, 18, -148, 6.6)]),
    "splenic vein": (_V, [(9, 31, -190, 4.6), (-22, 16, -180, 4.4), (-58, -2, -170, 4.2), (-88, -24, -158, 3.6)]),
    "right renal artery": (_A, [(0, 6, -188, 2.9), (22, -8, -190, 2.8), (42, -18, -192, 2.5)]),
    "left renal artery": (_A, [(-10, 6, -184, 2.9), (-26, -8, -186, 2.8), (-44, -20, -188, 2.5)]),
    "right renal vein": (_V, [(20, 6, -188, 5), (34, -8, -191, 4.8), (46, -18, -194, 4.4)]),
    "left renal vein": (_V, [(16, 12, -183, 4.6), (-4, 21, -184, 4.2), (-22, 8, -186, 4.6), (-44, -18, -190, 4.4)]),
    "inferior mesenteric artery": (_A, [(-6, 18, -246, 1.9), (-14, 24, -270, 1.8), (-22, 22, -312, 1.6)]),
    "inferior mesenteric vein": (_V, [(-24, 14, -182, 2), (-28, 18, -220, 2.2), (-30, 18, -312, 2)]),
}  # fmt: skip


def named_vessels(rng: np.random.Generator) -> dict[str, Vessel]:
    """Draw the large vessels of one patient; calibres and courses vary."""
    wide = {"artery": rng.uniform(0.9, 1.2), "vein": rng.uniform(0.88, 1.18)}
    vessels = {}
    for name, ((tissue, label), table) in _NAMED.items():
        table = np.asarray(table, float)
        table[1:-1, :3] += rng.normal(size=(len(table) - 2, 3)) * np.minimum(1.2, table[1:-1, 3:] * 0.3)
        dense = smooth_path(table, 8.0)
        vessels[name] = Vessel(name, tissue, label, dense[:, :3], dense[:, 3] * wide[label] * rng.uniform(0.95, 1.05))
    return vessels


AIRWAY = [
    np.array([(0, 32, 150, 8.5), (0, 24, 110, 8.5), (0, 16, 70, 8.8), (1, 9, 30, 8.8), (1, 5, 2, 9)], float),
    np.array([(1, 5, 4, 8), (16, 4, -10, 7.4), (30, 2, -20, 6.8), (38, 0, -30, 6)], float),
    np.array([(1, 5, 4, 8), (-16, 2, -10, 7), (-32, -2, -20, 6.4), (-44, -5, -28, 5.6)], float),
]
OESOPHAGUS = np.array(
    [(-2, 10, 150, 6), (-5, 3, 100, 6.5), (-6, -7, 50, 7), (-5, -10, 5, 7), (-3, -9, -40, 7.5), (-8, -4, -85, 8),
     (-15, 6, -108, 8.5), (-26, 12, -124, 9)], float)  # fmt: skip


class GreatVessels:
    """Signed distances of large vessels, trachea and oesophagus on a canvas."""

    def __init__(self, canvas: Canvas, vessels: dict[str, Vessel]) -> None:
        self.canvas = canvas
        self.vessels = {n: v for n, v in vessels.items() if not v.thin}
        self.tubes: dict[str, tuple[Block, Tensor]] = {}
        for name, vessel in self.vessels.items():
            self._add(name, vessel.points, vessel.radii)
        for n, branch in enumerate(AIRWAY):
            self._add(f"airway {n}", branch[:, :3], branch[:, 3])
        self._add("oesophagus", OESOPHAGUS[:, :3], OESOPHAGUS[:, 3] * 1.12, flat=0.72)

    def _add(self, name: str, points: np.ndarray, radii: np.ndarray, flat: float = 1.0) -> None:
        """Add a tube when the canvas shows it."""
        found = self.canvas.tube(points, radii, flat)
        if found is not None:
            self.tubes[name] = found

    def union(self, pads: dict[str, float], default: float) -> Tensor:
        """Return all tubes as one rounded shape over the whole canvas, each thickened by its pad (mm)."""
        total = torch.full(self.canvas.template_points.shape[1:], 60.0, device=self.canvas.device)
        for name, (at, sdf) in self.tubes.items():
            total[at] = smooth_min(total[at], sdf - pads.get(name, default), 9)
        return total

    def paint(self) -> Iterator[Paint]:
        """Yield the vessels."""
        for name, vessel in self.vessels.items():
            if name in self.tubes:
                at, sdf = self.tubes[name]
                yield Paint(vessel.tissue, sdf, at, LABEL[vessel.label])

    def paint_tubes(self, gas: float) -> Iterator[Paint]:
        """Yield the oesophagus, with gas `gas` mm inside its surface, and the large airways with their walls."""
        if "oesophagus" in self.tubes:
            at, sdf = self.tubes["oesophagus"]
            yield Paint("oesophagus", sdf, at, LABEL["oesophagus"])
            yield Paint("gas", sdf + gas, at)
        airways = [self.tubes[f"airway {n}"] for n in range(3) if f"airway {n}" in self.tubes]
        for at, sdf in airways:
            yield Paint("airway wall", sdf - 1.6, at)
        for at, sdf in airways:
            yield Paint("airway", sdf, at, LABEL["airway"])


def grow_tree(
    rng: np.random.Generator,
    root: np.ndarray,
    heading: np.ndarray,
    cloud: np.ndarray,
    radius: float,
    *,
    thinnest: float = 0.45,
    reach: float = 0.42,
    power: float = 3.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grow branches that fill a point cloud.

    Parameters
    ----------
    rng : numpy.random.Generator
    root, heading : (3,) ndarray
        Start (RAS mm) and direction of the trunk.
    cloud : (M, 3) ndarray
        Points to reach, RAS mm.
    radius : float
        Of the trunk, mm.
    thinnest : float
        Radius (mm) below which growth ends.
    reach : float
        Share of the way to the cloud's centre that a branch covers.
    power : float
        Exponent with which radii add up at a fork.

    Returns
    -------
    starts, ends : (N, 3) ndarray
        RAS mm.
    radii : (N, 2) ndarray
        At start and end, mm.
    """
    total = len(cloud)
    starts, ends, radii = [], [], []
    stack = [(np.asarray(root, float), np.asarray(heading, float), cloud)]
    while stack:
        start, heading, points = stack.pop()
        r = radius * (len(points) / total) ** (1 / power)
        if len(points) < 2 or r < thinnest:
            continue
        middle = points.mean(0)
        towards = middle - start
        distance = sqrt(towards.dot(towards))
        direction = towards / max(distance, 1e-6) + 0.35 * heading
        direction /= sqrt(direction.dot(direction))
        step = direction * max(reach * distance, 1.2 * r)
        bend = start + step / 2 + rng.normal(size=3) * 0.06 * sqrt(step.dot(step))
        end = start + step
        starts += [start, bend]
        ends += [bend, end]
        radii += [(r, r * 0.97), (r * 0.97, r * 0.92)]
        spread = points - middle
        spread -= ((spread @ direction)[:, None] * direction) * 0.7
        axis = np.linalg.eigh(spread.T @ spread)[1][:, 2]
        side = spread @ axis
        rank = int((len(side) - 1) * rng.uniform(0.32, 0.68))
        cut = np.partition(side, rank)[rank]
        for part in (points[side <= cut], points[side > cut]):
            if len(part):
                stack.append((end, direction, part))
    return np.array(starts).reshape(-1, 3), np.array(ends).reshape(-1, 3), np.array(radii).reshape(-1, 2)


def branch_beads(starts: np.ndarray, ends: np.ndarray, radii: np.ndarray, tissue: str, label: int) -> Beads:
    """Return short cylinders along straight (N, 3) branches, at most 4 mm or 1.2 radii long, overlapping at the bends."""
    length = np.linalg.norm(ends - starts, axis=1)
    count = np.maximum(np.ceil(length / np.maximum(1.2 * radii.mean(1), 4.0)).astype(int), 1)
    which = np.repeat(np.arange(len(count)), count)
    t = (np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + 0.5) / count[which]
    centres = starts[which] + (ends - starts)[which] * t[:, None]
    r = radii[which, 0] * (1 - t) + radii[which, 1] * t
    frames = frames_along((ends - starts)[which])
    half = (length / count)[which] / 2 + 0.3 * r
    return Beads(tissue, centres, frames, np.stack([r, r, half], 1), label, True)


def path_beads(points: np.ndarray, radii: np.ndarray, tissue: str, label: int) -> Beads:
    """Return beads along a thin vessel: (K, 3) points and (K,) radii, mm."""
    return branch_beads(points[:-1], points[1:], np.stack([radii[:-1], radii[1:]], 1), tissue, label)
