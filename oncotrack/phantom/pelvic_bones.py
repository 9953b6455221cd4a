"""Bones of the pelvis and the upper legs: iliac wings, sacrum, pubis, ischium, femora."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from oncotrack.phantom.layers import Beads
from oncotrack.phantom.skeleton import frames_along, rod
from oncotrack.phantom.tissues import LABEL

HIP = (90.0, -8.0, -440.0)
"""Middle of the right femoral head (RAS mm)."""
# height: back end (R, A), front end (R, A) and outward bow of the right iliac wing (mm)
_WING = np.array([
    (-420, 84, -34, 104, 12, 2), (-400, 66, -64, 110, 28, 5), (-372, 46, -84, 120, 40, 8), (-345, 48, -86, 127, 38, 10),
    (-322, 64, -72, 126, 18, 10), (-306, 88, -48, 114, -6, 6),
])  # fmt: skip


@dataclass(frozen=True, eq=False)
class PelvicBones:
    """Bones drawn as beads: shells and their marrow."""

    cortex: Beads
    marrow: Beads
    plates: Beads
    plate_marrow: Beads
    shafts: Beads
    shaft_marrow: Beads
    foramina: Beads


def build_pelvic_bones() -> PelvicBones:
    """Build sacrum, hip bones and femora."""
    bones, shafts, wings = list(_sacrum()), [], []
    for side in (1, -1):
        bones += _ring(side)
        shafts.append(_femur(side))
        wings.append(_wing(side))
    cortex, plates, shaft = Beads.join(bones), Beads.join(wings), Beads.join(shafts)
    at = np.array([(s * x, y, z) for s in (-1, 1) for x, y, z in
                   ((21, -34, -372), (20, -52, -394), (17, -68, -416), (13, -76, -438))], float)  # fmt: skip
    label = LABEL["bone"]
    return PelvicBones(
        cortex,
        cortex.shrink("marrow", 1.6, label),
        plates,
        plates.shrink("marrow", 1.5, label),
        shaft,
        shaft.shrink("yellow marrow", 4.5, label),
        Beads("fat", at, np.tile(np.eye(3), (len(at), 1, 1)), np.full((len(at), 3), (4.5, 8.0, 5.5))),
    )


def _sacrum() -> list[Beads]:
    """Build sacrum and coccyx."""
    path = [(0, -26, -358), (0, -36, -376), (0, -58, -402), (0, -74, -428), (0, -76, -452), (0, -62, -472)]
    return [
        rod(path, [(47, 17), (44, 16), (35, 13), (25, 10), (11, 7), (5, 4)], up=(0, 1, 0)),
        rod([(0, -62, -362), (0, -76, -388), (0, -90, -416)], [(5, 7), (5, 6), (5, 4)], up=(0, 1, 0)),
    ]


def _ring(side: int) -> list[Beads]:
    """Build pubis, ischium and the column behind the hip joint; femoral head, neck and trochanters."""
    s = side

    def at(*points: tuple[float, float, float]) -> list[tuple[float, float, float]]:
        return [(s * x, y, z) for x, y, z in points]

    x, y, z = HIP
    return [
        rod(at((82, 14, -424), (58, 32, -438), (30, 44, -452), (5, 46, -462)), [(7, 7), (6, 6), (7, 8), (9, 12)]),
        rod(at((6, 44, -466), (20, 34, -480), (40, 4, -498), (54, -28, -508)), [(7, 8), (5, 7), (4.5, 6), (6, 8)]),
        rod(at((80, -40, -412), (82, -46, -440), (72, -50, -470), (60, -46, -500), (56, -34, -512)),
            [(9, 14), (11, 13), (13, 15), (15, 17), (9, 10)], up=(0, 1, 0)),
        rod(at((46, -78, -368), (62, -66, -392), (80, -44, -412)), [(6, 8), (8, 9), (9, 12)], up=(0, 1, 0)),
        rod(at((x - 2, y, z + 24), (x - 1, y, z + 16), (x, y, z), (x + 2, y - 1, z - 17), (x + 4, y - 2, z - 24)),
            [(4, 4), (17.5, 17.5), (24, 24), (17, 17), (4, 4)], up=(0, 1, 0)),
        rod(at((x + 4, y - 1, z - 2), (x + 26, y - 6, z - 12), (x + 40, y - 12, z - 22)), [(16, 15), (14, 15), (17, 20)]),
        rod(at((x + 46, y - 20, z + 6), (x + 47, y - 20, z - 12), (x + 44, y - 14, z - 32)),
            [(6, 9), (12, 17), (14, 16)], up=(0, 1, 0)),
        rod(at((x + 30, y - 26, z - 50), (x + 26, y - 26, z - 58)), (7, 7), up=(0, 1, 0)),
    ]  # fmt: skip


def _femur(side: int) -> Beads:
    """Build the shaft of a femur."""
    x, y, z = HIP
    path = [(x + 42, y - 12, z - 28), (x + 38, y - 10, z - 60), (x + 30, y - 2, z - 120), (x + 10, y + 6, z - 300)]
    path = [(side * px, py, pz) for px, py, pz in path]
    return rod(path, [(17, 17), (15, 15), (13.5, 14), (14, 14)], up=(0, 1, 0))


def _wing(side: int) -> Beads:
    """Build the iliac wing: a thin bowed plate of overlapping discs, thicker at its rim."""
    table = _WING[np.argsort(_WING[:, 0])]
    z, t = np.meshgrid(np.arange(-418.0, -304.0, 3.5), np.linspace(0, 1, 34), indexing="ij")
    back_x, back_y, front_x, front_y, bow = (PchipInterpolator(table[:, 0], table[:, n])(z) for n in range(1, 6))
    along = np.stack([front_x - back_x, front_y - back_y], -1)
    out = np.stack([along[..., 1], -along[..., 0]], -1) / np.linalg.norm(along, axis=-1, keepdims=True)
    ground = (
        np.stack([back_x, back_y], -1) + along * t[..., None] - out * (bow * np.sin(2 * np.pi * t) * 0.7)[..., None]
    )
    ground += out * (bow * 4 * t * (1 - t))[..., None]
    centres = np.stack([side * ground[..., 0], ground[..., 1], z], -1)
    normal = np.cross(np.gradient(centres, axis=0), np.gradient(centres, axis=1))
    rim = np.maximum(np.abs(2 * t - 1) ** 3, np.exp(-(((z + 306) / 9) ** 2)))
    low = np.exp(-(((z + 420) / 22) ** 2))
    thick = 3.2 + 3.0 * rim + 7.0 * low
    radii = np.stack([np.full(z.shape, 6.5), np.full(z.shape, 6.5), thick], -1)
    return Beads("cortical bone", centres.reshape(-1, 3), frames_along(normal.reshape(-1, 3)), radii.reshape(-1, 3),
                 LABEL["bone"])  # fmt: skip
