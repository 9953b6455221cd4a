"""The body wall: rib cage, muscles, fat, skin, neck, shoulders; and the chest's inside: lungs, mediastinum, diaphragm.

Template coordinates: RAS mm, carina at (0, 5, 0), R positive to the patient's right. Heights along S of vertebrae:
C2 at 187, T5 at 3, L4 at -296.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator
from torch import Tensor

from oncotrack.phantom.canvas import Canvas
from oncotrack.phantom.layers import Paint
from oncotrack.phantom.shapes import Waves, ellipsoid, plane, smooth_max, smooth_min, tube
from oncotrack.phantom.tissues import LABEL

# height: half width, front, back of the pleura or peritoneum (mm)
_CAGE = np.array([
    (230, 30, 34, -26), (120, 30, 34, -30), (90, 40, 34, -40), (75, 64, 44, -52), (55, 90, 58, -64), (30, 110, 72, -73),
    (0, 125, 85, -79), (-40, 133, 97, -82), (-80, 137, 104, -83), (-120, 138, 107, -81), (-160, 135, 106, -77),
    (-200, 129, 101, -71), (-240, 123, 95, -67), (-330, 122, 91, -64), (-480, 125, 90, -60),
])  # fmt: skip
_ANGLES = 96
_HEIGHTS = np.arange(-480.0, 232.0, 6.0)
RIB_DEPTH = 9.5
"""Distance (mm) from the pleura to the outside of the ribs."""


@dataclass(frozen=True, eq=False)
class Trunk:
    """One patient's body wall.

    Parameters
    ----------
    table : (C, Z, A) ndarray
        Over height and angle from the front (towards the patient's right): cage radius (mm), its slant
        (cosine of the wall's obliquity), muscle and fat thickness (mm); and its centre's A coordinate by height.
    """

    table: np.ndarray
    arms_up: bool
    fat_mm: float
    breasts_mm: float
    muscle_waves: Waves
    layer_waves: Waves
    septa_waves: Waves
    ripple: Waves
    dome: tuple[float, float]
    lean: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> Trunk:
        """Draw a plausible wall; women have breasts, fat varies from lean to obese."""
        fat = float(np.clip(rng.lognormal(np.log(13), 0.45), 6, 34))
        breasts = float(rng.uniform(15, 34)) if rng.random() < 0.45 else 0.0
        muscular = float(rng.uniform(0.8, 1.2))
        return cls(
            _table(rng, fat, breasts, muscular),
            bool(rng.random() < 0.75),
            fat,
            breasts,
            Waves.random(rng, (58, 48, 110), 7),
            Waves.random(rng, (75, 75, 120), 4),
            Waves.random(rng, (34, 34, 40), 6),
            Waves.random(rng, (70, 70, 60), 5),
            (float(rng.uniform(-94, -82)), float(rng.uniform(-108, -96))),
            float(rng.uniform(-4, 4)),
        )

    def cage_radius(self, angle: ArrayLike, height: ArrayLike, channel: int = 0) -> np.ndarray:
        """Return the cage radius (or another channel) at angles from the front (radians) and heights (mm)."""
        from scipy.ndimage import map_coordinates

        a = np.mod(np.asarray(angle, float), 2 * np.pi) / (2 * np.pi) * _ANGLES
        z = (np.asarray(height, float) - _HEIGHTS[0]) / 6.0
        padded = np.concatenate([self.table[channel], self.table[channel][:, :1]], 1)
        at = np.stack(np.broadcast_arrays(z, a))
        found = map_coordinates(padded, at.reshape(2, -1), order=1, mode="nearest")
        return found.reshape(at.shape[1:])

    def on_cage(self, angle: ArrayLike, height: ArrayLike, outwards: float | np.ndarray = 0.0) -> np.ndarray:
        """Return (..., 3) points on the pleura moved `outwards` mm; angle 0 is the front, pi/2 the patient's right."""
        radius = self.cage_radius(angle, height) + outwards
        middle = self.cage_radius(0, height, 4)
        return np.stack(
            np.broadcast_arrays(radius * np.sin(angle), middle + radius * np.cos(angle), np.asarray(height, float)), -1
        )


def _bump(value: np.ndarray, middle: float, width: float) -> np.ndarray:
    """Return a Gaussian bump of height 1."""
    return np.exp(-(((value - middle) / width) ** 2))


def _table(rng: np.random.Generator, fat: float, breasts: float, muscular: float) -> np.ndarray:
    """Draw the table of a `Trunk`."""
    order = np.argsort(_CAGE[:, 0])
    half, front, back = (PchipInterpolator(_CAGE[order, 0], _CAGE[order, c])(_HEIGHTS)[:, None] for c in (1, 2, 3))
    middle = (front + back) / 2 - 6
    angle = np.arange(_ANGLES) / _ANGLES * 2 * np.pi
    s, c = np.sin(angle)[None], np.cos(angle)[None]
    depth = np.where(c > 0, front - middle, middle - back)
    power = np.where(c > 0, 2.15, 2.6)
    radius = ((np.abs(s) / half) ** power + (np.abs(c) / depth) ** power) ** (-1 / power)
    slope = (np.roll(radius, -1, 1) - np.roll(radius, 1, 1)) / (4 * np.pi / _ANGLES)
    slant = 1 / np.sqrt(1 + (slope / radius) ** 2)
    phi = np.degrees(np.minimum(angle, 2 * np.pi - angle))[None]
    z = _HEIGHTS[:, None]
    chest = 1 / (1 + np.exp(-(z + 165) / 12))
    belly = 1 - chest
    muscle = -1.5 + 5.5 * chest
    muscle = muscle + 15 * _bump(phi, 42, 20) * _bump(z, 28, 42) + 7 * _bump(phi, 100, 26) * _bump(z, -30, 80)
    muscle += 9 * _bump(phi, 126, 20) * _bump(z, -60, 80) + 24 * _bump(phi, 128, 30) * _bump(z, 42, 45)
    muscle += 10 * _bump(phi, 170, 28) * _bump(z, 50, 60) + 17 * _bump(phi, 159, 15) + 3 * _bump(phi, 180, 9)
    muscle += belly * (4 * _bump(phi, 88, 42) + 2 * _bump(phi, 20, 14) - 3 * _bump(phi, 0, 4))
    muscle *= muscular
    thickness = fat * (0.55 + 0.3 * belly + 0.45 * belly * _bump(phi, 0, 60) + 0.25 * _bump(phi, 95, 40))
    thickness *= 1 - 0.55 * _bump(phi, 180, 45) - 0.2 * _bump(phi, 180, 7)
    thickness += (16 + 0.5 * fat) * _bump(phi, 88, 20) * _bump(z, 40, 34)
    thickness += breasts * (_bump(phi, 40, 19) + 0.1) * _bump(z, -42, 38)
    bumps = rng.normal(size=(2, 4))
    thickness *= 1 + 0.05 * sum(bumps[0, n] * np.cos((n + 1) * angle + bumps[1, n])[None] for n in range(4))
    return np.stack(np.broadcast_arrays(radius, slant, muscle, thickness, middle)).astype(np.float32)


class TrunkFields:
    """A trunk's fields on a canvas: distance from the cage, skin, muscle, diaphragm, lungs."""

    def __init__(self, trunk: Trunk, canvas: Canvas, mediastinum: Tensor) -> None:
        p = canvas.template_points
        self.trunk, self.p = trunk, p
        table = torch.as_tensor(trunk.table, device=p.device)
        table = torch.cat([table, table[..., :1]], -1)
        x, y, z = p
        middle = _lookup(table[4:5], torch.full_like(x, 0.0), z)[0]
        rho = torch.sqrt(x.square() + (y - middle).square())
        angle = torch.atan2(x, y - middle)
        radius, slant, muscle, fat, _ = _lookup(table, angle, z)
        ripple = self.ripple = trunk.ripple(p)
        self.cage = (rho - radius) * slant
        self.angle, self.rho = angle, rho
        side = x.abs()
        mirrored = torch.stack([side, y, z])
        if trunk.arms_up:
            arm = tube(mirrored, [(96, -30, 40), (140, -26, 78), (168, -14, 112), (182, 0, 230)], [44, 46, 44, 40])
        else:
            arm = tube(mirrored, [(105, -30, 52), (152, -26, 66), (186, -22, 30), (205, -16, -160)], [42, 46, 42, 38])
        neck = tube(p, [(0, -14, 60), (0, -4, 100), (0, 4, 140), (0, 14, 240)], [76, 64, 59, 61], flat=1.02)
        yoke = tube(mirrored, [(30, -30, 84), (90, -34, 84), (140, -26, 78)], [44, 36, 40])
        arm = smooth_min(arm, yoke, 20)
        wall = self.cage - RIB_DEPTH - muscle
        fat_layer = 0.4 * trunk.fat_mm
        self.muscle = smooth_min(smooth_min(wall, arm + 5 + fat_layer, 26), neck + 3 + fat_layer / 2, 24) + ripple * 0.7
        self.skin = smooth_min(smooth_min(wall - fat, arm, 34), neck, 30) - 2.0 + ripple * 0.5
        self.skin = smooth_max(self.skin, plane(p, (0, -111 - 0.5 * trunk.fat_mm, 0), (0, -1, 0)), 14)
        self.dome = self._dome(x, y, z)
        inside = smooth_max(self.cage, -self.dome + 1.0, 9)
        self.lung = smooth_max(smooth_max(inside, z - 98, 6), 1.6 * ripple - mediastinum, 5)
        self.belly = torch.maximum(self.cage + 1.5, self.dome + 1.0)

    def _dome(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """Return the signed height above the diaphragm, corrected for its slope; positive in the chest."""
        right, left = self.trunk.dome
        r2 = ((x - 66) / 68).square() + ((y - 8) / 88).square()
        l2 = ((x + 66) / 66).square() + ((y - 2) / 86).square()
        height_r = right - 96 * r2.clamp_max(2.2) ** 1.35
        height_l = left - 92 * l2.clamp_max(2.2) ** 1.35
        centre = -105 - 45 * ((x / 46).square() + ((y - 40) / 50).square()).clamp_max(3)
        both = -smooth_min(-height_r, -height_l, 16)
        height = -smooth_min(-both, -centre, 14)
        return (z - height) / torch.sqrt(1 + (1.9 * torch.maximum(r2, l2).clamp_max(1.4)).square())


def _lookup(table: Tensor, angle: Tensor, z: Tensor) -> Tensor:
    """Return (C, ...) table values at angles and heights."""
    u = (torch.remainder(angle, 2 * torch.pi) / (2 * torch.pi)) * 2 - 1
    v = (z - float(_HEIGHTS[0])) / 6.0 / (table.shape[1] - 1) * 2 - 1
    grid = torch.stack([u, v], -1).reshape(1, 1, -1, 2)
    out = F.grid_sample(table[None], grid, mode="bilinear", padding_mode="border", align_corners=True)
    return out.reshape(table.shape[0], *angle.shape)


def paint_wall(fields: TrunkFields, canvas: Canvas) -> Iterator[Paint]:
    """Yield skin, fat with its septa, and muscles with the fat planes between them."""
    at = canvas.everywhere
    trunk, p = fields.trunk, fields.p
    yield Paint("skin", fields.skin, at, LABEL["skin"])
    yield Paint("fat", fields.skin + 2.0, at, LABEL["fat"])
    septa = trunk.septa_waves(p)
    yield Paint("septum", fields.skin + 2.5, at, sheet=septa * 5.5, thickness=0.45)
    if trunk.breasts_mm:
        lobes = ellipsoid(torch.stack([p[0].abs(), p[1], p[2]]), (78, 108 + trunk.breasts_mm * 0.25, -40), (38, 15, 34))
        yield Paint(
            "gland", torch.maximum(torch.maximum(lobes + septa * 7, 4 - fields.muscle), fields.skin + 7), at, soft=2
        )
    yield Paint("muscle", fields.muscle, at, LABEL["muscle"])
    bends = trunk.layer_waves(p)
    layers = torch.remainder(fields.cage + 6.0 * bends - 13, 12.5) - 6.25
    within = torch.maximum(fields.muscle + 1.0, 11.0 - fields.cage)
    gate = trunk.muscle_waves(p)
    yield Paint("fat plane", torch.maximum(within, 2 - 12 * gate), at, sheet=layers, thickness=0.7)
    yield Paint("fat plane", within, at, sheet=(gate + 0.5 * bends) * 13, thickness=1.0)
    yield from _paint_belly_wall(fields, canvas, bends, gate)


def _paint_belly_wall(fields: TrunkFields, canvas: Canvas, bends: Tensor, gate: Tensor) -> Iterator[Paint]:
    """Yield the fat between transversus and obliques at the flanks, and the edges of the straight muscles in front."""
    at = canvas.within((-220, -140, -480), (220, 160, -150))
    if at is None:
        return
    x, y, z = canvas.template_points[(slice(None), *at)]
    cage, muscle, angle = fields.cage[at], fields.muscle[at], fields.angle[at].abs()
    thick = (cage - muscle).clamp_min(6.0)
    belly = z + 172 + 10 * gate[at]
    flank = smooth_max((0.82 - angle) * 110, (angle - 2.15) * 110, 6)
    inside = torch.maximum(torch.maximum(muscle + 1.2, 1.5 - cage), torch.maximum(belly, flank))
    for share, wide in ((0.36, 0.8), (0.68, 1.3)):
        sheet = cage - thick * share + 0.9 * bends[at] - 0.6 * gate[at]
        yield Paint("fat plane", inside, at, sheet=sheet, thickness=wide)
    front = torch.maximum(torch.maximum(muscle - 0.5, 1.0 - cage), torch.maximum(belly - 30, 30 - y))
    edges = torch.minimum((x + 1.5 * bends[at]).abs() - 1.7, (x.abs() - 66 - 5 * gate[at]).abs() - 0.9)
    yield Paint("fat plane", torch.maximum(front, edges), at, soft=0.6)


def paint_chest(fields: TrunkFields, canvas: Canvas, fissures: Waves) -> Iterator[Paint]:
    """Yield the fat inside the cage, lungs with fissures, and the diaphragm."""
    at = canvas.everywhere
    p = fields.p
    yield Paint("visceral fat", torch.maximum(fields.cage + 0.5, p[2] - 100), at, LABEL["visceral fat"])
    yield Paint("diaphragm", torch.maximum(fields.cage - 1.0, fields.dome.neg() - 60), at, LABEL["diaphragm"],
                sheet=fields.dome, thickness=2.6)  # fmt: skip
    yield Paint("lung", fields.lung, at, LABEL["lung"])
    oblique = plane(p, (0, -14, -14), (0, 0.72, 0.69)) + 5 * fissures(p)
    near = canvas.within((-70, -45, -140), (70, 95, 90))
    if near is not None:
        strands = fields.trunk.septa_waves(p[(slice(None), *near)]) * 6 + 2.5 * fields.ripple[near]
        yield Paint("septum", 1.5 - fields.lung[near], near, sheet=strands, thickness=0.6)
    yield Paint("fissure", fields.lung + 1.5, at, sheet=oblique, thickness=0.55)


def neck_muscles(trunk: Trunk) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Return tubes (points, radii, flatness) of the paired muscles at neck and spine, right side."""
    return [
        (np.array([(54, -22, 235), (46, 6, 170), (30, 34, 115), (14, 54, 74)]), np.array([8, 9.5, 8.5, 6]), 0.8),
        (np.array([(24, -6, 170), (34, 2, 130), (44, 12, 92), (58, 14, 72)]), np.array([6, 8, 8, 6]), 1.0),
        (np.array([(8, 10, 200), (9, 8, 140), (8, 2, 95), (7, -12, 60)]), np.array([4.5, 6, 5, 3]), 1.0),
        (np.array([(8, 44, 158), (8, 48, 110), (10, 54, 72)]), np.array([4, 4, 3.5]), 0.6),
        (np.array([(26, -30, 235), (27, -32, 170), (24, -44, 110), (22, -66, 60)]), np.array([17, 19, 16, 11]), 1.0),
        (np.array([(14, -44, 225), (20, -52, 150), (42, -62, 100), (80, -66, 76)]), np.array([8, 10, 11, 9]), 0.7),
        (np.array([(44, -18, 150), (46, -24, 120), (54, -36, 90)]), np.array([7, 9, 8]), 1.0),
    ]
