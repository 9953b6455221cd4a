"""Peaks of a score map, a minimum distance from each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oncotrack.followup.mind import subvoxel


@dataclass(frozen=True, eq=False)
class Peak:
    """One maximum of a map.

    Attributes
    ----------
    cell : (int, int, int)
        Voxel z, y, x of the maximum.
    position : (3,) ndarray
        Sub-voxel position z, y, x, by a parabola along each axis.
    score : float
        The map's value at `cell`.
    """

    cell: tuple[int, int, int]
    position: np.ndarray
    score: float


def find_peaks(score: np.ndarray, spacing: Sequence[float], count: int, minimum_distance_mm: float) -> list[Peak]:
    """Return the highest peaks of a map, the highest first.

    Parameters
    ----------
    score : (D, H, W) ndarray
        Minus infinity where no peak is allowed.
    spacing : (3,) float
        Millimetres along z, y, x.
    count : int
        Maximum number of peaks.
    minimum_distance_mm : float
        Least distance of a peak from every higher one.
    """
    remaining = score.astype(np.float32)  # a copy
    axes = [np.arange(n) for n in score.shape]
    found = []
    for _ in range(count):
        z, y, x = np.unravel_index(int(np.argmax(remaining)), remaining.shape)
        cell = int(z), int(y), int(x)
        if not np.isfinite(remaining[cell]):
            break
        found.append(Peak(cell, np.asarray(cell) + subvoxel(-score, cell), float(score[cell])))
        dz, dy, dx = (((axis - n) * mm) ** 2 for axis, n, mm in zip(axes, cell, spacing, strict=True))
        remaining[dz[:, None, None] + dy[None, :, None] + dx[None, None, :] < minimum_distance_mm**2] = -np.inf
    return found
