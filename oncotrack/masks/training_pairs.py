"""Pairs of image and mask to train from, as ``X_image.nii.gz`` beside ``X_mask.nii.gz`` and ``X_box.json``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from oncotrack.atomic import write_text
from oncotrack.errors import InputError
from oncotrack.images.files import save
from oncotrack.images.volume import Volume

MARGIN = 1.0
"""Surroundings on each side, in widths of the mask; along an axis with one layer of mask there are none."""
_LEAST_VOXELS = 8


def write_pair(folder: str | Path, name: str, image: Volume, mask: Volume) -> Path:
    """Write the part of an image round a mask, the mask on the same voxels, and its box.

    Parameters
    ----------
    folder : path
    name : str
        Becomes the files' name; what no file name may hold becomes "-".
    image : Volume
    mask : Volume
        Inside where not 0, on any grid.

    Returns
    -------
    Path
        The image's file. Beside it ``_mask.nii.gz`` (uint8) and ``_box.json``: first and last voxel (i, j, k) of the
        mask in the crop, and both ends of its box in RAS mm.

    Raises
    ------
    InputError
        The mask is empty, or lies outside the image.
    OutputError
        The folder cannot be written.
    """
    kji = np.argwhere(mask.array != 0)
    if not len(kji):
        raise InputError(f"{name}: the mask is empty, so there is nothing to train from.")
    places = image.geometry.to_ijk(mask.geometry.to_ras(kji[:, ::-1]))
    if not image.geometry.contains(image.geometry.to_ras(places)).any():
        raise InputError(f"{name}: the mask lies outside the image. Check that it belongs to this scan.")
    width = np.ptp(places, axis=0)
    margin = np.where(width < 0.5, 0, np.maximum(MARGIN * width, _LEAST_VOXELS))
    part = image.cropped(np.round(places.min(0)) - margin, np.round(places.max(0)) + margin + 1)
    inside = mask.resampled(part.geometry, fill=0, nearest=True).array != 0
    voxels = np.argwhere(inside)[:, ::-1]
    if not len(voxels):
        raise InputError(f"{name}: the mask is smaller than a voxel of the image. Draw it larger.")
    stem = re.sub(r"[^\w.-]+", "-", name)
    path = save(part, Path(folder) / f"{stem}_image.nii.gz")
    save(Volume(inside.astype(np.uint8), part.geometry, stem), Path(folder) / f"{stem}_mask.nii.gz")
    low, high = voxels.min(0), voxels.max(0)
    box = part.cropped(low, high + 1).geometry.bounds
    told = {"voxels": [low.tolist(), high.tolist()], "box_ras": box.tolist()}
    write_text(Path(folder) / f"{stem}_box.json", json.dumps(told, indent=1) + "\n")
    return path
