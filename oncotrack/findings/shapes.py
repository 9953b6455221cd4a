"""Points, boxes and axes: immutable values in RAS millimetres."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from oncotrack.errors import InputError

Point = tuple[float, float, float]


def point(values: Iterable[float], name: str = "position") -> Point:
    """Return a point as three floats.

    Parameters
    ----------
    values : iterable of 3 float
        R, A, S in mm.
    name : str
        What the point is, for the message.

    Raises
    ------
    InputError
        These are not three finite numbers.
    """
    numbers = tuple(float(v) for v in values)
    if len(numbers) != 3 or not all(math.isfinite(v) for v in numbers):
        raise InputError(f"The {name} {list(numbers)} is not a point: three finite numbers R A S in mm are needed.")
    return numbers


def middle(a: Point, b: Point) -> Point:
    """Return the point half-way between two points.

    Parameters
    ----------
    a, b : (3,) float
        RAS mm.
    """
    return point([(p + q) / 2 for p, q in zip(a, b, strict=True)])


@dataclass(frozen=True)
class Box:
    """A box along the RAS axes: lowest and highest corner, RAS mm."""

    low: Point
    high: Point

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", point(self.low, "box corner"))
        object.__setattr__(self, "high", point(self.high, "box corner"))
        if any(a > b for a, b in zip(self.low, self.high, strict=True)):
            raise InputError(f"The box from {self.low} to {self.high} is inside out; give its lowest corner first.")

    @property
    def centre(self) -> Point:
        """Centre of the box, RAS mm."""
        return middle(self.low, self.high)

    def contains(self, position: Point) -> bool:
        """Return whether a position lies in the box.

        Parameters
        ----------
        position : (3,) float
            RAS mm.
        """
        return all(low <= value <= high for low, value, high in zip(self.low, position, self.high, strict=True))

    def iou(self, other: Box) -> float:
        """Return the intersection over union of two boxes, 0 to 1 (for tensors of boxes see `networks.boxes.iou`).

        Parameters
        ----------
        other : Box
            The second box.
        """
        overlap = math.prod(
            max(0.0, min(b, d) - max(a, c))
            for a, b, c, d in zip(self.low, self.high, other.low, other.high, strict=True)
        )
        union = sum(math.prod(b - a for a, b in zip(x.low, x.high, strict=True)) for x in (self, other)) - overlap
        return overlap / union if union > 0 else 0.0


@dataclass(frozen=True)
class Axis:
    """A measured diameter: its two ends, RAS mm."""

    start: Point
    end: Point

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", point(self.start, "axis end"))
        object.__setattr__(self, "end", point(self.end, "axis end"))

    @property
    def length_mm(self) -> float:
        """Distance between the ends, mm."""
        return math.dist(self.start, self.end)
