"""The RECIST axes of a lesion, the two lines that a reader draws on it, and their validation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import acos, degrees

import numpy as np

from oncotrack.errors import InputError
from oncotrack.findings.finding import Axis, Point, point
from oncotrack.images.geometry import Geometry

PERPENDICULAR_WITHIN = 15.0
"""Largest deviation from the right angle, in degrees, that gives no warning."""
SHORTEST_MM = 0.5
_GAP = 0.25  # allowed gap between the end of one line and the other line, as a share of its length


@dataclass(frozen=True)
class RecistAxes:
    """Longest diameter and longest perpendicular diameter of one lesion in one slice.

    Parameters
    ----------
    long, short : Axis
        End points in RAS mm.
    label : str
        Name of the lesion.

    Raises
    ------
    InputError
        An axis is shorter than 0.5 mm.
    """

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
    def of(cls, one: Axis | np.ndarray, other: Axis | np.ndarray, label: str = "") -> RecistAxes:
        """Create the axes from two lines in either order; the longer one becomes the long axis.

        Parameters
        ----------
        one, other : Axis or (2, 3) ndarray
            End points in RAS mm.
        label : str
            Name of the lesion.
        """
        drawn = [line if isinstance(line, Axis) else Axis(*map(point, line)) for line in (one, other)]
        short, long = sorted(drawn, key=lambda axis: axis.length_mm)
        return cls(long, short, label)

    @property
    def centre(self) -> Point:
        """Midpoint of the long axis, RAS mm."""
        return point([(a + b) / 2 for a, b in zip(self.long.start, self.long.end, strict=True)])

    @property
    def ends(self) -> np.ndarray:
        """End points, (4, 3) RAS mm: both ends of the long axis, then both of the short axis."""
        return np.array([self.long.start, self.long.end, self.short.start, self.short.end])

    @property
    def off_perpendicular(self) -> float:
        """Deviation from the right angle between the lines, 0 to 90 degrees."""
        a, b = (np.subtract(axis.end, axis.start) / axis.length_mm for axis in (self.long, self.short))
        return 90.0 - degrees(acos(min(abs(float(a @ b)), 1.0)))

    def checked(self, geometry: Geometry) -> RecistAxes:
        """Return these axes if they can be used in an image.

        Parameters
        ----------
        geometry : Geometry
            Grid of the image.

        Raises
        ------
        InputError
            The long axis is the shorter one, an end lies outside the image, the lines are nearly parallel or do not
            cross, or they lie in two slices.
        """
        if self.long.length_mm < self.short.length_mm - 0.05:
            raise InputError(
                f"The axes are swapped: the long one measures {self.long.length_mm:.1f} mm and the short one "
                f"{self.short.length_mm:.1f} mm. Give the longer line as the long axis."
            )
        outside = ~geometry.contains(self.ends)
        if outside.any():
            position = "R {:.1f} A {:.1f} S {:.1f}".format(*self.ends[outside.argmax()])
            raise InputError(f"An axis ends outside the image, at {position} mm. Check that it belongs to this scan.")
        if self.off_perpendicular > 60:
            raise InputError("The two axes are nearly parallel. Draw the short axis across the long one.")
        along, across, distance = self._crossing()
        thickness = float(np.abs(np.asarray(geometry.direction).T @ self.normal) @ geometry.spacing)
        if distance > max(thickness / 2, 0.5):
            raise InputError(f"The two axes lie in two slices, {distance:.1f} mm apart. Draw both in one slice.")
        if not all(-_GAP <= share <= 1 + _GAP for share in (along, across)):
            raise InputError("The two axes do not cross. Draw the short axis across the long one.")
        return self

    def warnings(self) -> list[str]:
        """Return a message for each deviation from RECIST that does not prevent a mask."""
        if self.off_perpendicular <= PERPENDICULAR_WITHIN:
            return []
        return [
            f"The axes deviate {self.off_perpendicular:.0f} degrees from the right angle; RECIST asks for the longest "
            "diameter and the longest one perpendicular to it."
        ]

    @property
    def normal(self) -> np.ndarray:
        """Unit normal of the plane of both lines, (3,) RAS."""
        across = np.cross(np.subtract(self.long.end, self.long.start), np.subtract(self.short.end, self.short.start))
        return across / np.linalg.norm(across)

    def perpendicular(self) -> RecistAxes:
        """Return axes with the short one rotated about its midpoint until it is perpendicular to the long one."""
        along = np.subtract(self.long.end, self.long.start) / self.long.length_mm
        upright = np.cross(self.normal, along)
        middle = np.add(self.short.start, self.short.end) / 2
        half = upright * self.short.length_mm / 2
        if np.subtract(self.short.end, self.short.start) @ upright < 0:
            half = -half
        return replace(self, short=Axis(point((middle - half).tolist()), point((middle + half).tolist())))

    def _crossing(self) -> tuple[float, float, float]:
        """Return where the lines are closest: share of the long axis, share of the short axis, distance in mm."""
        (a, b), (c, d) = self.ends[:2], self.ends[2:]
        frame = np.stack([b - a, c - d, self.normal], 1)
        along, across, distance = np.linalg.solve(frame, c - a)
        return float(along), float(across), abs(float(distance))
