"""RECIST axes to a mask: in their slice."""

from __future__ import annotations

import cv2
import numpy as np

from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.grabcut import classes, grabcut
from oncotrack.masks.plane import Region, to_voxels
from oncotrack.masks.windows import grey, lesion_window
from oncotrack.volume import Volume


def pseudo_mask(image: Volume, axes: RecistAxes) -> Volume:
    """The lesion's mask in the slice of its axes.

    Parameters
    ----------
    image : Volume
    axes : RecistAxes
        RAS mm, in any slice orientation.

    Returns
    -------
    Volume of uint8
        On the part of the image's grid round the lesion.

    Raises
    ------
    InputError
        A sentence of `RecistAxes.checked`.
    """
    axes.checked(image.geometry)
    region = Region.of(axes, image.geometry)
    start = classes(region, axes)
    sampled = region.sampled(image)
    window = lesion_window(image, sampled, np.isin(start, (cv2.GC_FGD, cv2.GC_PR_FGD)))
    return to_voxels(image.geometry, region, grabcut(grey(sampled, window), start), image.name)
