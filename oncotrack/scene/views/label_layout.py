"""Places for labels beside what they name: never over a lesion, never over one another, joined by a short line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Rectangle = tuple[float, float, float, float]
"""Left, bottom, right and top in pixels, origin at the lower left."""
_GAPS = (0.7, 1.8, 3.4, 5.5, 8.0)  # between lesion and label, in heights of the text
_SIDES = ((1, 1), (1, 0), (1, -1), (-1, 1), (-1, 0), (-1, -1), (0, 1), (0, -1))
_COVERED, _LINE_COVERED, _CORNER, _FAR, _SIDE = 50.0, 10.0, 0.4, 0.12, 0.01
_FREE = 1.0  # a larger cost means that something is covered


@dataclass(frozen=True)
class Named:
    """Something in a view that has a label.

    Attributes
    ----------
    extent : Rectangle
        The pixels that it covers, which no label may cover.
    sizes : sequence of (float, float)
        Widths and heights in pixels of its label's wordings, the longest first.
    must_show : bool
        Whether its label is shown even where no place is free.
    """

    extent: Rectangle
    sizes: Sequence[tuple[float, float]]
    must_show: bool = False


@dataclass(frozen=True)
class Place:
    """Where a label is drawn.

    Attributes
    ----------
    wording : int
        Index of the wording that fits.
    rectangle : Rectangle
    line : ((float, float), (float, float))
        From the border of what is named to the label, pixels.
    """

    wording: int
    rectangle: Rectangle
    line: tuple[tuple[float, float], tuple[float, float]]


def places(
    named: Sequence[Named], size: tuple[int, int], taken: Sequence[Rectangle] = (), reserved: Sequence[Rectangle] = ()
) -> list[Place | None]:
    """Return a place for each label, None where nothing is free and the label need not be shown.

    Parameters
    ----------
    named : sequence of Named
        The most important first.
    size : (int, int)
        Width and height of the view in pixels.
    taken : sequence of Rectangle
        What no label may cover, besides all of `named`.
    reserved : sequence of Rectangle
        What labels should not cover, such as the text in the corners.
    """
    fixed = np.array([*(each.extent for each in named), *taken], float).reshape(-1, 4)
    result: list[Place | None] = []
    drawn: list[Rectangle] = []
    for own, each in enumerate(named):
        covered = np.concatenate([fixed, np.array(drawn).reshape(-1, 4)])
        best = None
        for wording in range(len(each.sizes)):
            cost, place = _best(each, wording, size, covered, own, reserved)
            if best is None or cost < max(best[0] - _FREE, _FREE):  # a free place is better than any other
                best = cost, place
            if cost < _FREE:
                break
        assert best is not None, "every label has a wording"
        place = best[1] if best[0] < _FREE or each.must_show else None
        result.append(place)
        if place is not None:
            drawn.append(place.rectangle)
    return result


def _best(
    named: Named, wording: int, size: tuple[int, int], covered: np.ndarray, own: int, reserved: Sequence[Rectangle]
) -> tuple[float, Place]:
    """Return the place of least cost for one wording; its cost is below `_FREE` when it covers nothing.

    `covered` are the lesions, of which `own` is the one that is named, and the labels, (N, 4).
    """
    extent, (width, height) = named.extent, named.sizes[wording]
    left, bottom, right, top = extent
    rectangles, costs = [], []
    for step, gap in enumerate(_GAPS):
        for order, (to_right, to_top) in enumerate(_SIDES):
            away = gap * height * (0.75 if to_right and to_top else 1.0)
            x = right + away if to_right > 0 else left - away - width if to_right < 0 else (left + right - width) / 2
            y = top + away if to_top > 0 else bottom - away - height if to_top < 0 else (bottom + top - height) / 2
            x, y = min(max(x, 1.0), size[0] - width - 1.0), min(max(y, 1.0), size[1] - height - 1.0)
            rectangles.append((x, y, x + width, y + height))
            costs.append(step * _FAR + order * _SIDE)
    boxes, area = np.array(rectangles), width * height
    low, high = np.minimum(boxes.min(0), extent)[:2], np.maximum(boxes.max(0), extent)[2:]
    near = ((covered[:, :2] <= high) & (covered[:, 2:] >= low)).all(1)
    cost = np.array(costs) + _COVERED * max(0.0, width + 2.0 - size[0]) / width  # what the view cuts off
    cost += _COVERED * _overlaps(boxes, covered[near]).sum(1) / area
    cost += _CORNER * np.minimum(3 * _overlaps(boxes, np.array(reserved).reshape(-1, 4)).sum(1) / area, 1.0)
    near[own] = False
    order = np.argsort(cost, kind="stable")
    if not named.must_show:
        order = order[: max(1, int((cost < _FREE).sum()))]  # no line makes another place free
    lines = _lines(extent, boxes[order])
    total = cost[order] + _LINE_COVERED * _crossed(lines, covered[near])
    best = int(np.argmin(total))
    start, end = lines[best].tolist()
    return float(total[best]), Place(wording, rectangles[order[best]], (tuple(start), tuple(end)))


def _overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the area in common of each box with each other rectangle, (boxes, others) pixels²."""
    left, bottom, right, top = boxes.T[:, :, None]
    width = np.minimum(right, others[:, 2]) - np.maximum(left, others[:, 0])
    height = np.minimum(top, others[:, 3]) - np.maximum(bottom, others[:, 1])
    return np.maximum(width, 0) * np.maximum(height, 0)


def _lines(extent: Rectangle, boxes: np.ndarray) -> np.ndarray:
    """Return the lines (N, 2, 2) from the ellipse inside an extent to the nearest points of labels (N, 4), pixels."""
    low, high = np.array(extent[:2]), np.array(extent[2:])
    middle, radii = (low + high) / 2, np.maximum((high - low) / 2, 1e-6)
    ends = np.clip(middle, boxes[:, :2], boxes[:, 2:])
    away = ends - middle
    stretch = np.linalg.norm(away / radii, axis=1, keepdims=True)
    starts = np.where(stretch > 1, middle + away / np.maximum(stretch, 1), ends)
    return np.stack([starts, ends], 1)


def _crossed(ends: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return how much of each line (N, 2, 2) runs through other rectangles (M, 4), 0 to 1."""
    along = ends[:, :1] + np.linspace(0, 1, 9)[None, :, None] * (ends[:, 1:] - ends[:, :1])
    x, y = along[:, :, None, 0], along[:, :, None, 1]
    inside = (x >= others[:, 0]) & (x <= others[:, 2]) & (y >= others[:, 1]) & (y <= others[:, 3])
    return inside.any(-1).mean(-1)
