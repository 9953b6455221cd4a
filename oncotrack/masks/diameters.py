"""Long and short axis of a mask in one slice by RECIST 1.1 (E. Eisenhauer et al., 2009), and its outlines."""

from __future__ import annotations

from typing import cast

import numpy as np
import scipy
import skimage
from numpy.typing import ArrayLike

_MOST_POINTS = 200  # of an outline, when the longest line between points of the convex hull leaves the mask
_BATCH = 64  # lines checked together
_COARSE_SAMPLES = 16  # points of a line in the first, coarse check
_INSIDE = 0.25  # interpolated mask value above which a point of a line is inside: tolerates a quarter of a pixel


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """Compute the closed sub-pixel outlines of a mask, midway between pixels inside and outside.

    Parameters
    ----------
    mask : (H, W) bool ndarray
        Inside where true.

    Returns
    -------
    list of (N, 2) ndarray
        Column and row, first point = last point; holes have outlines of their own.
    """
    return [line[:, ::-1] - 1 for line in skimage.measure.find_contours(np.pad(mask, 1).astype(np.float32), 0.5)]


def diameters(mask: np.ndarray, frame: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Compute the longest line inside a mask, and the longest one inside that crosses it at a right angle.

    If the mask has several components, the lines are those of the component with the longest line.

    Parameters
    ----------
    mask : (H, W) bool ndarray
        Not empty.
    frame : (2,) or (2, 2) array_like
        Millimetres from one column and from one row to the next; or, for pixels that are not rectangles, these two
        steps as the columns of a matrix, in mm along two orthogonal axes.

    Returns
    -------
    (2, 2) ndarray, (2, 2) ndarray
        Long and short axis: two points each, mm along these axes (columns and rows) from the centre of pixel (0, 0).
    """
    frame = np.asarray(frame, float)
    frame = np.diag(frame) if frame.ndim == 1 else frame
    components, _ = cast(tuple[np.ndarray, int], scipy.ndimage.label(mask, np.ones((3, 3))))
    found = []
    for n, where in enumerate(scipy.ndimage.find_objects(components), 1):
        component = np.pad(components[where] == n, 1)
        corner = frame @ (where[1].start - 1, where[0].start - 1)
        lines = [line @ frame.T for line in outlines(component)]
        ends = _longest_diameter(component, lines, frame)
        found.append((np.linalg.norm(ends[1] - ends[0]), n, ends, lines, corner))
    _, _, long, lines, corner = max(found)
    short = _longest_perpendicular(lines, long)
    if np.linalg.norm(short[1] - short[0]) > np.linalg.norm(long[1] - long[0]):
        long, short = short, long
    return long + corner, short + corner


def _longest_diameter(mask: np.ndarray, lines: list[np.ndarray], frame: np.ndarray) -> np.ndarray:
    """Return the ends of the longest line between outline points that stays inside a mask.

    Parameters
    ----------
    mask : (H, W) bool ndarray
        One component with an empty border.
    lines : list of (N, 2) ndarray
        Its outlines, mm.
    frame : (2, 2) ndarray
        See `diameters`.

    Returns
    -------
    (2, 2) ndarray, mm
    """
    points = np.concatenate([line[:-1] for line in lines])
    try:
        hull = points[scipy.spatial.ConvexHull(points).vertices]
    except scipy.spatial.QhullError:  # all points are collinear
        hull = points
    pair = _longest_pair(mask, hull, hull, frame, first=_BATCH)
    if pair is not None:
        return pair
    # the mask is not convex: try every few points of the outline, then all points near the best two
    step = -(-len(points) // _MOST_POINTS)
    pair = _longest_pair(mask, points[::step], points[::step], frame)
    if pair is None:
        return np.stack([points[0], points[len(points) // 2]])
    near = [points[np.linalg.norm(points - end, axis=1) <= step * np.linalg.norm(frame, axis=0).max()] for end in pair]
    refined = _longest_pair(mask, near[0], near[1], frame)
    return pair if refined is None else refined


def _longest_pair(
    mask: np.ndarray, points: np.ndarray, other_points: np.ndarray, frame: np.ndarray, first: int | None = None
) -> np.ndarray | None:
    """Return the most distant pair of (N, 2) and (M, 2) points (mm) whose line stays inside the mask, (2, 2).

    With `first`, only that many of the longest lines are checked. None if no line stays inside.
    """
    distances = np.linalg.norm(points[:, None] - other_points[None], axis=-1)
    if points is other_points:
        distances = np.triu(distances)
    order = np.argsort(-distances, axis=None, kind="stable")[: first or np.count_nonzero(distances)]
    a, b = np.unravel_index(order, distances.shape)
    to_pixels = np.linalg.inv(frame).T
    starts, ends = points[a] @ to_pixels, other_points[b] @ to_pixels
    candidates = np.flatnonzero(_may_stay_inside(mask, starts, ends))
    for start in range(0, len(candidates), _BATCH):
        batch = candidates[start : start + _BATCH]
        inside = _stay_inside(mask, starts[batch], ends[batch])
        if inside.any():
            best = batch[inside.argmax()]
            return np.stack([points[a[best]], other_points[b[best]]])
    return None


def _may_stay_inside(mask: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Check lines between (N, 2) pixels at a few points: (N,) bool, false for lines that surely leave the mask."""
    wide = np.asarray(scipy.ndimage.binary_dilation(mask, np.ones((3, 3))))
    points = np.linspace(0, 1, _COARSE_SAMPLES)[1:-1, None, None] * (ends - starts) + starts
    columns, rows = np.moveaxis(np.round(points).astype(int), -1, 0)
    return np.asarray(wide[rows, columns].all(axis=0))


def _stay_inside(mask: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Check lines between (N, 2) pixels at two points per pixel: (N,) bool, true for lines inside the mask."""
    steps = int(np.abs(ends - starts).max() * 2) + 1
    points = starts + np.linspace(0, 1, steps + 1)[:, None, None] * (ends - starts)
    share = scipy.ndimage.map_coordinates(mask.astype(np.float32), points[..., ::-1].reshape(-1, 2).T, order=1)
    return np.asarray((share.reshape(points.shape[:2]) > _INSIDE).all(axis=0))


def _longest_perpendicular(lines: list[np.ndarray], long: np.ndarray) -> np.ndarray:
    """Return the longest chord that crosses the long axis at a right angle.

    Parameters
    ----------
    lines : list of (N, 2) ndarray
        Closed outlines, mm.
    long : (2, 2) ndarray
        Ends of the long axis, mm.

    Returns
    -------
    (2, 2) ndarray, mm
        Its lower and its upper end; both lie on an outline.
    """
    length = np.linalg.norm(long[1] - long[0])
    u = (long[1] - long[0]) / length
    frame = np.stack([u, [-u[1], u[0]]], 1)
    edges = np.concatenate([np.stack([line[:-1], line[1:]], 1) for line in lines])
    edges = (edges - long[0]) @ frame  # (E, 2, 2): start and end; along and across the long axis
    positions = _chord_positions(edges[:, 0, 0], float(length))
    chord, height = _crossings(edges, positions)
    above, below = np.full(len(positions), np.inf), np.full(len(positions), -np.inf)
    np.minimum.at(above, chord[height >= 0], height[height >= 0])
    np.maximum.at(below, chord[height <= 0], height[height <= 0])
    width = np.where(np.isfinite(above) & np.isfinite(below), above - below, -1)
    best = int(width.argmax())
    return long[0] + np.array([[positions[best], below[best]], [positions[best], above[best]]]) @ frame.T


def _chord_positions(vertices: np.ndarray, length: float) -> np.ndarray:
    """Return the sorted positions along the long axis, mm, at which the longest chord can be.

    A chord's length is linear between the outlines' vertices, so it is largest just before or just behind one of them.
    """
    positions = np.concatenate([vertices - 1e-6 * length, vertices + 1e-6 * length, [length / 2]])
    return np.unique(positions[(positions > 0) & (positions < length)])


def _crossings(edges: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the chords at (P,) positions cross (E, 2, 2) edges: (N,) index of the chord, (N,) height in mm."""
    (a, c), (b, d) = edges[:, 0].T, edges[:, 1].T
    first, last = np.searchsorted(positions, np.minimum(a, b)), np.searchsorted(positions, np.maximum(a, b))
    count = last - first
    edge = np.repeat(np.arange(len(edges)), count)
    chord = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    height = c[edge] + (positions[chord] - a[edge]) / (b - a)[edge] * (d - c)[edge]
    return chord, height
