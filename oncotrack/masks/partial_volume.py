"""Borders of tissues: where they run without partial volume, and how sharp they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy

from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

STEP_HU = 130.0
"""Range of intensities (HU) in a voxel's neighbourhood from which it lies on the border of two tissues."""
SMOOTH_MM = 0.6
"""Standard deviation of the Gaussian against noise, mm."""
GRADIENT_MM = 1.0
"""Standard deviation of the Gaussian whose gradient is taken, mm."""
SOFT_HU = -200.0, 300.0
"""Lowest and highest intensity (HU) that make a border sharper."""


def with_steps(image: Volume, around: Geometry) -> Volume:
    """Return the part of a scan that holds a grid; in CT, borders between tissues become steps half-way between them.

    A voxel on a border gets the lowest or the highest value of its neighbourhood, whichever is nearer (toggle mapping).

    Parameters
    ----------
    image : Volume
        The scan; others than CT keep their values.
    around : Geometry
        The grid that the part must hold.

    Returns
    -------
    Volume of float32
        On the scan's own voxels.

    References
    ----------
    Kramer and Bruckner, Iterations of a non-linear transformation for enhancement of digital images, Pattern Recognition 7
    (1975) 53-58.
    """
    corners = image.geometry.to_ijk(around.corners)
    part = image.cropped(np.floor(corners.min(0)).astype(int) - 1, np.ceil(corners.max(0)).astype(int) + 2)
    part = replace(part, array=np.asarray(part.array, np.float32))
    if not image.is_ct:
        return part
    calm, values = smoothed(part).array, part.array
    low, high = scipy.ndimage.minimum_filter(calm, 3), scipy.ndimage.maximum_filter(calm, 3)
    nearer = np.where(high - values < values - low, high, low)
    return replace(part, array=np.where(high - low > STEP_HU, nearer, values))


def smoothed(image: Volume) -> Volume:
    """Return an image smoothed by a Gaussian of `SMOOTH_MM`, the same along all axes of the patient.

    Parameters
    ----------
    image : Volume
        Of float.
    """
    sigma = SMOOTH_MM / np.array(image.spacing)[::-1]
    return replace(image, array=scipy.ndimage.gaussian_filter(image.array, sigma))


def gradients(image: Volume, grid: Geometry) -> np.ndarray:
    """Return the gradient's magnitude on a grid of cubes; in CT, values beyond `SOFT_HU` count as its limits.

    Parameters
    ----------
    image : Volume
        The scan.
    grid : Geometry
        With the same spacing along all axes.

    Returns
    -------
    ndarray of float32
        In the grid's shape, per voxel of it.
    """
    corners = image.geometry.to_ijk(grid.corners)
    part = image.cropped(np.floor(corners.min(0)).astype(int) - 1, np.ceil(corners.max(0)).astype(int) + 2)
    values = part.resampled(grid, fill=float(part.array.min())).array.astype(np.float32)
    if image.is_ct:
        values = np.clip(values, *SOFT_HU)
    return scipy.ndimage.gaussian_gradient_magnitude(values, max(GRADIENT_MM / grid.spacing[0], 0.7))
