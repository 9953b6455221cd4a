"""Long and short axis of a mask in one slice, as a reader draws them (RECIST 1.1; E. Eisenhauer et al., 2009)."""

from __future__ import annotations

import numpy as np
import scipy
import skimage

_MOST_POINTS = 200  # of an outline, when the longest line between hull points leaves the mask
_AT_ONCE = 64  # lines that are looked at closely
_GLANCES = 16  # places on a line that are looked at first
_INSIDE = 0.25  # share of mask under a line that still lies inside: a reader forgives a quarter of a pixel


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """Closed outlines of a mask, sub-pixel: they run midway between the pixels inside and outside.

    Parameters
    ----------
    mask : (H, W) bool ndarray

    Returns
    -------
    list of (N, 2) ndarray
        Column and row, first point = last point; holes have outlines of their own.
    """
    return [line[:, ::-1] - 1 for line in skimage.measure.find_contours(np.pad(mask, 1).astype(np.float32), 0.5)]


def diameters(mask: np.ndarray, spacing) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the longest line inside a mask, and of the longest one inside that crosses it at a right angle.

    Of a mask in several pieces, those of the piece with the longest line.

    Parameters
    ----------
    mask : (H, W) bool ndarray
        Not empty.
    spacing : (2,) float
        Millimetres along columns and rows.

    Returns
    -------
    (2, 2) ndarray, (2, 2) ndarray
        Long and short axis: two points each, mm along columns and rows from the centre of pixel (0, 0).
    """
    spacing = np.asarray(spacing, float)
    pieces, _ = scipy.ndimage.label(mask, np.ones((3, 3)))
    found = []
    for n, where in enumerate(scipy.ndimage.find_objects(pieces), 1):
        piece = np.pad(pieces[where] == n, 1)
        corner = np.array([where[1].start - 1, where[0].start - 1]) * spacing
        lines = [line * spacing for line in outlines(piece)]
        ends = _longest(piece, lines, spacing)
        found.append((np.linalg.norm(ends[1] - ends[0]), n, ends, lines, corner))
    _, _, long, lines, corner = max(found)
    short = _longest_across(lines, long)
    if np.linalg.norm(short[1] - short[0]) > np.linalg.norm(long[1] - long[0]):
        long, short = short, long
    return long + corner, short + corner


def _longest(mask: np.ndarray, lines: list[np.ndarray], spacing: np.ndarray) -> np.ndarray:
    """(2, 2) ends of the longest line between outline points (mm) that stays inside the mask, whose edge is empty."""
    points = np.concatenate([line[:-1] for line in lines])
    try:
        hull = points[scipy.spatial.ConvexHull(points).vertices]
    except scipy.spatial.QhullError:  # all points on a line
        hull = points
    pair = _longest_pair(mask, hull, hull, spacing, first=_AT_ONCE)
    if pair is not None:
        return pair
    # the mask is bent: every few points of the outline, then the points beside the best two
    step = -(-len(points) // _MOST_POINTS)
    pair = _longest_pair(mask, points[::step], points[::step], spacing)
    if pair is None:
        return np.stack([points[0], points[len(points) // 2]])
    near = [points[np.linalg.norm(points - end, axis=1) <= step * max(spacing)] for end in pair]
    return _longest_pair(mask, *near, spacing)


def _longest_pair(mask, ones: np.ndarray, others: np.ndarray, spacing, first: int | None = None) -> np.ndarray | None:
    """The farthest (2, 2) of (N, 2) and (M, 2) points (mm) whose line stays inside the mask; None when no line does.

    With `first`, only so many of the longest lines are looked at.
    """
    gaps = np.linalg.norm(ones[:, None] - others[None], axis=-1)
    if ones is others:
        gaps = np.triu(gaps)
    a, b = np.unravel_index(np.argsort(-gaps, axis=None, kind="stable")[: first or np.count_nonzero(gaps)], gaps.shape)
    starts, ends = ones[a] / spacing, others[b] / spacing
    seen = np.flatnonzero(_glance(mask, starts, ends))
    for start in range(0, len(seen), _AT_ONCE):
        these = seen[start : start + _AT_ONCE]
        inside = _stay_inside(mask, starts[these], ends[these])
        if inside.any():
            best = these[inside.argmax()]
            return np.stack([ones[a[best]], others[b[best]]])
    return None


def _glance(mask: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(N,) bool: lines between (N, 2) pixels that may stay inside, as a few places on them tell."""
    wide = scipy.ndimage.binary_dilation(mask, np.ones((3, 3)))
    places = np.linspace(0, 1, _GLANCES)[1:-1, None, None] * (ends - starts) + starts
    columns, rows = np.moveaxis(np.round(places).astype(int), -1, 0)
    return wide[rows, columns].all(0)


def _stay_inside(mask: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(N,) bool: which lines between (N, 2) pixels do not leave the mask, looked at twice a pixel."""
    steps = int(np.abs(ends - starts).max() * 2) + 1
    places = starts + np.linspace(0, 1, steps + 1)[:, None, None] * (ends - starts)
    share = scipy.ndimage.map_coordinates(mask.astype(np.float32), places[..., ::-1].reshape(-1, 2).T, order=1)
    return (share.reshape(places.shape[:2]) > _INSIDE).all(0)


def _longest_across(lines: list[np.ndarray], long: np.ndarray) -> np.ndarray:
    """(2, 2) ends of the longest line at a right angle to the long axis that crosses it, between outlines (mm)."""
    length = np.linalg.norm(long[1] - long[0])
    u = (long[1] - long[0]) / length
    frame = np.stack([u, [-u[1], u[0]]], 1)
    edges = np.concatenate([np.stack([line[:-1], line[1:]], 1) for line in lines])
    edges = (edges - long[0]) @ frame  # (E, 2, 2): start and end; along and across the long axis
    # a chord is longest where an outline turns: look just before and just behind each of its points
    turns = edges[:, 0, 0]
    stops = np.concatenate([turns - 1e-6 * length, turns + 1e-6 * length, [length / 2]])
    stops = np.unique(stops[(stops > 0) & (stops < length)])
    (a, c), (b, d) = edges[:, 0].T, edges[:, 1].T
    first, last = np.searchsorted(stops, np.minimum(a, b)), np.searchsorted(stops, np.maximum(a, b))
    edge = np.repeat(np.arange(len(edges)), last - first)
    stop = np.arange(len(edge)) - np.repeat(np.cumsum(last - first) - (last - first), last - first) + first[edge]
    across = c[edge] + (stops[stop] - a[edge]) / (b - a)[edge] * (d - c)[edge]
    above, below = np.full(len(stops), np.inf), np.full(len(stops), -np.inf)
    np.minimum.at(above, stop[across >= 0], across[across >= 0])
    np.maximum.at(below, stop[across <= 0], across[across <= 0])
    width = np.where(np.isfinite(above) & np.isfinite(below), above - below, -1)
    best = int(width.argmax())
    return long[0] + np.array([[stops[best], below[best]], [stops[best], above[best]]]) @ frame.T
