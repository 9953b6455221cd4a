"""Places for labels beside what they name: never over a lesion, never over one another, joined by a short line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from oncotrack.scene.views.cover import Cover

Rectangle = tuple[float, float, float, float]
"""Left, bottom, right and top in pixels, origin at the lower left."""
_GAPS = (0.7, 1.8, 3.4, 5.5, 8.0)  # between lesion and label, in heights of the text
_SIDES = ((1, 1), (1, 0), (1, -1), (-1, 1), (-1, 0), (-1, -1), (0, 1), (0, -1))
_COVERED, _LINE_COVERED, _CORNER, _FAR, _SIDE = 50.0, 10.0, 0.4, 0.12, 0.01
_FREE = 1.0  # a larger cost means that something is covered, if only by one point of the line
_AT_ONCE = 256  # labels, which bounds the memory


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


@dataclass(frozen=True)
class _Choices:
    """The places beside a lesion that one wording may take, as far as lesions and corners decide.

    Attributes
    ----------
    boxes, lines : (N, 4) and (N, 2, 2) ndarray
        Rectangles and lines, pixels.
    costs : (N,) ndarray
        Without what lines cross.
    crossed : (N, 9) ndarray of bool
        Whether points along the line lie in other lesions.
    """

    boxes: np.ndarray
    lines: np.ndarray
    costs: np.ndarray
    crossed: np.ndarray


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
    fixed = Cover(np.array([*(each.extent for each in named), *taken], float).reshape(-1, 4))
    corners = np.array(reserved, float).reshape(-1, 4)
    result: list[Place | None] = []
    drawn = np.empty((len(named), 4))
    count = 0
    for first in range(0, len(named), _AT_ONCE):
        some = named[first : first + _AT_ONCE]
        for each, wordings in zip(some, _choices(some, size, fixed, corners), strict=True):
            place = _best(each, wordings, drawn[:count])
            result.append(place)
            if place is not None:
                drawn[count] = place.rectangle
                count += 1
    return result


def _best(named: Named, wordings: Sequence[_Choices | None], drawn: np.ndarray) -> Place | None:
    """Return the place of least cost, given the labels that are drawn (N, 4); None where nothing is free."""
    best: tuple[float, int, _Choices, int] | None = None
    for wording, choices in enumerate(wordings):
        if choices is None:
            continue
        costs, crossed, considered = choices.costs, choices.crossed, slice(None)
        if len(drawn):
            width, height = choices.boxes[0, 2:] - choices.boxes[0, :2]
            costs = costs + _COVERED * _overlaps(choices.boxes, drawn).sum(1) / (width * height)
            considered = np.arange(len(costs)) if named.must_show else np.flatnonzero(costs < _FREE)
            if not len(considered):
                continue
            costs, crossed = costs[considered], crossed[considered] | _inside(_along(choices.lines[considered]), drawn)
        costs = costs + _LINE_COVERED * crossed.mean(-1)
        index = int(np.argmin(costs))
        cost = float(costs[index])
        if best is None or cost < max(best[0] - _FREE, _FREE):  # a free place is better than any other
            best = cost, wording, choices, int(np.arange(len(choices.costs))[considered][index])
        if cost < _FREE:
            break
    if best is None or (best[0] >= _FREE and not named.must_show):
        return None
    _cost, wording, choices, index = best
    start, end = choices.lines[index].tolist()
    return Place(wording, tuple(choices.boxes[index].tolist()), (tuple(start), tuple(end)))


def _choices(
    named: Sequence[Named], size: tuple[int, int], fixed: Cover, reserved: np.ndarray
) -> Iterator[list[_Choices | None]]:
    """Yield for each label the places of its wordings that are free of lesions, None for none; all where it must be shown.

    All labels are computed at once, because this is most of the work in crowded views.
    """
    counts = [len(each.sizes) for each in named]
    extents = np.repeat(np.array([each.extent for each in named], float), counts, axis=0)
    wanted = np.array([size for each in named for size in each.sizes], float)
    boxes, costs = _beside(extents, wanted, size)
    shape, must_show = costs.shape, np.repeat([each.must_show for each in named], counts)
    rows, must_show = np.repeat(np.arange(len(extents)), shape[1]), np.repeat(must_show, shape[1])
    boxes, costs = boxes.reshape(-1, 4), costs.reshape(-1)
    # most lines in a crowd begin in another lesion; what is not free is left out as soon as this is known
    starts = _lines(extents[rows], boxes)[:, 0]
    kept = np.flatnonzero((fixed.count(starts) <= _contain(extents[rows], starts)) | must_show)
    rows, must_show, boxes, costs = rows[kept], must_show[kept], boxes[kept], costs[kept]
    area = wanted[rows].prod(1)
    costs = costs + _COVERED * fixed.area(boxes) / area
    costs += _CORNER * np.minimum(3 * _overlaps(boxes, reserved).sum(1) / area, 1.0)
    kept = np.flatnonzero((costs < _FREE) | must_show)
    rows, must_show, boxes, costs = rows[kept], must_show[kept], boxes[kept], costs[kept]
    lines = _lines(extents[rows], boxes)
    along = _along(lines)
    crossed = fixed.count(along) > _contain(extents[rows, None], along)
    kept = np.flatnonzero(~crossed.any(1) | must_show)
    bounds = np.searchsorted(rows[kept], np.arange(len(extents) + 1)).tolist()
    parts = [kept[start:end] for start, end in pairwise(bounds)]
    for count in counts:
        yield [
            _Choices(boxes[part], lines[part], costs[part], crossed[part]) if len(part) else None
            for part in parts[:count]
        ]
        del parts[:count]


def _beside(extents: np.ndarray, wanted: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return rectangles (N, M, 4) around extents (N, 4) for labels of the wanted sizes (N, 2), and their costs (N, M)."""
    gaps = np.repeat(_GAPS, len(_SIDES))
    sides = np.tile(np.array(_SIDES), (len(_GAPS), 1))
    gaps = gaps * np.where(sides.all(1), 0.75, 1.0)
    low = np.empty((len(extents), len(gaps), 2))
    for axis in range(2):
        start, end, length = extents[:, axis, None], extents[:, axis + 2, None], wanted[:, axis, None]
        away = gaps * wanted[:, 1, None]
        side = sides[:, axis]
        at = np.where(side > 0, end + away, np.where(side < 0, start - away - length, (start + end - length) / 2))
        low[..., axis] = np.minimum(np.maximum(at, 1.0), size[axis] - length - 1.0)
    costs = np.repeat(np.arange(len(_GAPS)) * _FAR, len(_SIDES)) + np.tile(np.arange(len(_SIDES)) * _SIDE, len(_GAPS))
    cut_off = np.maximum(0.0, wanted[:, 0] + 2.0 - size[0]) / wanted[:, 0]
    return np.concatenate([low, low + wanted[:, None]], -1), costs + _COVERED * cut_off[:, None]


