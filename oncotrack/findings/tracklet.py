"""Tracklets: the 2D boxes of a node on neighbouring slices, and their edits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from oncotrack.errors import InputError
from oncotrack.images.geometry import Geometry

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class SliceBox:
    """The box of one slice: `slice_index` counts slices along the normal, `low` and `high` are mm along u and v."""

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

    @property
    def area_mm2(self) -> float:
        """Area of the box, mm²."""
        return (self.high[0] - self.low[0]) * (self.high[1] - self.low[1])


@dataclass(frozen=True)
class Tracklet:
    """Boxes on neighbouring slices, at most one per slice, sorted by slice.

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
        """Return a tracklet on an image's own slices.

        Parameters
        ----------
        geometry : Geometry
            The image's grid; its axis k counts the slices.
        boxes : iterable of SliceBox
            With u and v in mm along i and j from the centre of voxel (0, 0, k).
        """
        u_axis, v_axis, normal = (_vector(row[axis] for row in geometry.direction) for axis in range(3))
        step = _vector(component * geometry.spacing[2] for component in normal)
        return cls(geometry.origin, u_axis, v_axis, step, tuple(boxes))

    @property
    def first(self) -> int:
        """Lowest slice with a box."""
        return self.boxes[0].slice_index

    @property
    def last(self) -> int:
        """Highest slice with a box."""
        return self.boxes[-1].slice_index

    def at(self, slice_index: int) -> SliceBox | None:
        """Return the box on a slice, or None.

        Parameters
        ----------
        slice_index : int
            Number of the slice.
        """
        return next((box for box in self.boxes if box.slice_index == slice_index), None)

    def nearest(self, slice_index: int) -> SliceBox:
        """Return the box on a slice, or on the nearest slice that has one.

        Parameters
        ----------
        slice_index : int
            Number of the slice.
        """
        return min(self.boxes, key=lambda box: abs(box.slice_index - slice_index))

    def flat(self, ras: Sequence[float]) -> tuple[float, float, int]:
        """Return the position of a point on the slices: u and v in mm, and the number of the nearest slice.

        Parameters
        ----------
        ras : (3,) float
            RAS mm.
        """
        u, v, step = self.u_axis, self.v_axis, self.step  # with a tilted gantry they are not at right angles
        offset = [r - o for r, o in zip(ras, self.origin, strict=True)]
        volume = _dot(step, _cross(u, v))
        along_u, along_v, along_step = (_dot(offset, _cross(*pair)) / volume for pair in ((v, step), (step, u), (u, v)))
        return along_u, along_v, round(along_step)

    @property
    def volume_mm3(self) -> float:
        """Volume in mm³ of the ellipses that are inscribed in the slice boxes, each as thick as a slice."""
        return (
            math.pi
            / 4
            * math.fsum(box.area_mm2 for box in self.boxes)
            * abs(_dot(self.step, _cross(self.u_axis, self.v_axis)))
        )

    def corners(self, box: SliceBox) -> tuple[Vector, ...]:
        """Return the four corners of a box, RAS mm, in drawing order.

        Parameters
        ----------
        box : SliceBox
            A box on one of this tracklet's slices.
        """
        (u0, v0), (u1, v1) = box.low, box.high
        return tuple(self._ras(u, v, box.slice_index) for u, v in ((u0, v0), (u1, v0), (u1, v1), (u0, v1)))

    def bounds(self) -> tuple[Vector, Vector]:
        """Return the lowest and the highest RAS corner (mm) of all boxes, extended by half a slice at both ends."""
        half = [abs(s) / 2 for s in self.step]
        points = [corner for box in self.boxes for corner in self.corners(box)]
        return (
            _vector(min(p[axis] for p in points) - half[axis] for axis in range(3)),
            _vector(max(p[axis] for p in points) + half[axis] for axis in range(3)),
        )

    def with_box(self, box: SliceBox) -> Tracklet:
        """Return a copy with this box in place of its slice's box, if any.

        Parameters
        ----------
        box : SliceBox
            The new box.
        """
        return self._with(b for b in (*self._without(box.slice_index), box))

    def without_box(self, slice_index: int) -> Tracklet:
        """Return a copy without the box of one slice.

        Parameters
        ----------
        slice_index : int
            Number of the slice.

        Raises
        ------
        InputError
            There is no box on this slice, or it is the only one.
        """
        if self.at(slice_index) is None:
            raise InputError(
                f"There is no box on slice {slice_index}; the tracklet runs from {self.first} to {self.last}."
            )
        return self._with(self._without(slice_index))

    def split(self, slice_index: int) -> tuple[Tracklet, Tracklet]:
        """Return two tracklets: the boxes below a slice, and those from it upwards.

        Parameters
        ----------
        slice_index : int
            First slice of the second tracklet.

        Raises
        ------
        InputError
            One of them would be empty.
        """
        if not self.first < slice_index <= self.last:
            raise InputError(
                f"A split at slice {slice_index} leaves one side empty; choose {self.first + 1} to {self.last}."
            )
        return (
            self._with(b for b in self.boxes if b.slice_index < slice_index),
            self._with(b for b in self.boxes if b.slice_index >= slice_index),
        )

    def merge(self, other: Tracklet) -> Tracklet:
        """Return a tracklet with the boxes of both; on a slice where both have a box, the smallest box around the two.

        Parameters
        ----------
        other : Tracklet
            On the same slice grid.

        Raises
        ------
        InputError
            It is on another slice grid.
        """
        if not self.is_on_grid_of(other):
            raise InputError(
                "These two nodes were marked on different slice grids and cannot be merged. Merge nodes of one run only."
            )
        boxes = {box.slice_index: box for box in self.boxes}
        for box in other.boxes:
            existing = boxes.get(box.slice_index)
            boxes[box.slice_index] = box if existing is None else _union(existing, box)
        return self._with(boxes.values())

    def is_on_grid_of(self, other: Tracklet) -> bool:
        """Return whether both number the same slices, so that they can be merged.

        Parameters
        ----------
        other : Tracklet
            The second tracklet.
        """
        return all(
            abs(a - b) <= 1e-3
            for vector, other_vector in zip(self._frame(), other._frame(), strict=True)
            for a, b in zip(vector, other_vector, strict=True)
        )

    def trim(self, first: int, last: int) -> Tracklet:
        """Return a copy with the boxes from one slice to another only.

        Parameters
        ----------
        first, last : int
            Numbers of the slices, both included.

        Raises
        ------
        InputError
            No box lies between them.
        """
        kept = [b for b in self.boxes if first <= b.slice_index <= last]
        if not kept:
            raise InputError(
                f"Nothing is left between slices {first} and {last}; "
                f"the tracklet runs from {self.first} to {self.last}."
            )
        return self._with(kept)

    def _ras(self, u: float, v: float, n: int) -> Vector:
        return _vector(
            o + u * a + v * b + n * s
            for o, a, b, s in zip(self.origin, self.u_axis, self.v_axis, self.step, strict=True)
        )

    def _frame(self) -> Sequence[Vector]:
        return self.origin, self.u_axis, self.v_axis, self.step

    def _without(self, slice_index: int) -> list[SliceBox]:
        return [b for b in self.boxes if b.slice_index != slice_index]

    def _with(self, boxes: Iterable[SliceBox]) -> Tracklet:
        return replace(self, boxes=tuple(boxes))


def _vector(components: Iterable[float]) -> Vector:
    x, y, z = components
    return x, y, z


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(p * q for p, q in zip(a, b, strict=True))


def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _union(a: SliceBox, b: SliceBox) -> SliceBox:
    low = (min(a.low[0], b.low[0]), min(a.low[1], b.low[1]))
    high = (max(a.high[0], b.high[0]), max(a.high[1], b.high[1]))
    scores = [box.score for box in (a, b) if box.score is not None]
    return SliceBox(a.slice_index, low, high, max(scores, default=None))
