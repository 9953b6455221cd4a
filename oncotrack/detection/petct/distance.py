"""The signed distance from the primary tumour (OSLN, equation 1), and the two regions that it divides the body into."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy
import SimpleITK as sitk

from oncotrack.errors import InputError
from oncotrack.images.volume import Volume, to_sitk

BORDER_MM = 70.0
"""d: voxels that are at most this far from the tumour are proximal (OSLN, sec. 4.2)."""


def boundary(mask: np.ndarray) -> np.ndarray:
    """Return the boundary voxels of a tumour, Gamma in equation 1.

    They are its voxels with a background voxel among their 26 neighbours; beyond the image is background.

    Parameters
    ----------
    mask : (D, H, W) bool ndarray
        The tumour.

    Returns
    -------
    (D, H, W) bool ndarray
        True on the boundary voxels.
    """
    return mask & np.logical_not(scipy.ndimage.binary_erosion(mask, np.ones((3, 3, 3)), border_value=0))


def signed_distance(tumour: Volume) -> np.ndarray:
    """Compute the signed Euclidean distance to the tumour's boundary voxels (equation 1) with Maurer's algorithm.

    Distances are those between voxel centres in mm, so an oblique grid gives the same values as one along the body's axes.

    Parameters
    ----------
    tumour : Volume
        Not 0 inside the tumour.

    Returns
    -------
    (D, H, W) float32 ndarray
        Millimetres: positive outside, negative inside, 0 on the boundary voxels.

    Raises
    ------
    InputError
        The mask is empty.

    References
    ----------
    C. Maurer, R. Qi, V. Raghavan, "A linear time algorithm for computing exact Euclidean distance transforms of binary
    images in arbitrary dimensions", IEEE TPAMI 25, 2003.
    """
    inside = tumour.array != 0
    if not inside.any():
        raise InputError(
            f"The mask of the primary tumour ({tumour.name}) is empty on this scan. Choose a mask that lies in the scan, "
            "or click into the tumour."
        )
    edge = to_sitk(Volume(boundary(inside).astype(np.uint8), tumour.geometry))
    distance = sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(edge, False, False, True))
    distance = np.maximum(distance, 0.0).astype(np.float32)
    return np.where(inside, -distance, distance)


def distance_from(tumour: Volume, position: Sequence[float]) -> float:
    """Return the signed distance of one position from a tumour's boundary voxels, as in `signed_distance`.

    Parameters
    ----------
    tumour : Volume
        Not 0 inside the tumour.
    position : (3,) float
        RAS mm.

    Returns
    -------
    float
        Millimetres, negative inside.
    """
    inside = tumour.array != 0
    points = tumour.geometry.to_ras(np.argwhere(boundary(inside))[:, ::-1])
    nearest = float(np.linalg.norm(points - np.asarray(position, float), axis=1).min())
    index = np.rint(tumour.geometry.to_ijk(position)).astype(int)
    is_shown = bool(((index >= 0) & (index < tumour.geometry.size)).all())
    return -nearest if is_shown and inside[tuple(index[::-1])] else nearest


def is_proximal(distance_mm: np.ndarray | float, border_mm: float = BORDER_MM) -> np.ndarray:
    """Return which voxels are tumour-proximal, ``prox = {i | x_i <= d}``; all others are tumour-distal.

    Parameters
    ----------
    distance_mm : ndarray or float
        Signed distance to the tumour.
    border_mm : float
        d.

    Returns
    -------
    bool ndarray
        Of the same shape.
    """
    return np.asarray(distance_mm) <= border_mm
