"""A lesion's mask in the slice of its RECIST axes."""

from __future__ import annotations

import cv2
import numpy as np

from oncotrack.errors import InputError
from oncotrack.images.volume import Volume
from oncotrack.masks.air import air_limit, without_air
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.ellipse import radius_profile
from oncotrack.masks.grabcut import BLUR, Models, bounded_by, bounded_labels, grabcut, initial_labels
from oncotrack.masks.plane import Region, to_voxels
from oncotrack.masks.windows import grey, lesion_window

METHODS = ("bounded", "paper")
"""`paper` follows sec. 3.1 exactly; `bounded` keeps the border near the ellipse through the ends of the axes."""


def pseudo_mask(image: Volume, axes: RecistAxes, method: str = "bounded") -> Volume:
    """Segment a lesion in the slice of its axes.

    Parameters
    ----------
    image : Volume
        The scan.
    axes : RecistAxes
        RAS mm, in any slice orientation.
    method : {"bounded", "paper"}
        See `METHODS`.

    Returns
    -------
    Volume of uint8
        On the part of the image's grid around the lesion.

    Raises
    ------
    InputError
        The axes cannot be used in this image (`RecistAxes.checked`), or the method is unknown.
    """
    axes.checked(image.geometry)
    region = Region.of(axes, image.geometry)
    mask, _, _ = segment_slice(image, region.sample(image), region, axes, method)
    return to_voxels(image.geometry, region, mask, image.name)


def segment_slice(
    image: Volume, values: np.ndarray, region: Region, axes: RecistAxes, method: str
) -> tuple[np.ndarray, tuple[float, float], Models]:
    """Segment a lesion on the grid of a region.

    Parameters
    ----------
    image : Volume
        The scan, which decides on the intensity window.
    values : (H, W) ndarray
        Its intensities on the region.
    region : Region
        The square around the axes.
    axes : RecistAxes
        RAS mm, in the plane of the region.
    method : {"bounded", "paper"}
        See `METHODS`.

    Returns
    -------
    (H, W) bool ndarray, (low, high), pair of ndarray
        The mask, the intensity window, and GrabCut's colour models.

    Raises
    ------
    InputError
        The method is unknown.
    """
    if method not in METHODS:
        raise InputError(f'There is no pseudo-mask method "{method}"; choose {" or ".join(METHODS)}.')
    start = initial_labels(region, axes)
    window = lesion_window(image, values, np.isin(start, (cv2.GC_FGD, cv2.GC_PR_FGD)))
    if method == "paper":
        mask, models = grabcut(grey(values, window), start)
        return mask, window, models
    radius = radius_profile(region, axes)
    mask, models = grabcut(grey(values, window), bounded_labels(radius))
    blur = BLUR * axes.short.length_mm / 2 / region.pixel_mm
    mask = bounded_by(mask, radius, blur)
    return without_air(mask, values, radius, air_limit(image, values, radius)), window, models
