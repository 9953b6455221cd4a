"""RECIST axes to a mask: in their slice."""

from __future__ import annotations

import cv2
import numpy as np

from oncotrack.errors import InputError
from oncotrack.images.volume import Volume
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.ellipse import reach
from oncotrack.masks.grabcut import BLUR, Models, bounded_by, bounded_classes, classes, grabcut
from oncotrack.masks.plane import Region, to_voxels
from oncotrack.masks.windows import grey, lesion_window

METHODS = ("bounded", "paper")
"""`paper` is sec. 3.1 to the letter; `bounded` keeps the border near the ellipse through the ends of the axes."""


def pseudo_mask(image: Volume, axes: RecistAxes, method: str = "bounded") -> Volume:
    """The lesion's mask in the slice of its axes.

    Parameters
    ----------
    image : Volume
    axes : RecistAxes
        RAS mm, in any slice orientation.
    method : {"bounded", "paper"}

    Returns
    -------
    Volume of uint8
        On the part of the image's grid round the lesion.

    Raises
    ------
    InputError
        A sentence of `RecistAxes.checked`, or an unknown method.
    """
    axes.checked(image.geometry)
    region = Region.of(axes, image.geometry)
    mask, _, _ = in_slice(image, region.sampled(image), region, axes, method)
    return to_voxels(image.geometry, region, mask, image.name)


def in_slice(
    image: Volume, sampled: np.ndarray, region: Region, axes: RecistAxes, method: str
) -> tuple[np.ndarray, tuple[float, float], Models]:
    """(H, W) bool mask of the intensities `sampled` of a region, the window they were seen in, GrabCut's models."""
    if method not in METHODS:
        raise InputError(f'There is no pseudo-mask method "{method}"; choose {" or ".join(METHODS)}.')
    start = classes(region, axes)
    window = lesion_window(image, sampled, np.isin(start, (cv2.GC_FGD, cv2.GC_PR_FGD)))
    if method == "paper":
        mask, models = grabcut(grey(sampled, window), start)
        return mask, window, models
    far = reach(region, axes)
    mask, models = grabcut(grey(sampled, window), bounded_classes(far))
    blur = BLUR * axes.short.length_mm / 2 / region.pixel_mm
    return bounded_by(mask, far, blur), window, models
