"""What may be an unlabelled lymph node in the background of a real CT."""

from __future__ import annotations

import numpy as np

from oncotrack.detection.anatomy.anatomy import Anatomy
from oncotrack.detection.ct_slices import LNSlices
from oncotrack.detection.fatblobs import FatBlobDetector


def may_be_nodes(slices: LNSlices, labels: np.ndarray) -> np.ndarray:
    """Find soft tissue in nodal fat that is not tubular and not labelled.

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
        boxed = []
        for level, (x0, y0, x1, y1) in track.boxes.items():
            rows, columns = slice(max(int(y0), 0), int(np.ceil(y1))), slice(max(int(x0), 0), int(np.ceil(x1)))
            boxed.append((level, rows, columns))
        if not any(labels[part].any() for part in boxed):
            for part in boxed:
                found[part] = True
    return found
