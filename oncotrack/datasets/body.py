"""The patient's voxels in a CT, lungs and bowel gas included, without the table and the surrounding air."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from oncotrack.images.volume import Volume

_AIR_HU = -500.0


def body_mask(coarse: Volume, inset: int = 2) -> np.ndarray:
    """Return the patient's voxels, (D, H, W) bool: the largest object denser than air, its holes filled slice by slice.

    For positions that must lie inside the patient (lesions to insert, landmarks to draw). It is conservative and may
    leave out skin and lungs that the field of view cuts open. `LNSlices._patient` in `detection.ct_slices`, by which
    detections are judged, is permissive instead: it is meant to keep every part of the patient.

    Parameters
    ----------
    coarse : Volume
        A CT (HU) on axial slices and voxels of a few millimetres; thinner objects such as table tops are removed.
    inset : int
        Voxels by which the mask is eroded in each slice.
    """
    labels = np.empty(coarse.array.shape, np.int32)
    if not ndimage.label(ndimage.binary_opening(coarse.array > _AIR_HU, iterations=2), output=labels):
        return np.zeros(coarse.array.shape, bool)
    body = labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1
    return np.stack([_erode(np.asarray(ndimage.binary_fill_holes(plane)), inset) for plane in body])


def _erode(plane: np.ndarray, steps: int) -> np.ndarray:
    """Return the plane eroded by `steps` pixels; the image border does not erode it."""
    return ndimage.binary_erosion(plane, iterations=steps, border_value=1) if steps else plane
