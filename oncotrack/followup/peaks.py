"""The highest places of a map, some way apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oncotrack.followup.mind import subvoxel


@dataclass(frozen=True, eq=False)
class Peak:
    """One high place.

    Attributes
    ----------
    cell : z, y, x of the voxel
    place : (3,) z, y, x between the voxels, by a parabola along each axis
    score : the map's value at `cell`
    """

    cell: tuple[int, int, int]
    place: np.ndarray
    score: float


def peaks(score: np.ndarray, spacing: Sequence[float], count: int, apart_mm: float) -> list[Peak]:
    """Up to `count` places of a map, the highest first, none nearer to a higher one than `apart_mm`.

    Parameters
    ----------
    score : (D, H, W); minus infinity where no place may be
    spacing : mm along z, y, x
    """
    left = score.astype(np.float32)  # a copy
    axes = [np.arange(n) for n in score.shape]
    found = []
    for _ in range(count):
        cell = tuple(int(n) for n in np.unravel_index(int(np.argmax(left)), left.shape))
        if not np.isfinite(left[cell]):
            break
        found.append(Peak(cell, np.asarray(cell) + subvoxel(-score, cell), float(score[cell])))
        z, y, x = (((axis - n) * mm) ** 2 for axis, n, mm in zip(axes, cell, spacing, strict=True))
        left[z[:, None, None] + y[None, :, None] + x[None, None, :] < apart_mm**2] = -np.inf
    return found
