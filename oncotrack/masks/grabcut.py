"""GrabCut from RECIST axes (MR, sec. 3.1; C. Rother et al., ACM TOG 23(3), 2004), and its bounded variant."""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
import scipy

from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.plane import Region

SEED = 20220101
ROUNDS = 5
SURE, POSSIBLE = 0.85, 1.15
"""Normalised radius (`ellipse.radius_profile`) below which a pixel is sure foreground, above which sure background."""
TRUST = 2.0
"""Weight of the normalised radius against the share of mask in the neighbourhood, in `bounded_by`."""
BLUR = 0.15
"""Standard deviation of that neighbourhood, in half short axes."""
_CORE = 0.3  # normalised radius of the pixels that a bounded mask must be connected to
_FRACTION_BITS = 6  # of the coordinates that OpenCV draws at

Models = tuple[np.ndarray, np.ndarray]
"""GrabCut's colour models of background and foreground."""


def initial_labels(region: Region, axes: RecistAxes) -> np.ndarray:
    """Return GrabCut's start as in the paper.

    The axes are sure foreground, the diamond through their ends is probable foreground, the rest probable background;
    there is no sure background (MR, sec. 3.1). Positions are sub-pixel.

    Parameters
    ----------
    region : Region
        Grid of the result.
    axes : RecistAxes
        RAS mm, in the plane of the region.

    Returns
    -------
    (H, W) uint8 ndarray
        OpenCV's GrabCut classes.
    """
    count = region.grid.size[0]
    points = np.round(region.to_pixels(axes.ends) * 2**_FRACTION_BITS).astype(np.int32)
    start = np.full((count, count), cv2.GC_PR_BGD, np.uint8)
    cv2.fillConvexPoly(start, points[[0, 2, 1, 3]], int(cv2.GC_PR_FGD), cv2.LINE_8, _FRACTION_BITS)
    for a, b in (points[:2], points[2:]):
        cv2.line(start, a.tolist(), b.tolist(), int(cv2.GC_FGD), 1, cv2.LINE_8, _FRACTION_BITS)
    return start


def bounded_labels(radius: np.ndarray, sure: float = SURE, possible: float = POSSIBLE) -> np.ndarray:
    """Return GrabCut's start of the bounded variant: only a band around a normalised radius of 1 is undecided.

    Parameters
    ----------
    radius : (H, W) ndarray
        `ellipse.radius_profile` or `ellipse.radius_of_mask`.
    sure : float
        Pixels below this radius are sure foreground.
    possible : float
        Pixels above this radius are sure background.

    Returns
    -------
    (H, W) uint8 ndarray
        OpenCV's GrabCut classes.
    """
    start = np.where(radius < 1, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    start[radius < sure] = cv2.GC_FGD
    start[radius > possible] = cv2.GC_BGD
    return start


def grabcut(grey: np.ndarray, start: np.ndarray, models: Models | None = None) -> tuple[np.ndarray, Models]:
    """Run GrabCut; the result is deterministic.

    Parameters
    ----------
    grey : (H, W) uint8 ndarray
        Grey levels, see `windows.grey`.
    start : (H, W) uint8 ndarray
        `initial_labels` or `bounded_labels`.
    models : pair of ndarray, optional
        Colour models to use unchanged; by default they are learned in `ROUNDS` rounds.

    Returns
    -------
    (H, W) bool ndarray, pair of ndarray
        The foreground connected to the sure foreground, holes filled; and the colour models.
    """
    colour, labels = cv2.merge([grey] * 3), start.copy()
    background, foreground = (model.copy() for model in models) if models else (np.zeros((1, 65)), np.zeros((1, 65)))
    cv2.setRNGSeed(SEED)
    mode, rounds = (cv2.GC_EVAL_FREEZE_MODEL, 1) if models else (cv2.GC_INIT_WITH_MASK, ROUNDS)
    no_rectangle = cast(Any, None)  # OpenCV accepts None when it starts from labels; its stubs do not
    cv2.grabCut(colour, labels, no_rectangle, background, foreground, rounds, mode)
    inside = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return keep_connected(inside, start == cv2.GC_FGD), (background, foreground)


def bounded_by(mask: np.ndarray, radius: np.ndarray, blur: float | np.ndarray, trust: float = TRUST) -> np.ndarray:
    """Smooth a mask and pull its border towards a normalised radius of 1.

    A pixel is kept where ``G * mask - 1/2 + trust * (1 - radius) > 0``, G being a Gaussian. Where the grey levels
    separate lesion and surroundings the blurred mask decides; where they do not, the radius does.

    Parameters
    ----------
    mask : (H, W) bool ndarray
        The mask to smooth.
    radius : (H, W) ndarray
        `ellipse.radius_profile` or `ellipse.radius_of_mask`.
    blur : float or (N,) ndarray
        Standard deviation of G, pixels; along each axis of the array.
    trust : float
        Weight of the radius.

    Returns
    -------
    (H, W) bool ndarray
        The smoothed mask.
    """
    share = scipy.ndimage.gaussian_filter(mask.astype(np.float32), blur)
    core = max(_CORE, float(radius.min()) + 1e-6)  # of a small lesion, the innermost pixel may be farther out
    return keep_connected(share - 0.5 + trust * (1 - radius) > 0, radius < core)


def keep_connected(inside: np.ndarray, core: np.ndarray) -> np.ndarray:
    """Return the components of a mask that touch a core, with holes filled.

    Parameters
    ----------
    inside : (H, W) bool ndarray
        The mask.
    core : (H, W) bool ndarray
        Pixels of which a component must contain at least one.

    Returns
    -------
    (H, W) bool ndarray
        The kept part of the mask.
    """
    components, _ = cast(tuple[np.ndarray, int], scipy.ndimage.label(inside))
    kept = np.isin(components, np.unique(components[core & inside])) & inside
    return np.asarray(scipy.ndimage.binary_fill_holes(kept))
