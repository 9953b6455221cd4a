"""Metrics of masks: Dice, average symmetric surface distance, IoU of boxes.

They judge pseudo-masks in S. Wang et al., Medical Image Analysis 77, 102345, 2022, sec. 4.4 (below: MR).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from oncotrack.errors import InputError


def _pair(a, b) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a) > 0, np.asarray(b) > 0
    if a.shape != b.shape:
        raise InputError(f"Two masks of {a.shape} and {b.shape} voxels cannot be compared. Bring them to one grid.")
    return a, b


def dice(a, b) -> float:
    """Dice similarity, percent: ``200 |A and B| / (|A| + |B|)`` (MR, sec. 4.4); 100 for two empty masks.

    Parameters
    ----------
    a, b : ndarray of the same shape
        Masks, inside where greater than 0; 2D or 3D.
    """
    a, b = _pair(a, b)
    total = int(a.sum()) + int(b.sum())
    return 200.0 * int((a & b).sum()) / total if total else 100.0


def surface(mask) -> np.ndarray:
    """The voxels of a mask that share a face with the outside; what lies beyond the image is outside."""
    mask = np.asarray(mask) > 0
    return mask & ~ndimage.binary_erosion(mask)


def surface_distances(a, b, spacing) -> np.ndarray:
    """Distances (mm) from every surface voxel of `a` to the nearest surface voxel of `b`, centre to centre.

    Parameters
    ----------
    a, b : ndarray of the same shape
    spacing : sequence of float
        Millimetres along each axis **of the array**: (z, y, x) or (y, x).
    """
    a, b = _pair(a, b)
    seen = ndimage.find_objects((a | b).astype(np.uint8))
    if not seen or not b.any():
        return np.full(int(surface(a).sum()), np.inf)
    a, b = a[seen[0]], b[seen[0]]
    return ndimage.distance_transform_edt(~surface(b), sampling=spacing)[surface(a)]


def average_symmetric_surface_distance(a, b, spacing) -> float:
    """ASD, mm: the mean over both surfaces' voxels of the distance to the other surface.

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
    """IoU (percent) of the boxes round two masks (MR, sec. 4.4); 100 for two empty masks, 0 when one is empty."""
    a, b = _pair(a, b)
    if not a.any() or not b.any():
        return 100.0 if a.any() == b.any() else 0.0
    boxes = [ndimage.find_objects(mask.astype(np.uint8))[0] for mask in (a, b)]
    both, sizes = 1, [1, 1]
    for x, y in zip(*boxes, strict=True):
        both *= max(min(x.stop, y.stop) - max(x.start, y.start), 0)
        sizes = [sizes[0] * (x.stop - x.start), sizes[1] * (y.stop - y.start)]
    return 100.0 * both / (sum(sizes) - both)


def instance_overlap(truth, predicted) -> tuple[np.ndarray, np.ndarray]:
    """IoU of every predicted with every true instance of two label maps, and their shared voxels.

    Parameters
    ----------
    truth, predicted : int ndarray of the same shape
        Label maps; 0 is background, instances are 1 ... N and 1 ... M.

    Returns
    -------
    (M, N) float ndarray of IoU, (M, N) int ndarray of voxels in both.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    _pair(truth, predicted)
    n, m = int(truth.max(initial=0)), int(predicted.max(initial=0))
    joint = np.bincount(
        predicted.ravel().astype(np.int64) * (n + 1) + truth.ravel().astype(np.int64), minlength=(m + 1) * (n + 1)
    ).reshape(m + 1, n + 1)
    both = joint[1:, 1:]
    union = joint[1:].sum(1)[:, None] + joint[:, 1:].sum(0)[None] - both
    return both / np.maximum(union, 1), both
