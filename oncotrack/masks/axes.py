"""The two lines that a reader draws on a lesion, and what can be wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import acos, degrees

import numpy as np

from oncotrack.errors import InputError
from oncotrack.findings.finding import Axis, Point
from oncotrack.images.geometry import Geometry

PERPENDICULAR_WITHIN = 15.0
"""Degrees off the right angle from which the reader is warned."""
SHORTEST_MM = 0.5
_GAP = 0.25  # how far a line may end before the other one, as a share of its length: hands are not exact


@dataclass(frozen=True)
class RecistAxes:
    """Longest diameter and longest perpendicular diameter of one lesion in one slice, RAS mm."""

    long: Axis
    short: Axis
    label: str = ""

    def __post_init__(self) -> None:
        for name, axis in (("long", self.long), ("short", self.short)):
            if axis.length_mm < SHORTEST_MM:
                raise InputError(
                    f"The {name} axis has no length ({axis.length_mm:.1f} mm). Draw it from one border to the other."
                )

    @classmethod
    def of(cls, one, other, label: str = "") -> RecistAxes:
        """From two lines ((2, 3) RAS mm each) in either order: the longer one is the long axis."""
        drawn = [line if isinstance(line, Axis) else Axis(*map(tuple, line)) for line in (one, other)]
        short, long = sorted(drawn, key=lambda axis: axis.length_mm)
        return cls(long, short, label)

    @property
    def centre(self) -> Point:
        """Midpoint of the long axis, RAS mm."""
        return tuple((a + b) / 2 for a, b in zip(self.long.start, self.long.end, strict=True))

    @property
    def ends(self) -> np.ndarray:
        """(4, 3) RAS mm: both ends of the long, then of the short axis."""
        return np.array([self.long.start, self.long.end, self.short.start, self.short.end])

    @property
    def off_perpendicular(self) -> float:
        """Degrees by which the lines miss the right angle, 0 to 90."""
        a, b = (np.subtract(axis.end, axis.start) / axis.length_mm for axis in (self.long, self.short))
        return 90.0 - degrees(acos(min(abs(float(a @ b)), 1.0)))

    def checked(self, geometry: Geometry) -> RecistAxes:
        """Itself, when a mask can be made of it in an image.

        Raises
        ------
        InputError
            The long axis is the shorter one, an end lies outside the image, the lines run side by side or do not
            cross, or they lie in two slices.
        """
        if self.long.length_mm < self.short.length_mm - 0.05:
            raise InputError(
                f"The axes are swapped: the long one measures {self.long.length_mm:.1f} mm and the short one "
                f"{self.short.length_mm:.1f} mm. Give the longer line as the long axis."
            )
        outside = ~geometry.contains(self.ends)
        if outside.any():
            place = "R {:.1f} A {:.1f} S {:.1f}".format(*self.ends[outside.argmax()])
            raise InputError(f"An axis ends outside the image, at {place} mm. Check that it belongs to this scan.")
        if self.off_perpendicular > 60:
            raise InputError("The two axes run side by side. Draw the short axis across the long one.")
        along, across, apart = self._crossing()
        thickness = float(np.abs(np.asarray(geometry.direction).T @ self.normal) @ geometry.spacing)
        if apart > max(thickness / 2, 0.5):
            raise InputError(f"The two axes lie in two slices, {apart:.1f} mm apart. Draw both in one slice.")
        if not all(-_GAP <= place <= 1 + _GAP for place in (along, across)):
            raise InputError("The two axes do not cross. Draw the short axis across the long one.")
        return self

    def warnings(self) -> list[str]:
        """Sentences about what is allowed but unusual."""
        if self.off_perpendicular <= PERPENDICULAR_WITHIN:
            return []
        return [
            f"The axes are {self.off_perpendicular:.0f} degrees off the right angle; RECIST asks for the longest "
            "diameter and the longest one perpendicular to it."
        ]

    @property
    def normal(self) -> np.ndarray:
        """(3,) unit vector across the plane of both lines, RAS."""
        across = np.cross(np.subtract(self.long.end, self.long.start), np.subtract(self.short.end, self.short.start))
        return across / np.linalg.norm(across)

    def perpendicular(self) -> RecistAxes:
        """The short axis turned about its middle until it stands upright on the long one, in their plane."""
        along = np.subtract(self.long.end, self.long.start) / self.long.length_mm
        upright = np.cross(self.normal, along)
        middle = np.add(self.short.start, self.short.end) / 2
        half = upright * self.short.length_mm / 2
        if np.subtract(self.short.end, self.short.start) @ upright < 0:
            half = -half
        return replace(self, short=Axis(tuple(middle - half), tuple(middle + half)))

    def _crossing(self) -> tuple[float, float, float]:
        """Where the lines pass nearest: share of the long, share of the short axis, distance in mm."""
        (a, b), (c, d) = self.ends[:2], self.ends[2:]
        frame = np.stack([b - a, c - d, self.normal], 1)
        along, across, apart = np.linalg.solve(frame, c - a)
        return float(along), float(across), abs(float(apart))
