"""Shapes of nodes and lesions: bumpy ellipsoids, and nodes of a given measured size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from oncotrack.phantom.layers import Lump
from oncotrack.phantom.statistics import NodeSize

_READ_LONG = 1.035
"""Ratio of the longest of many diameters on voxels to that of the smooth surface."""
_CHORD = 1.0
"""Shortening of a chord across the long axis relative to the width there, in units of the roughness."""
_TIP_MM = 0.8
"""Half width (mm) below which a node's pointed ends fall between voxels."""
_TAPERS = np.linspace(1.15, 4.0, 58)


def _profile_volume(taper: np.ndarray) -> np.ndarray:
    """Return the volume of the body |across|^t + |z|^t < 1 relative to that of the unit ball."""
    z = (np.arange(400) + 0.5) / 400
    return 1.5 * ((1 - z[None] ** taper[:, None]) ** (2 / taper[:, None])).mean(1)


_TAPER_VOLUMES = _profile_volume(_TAPERS)


def make_lump(
    rng: np.random.Generator,
    centre: ArrayLike,
    long: float,
    short: float,
    tall: float,
    tissue: str,
    label: int,
    rough: float = 0.05,
    *,
    angle: float | None = None,
    lean: float = 0.28,
) -> Lump:
    """Draw a lump with axes `long` x `short` in its middle axial section and height `tall`, mm.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of lean, bumps and a missing angle.
    centre : (3,) float
        RAS mm, template coordinates.
    long, short, tall : float
        Axes of the middle section and height, mm.
    tissue : str
        A key of `tissues.TISSUES`.
    label : int
        Instance number.
    rough : float
        Relative height of its bumps.
    angle : float, optional
        Of the long axis from the patient's right (radians); random when missing.
    lean : float
        Standard deviation of the shift of its sections per mm along the body.
    """
    angle = rng.uniform(0, np.pi) if angle is None else angle
    c, s = np.cos(angle), np.sin(angle)
    shear = rng.normal(size=2) * lean
    flatten = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, -shear[0]], [0, 1, -shear[1]], [0, 0, 1]])
    metric = np.diag([2 / long, 2 / short, 2 / tall]) @ flatten
    count = 5
    waves = rng.normal(size=(count, 3))
    waves *= (rng.uniform(1.5, 4.5, count) * (2.0 if rough > 0.08 else 1.0) / np.linalg.norm(waves, axis=1))[:, None]
    bumps = np.concatenate([waves, rng.uniform(0, 2 * np.pi, (count, 1)), np.full((count, 1), rough)], 1)
    return Lump(tissue, label, np.asarray(centre, float), metric, bumps)


def node_lump(rng: np.random.Generator, centre: ArrayLike, size: NodeSize, tissue: str, label: int) -> Lump:
    """Draw a node whose surface has the axes, height and volume of `size`; larger nodes are bumpier.

    Bumps and pointed ends change what a reader measures. The body is therefore measured on its surface, and its axes
    and the exponent of its profile (`taper`) are corrected, three times.
    """
    rough = float(np.clip(0.025 + 0.0018 * size.long, 0.03, 0.078))
    lump = make_lump(
        rng, centre, size.long, size.short, size.tall, tissue, label, rough, angle=size.angle, lean=size.lean
    )
    lump = replace(lump, taper=1.65)
    for _ in range(3):
        long, short, tall, volume, turned = surface_size(lump)
        across = [size.short / short, size.long / long] if turned else [size.long / long, size.short / short]
        ratio = np.array([*across, size.tall / tall])
        lump = replace(lump, metric=lump.metric / ratio[:, None])
        if size.volume is not None:
            now = np.interp(lump.taper, _TAPERS, _TAPER_VOLUMES)
            target = now * size.volume / (volume * ratio.prod())
            lump = replace(lump, taper=float(np.interp(target, _TAPER_VOLUMES, _TAPERS)))
    return lump


def surface_size(lump: Lump) -> tuple[float, float, float, float, bool]:
    """Compute the size that a reader would measure of a lump from points of its surface.

    Returns
    -------
    long, short, tall, volume : float
        Longest axial diameter, chord across it and height, mm; volume, mm3.
    turned : bool
        Whether the lump is longer along its second axis than along its first.
    """
    latitude = np.linspace(-1, 1, 21)[1:-1]
    turn = np.arange(36) * 2 * np.pi / 36
    t = lump.taper
    ring = (1 - np.abs(latitude) ** t) ** (1 / t)
    unit = np.stack(
        np.broadcast_arrays(ring[:, None] * np.cos(turn), ring[:, None] * np.sin(turn), latitude[:, None]), -1
    )
    poles = np.array([(0.0, 0, 1), (0, 0, -1)])
    q = unit * _swell(lump, unit)[..., None]
    ends = poles * _swell(lump, poles)[:, None]
    inverse = np.linalg.inv(lump.metric)
    # in the frame of the metric the lean is a shift of whole sections: it changes neither width nor height
    half = 1 / np.linalg.norm(np.linalg.inv(inverse)[:2, :2], axis=1)
    plane = q[..., :2] * half
    direction = np.stack([np.cos(turn[:18]), np.sin(turn[:18])])
    widths = np.ptp(plane @ direction, axis=1)
    level, way = np.unravel_index(widths.argmax(), widths.shape)
    high = max(float(q[..., 2].max()), float(ends[0, 2])) - min(float(q[..., 2].min()), float(ends[1, 2]))
    share = float((_swell(lump, unit) ** 3 * ring[:, None] ** 2).sum() / (ring**2).sum() / len(turn))
    volume = 4 / 3 * np.pi * float(np.interp(t, _TAPERS, _TAPER_VOLUMES)) * share * float(np.linalg.det(inverse))
    rough = float(lump.bumps[:, 4].mean())
    long, short = float(widths[level, way]), float(widths[level, (way + 9) % 18])
    tip = (1 - min(2 * _TIP_MM / short, 0.9) ** t) ** (1 / t)
    return long * _READ_LONG, short * (1 - _CHORD * rough), high * tip * float(inverse[2, 2]), volume, 4 < way < 14


def _swell(lump: Lump, unit: np.ndarray) -> np.ndarray:
    """Return the relative radius of the surface in (..., 3) directions of the metric's frame."""
    return 1 + (np.sin(unit @ lump.bumps[:, :3].T + lump.bumps[:, 3]) * lump.bumps[:, 4]).sum(-1)


def centre_lump(lump: Lump) -> Lump:
    """Return an ellipsoidal lump moved so that its centroid, which bumps shift, lies where its centre was."""
    n = np.arange(400) + 0.5
    height, turn = 1 - n / 200, n * np.pi * (1 + 5**0.5)
    ring = np.sqrt(1 - height**2)
    unit = np.stack([ring * np.cos(turn), ring * np.sin(turn), height], -1)
    swell = _swell(lump, unit)
    shift = 0.75 * (swell[:, None] ** 4 * unit).mean(0) / (swell**3).mean()
    return replace(lump, centre=lump.centre - np.linalg.inv(lump.metric) @ shift)


def scale_lump(lump: Lump, factor: float, shift: ArrayLike = (0, 0, 0)) -> Lump:
    """Return the same lump `factor` times as large, moved by `shift` mm."""
    return replace(lump, metric=lump.metric / factor, centre=lump.centre + np.asarray(shift))
