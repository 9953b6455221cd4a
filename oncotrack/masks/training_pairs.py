"""Training pairs of image and mask: ``X_image.nii.gz``, ``X_mask.nii.gz`` and ``X_box.json``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from oncotrack.atomic import write_text
from oncotrack.errors import InputError
from oncotrack.findings.names import file_stem
from oncotrack.images.files import save
from oncotrack.images.volume import Volume

MARGIN = 1.0
"""Margin on each side, in widths of the mask; none along an axis in which the mask is one voxel thick."""
_LEAST_VOXELS = 8


def write_pair(folder: str | Path, name: str, image: Volume, mask: Volume) -> Path:
    """Write the part of an image around a mask, the mask on the same voxels, and its box.

    Parameters
    ----------
    folder : path
        Where to write.
    name : str
        Start of the file names; characters not allowed in file names become "-".
    image : Volume
        The scan.
    mask : Volume
        Inside where not 0, on any grid.

    Returns
    -------
    Path
        The image file. ``_mask.nii.gz`` (uint8) and ``_box.json`` lie in the same folder; the latter holds first and
        last voxel (i, j, k) of the mask in the crop, and lowest and highest corner of its box in RAS mm.

    Raises
    ------
    InputError
        The mask is empty, or lies outside the image.
    OutputError
        The folder cannot be written.
    """
    kji = np.argwhere(mask.array != 0)
    if not len(kji):
        raise InputError(f"{name}: the mask is empty. Draw it, or leave this finding out.")
    ijk = image.geometry.to_ijk(mask.geometry.to_ras(kji[:, ::-1]))
    if not image.geometry.contains(image.geometry.to_ras(ijk)).any():
        raise InputError(f"{name}: the mask lies outside the image. Check that it belongs to this scan.")
    width = np.ptp(ijk, axis=0)
    margin = np.where(width < 0.5, 0, np.maximum(MARGIN * width, _LEAST_VOXELS))
    part = image.cropped(np.round(ijk.min(0)) - margin, np.round(ijk.max(0)) + margin + 1)
    inside = mask.resampled(part.geometry, fill=0, nearest=True).array != 0
    voxels = np.argwhere(inside)[:, ::-1]
    if not len(voxels):
        raise InputError(f"{name}: the mask is smaller than a voxel of the image. Draw it larger.")
    stem = file_stem(name)
    path = save(part, Path(folder) / f"{stem}_image.nii.gz")
    save(Volume(inside.astype(np.uint8), part.geometry, stem), Path(folder) / f"{stem}_mask.nii.gz")
    low, high = voxels.min(0), voxels.max(0)
    box = part.cropped(low, high + 1).geometry.bounds
    metadata = {"voxels": [low.tolist(), high.tolist()], "box_ras": box.tolist()}
    write_text(Path(folder) / f"{stem}_box.json", json.dumps(metadata, indent=1) + "\n")
    return path
