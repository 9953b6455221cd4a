"""A node followed through the slices: the 2D boxes that LN-Tracker linked, and what a reader's hand can do to them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from oncotrack.errors import InputError
from oncotrack.images.geometry import Geometry

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class SliceBox:
    """One slice's box: `slice_index` counts slices along the normal, `low` and `high` are mm along u and v."""

    slice_index: int
    low: tuple[float, float]
    high: tuple[float, float]
    score: float | None = None

    def __post_init__(self) -> None:
        if not (self.low[0] <= self.high[0] and self.low[1] <= self.high[1]):
            raise InputError(
                f"The box {self.low} to {self.high} on slice {self.slice_index} is inside out; "
                "give its lowest corner first."
            )


@dataclass(frozen=True)
class Tracklet:
    """Boxes on neighbouring slices, at most one a slice, sorted by slice.

    A box corner (u, v) on slice n lies at ``origin + u * u_axis + v * v_axis + n * step`` (RAS mm); `u_axis` and
    `v_axis` are unit vectors, `step` is the vector from one slice to the next. Every edit returns a new tracklet.
    """

    origin: Vector
    u_axis: Vector
    v_axis: Vector
    step: Vector
    boxes: tuple[SliceBox, ...]

    def __post_init__(self) -> None:
        boxes = tuple(sorted(self.boxes, key=lambda box: box.slice_index))
        if not boxes:
            raise InputError("A tracklet needs at least one slice box; delete the finding instead.")
        if len({box.slice_index for box in boxes}) < len(boxes):
            raise InputError("A tracklet holds two boxes on one slice; merge or delete one of them.")
        object.__setattr__(self, "boxes", boxes)

    @classmethod
    def on(cls, geometry: Geometry, boxes: Iterable[SliceBox]) -> Tracklet:
        """On an image's own slices: slice k, and u, v in mm along i and j from the centre of voxel (0, 0, k)."""
        columns = [tuple(row[axis] for row in geometry.direction) for axis in range(3)]
        step = tuple(component * geometry.spacing[2] for component in columns[2])
        return cls(geometry.origin, columns[0], columns[1], step, tuple(boxes))

    @property
    def first(self) -> int:
        """Lowest slice with a box."""
        return self.boxes[0].slice_index

    @property
    def last(self) -> int:
        """Highest slice with a box."""
        return self.boxes[-1].slice_index

    def at(self, slice_index: int) -> SliceBox | None:
        """The box on a slice, if any."""
        return next((box for box in self.boxes if box.slice_index == slice_index), None)

    def nearest(self, slice_index: int) -> SliceBox:
        """The box on a slice, or on the slice nearest to it that has one."""
        return min(self.boxes, key=lambda box: abs(box.slice_index - slice_index))

    def flat(self, ras: Sequence[float]) -> tuple[float, float, int]:
        """Where a place (RAS mm) lies on this grid: u and v in mm, and the nearest slice."""
        normal = _cross(self.u_axis, self.v_axis)  # the step may be tilted, as a gantry is
        off = [r - o for r, o in zip(ras, self.origin, strict=True)]
        along = _dot(off, normal) / _dot(self.step, normal)
        rest = [d - along * s for d, s in zip(off, self.step, strict=True)]
        return _dot(rest, self.u_axis), _dot(rest, self.v_axis), round(along)

    @property
    def volume_mm3(self) -> float:
        """Volume (mm^3) of the ellipses that the slice boxes hold, each as thick as a slice."""
        areas = ((b.high[0] - b.low[0]) * (b.high[1] - b.low[1]) for b in self.boxes)
        return math.pi / 4 * math.fsum(areas) * abs(_dot(self.step, _cross(self.u_axis, self.v_axis)))

    def corners(self, box: SliceBox) -> tuple[Vector, ...]:
        """The four corners of a box, RAS mm, in drawing order."""
        (u0, v0), (u1, v1) = box.low, box.high
        return tuple(self._ras(u, v, box.slice_index) for u, v in ((u0, v0), (u1, v0), (u1, v1), (u0, v1)))

    def bounds(self) -> tuple[Vector, Vector]:
        """Lowest and highest RAS corner of all boxes, half a slice thicker at both ends."""
        half = [abs(s) / 2 for s in self.step]
        points = [corner for box in self.boxes for corner in self.corners(box)]
        return (
            tuple(min(p[a] for p in points) - half[a] for a in range(3)),
            tuple(max(p[a] for p in points) + half[a] for a in range(3)),
        )

    def with_box(self, box: SliceBox) -> Tracklet:
        """Move, resize or add the box of one slice (extend)."""
        return self._with(b for b in (*self._without(box.slice_index), box))

    def without_box(self, slice_index: int) -> Tracklet:
        """Delete the box of one slice."""
        if self.at(slice_index) is None:
            raise InputError(
                f"There is no box on slice {slice_index}; the tracklet runs from {self.first} to {self.last}."
            )
        return self._with(self._without(slice_index))

    def split(self, slice_index: int) -> tuple[Tracklet, Tracklet]:
        """Two tracklets: below `slice_index`, and from it upwards."""
        if not self.first < slice_index <= self.last:
            raise InputError(
                f"A split at slice {slice_index} leaves one side empty; choose {self.first + 1} to {self.last}."
            )
        return (
            self._with(b for b in self.boxes if b.slice_index < slice_index),
            self._with(b for b in self.boxes if b.slice_index >= slice_index),
        )

    def merge(self, other: Tracklet) -> Tracklet:
        """One tracklet of both; where both have a box on a slice, the box that holds both."""
        if not self.is_on_grid_of(other):
            raise InputError("These two tracklets were made on different slice grids and cannot be merged.")
        boxes = {box.slice_index: box for box in self.boxes}
        for box in other.boxes:
            mine = boxes.get(box.slice_index)
            boxes[box.slice_index] = box if mine is None else _union(mine, box)
        return self._with(boxes.values())

    def is_on_grid_of(self, other: Tracklet) -> bool:
        """Whether both count the same slices, so that they can be merged."""
        return all(
            abs(a - b) <= 1e-3
            for mine, its in zip(self._frame(), other._frame(), strict=True)
            for a, b in zip(mine, its, strict=True)
        )

    def trim(self, first: int, last: int) -> Tracklet:
        """Keep the boxes from slice `first` to slice `last`."""
        kept = [b for b in self.boxes if first <= b.slice_index <= last]
        if not kept:
            raise InputError(
                f"Nothing is left between slices {first} and {last}; "
                f"the tracklet runs from {self.first} to {self.last}."
            )
        return self._with(kept)

    def _ras(self, u: float, v: float, n: int) -> Vector:
        return tuple(
            o + u * a + v * b + n * s
            for o, a, b, s in zip(self.origin, self.u_axis, self.v_axis, self.step, strict=True)
        )

    def _frame(self) -> Sequence[Vector]:
        return self.origin, self.u_axis, self.v_axis, self.step

    def _without(self, slice_index: int) -> list[SliceBox]:
        return [b for b in self.boxes if b.slice_index != slice_index]

    def _with(self, boxes: Iterable[SliceBox]) -> Tracklet:
        return replace(self, boxes=tuple(boxes))


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(p * q for p, q in zip(a, b, strict=True))


def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _union(a: SliceBox, b: SliceBox) -> SliceBox:
    low = (min(a.low[0], b.low[0]), min(a.low[1], b.low[1]))
    high = (max(a.high[0], b.high[0]), max(a.high[1], b.high[1]))
    scores = [box.score for box in (a, b) if box.score is not None]
    return SliceBox(a.slice_index, low, high, max(scores, default=None))
