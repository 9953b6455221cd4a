"""Which voxels of a CT show the patient, lungs and bowel gas included, and not the table or the air around."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from oncotrack.images.volume import Volume

_AIR_HU = -500.0


def body_mask(coarse: Volume, inset: int = 2) -> np.ndarray:
    """(D, H, W) bool: the largest thing that is denser than air, its holes filled slice by slice.

    Parameters
    ----------
    coarse : Volume
        A CT (HU) on axial slices and voxels of a few millimetres: thinner things, as table tops are, are lost.
    inset : int
        Voxels by which the mask stays within the slice's outline.
    """
    labels, count = ndimage.label(ndimage.binary_opening(coarse.array > _AIR_HU, iterations=2))
    if not count:
        return np.zeros(coarse.array.shape, bool)
    body = labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1
    return np.stack([_inset(ndimage.binary_fill_holes(plane), inset) for plane in body])


def _inset(plane: np.ndarray, steps: int) -> np.ndarray:
    return ndimage.binary_erosion(plane, iterations=steps, border_value=1) if steps else plane
