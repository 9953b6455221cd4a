"""Small pictures of DICOM series, for lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from oncotrack.errors import InputError
from oncotrack.images.windows import SOFT_TISSUE

if TYPE_CHECKING:
    from oncotrack.images.dicom import Series
    from oncotrack.images.volume import Volume

SIZE = 96
"""Pixels of the longer side of a thumbnail."""
_PERCENTILES = (1.0, 99.5)  # shown range of intensities that are not Hounsfield units


def thumbnail(series: Series) -> np.ndarray | None:
    """Return the middle image of a series in grey, (H, W) uint8 as readers see it; None where there is none.

    It has the proportions of the patient, whose right (or front) is on the left and whose front (or head) is on top.
    """
    from oncotrack.images.dicom import picture

    try:
        image = picture(series)
    except InputError:  # no picture, or a damaged one; the list says why where that matters
        return None
    is_ct = series.modality == "CT" and series.is_volume
    low, high = SOFT_TISSUE.range if is_ct else np.percentile(image, _PERCENTILES)
    small = _small(image, (low, high), tuple(series.spacing[:2]) if series.spacing else (1.0, 1.0))
    return np.ascontiguousarray(_upright(small, series.frames[len(series.frames) // 2].orientation))


def volume_thumbnail(volume: Volume) -> np.ndarray:
    """Return the middle axial slice of a volume in grey, (H, W) uint8, as readers see it: the patient's right on the left."""
    axis_of = np.abs(volume.ijk_to_ras[:3, :3]).argmax(axis=1)  # the index that runs along R, A and S
    middle = [slice(None)] * 3
    middle[2 - axis_of[2]] = slice(volume.array.shape[2 - axis_of[2]] // 2, None)
    image = np.asarray(volume.array[tuple(middle)], np.float32).take(0, axis=2 - axis_of[2])
    if axis_of[0] > axis_of[1]:  # the rows run along R
        image = image.T
    directions = volume.ijk_to_ras[[0, 1], axis_of[:2]]
    image = image[:: -1 if directions[1] > 0 else 1, :: -1 if directions[0] > 0 else 1]
    low, high = SOFT_TISSUE.range if volume.is_ct else np.percentile(image, _PERCENTILES)
    return _small(image, (low, high), tuple(np.asarray(volume.spacing)[axis_of[:2]]))


def _small(image: np.ndarray, shown: tuple[float, float], spacing: tuple[float, float]) -> np.ndarray:
    """Return an image in grey, (H, W) uint8, in the proportions of the patient; spacing across and down, mm."""
    import cv2

    low, high = shown
    grey = np.clip((image - low) * (255 / max(high - low, 1e-6)), 0, 255)
    width, height = image.shape[1] * spacing[0], image.shape[0] * spacing[1]
    scale = SIZE / max(width, height)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return cv2.resize(grey.astype(np.uint8), size, interpolation=cv2.INTER_AREA)


def _upright(image: np.ndarray, orientation: Sequence[float]) -> np.ndarray:
    """Return an image flipped so that its columns run to the patient's left or back, its rows to the back or feet."""
    if not orientation:
        return image
    across, down = np.reshape(orientation, (2, 3))  # LPS
    axis = int(np.argmax(np.abs(down)))
    is_upside_down = down[axis] < 0 if axis < 2 else down[axis] > 0
    return image[:: -1 if is_upside_down else 1, :: -1 if across[np.argmax(np.abs(across))] < 0 else 1]


def png(picture: np.ndarray) -> bytes:
    """Return a picture, (H, W) uint8, as a PNG file."""
    import cv2

    return cv2.imencode(".png", picture)[1].tobytes()
