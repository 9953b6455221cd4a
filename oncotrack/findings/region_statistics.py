"""Statistics of an elliptic region, on the voxels of the scan itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oncotrack.findings.finding import Point
from oncotrack.findings.measurement import RegionStatistics
from oncotrack.images.volume import Volume

_NEAR = 1e-6


def ellipse_statistics(volume: Volume, points: Sequence[Point]) -> RegionStatistics | None:
    """Return the statistics of the voxels whose centre lies in an ellipse; None for one outside the scan.

    In a plane along the voxels these are the voxels of one slice. In an oblique plane it is the nearest voxel to the plane
    in each column of voxels across it. A region without a voxel's centre has the value of the voxel at its own centre.

    Parameters
    ----------
    volume : Volume
        The scan.
    points : sequence of 4 Point
        Ends of one diameter, then of the one perpendicular to it, RAS mm.
    """
    ends = np.asarray(points, float)
    middle = ends.mean(0)
    first, second = (ends[1] - ends[0]) / 2, (ends[3] - ends[2]) / 2
    normal = np.cross(first, second)
    normal /= np.linalg.norm(normal)
    geometry = volume.geometry
    cosines = np.abs(np.asarray(geometry.direction).T @ normal)
    half = float(cosines.max() * geometry.spacing[int(cosines.argmax())] / 2)  # half a voxel's way across the plane
    reach = np.abs(first) + np.abs(second) + np.abs(normal) * half
    low, high = _voxels_between(volume, middle - reach, middle + reach)
    if (low >= high).any():
        return None
    k, j, i = np.meshgrid(*(np.arange(a, b) for a, b in zip(low[::-1], high[::-1], strict=True)), indexing="ij")
    away = geometry.to_ras(np.stack([i, j, k], -1)) - middle
    across = sum((away @ side / (side @ side)) ** 2 for side in (first, second))
    off_plane = away @ normal
    inside = (across <= 1) & (off_plane > -half + _NEAR) & (off_plane <= half + _NEAR)
    part = volume.array[low[2] : high[2], low[1] : high[1], low[0] : high[0]]
    values = part[inside].astype(np.float64)
    if not len(values):
        nearest = np.round(geometry.to_ijk(middle)).astype(int)
        if (nearest < 0).any() or (nearest >= geometry.size).any():
            return None
        values = np.array([volume.array[tuple(nearest[::-1])]], np.float64)
    return RegionStatistics(
        float(values.mean()), float(values.std()), float(values.min()), float(values.max()), len(values), volume.unit
    )


def _voxels_between(volume: Volume, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the last voxel index plus 1, along i, j, k, of the voxels in a box (RAS mm)."""
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij"), -1).reshape(-1, 3)
    ijk = volume.geometry.to_ijk(corners)
    start = np.clip(np.floor(ijk.min(0)).astype(int), 0, volume.geometry.size)
    stop = np.clip(np.ceil(ijk.max(0)).astype(int) + 1, 0, volume.geometry.size)
    return start, stop
