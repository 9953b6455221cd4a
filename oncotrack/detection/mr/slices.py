"""The slices that the MR detector reads: the scan's own ones, intensities from 0 to 1 (MR, sec. 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import linear_sum_assignment

from oncotrack.detection.mr.config import MRConfig
from oncotrack.errors import InputError
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

TOP = 99.0
"""Percentile above which intensities are truncated."""


def check_mr(volume: Volume) -> None:
    """InputError with a sentence when the image is not an MR."""
    if volume.modality not in ("", "MR"):
        raise InputError(
            f"{volume.name} says that it is {volume.modality}; this detector reads MR. Choose --method lntracker for CT."
        )
    if volume.is_ct:
        raise InputError(
            f"{volume.name} reaches down to {volume.array.min():g}, as air in CT does; this detector reads MR. Choose "
            "--method lntracker for CT."
        )


def min_max(array: np.ndarray) -> np.ndarray:
    """``(X - min) / (max - min)`` with the top 1 % truncated to the maximum of the rest (MR, sec. 4.1).

    Parameters
    ----------
    array : (D, H, W) ndarray
        The whole image.

    Returns
    -------
    (D, H, W) float32 ndarray, 0 to 1; 0 where the image has one intensity only.
    """
    low, high = float(array.min()), float(np.percentile(array, TOP, method="lower"))
    return np.clip((array.astype(np.float32) - low) / max(high - low, 1e-6), 0, 1)


def viewing_geometry(geometry: Geometry) -> Geometry:
    """The same slices, k as it is, with rows and columns as they are shown: i to the left or back, j to the back or down.

    Only axes in the slice are swapped and turned, so that slice n is the scan's slice n in any orientation.
    """
    direction = np.asarray(geometry.direction)
    across = int(np.abs(direction[:, 2]).argmax())
    wanted = np.diag([-1.0, -1.0, -1.0])[:, [axis for axis in range(3) if axis != across]]
    likeness = wanted.T @ direction[:, :2]
    _, axes = linear_sum_assignment(-np.abs(likeness))
    signs = np.sign(likeness[range(2), axes])
    order = [*axes, 2]
    corner = np.zeros(3)
    corner[axes] = np.where(signs < 0, np.asarray(geometry.size)[axes] - 1, 0)
    return Geometry(
        tuple(np.asarray(geometry.size)[order]),
        tuple(np.asarray(geometry.spacing)[order]),
        tuple(geometry.to_ras(corner)),
        direction[:, order] * [*signs, 1],
    )


@dataclass(frozen=True, eq=False)
class MRGrid:
    """The slices of one MR as a network reads them.

    Parameters
    ----------
    volume : Volume
        Any orientation and spacing; its own slices are kept.
    config : MRConfig
        Pixels, and how many slices are read at once.
    """

    volume: Volume
    config: MRConfig

    @cached_property
    def geometry(self) -> Geometry:
        """The working grid: the scan's slices in viewing order, with the config's pixels."""
        grid = viewing_geometry(self.volume.geometry)
        longer = max(n * mm for n, mm in zip(grid.size[:2], grid.spacing[:2], strict=True))
        pixel = self.config.pixel_mm or longer / self.config.side
        return grid.with_spacing((pixel, pixel, grid.spacing[2]))

    def __len__(self) -> int:
        return self.geometry.size[2]

    @cached_property
    def array(self) -> np.ndarray:
        """(D, H, W) float32 in 0 to 1."""
        whole = Volume(min_max(self.volume.array), self.volume.geometry)
        return whole.resampled(self.geometry, fill=0.0).array.astype(np.float32)

    def stack(self, index: int) -> np.ndarray:
        """(3, H, W): slice `index` three times, or between its neighbours; beyond the scan its last slice is repeated."""
        reach = self.config.slices // 2
        below, above = max(index - reach, 0), min(index + reach, len(self) - 1)
        return self.array[[below, index, above]]
