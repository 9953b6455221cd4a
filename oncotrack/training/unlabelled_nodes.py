"""What may be an unlabelled lymph node in the background of a real CT."""

from __future__ import annotations

import numpy as np

from oncotrack.detection.anatomy.anatomy import Anatomy
from oncotrack.detection.ct_slices import HU_WINDOW, LNSlices
from oncotrack.detection.fatblobs import FatBlobDetector

_LARGEST_MM = 20.0  # larger soft tissue in fat is rather bowel or muscle
_BONE = (230.0 - HU_WINDOW[0]) / (HU_WINDOW[1] - HU_WINDOW[0])


def may_be_nodes(slices: LNSlices, labels: np.ndarray) -> np.ndarray:
    """Find soft tissue of up to 20 mm in nodal fat that is not tubular and not labelled.

    Bone, lung, airway, muscle, bowel and vessels that go on through the slices are left out: they are background.

    Parameters
    ----------
    slices : LNSlices
        The CT.
    labels : (D, H, W) ndarray
        Known nodes, on the working slices; 0 elsewhere.

    Returns
    -------
    (D, H, W) bool ndarray
        The boxes of these structures on each working slice.
    """
    found = np.zeros(labels.shape, bool)
    for track in FatBlobDetector().tracks(slices, Anatomy.of(slices)):
        boxes = np.stack([*track.boxes.values()])
        if (boxes[:, 2:] - boxes[:, :2]).max() * slices.geometry.spacing[0] > _LARGEST_MM:
            continue
        parts = []
        for level, (x0, y0, x1, y1) in track.boxes.items():
            rows, columns = slice(max(int(y0), 0), int(np.ceil(y1))), slice(max(int(x0), 0), int(np.ceil(x1)))
            parts.append((level, rows, columns))
        levels = [level for level, *_ in parts]
        hu = slices.slab(min(levels), max(levels) + 1)
        if not any(labels[part].any() or (hu[part[0] - min(levels)][part[1:]] > _BONE).any() for part in parts):
            for part in parts:
                found[part] = True
    return found
