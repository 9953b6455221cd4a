"""Bones: spine with discs and posterior elements, ribs with cartilage, sternum, clavicles, scapulae, upper humeri."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator

from oncotrack.phantom.canvas import Canvas
from oncotrack.phantom.layers import Beads, Paint
from oncotrack.phantom.shapes import ellipsoid, smooth_path
from oncotrack.phantom.tissues import LABEL
from oncotrack.phantom.trunk import RIB_DEPTH, Trunk

LEVELS: dict[str, float] = {
    "C2": 187, "C3": 171, "C4": 156, "C5": 141, "C6": 126, "C7": 110, "T1": 92, "T2": 72, "T3": 50, "T4": 27, "T5": 3,
    "T6": -21, "T7": -45, "T8": -69, "T9": -93, "T10": -118, "T11": -144, "T12": -171, "L1": -200, "L2": -231,
    "L3": -263, "L4": -296, "L5": -329, "S1": -362,
}  # fmt: skip
_AXIS = PchipInterpolator(
    [-480, -360, -300, -240, -200, -160, -120, -60, 0, 60, 100, 150, 200, 260],
    [-40, -22, -12, -16, -22, -30, -36, -38, -34, -26, -15, -4, 2, 8],
)
_WIDTH = PchipInterpolator([-360, -260, -200, -120, 0, 90, 130, 200], [25, 23, 20.5, 17, 14.5, 14.5, 12.5, 10])
_DEPTH = PchipInterpolator([-360, -260, -200, -120, 0, 90, 130, 200], [17.5, 17, 16, 15, 13.5, 9.5, 8, 7.5])

RIB_MIDDLE = 4.8
"""Distance (mm) of a rib's middle from the pleura."""


def spine_axis(height: ArrayLike) -> np.ndarray:
    """Return the A coordinate (mm) of the middle of the vertebral bodies at heights (mm)."""
    return _AXIS(height)


def paint_spine(canvas: Canvas, ends: tuple[float, float] | None = None) -> Iterator[Paint]:
    """Yield vertebral bodies, discs, canal and cord; `ends` are the lowest and highest S (mm) of the column."""
    at = canvas.within((-34, -75, -480), (34, 30, 250))
    if at is None:
        return
    p = canvas.template_points[(slice(None), *at)]
    x, y, z = p
    heights = np.arange(-480.0, 260.0, 2.0)
    position = ((z + 480) / 2).clamp(0, len(heights) - 1).long()

    def by_height(values: ArrayLike) -> torch.Tensor:
        return torch.as_tensor(np.asarray(values, float), dtype=z.dtype, device=z.device)[position]

    names = sorted(LEVELS.values())
    nearest = np.array(names)[np.abs(heights[:, None] - np.array(names)).argmin(1)]
    gaps = np.gradient(np.array(names))
    half = (gaps / 2)[np.abs(heights[:, None] - np.array(names)).argmin(1)]
    u = (z - by_height(nearest)) / by_height(half)
    waist = 1 - 0.09 * (1 - u.square()).clamp(0, 1)
    wide, deep = by_height(_WIDTH(heights)) * waist, by_height(_DEPTH(heights)) * waist
    v = y - by_height(_AXIS(heights))
    ring = ((x.abs() / wide) ** 2.5 + (v.abs() / deep) ** 2.3 + 1e-9) ** (1 / 2.4)
    column = (ring - 1) * 0.5 * (wide + deep)
    notch = ellipsoid(torch.stack([x, v + deep + 5, z * 0]), (0, 0, 0), (11, 8, 1e3))
    column = torch.maximum(column, -notch)
    if ends is not None:
        column = torch.maximum(column, torch.maximum(z - ends[1], ends[0] - z))
    yield Paint("disc", column - 0.5, at, LABEL["disc"])
    axial = (z - by_height(nearest)).abs() - by_height(half) * 0.86
    body = torch.maximum(column, axial)
    yield Paint("cortical bone", body, at, LABEL["bone"])
    yield Paint("vertebra marrow", torch.maximum(column + 1.4, axial + 0.4), at, LABEL["bone"], soft=0.8)
    canal = ellipsoid(torch.stack([x, v + deep + 8.5, z * 0]), (0, 0, 0), (11.5, 9, 1e3))
    if ends is not None:
        canal = torch.maximum(canal, torch.maximum(z - ends[1] - 36, ends[0] - 6 - z))
    yield Paint("visceral fat", canal, at, LABEL["spinal canal"])
    yield Paint("cerebrospinal fluid", canal + 1.8, at, LABEL["spinal canal"])
    cord = ellipsoid(torch.stack([x, v + deep + 8.5, z * 0]), (0, 0, 0), (6.2, 4.3, 1e3))
    yield Paint("cord", torch.maximum(cord, -205 - z), at, LABEL["spinal canal"], soft=1)


@dataclass(frozen=True, eq=False)
class Skeleton:
    """All bones that are drawn as beads: shells first, then their marrow, then cartilage."""

    cortex: Beads
    marrow: Beads
    plate_cortex: Beads
    plate_marrow: Beads
    rib_cortex: Beads
    rib_marrow: Beads
    cartilage: Beads


