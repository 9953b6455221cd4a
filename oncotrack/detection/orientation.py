"""Reordering of image axes without interpolation, so that detectors read every scan in one orientation."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from oncotrack.images.geometry import Geometry


def reading_geometry(geometry: Geometry) -> Geometry:
    """Return the same voxels with i pointing to the patient's left, j to the back and k to the head.

    Axes are swapped and flipped; oblique axes stay oblique.

    Parameters
    ----------
    geometry : Geometry
        Any orientation.

    Returns
    -------
    Geometry
        Grid with the same voxel centres.
    """
    return _reorient(geometry, np.diag([-1.0, -1.0, 1.0]))


def viewing_geometry(geometry: Geometry) -> Geometry:
    """Return the same slices with rows and columns in display orientation, k unchanged.

    Only the two axes within the slice are swapped and flipped: i points left or back, j back or down. Slice n remains
    slice n of the scan in any orientation.

    Parameters
    ----------
    geometry : Geometry
        Any orientation.

    Returns
    -------
    Geometry
        Grid with the same voxel centres.
    """
    normal = int(np.abs(np.asarray(geometry.direction)[:, 2]).argmax())
    return _reorient(geometry, np.diag([-1.0, -1.0, -1.0])[:, [axis for axis in range(3) if axis != normal]])


def _reorient(geometry: Geometry, target: np.ndarray) -> Geometry:
    """Swap and flip the first n axes so that they point as closely as possible along the columns of `target`, (3, n)."""
    direction, count = np.asarray(geometry.direction), target.shape[1]
    alignment = target.T @ direction[:, :count]
    _, axes = linear_sum_assignment(-np.abs(alignment))
    signs = np.sign(alignment[range(count), axes])
    corner = np.zeros(3)
    corner[axes] = np.where(signs < 0, np.asarray(geometry.size)[axes] - 1, 0)
    order = [*axes, *range(count, 3)]
    return Geometry(
        tuple(np.asarray(geometry.size)[order]),
        tuple(np.asarray(geometry.spacing)[order]),
        tuple(geometry.to_ras(corner)),
        tuple(map(tuple, direction[:, order] * [*signs, *[1.0] * (3 - count)])),
    )
