"""Air and aerated lung beside a solid lesion in CT, which do not belong to its mask."""

from __future__ import annotations

import numpy as np

from oncotrack.images.volume import Volume
from oncotrack.masks.grabcut import keep_connected

SOLID_HU, AIR_HU = -150.0, -500.0
"""Median of a solid lesion, at least; and the value below which a pixel of its surroundings is air or aerated lung."""
_INNER, _AROUND = 0.7, (1.1, 2.0)  # normalised radii of the lesion's tissue and of its surroundings
_LEAST_SHARE = 0.01  # of air in the surroundings
_CORE = 0.3  # normalised radius of the pixels that the mask must be connected to


def air_limit(image: Volume, values: np.ndarray, radius: np.ndarray) -> float | None:
    """Choose the intensity between a solid lesion and the air or aerated lung around it.

    Parameters
    ----------
    image : Volume
        The scan.
    values : (H, W) ndarray
        Intensities of the slice of the diameters.
    radius : (H, W) ndarray
        `ellipse.radius_profile` of the diameters.

    Returns
    -------
    float or None
        HU, halfway between both medians, where a border that is blurred by the scanner lies. None in an image that is no
        CT, for a lesion that is not solid, and where no air is near.
    """
    if not image.is_ct or image.hounsfield_problem:
        return None
    tissue = float(np.median(values[radius < _INNER]))
    around = values[(radius > _AROUND[0]) & (radius < _AROUND[1])]
    air = around[around < AIR_HU]
    if tissue < SOLID_HU or len(air) < max(_LEAST_SHARE * len(around), 1):
        return None
    return (tissue + float(np.median(air))) / 2


def air_share(values: np.ndarray, radius: np.ndarray) -> float:
    """Return the share of air and aerated lung in a lesion's surroundings, 0 to 1.

    Parameters
    ----------
    values : (H, W) ndarray
        Intensities of a slice, HU.
    radius : (H, W) ndarray
        Normalised radius of the lesion.
    """
    around = values[(radius > _AROUND[0]) & (radius < _AROUND[1])]
    return float((around < AIR_HU).mean()) if len(around) else 0.0


def without_air(mask: np.ndarray, values: np.ndarray, radius: np.ndarray, limit: float | None) -> np.ndarray:
    """Return a mask without the air at its border; air inside it, a cavity, stays.

    Parameters
    ----------
    mask : (H, W) bool ndarray
        The mask on one slice.
    values : (H, W) ndarray
        Intensities of the slice.
    radius : (H, W) ndarray
        Normalised radius of the lesion's shape on the slice.
    limit : float or None
        `air_limit`; None leaves the mask as it is.
    """
    if limit is None:
        return mask
    kept = keep_connected(mask & (values > limit), radius < _CORE)
    return kept if kept.any() else mask