def _overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the area in common of each box with each other rectangle, (boxes, others) pixels²."""
    left, bottom, right, top = boxes.T[:, :, None]
    width = np.minimum(right, others[:, 2]) - np.maximum(left, others[:, 0])
    height = np.minimum(top, others[:, 3]) - np.maximum(bottom, others[:, 1])
    return np.maximum(width, 0) * np.maximum(height, 0)


def _lines(extents: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the lines (N, 2, 2) from the ellipses inside extents to the nearest points of labels (N, 4), pixels."""
    low, high = extents[:, :2], extents[:, 2:]
    middle, radii = (low + high) / 2, np.maximum((high - low) / 2, 1e-6)
    ends = np.minimum(np.maximum(middle, boxes[:, :2]), boxes[:, 2:])
    away = ends - middle
    stretch = np.linalg.norm(away / radii, axis=1, keepdims=True)
    starts = np.where(stretch > 1, middle + away / np.maximum(stretch, 1), ends)
    return np.stack([starts, ends], 1)


def _along(lines: np.ndarray) -> np.ndarray:
    """Return nine points along each line, (N, 9, 2)."""
    return lines[:, :1] + np.linspace(0, 1, 9)[None, :, None] * (lines[:, 1:] - lines[:, :1])


def _contain(extents: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return whether extents (..., 4) contain points (..., 2)."""
    return ((points >= extents[..., :2]) & (points <= extents[..., 2:])).all(-1)


def _inside(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return whether points (..., 2) lie in any rectangle (M, 4)."""
    x, y = points[..., None, 0], points[..., None, 1]
    inside = (x >= others[:, 0]) & (x <= others[:, 2]) & (y >= others[:, 1]) & (y <= others[:, 3])
    return inside.any(-1)
