"""GrabCut from RECIST axes (MR, sec. 3.1; C. Rother et al., ACM TOG 23(3), 2004), and its bounded form."""

from __future__ import annotations

import cv2
import numpy as np
import scipy

from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.plane import Region

SEED = 20220101
ROUNDS = 5
SURE, POSSIBLE = 0.85, 1.15
"""Reach (`ellipse.reach`) within which a pixel surely belongs to the lesion, and beyond which it surely does not."""
TRUST = 2.0
"""How much the border is drawn to a reach of 1: share of mask in the neighbourhood that one unit of reach outweighs."""
BLUR = 0.15
"""Standard deviation of that neighbourhood, in half short axes."""
_FRACTION = 6  # bits behind the point of a drawn position

Models = tuple[np.ndarray, np.ndarray]
"""GrabCut's colour models of background and foreground."""


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


def bounded_classes(far: np.ndarray, sure: float = SURE, possible: float = POSSIBLE) -> np.ndarray:
    """(H, W) uint8 start of the bounded form: a belt about a reach of 1 is open, what lies inside and outside is sure.

    Parameters
    ----------
    far : (H, W) ndarray
        `ellipse.reach`.
    """
    start = np.where(far < 1, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    start[far < sure] = cv2.GC_FGD
    start[far > possible] = cv2.GC_BGD
    return start


def grabcut(grey: np.ndarray, start: np.ndarray, models: Models | None = None) -> tuple[np.ndarray, Models]:
    """Run GrabCut, the same every time.

    Parameters
    ----------
    grey : (H, W) uint8 ndarray
    start : (H, W) uint8 ndarray
        `classes` or `bounded_classes`.
    models : pair of ndarray, optional
        Colour models to keep as they are; learned in `ROUNDS` rounds when missing.

    Returns
    -------
    (H, W) bool ndarray, pair of ndarray
        What hangs together with the sure foreground, holes filled; and the colour models.
    """
    colour, labels = cv2.merge([grey] * 3), start.copy()
    background, foreground = (model.copy() for model in models) if models else (np.zeros((1, 65)), np.zeros((1, 65)))
    cv2.setRNGSeed(SEED)
    mode, rounds = (cv2.GC_EVAL_FREEZE_MODEL, 1) if models else (cv2.GC_INIT_WITH_MASK, ROUNDS)
    cv2.grabCut(colour, labels, None, background, foreground, rounds, mode)
    inside = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return connected(inside, start == cv2.GC_FGD), (background, foreground)


def bounded_by(mask: np.ndarray, far: np.ndarray, blur: float, trust: float = TRUST) -> np.ndarray:
    """The mask smoothed and drawn to where the axes expect its border: ``G * mask - 1/2 + trust * (1 - reach) > 0``.

    Where grey levels tell lesion from surroundings the blurred mask decides; where they do not, `far` does.

    Parameters
    ----------
    mask : (H, W) bool ndarray
    far : (H, W) ndarray
        `ellipse.reach`.
    blur : float
        Standard deviation of G, pixels.
    """
    share = scipy.ndimage.gaussian_filter(mask.astype(np.float32), blur)
    return connected(share - 0.5 + trust * (1 - far) > 0, far < 0.3)


def connected(inside: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """The parts of `inside` that touch `seed`, with holes filled; (H, W) bool."""
    numbers, _ = scipy.ndimage.label(inside)
    kept = np.isin(numbers, np.unique(numbers[seed & inside])) & inside
    return scipy.ndimage.binary_fill_holes(kept)
