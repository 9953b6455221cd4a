"""Metrics of masks: Dice, average symmetric surface distance, IoU of boxes.

S. Wang et al., Medical Image Analysis 77, 102345, 2022, sec. 4.4 (below: MR), evaluate pseudo-masks with them.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from oncotrack.errors import InputError


def _pair(a, b) -> tuple[np.ndarray, np.ndarray]:
    """Return both masks as bool arrays of one shape."""
    a, b = np.asarray(a) > 0, np.asarray(b) > 0
    if a.shape != b.shape:
        raise InputError(f"Two masks of {a.shape} and {b.shape} voxels cannot be compared. Bring them to one grid.")
    return a, b


def dice(a, b) -> float:
    """Compute the Dice similarity, percent: ``200 |A and B| / (|A| + |B|)`` (MR); 100 for two empty masks.

    Parameters
    ----------
    a, b : ndarray of the same shape
        Masks, inside where greater than 0; 2D or 3D.
    """
    a, b = _pair(a, b)
    total = int(a.sum()) + int(b.sum())
    return 200.0 * int((a & b).sum()) / total if total else 100.0


def surface(mask) -> np.ndarray:
    """Return the voxels of a mask that share a face with the outside; beyond the image is outside."""
    mask = np.asarray(mask) > 0
    return mask & ~np.asarray(ndimage.binary_erosion(mask), bool)


def surface_distances(a, b, spacing) -> np.ndarray:
    """Compute the distance (mm) of every surface voxel of `a` to the nearest one of `b`, centre to centre.

    Parameters
    ----------
    a, b : ndarray of the same shape
        Masks, inside where greater than 0.
    spacing : sequence of float
        Millimetres along each axis **of the array**: (z, y, x) or (y, x).
    """
    a, b = _pair(a, b)
    if not b.any():
        return np.full(int(surface(a).sum()), np.inf)
    part = ndimage.find_objects((a | b).astype(np.uint8))[0]
    a, b = a[part], b[part]
    return np.asarray(ndimage.distance_transform_edt(~surface(b), sampling=spacing))[surface(a)]


def average_symmetric_surface_distance(a, b, spacing) -> float:
    """Compute the ASD, mm: the mean over both surfaces' voxels of the distance to the other surface.

    ``(sum_a d(a, B) + sum_b d(b, A)) / (|A| + |B|)`` (T. Heimann et al., IEEE TMI 28(8), 2009, eq. 4; the ASD of MR,
    sec. 4.4). 0 for two empty masks; NaN when one of them is empty.
    """
    a, b = _pair(a, b)
    if not a.any() and not b.any():
        return 0.0
    if not a.any() or not b.any():
        return float("nan")
    return float(np.concatenate([surface_distances(a, b, spacing), surface_distances(b, a, spacing)]).mean())


def box_iou(a, b) -> float:
    """Compute the IoU (percent) of the boxes around two masks (MR); 100 for two empty masks, 0 if one is empty."""
    a, b = _pair(a, b)
    if not a.any() or not b.any():
        return 100.0 if a.any() == b.any() else 0.0
    import torch

    from oncotrack.networks.boxes import iou

    where = [ndimage.find_objects(mask.astype(np.uint8))[0] for mask in (a, b)]
    boxes = torch.tensor([[*(s.start for s in each), *(s.stop for s in each)] for each in where], dtype=torch.float64)
    return 100.0 * float(iou(boxes[:1], boxes[1:]))