def build_skeleton(rng: np.random.Generator, trunk: Trunk) -> Skeleton:
    """Build bones that fit a trunk."""
    bones: list[Beads] = []
    for name, height in LEVELS.items():
        if name != "S1":
            bones += _posterior(name, height, rng)
    girdle, plates = _shoulder_girdle(trunk)
    bones += _sternum(trunk) + girdle
    ribs, cartilage = _ribs(trunk, rng)
    cortex = Beads.join(bones)
    rib_cortex = Beads.join(ribs)
    label = LABEL["bone"]
    return Skeleton(
        cortex,
        cortex.shrink("marrow", 1.25, label),
        Beads.join(plates),
        Beads.join(plates).shrink("rib marrow", 1.3, label),
        rib_cortex,
        rib_cortex.shrink("rib marrow", 1.2, label),
        Beads.join(cartilage),
    )


def rod(
    points: ArrayLike,
    radii: ArrayLike,
    up: ArrayLike = (0.0, 0.0, 1.0),
    tissue: str = "cortical bone",
    step: float = 3.0,
    label: str = "bone",
) -> Beads:
    """Return a tube of elliptic section along (K, 3) `points`; `radii` (K, 2) are its half axes across and along `up`."""
    points = np.asarray(points, float)
    radii = np.broadcast_to(np.asarray(radii, float), (len(points), 2))
    path = smooth_path(np.concatenate([points, radii], 1), step)
    where, across = path[:, :3], path[:, 3:]
    along = np.gradient(where, axis=0)
    frames = frames_along(along, up)
    gap = np.linalg.norm(along, axis=1)
    return Beads(tissue, where, frames, np.concatenate([across, gap[:, None] * 0.95 + 0.3], 1), LABEL[label], True)


def frames_along(along: np.ndarray, up: ArrayLike = (0.0, 0.0, 1.0)) -> np.ndarray:
    """Return (N, 3, 3) frames: rows are a side axis, the axis nearest `up`, and the direction itself."""
    along = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    up = np.broadcast_to(np.asarray(up, float), along.shape)
    side = np.cross(up, along)
    weak = np.linalg.norm(side, axis=1) < 0.1
    side[weak] = np.cross((1.0, 0.02, 0.0), along[weak])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    return np.stack([side, np.cross(along, side), along], 1)


def _posterior(name: str, z: float, rng: np.random.Generator) -> list[Beads]:
    """Build pedicles, laminae, facets, transverse and spinous processes of one vertebra."""
    y, w, d = float(_AXIS(z)), float(_WIDTH(z)), float(_DEPTH(z))
    neck, lumbar = name[0] == "C", name[0] == "L"
    back = y - d
    long = 24 if neck else 27 if lumbar else 25
    drop = 6 if neck else 6 if lumbar else 24
    tall = 5 if neck else 12 if lumbar else 8
    twist = float(rng.normal() * 1.0)
    bones = [rod([(twist * 0, back - 17, z - 1), (twist, back - 20 - long * 0.5, z - 2 - drop * 0.5),
            (twist, back - 17 - long, z - 2 - drop)],
                 [(3.2, tall), (3.0, tall), (3.8, tall * 0.8)])]  # fmt: skip
    for s in (-1, 1):
        bones.append(rod([(s * w * 0.62, y - d * 0.6, z + 3), (s * (w * 0.5 + 6), back - 8, z + 2)], (4.2, 8.0)))
        bones.append(
            rod(
                [(s * (w * 0.5 + 6), back - 8, z + 1), (s * 9, back - 15, z - 2), (0, back - 19.5, z - 4)],
                (3.4, 6 if neck else 11.0),
            )
        )
        tip = (s * (24 if neck else 42 if lumbar else 30), back - (2 if neck else 9 if lumbar else 17), z + 2)
        bones.append(rod([(s * (w * 0.5 + 6), back - 9, z + 2), tip], [(3.2, 5.0), (3.0, 4.2)]))
        joint = s * (w * 0.5 + 6)
        reach = 8 if neck else 13
        bones.append(rod([(joint, back - 13, z - reach), (joint, back - 10, z), (joint, back - 12, z + reach)],
                         [(4, 4), (5.2, 5.2), (4.2, 4.2)], up=(0, 1, 0)))  # fmt: skip
    return bones


