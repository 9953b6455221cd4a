"""GrabCut from RECIST axes (MR, sec. 3.1; C. Rother et al., ACM TOG 23(3), 2004)."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.plane import Region

SEED = 20220101
ROUNDS = 5
_FRACTION = 6  # bits behind the point of a drawn position


def classes(region: Region, axes: RecistAxes) -> np.ndarray:
    """(H, W) uint8 start of GrabCut: axes sure foreground, diamond probable foreground, the rest probable background.

    There is no sure background (MR, sec. 3.1). Positions are sub-pixel.
    """
    count = region.grid.size[0]
    points = np.round(region.pixels(axes.ends) * 2**_FRACTION).astype(np.int32)
    start = np.full((count, count), cv2.GC_PR_BGD, np.uint8)
    cv2.fillConvexPoly(start, points[[0, 2, 1, 3]], int(cv2.GC_PR_FGD), cv2.LINE_8, _FRACTION)
    for a, b in (points[:2], points[2:]):
        cv2.line(start, a.tolist(), b.tolist(), int(cv2.GC_FGD), 1, cv2.LINE_8, _FRACTION)
    return start


def grabcut(grey: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Run GrabCut, the same every time.

    Parameters
    ----------
    grey : (H, W) uint8 ndarray
    start : (H, W) uint8 ndarray
        `classes`.

    Returns
    -------
    (H, W) bool ndarray
        What hangs together with the axes, holes filled.
    """
    colour = cv2.merge([grey] * 3)
    labels, models = start.copy(), [np.zeros((1, 65)), np.zeros((1, 65))]
    cv2.setRNGSeed(SEED)
    cv2.grabCut(colour, labels, None, *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    inside = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return connected(inside, start == cv2.GC_FGD)


def connected(inside: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """The parts of `inside` that touch `seed`, with holes filled; (H, W) bool."""
    numbers, _ = ndimage.label(inside)
    kept = np.isin(numbers, np.unique(numbers[seed & inside])) & inside
    return ndimage.binary_fill_holes(kept)
