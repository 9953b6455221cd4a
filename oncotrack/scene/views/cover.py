"""How often rectangles cover places of a picture, from one table, however many rectangles there are."""

from __future__ import annotations

import numpy as np


class Cover:
    """Rectangles, of which many questions are answered at once.

    A table holds how many rectangles cover each cell between their edges, and each edge itself; another one holds the area
    below and left of each crossing of edges, counted once for each rectangle ("summed-area table", Crow 1984).

    Parameters
    ----------
    rectangles : (N, 4) ndarray
        Left, bottom, right and top; the edges belong to them.
    """

    def __init__(self, rectangles: np.ndarray) -> None:
        (self._x, x), (self._y, y) = (np.unique(rectangles[:, axis::2], return_inverse=True) for axis in range(2))
        (left, right), (bottom, top) = 2 * x.reshape(-1, 2).T, 2 * y.reshape(-1, 2).T
        counts = np.zeros((2 * len(self._x) + 1, 2 * len(self._y) + 1), np.int32)  # even: an edge, odd: after it
        for at_x, at_y, sign in (
            (left, bottom, 1),
            (right + 1, bottom, -1),
            (left, top + 1, -1),
            (right + 1, top + 1, 1),
        ):
            np.add.at(counts, (at_x, at_y), sign)
        for axis in range(2):
            np.cumsum(counts, axis, out=counts)
        self._counts = counts
        self._sums = np.zeros((max(len(self._x), 2), max(len(self._y), 2)))
        cells = self._counts[1:-2:2, 1:-2:2] * np.outer(np.diff(self._x), np.diff(self._y))
        self._sums[1 : len(self._x), 1 : len(self._y)] = cells.cumsum(0).cumsum(1)

    def count(self, points: np.ndarray) -> np.ndarray:
        """Return in how many rectangles points (..., 2) lie, (...)."""
        return self._counts[_cell(self._x, points[..., 0]), _cell(self._y, points[..., 1])]

    def area(self, boxes: np.ndarray) -> np.ndarray:
        """Return the area that boxes (..., 4) have in common with each rectangle, summed over the rectangles, (...)."""
        (i, s), (j, t) = _place(self._x, boxes[..., 0::2]), _place(self._y, boxes[..., 1::2])
        i, s, j, t = i[..., :, None], s[..., :, None], j[..., None, :], t[..., None, :]
        below = (1 - s) * (1 - t) * self._sums[i, j] + s * (1 - t) * self._sums[i + 1, j]
        below += (1 - s) * t * self._sums[i, j + 1] + s * t * self._sums[i + 1, j + 1]
        return below[..., 1, 1] - below[..., 0, 1] - below[..., 1, 0] + below[..., 0, 0]


def _cell(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the index of values among edges and the intervals after them; the last one, which is empty, before all."""
    after = np.searchsorted(edges, values, "right") - 1
    return 2 * after + (edges[after] != values) if len(edges) else np.full(values.shape, -1)


def _place(edges: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the edge before each value, and how far it is to the next one, 0 to 1."""
    if len(edges) < 2:
        return np.zeros(values.shape, int), np.zeros(values.shape)
    before = np.clip(np.searchsorted(edges, values, "right") - 1, 0, len(edges) - 2)
    share = (values - edges[before]) / (edges[before + 1] - edges[before])
    return before, np.clip(share, 0.0, 1.0)