def _ribs(trunk: Trunk, rng: np.random.Generator) -> tuple[list[Beads], list[Beads]]:
    """Build the ribs and their cartilage."""
    ribs, cartilage = [], []
    ends = [30, 33, 30, 30, 31, 32, 35, 46, 56, 66, 96, 128]
    drops = [26, 44, 54, 58, 62, 66, 72, 80, 84, 82, 60, 34]
    for n, (end, drop) in enumerate(zip(ends, drops, strict=True)):
        z = LEVELS[f"T{n + 1}"] + 6
        y, w, d = float(_AXIS(z)), float(_WIDTH(z)), float(_DEPTH(z))
        for s in (-1, 1):
            phi = np.radians(np.linspace(157, end + rng.normal() * 1.5, 24))
            fall = z - 4 - drop * np.linspace(0, 1, 24) ** 1.15
            arc = trunk.on_cage(s * phi, fall, RIB_MIDDLE)
            head = np.array([(s * (w + 0.5), y - d * 0.75, z), (s * (w + 12), y - d - 10, z)])
            path = np.concatenate([head, arc])
            thick = 3.6 if 0 < n < 10 else 3.2
            tall = np.interp(np.arange(len(path)), [0, 2, 12, len(path) - 1], [4.5, 5.5, 6.6, 6.2])
            ribs.append(rod(path, np.stack([np.full(len(path), thick), tall], 1), tissue="cortical bone", step=3.5))
            if n < 10:
                cartilage.append(_cartilage(trunk, n, s, arc[-1]))
    return ribs, cartilage


def _cartilage(trunk: Trunk, n: int, s: int, start: np.ndarray) -> Beads:
    """Build the cartilage from the end of rib `n` to the sternum or to the costal arch."""
    notch = [52, 20, 2, -16, -32, -46, -56, -62, -70, -80][n]
    if n < 7:
        end_phi, end_z = np.arcsin(min(19 / 100, 1)), notch
    else:
        end_phi, end_z = np.radians([26, 36, 46][n - 7]), [-84, -112, -138][n - 7]
    phi0 = abs(np.arctan2(start[0], start[1] - float(trunk.cage_radius(0, start[2], 4))))
    t = np.linspace(0, 1, 6)
    sag = 4 * t * (1 - t) * (-10 if 2 < n < 7 else 0)
    points = trunk.on_cage(s * (phi0 + (end_phi - phi0) * t), start[2] + (end_z - start[2]) * t + sag, RIB_MIDDLE)
    points[0] = start
    return rod(points, (4.6, 6.2), tissue="cartilage", label="cartilage", step=3.5)


def _sternum(trunk: Trunk) -> list[Beads]:
    """Build manubrium, body and xiphoid as one plate."""

    def front(z: float) -> float:
        return float(trunk.on_cage(0.0, z, RIB_MIDDLE + 1)[1])

    plates = [(64, 24), (56, 30), (40, 26), (22, 17), (14, 15), (-20, 17), (-52, 19), (-72, 15), (-84, 6), (-104, 4)]
    points = [(0.0, front(z), z) for z, _ in plates]
    halves = [(half, 5.8 if z > -80 else 3) for z, half in plates]
    return [rod(points, halves, up=(0, 1, 0), step=3.0)]


def _shoulder_girdle(trunk: Trunk) -> tuple[list[Beads], list[Beads]]:
    """Build clavicles, spines of the scapulae and humeri; and the plates of the scapulae."""
    bones, plates = [], []
    lift = 8 if trunk.arms_up else 0
    for s in (-1, 1):
        top = trunk.on_cage(0.0, 62.0, 8.0)[1]
        collar = [(s * 18, top + 1, 64), (s * 48, top - 6, 72), (s * 90, 12, 82 + lift), (s * 132, -14, 90 + lift)]
        bones.append(rod(collar, [(6, 7), (5, 5), (5, 5.5), (6, 5)]))
        phi, z = np.meshgrid(np.radians(np.linspace(116, 150, 26)), np.linspace(-62, 78, 42), indexing="ij")
        across = np.linspace(0, 1, 26)[:, None]
        keep = (z < 78 - 34 * across) & (z > -62 + 105 * np.abs(across - 0.35) ** 1.4)
        centres = trunk.on_cage(s * phi, z, RIB_DEPTH + 12 * np.sin(np.pi * across) + 4)[keep]
        inwards = np.stack([np.sin(s * phi), np.cos(s * phi), np.zeros_like(phi)], -1)[keep]
        frames = frames_along(inwards)
        thick = np.where(across + 0 * z < 0.12, 5.5, 2.5)[keep]
        plates.append(
            Beads(
                "cortical bone", centres, frames, np.stack([np.full(len(centres), 7.0)] * 2 + [thick], 1), LABEL["bone"]
            )
        )
        inner, outer = trunk.on_cage(s * np.radians(149), 46, 20), trunk.on_cage(s * np.radians(118), 66, 34)
        bones.append(
            rod(
                np.array([inner, (inner + outer) / 2 + [s * 6, -8, 0], outer, (s * 158, -38, 92 + lift)]),
                [(4, 5), (5, 8), (7, 7), (10, 5)],
            )
        )
        neck = np.array([s * 142, -26, 74 + lift])
        bones.append(rod([outer - [0, -6, 8], neck], [(6, 9), (9, 15)]))
        head = np.add(neck, (s * 26, 2, 4))
        shaft = np.add(head, (s * 6, 14, 90) if trunk.arms_up else (s * 28, 4, -160))
        direction = (shaft - head) / np.linalg.norm(shaft - head)
        along = [head + direction * t for t in (-21, -14, 0, 18, 38)]
        bones.append(rod([*along, shaft], [(r, r) for r in (9, 19, 24, 17, 12, 11)], up=(0, 1, 0)))
    return bones, plates
