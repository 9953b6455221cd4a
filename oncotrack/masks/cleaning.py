"""Repair of painted masks: holes are filled, borders smoothed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy

from oncotrack.errors import InputError
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

SMOOTHING_MM = 2.0
"""Default standard deviation of the Gaussian that smooths a border, mm."""
_HALF = 0.5 - 1e-6  # a flat border stays where it is


def filled(mask: Volume) -> Volume:
    """Return a mask without holes: background that does not reach the border of a slice, or of the volume, is filled.

    Parameters
    ----------
    mask : Volume
        Array (Z, Y, X), not 0 inside.
    """
    inside = mask.array != 0
    slices = np.stack([scipy.ndimage.binary_fill_holes(each) for each in inside])
    return replace(mask, array=scipy.ndimage.binary_fill_holes(slices).astype(np.uint8))


def smoothed(mask: Volume, sigma_mm: float = SMOOTHING_MM) -> Volume:
    """Return a mask whose border is smoothed, within its slice for a mask of one slice.

    Parameters
    ----------
    mask : Volume
        Array (Z, Y, X), not 0 inside.
    sigma_mm : float
        Standard deviation of the Gaussian, mm. Parts much narrower than that vanish.

    Returns
    -------
    Volume
        On a grid with a margin of three standard deviations around that of `mask`.

    Raises
    ------
    InputError
        Nothing of the mask would be left.
    """
    inside = mask.array != 0
    sigma = sigma_mm / np.asarray(mask.spacing, float)[::-1]
    sigma[np.asarray(inside.shape) == 1] = 0.0
    margin = np.ceil(3 * sigma).astype(int)
    padded = np.pad(inside, [(each, each) for each in margin]).astype(np.float32)
    result = scipy.ndimage.gaussian_filter(padded, sigma) >= _HALF
    if not result.any():
        raise InputError(f"The mask is narrower than the smoothing of {sigma_mm:g} mm, which would remove it.")
    start = np.eye(4)
    start[:3, 3] = -margin[::-1]
    geometry = Geometry.from_matrix(result.shape[::-1], mask.geometry.ijk_to_ras @ start)
    return replace(mask, array=result.astype(np.uint8), geometry=geometry)
