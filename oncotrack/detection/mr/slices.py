"""Slices as the MR detector reads them: the scan's own slices, intensities from 0 to 1 (MR, sec. 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from oncotrack.detection.mr.config import MRConfig
from oncotrack.detection.orientation import viewing_geometry
from oncotrack.errors import InputError
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

TOP = 99.0
"""Percentile at which intensities are truncated."""


def check_mr(volume: Volume) -> None:
    """Check that an image is an MR.

    Parameters
    ----------
    volume : Volume
        The image.

    Raises
    ------
    InputError
        Another modality, or intensities of a CT.
    """
    if volume.modality not in ("", "MR"):
        raise InputError(
            f"The modality of {volume.name} is {volume.modality}, but this detector reads MR only. Use the detector "
            '"lntracker" for CT.',
            parameter="method",
        )
    if volume.is_ct:
        raise InputError(
            f"{volume.name} contains intensities down to {volume.array.min():g}, like air in CT, but this detector reads MR "
            'only. Use the detector "lntracker" for CT.',
            parameter="method",
        )


def min_max(array: np.ndarray) -> np.ndarray:
    """Normalise intensities: ``(X - min) / (max - min)`` after truncating the top 1 % (MR, sec. 4.1).

    Parameters
    ----------
    array : (D, H, W) ndarray
        The whole image.

    Returns
    -------
    (D, H, W) float32 ndarray
        0 to 1; 0 everywhere if the image has only one intensity.
    """
    low, high = float(array.min()), float(np.percentile(array, TOP, method="lower"))
    return np.clip((array.astype(np.float32) - low) / max(high - low, 1e-6), 0, 1)


@dataclass(frozen=True, eq=False)
class MRGrid:
    """The slices of one MR as the network reads them.

    Parameters
    ----------
    volume : Volume
        Any orientation and spacing; its own slices are kept.
    config : MRConfig
        Pixel size, and number of slices read at once.
    """

    volume: Volume
    config: MRConfig

    @cached_property
    def geometry(self) -> Geometry:
        """Working grid: the scan's slices in viewing orientation, with the configuration's pixels."""
        grid = viewing_geometry(self.volume.geometry)
        longer = max(n * mm for n, mm in zip(grid.size[:2], grid.spacing[:2], strict=True))
        pixel = self.config.pixel_mm or longer / self.config.side
        return grid.with_spacing((pixel, pixel, grid.spacing[2]))

    def __len__(self) -> int:
        return self.geometry.size[2]

    @cached_property
    def array(self) -> np.ndarray:
        """All slices, (D, H, W) float32, 0 to 1."""
        whole = Volume(min_max(self.volume.array), self.volume.geometry)
        return whole.resampled(self.geometry, fill=0.0).array.astype(np.float32)

    def stack(self, index: int) -> np.ndarray:
        """Return the network's input for a slice; beyond the scan its last slice is repeated.

        Parameters
        ----------
        index : int
            Slice index.

        Returns
        -------
        (3, H, W) float32 ndarray
            The slice between its neighbours, or three times itself if the configuration reads one slice.
        """
        context = self.config.slices // 2
        below, above = max(index - context, 0), min(index + context, len(self) - 1)
        return self.array[[below, index, above]]
