"""Measurements of a reader that belong to no finding: a distance, two diameters, an angle, or an elliptic region."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from oncotrack.errors import InputError
from oncotrack.findings.finding import Axis, Point, Provenance, new_uid, point
from oncotrack.findings.sizes import mm_text

SHORTEST_MM = 0.5
"""Shortest distance, and shortest diameter, that can be measured."""
_LEAST_SHARE = 0.02  # the short diameter crosses the long one at least so far from its ends


class Tool(str, Enum):
    """What is measured."""

    RULER = "ruler"
    BIDIRECTIONAL = "bidirectional"
    ANGLE = "angle"
    ELLIPSE = "ellipse"


POINTS = {Tool.RULER: 2, Tool.BIDIRECTIONAL: 4, Tool.ANGLE: 3, Tool.ELLIPSE: 4}
"""Number of points of each tool; see `Measurement`."""


@dataclass(frozen=True)
class RegionStatistics:
    """Statistics of the voxels of a region, in the unit of the scan.

    Attributes
    ----------
    mean, sd, lowest, highest : float
        Mean, standard deviation (of the voxels, not of a sample), minimum and maximum.
    voxels : int
        Number of voxels.
    unit : str
        "HU", "SUV", "Bq/ml", or "" where the scan has none.
    """

    mean: float
    sd: float
    lowest: float
    highest: float
    voxels: int
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A measurement on one scan.

    Attributes
    ----------
    tool : Tool
        What is measured.
    time_point : str
        Identifier of the scan.
    points_ras : tuple of Point
        RAS mm. Ruler: its ends. Bidirectional: the ends of the long, then of the short diameter. Angle: end, vertex, end.
        Ellipse: the ends of one diameter, then of the one perpendicular to it.
    label : str
        Its name in the list.
    uid : str
        A DICOM UID.
    statistics : RegionStatistics, optional
        Of an ellipse.
    provenance : Provenance
        Who measured, and when.
    """

    tool: Tool
    time_point: str
    points_ras: tuple[Point, ...]
    label: str
    uid: str = field(default_factory=new_uid)
    statistics: RegionStatistics | None = None
    provenance: Provenance = field(default_factory=lambda: Provenance(reader="reader"))

    def __post_init__(self) -> None:
        object.__setattr__(self, "points_ras", tuple(point(each) for each in self.points_ras))
        if len(self.points_ras) != POINTS[self.tool]:
            raise InputError(
                f"{self.label} has {len(self.points_ras)} points; the tool {self.tool.value} needs {POINTS[self.tool]}."
            )

    @property
    def centre(self) -> Point:
        """Its middle, RAS mm; the vertex of an angle."""
        if self.tool is Tool.ANGLE:
            return self.points_ras[1]
        return point(np.mean(self.points_ras[:2], axis=0))

    @property
    def lengths_mm(self) -> tuple[float, ...]:
        """Length of a ruler, and of both diameters, mm; empty for an angle."""
        if self.tool is Tool.ANGLE:
            return ()
        return tuple(math.dist(*self.points_ras[n : n + 2]) for n in range(0, len(self.points_ras), 2))

    @property
    def angle_degrees(self) -> float | None:
        """An angle, 0 to 180 degrees; None for another tool."""
        if self.tool is not Tool.ANGLE:
            return None
        one, other = (np.subtract(self.points_ras[end], self.points_ras[1]) for end in (0, 2))
        return math.degrees(math.atan2(float(np.linalg.norm(np.cross(one, other))), float(one @ other)))

    @property
    def area_mm2(self) -> float | None:
        """Area of an ellipse, mm2; None for another tool."""
        return math.pi / 4 * math.prod(self.lengths_mm) if self.tool is Tool.ELLIPSE else None

    @property
    def axes(self) -> tuple[Axis, Axis]:
        """The longer and the shorter diameter of a bidirectional measurement or an ellipse."""
        a, b, c, d = self.points_ras
        short, long = sorted((Axis(a, b), Axis(c, d)), key=lambda axis: axis.length_mm)
        return long, short

    @property
    def text(self) -> str:
        """What it measures in words: "23.4 mm", "23.4 mm x 12.1 mm", "41.0°", "mean 45.2, SD 12.0 HU; 1.23 cm²"."""
        if self.tool is Tool.ANGLE:
            return f"{self.angle_degrees:.1f}°"
        if self.tool is Tool.ELLIPSE:
            return "; ".join(filter(None, (statistics_text(self.statistics), area_text(self.area_mm2))))
        return mm_text(*self.lengths_mm)

    @property
    def short_text(self) -> str:
        """The same for a label on the image; of a region mean and standard deviation, else its area: "45.2 ± 12.0 HU"."""
        if self.tool is not Tool.ELLIPSE:
            return self.text
        if self.statistics is None:
            return area_text(self.area_mm2)
        seen = self.statistics
        mean, sd = (value_text(value, seen.unit) for value in (seen.mean, seen.sd))
        return f"{mean.removesuffix(seen.unit).strip()} ± {sd}"

    def checked(self) -> Measurement:
        """Return the measurement if it measures something.

        Raises
        ------
        InputError
            Two of its points are nearly the same.
        """
        sides = self.lengths_mm or (
            math.dist(*self.points_ras[:2]),
            math.dist(*self.points_ras[1:]),
        )
        if min(sides) < SHORTEST_MM:
            raise InputError(
                f"The {self.tool.value} is too small to be measured ({min(sides):.1f} mm). Click two places that lie apart."
            )
        return self

    def shifted(self, by: Sequence[float]) -> Measurement:
        """Return the measurement moved as a whole.

        Parameters
        ----------
        by : (3,) float
            The shift, RAS mm.
        """
        return self._with([np.add(each, by) for each in self.points_ras])

    def with_point(self, index: int, to: Sequence[float]) -> Measurement:
        """Return the measurement after one of its points was dragged; diameters stay perpendicular.

        Parameters
        ----------
        index : int
            The point in `points_ras`.
        to : (3,) float
            Where it was dragged to, RAS mm.
        """
        points = [np.array(each) for each in self.points_ras]
        if self.tool is Tool.BIDIRECTIONAL:
            return self._with(_long_dragged(points, index, to) if index < 2 else _short_dragged(points, index, to))
        if self.tool is Tool.ELLIPSE:
            return self._with(_diameter_dragged(points, index, to))
        points[index] = np.asarray(to, float)
        return self._with(points)

    def _with(self, points: Sequence[np.ndarray]) -> Measurement:
        return replace(self, points_ras=tuple(point(each) for each in points), statistics=None)


def bidirectional_points(start: Point, end: Point, normal: Sequence[float]) -> tuple[Point, ...]:
    """Return the points of a bidirectional measurement from its long diameter: the short one crosses it with half its length.

    Parameters
    ----------
    start, end : (3,) float
        Ends of the long diameter, RAS mm.
    normal : (3,) float
        Normal of the plane.
    """
    along = np.subtract(end, start)
    across = _unit(np.cross(normal, along)) * np.linalg.norm(along) / 4
    middle = np.add(start, end) / 2
    return point(start), point(end), point(middle - across), point(middle + across)


def ellipse_points(corner: Point, opposite: Point, right: Sequence[float], up: Sequence[float]) -> tuple[Point, ...]:
    """Return the points of the ellipse in a rectangle.

    Parameters
    ----------
    corner, opposite : (3,) float
        Two opposite corners, RAS mm.
    right, up : (3,) float
        Unit vectors along the sides of the rectangle.
    """
    middle, diagonal = np.add(corner, opposite) / 2, np.subtract(opposite, corner)
    sides = [np.asarray(side, float) * (diagonal @ np.asarray(side, float)) / 2 for side in (right, up)]
    return tuple(point(middle + sign * side) for side in sides for sign in (-1, 1))


def ellipse_outline(points: Sequence[Point], count: int) -> np.ndarray:
    """Return positions on an ellipse, (count, 3) RAS mm, at even steps of the angle from its first point on.

    Parameters
    ----------
    points : sequence of 4 Point
        As in `Measurement`.
    count : int
        Number of positions; a multiple of 4 includes the ends of both diameters.
    """
    middle = np.mean(points, axis=0)
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)[:, None]
    return middle + np.cos(turn) * np.subtract(points[0], middle) + np.sin(turn) * np.subtract(points[2], middle)


def statistics_text(statistics: RegionStatistics | None) -> str:
    """Return mean and standard deviation with their unit; "" without statistics.

    Parameters
    ----------
    statistics : RegionStatistics, optional
        Of a region.
    """
    if statistics is None:
        return ""
    return (
        f"mean {value_text(statistics.mean, statistics.unit)}, SD {value_text(statistics.sd, statistics.unit)}".replace(
            f" {statistics.unit}, SD", ", SD"
        )
    )


def value_text(value: float, unit: str) -> str:
    """Return an intensity with its unit: one decimal for HU, three digits for others.

    Parameters
    ----------
    value : float
        The intensity.
    unit : str
        As in `RegionStatistics`.
    """
    number = f"{value:.1f}" if unit == "HU" else f"{value:.2f}" if unit == "SUV" else f"{value:.4g}"
    return f"{number} {unit}".strip()


def area_text(area_mm2: float | None) -> str:
    """Return an area in mm2, from 100 mm2 on in cm2; "" without an area.

    Parameters
    ----------
    area_mm2 : float, optional
        The area.
    """
    if area_mm2 is None:
        return ""
    return f"{area_mm2:.1f} mm²" if area_mm2 < 100 else f"{area_mm2 / 100:.2f} cm²"


def _long_dragged(points: list[np.ndarray], index: int, to: Sequence[float]) -> list[np.ndarray]:
    """Return the points after an end of the long diameter was moved: the short one turns with it and keeps its length."""
    start, end, *short = points
    share, offsets, upright = _crossing(start, end, short)
    normal = np.cross(_unit(end - start), upright)
    points[index] = np.asarray(to, float)
    along = points[1] - points[0]
    foot, across = points[0] + share * along, _unit(np.cross(normal, along))
    return [*points[:2], *(foot + offset * across for offset in offsets)]


def _short_dragged(points: list[np.ndarray], index: int, to: Sequence[float]) -> list[np.ndarray]:
    """Return the points after an end of the short diameter was moved: it slides along the long one; its other half stays."""
    start, end, *short = points
    _share, offsets, upright = _crossing(start, end, short)
    along = end - start
    share = float((np.asarray(to, float) - start) @ along / (along @ along))
    foot = start + min(max(share, _LEAST_SHARE), 1 - _LEAST_SHARE) * along
    offsets[index - 2] = float((np.asarray(to, float) - foot) @ upright)
    return [start, end, *(foot + offset * upright for offset in offsets)]


def _crossing(start: np.ndarray, end: np.ndarray, short: list[np.ndarray]) -> tuple[float, list[float], np.ndarray]:
    """Return where the short diameter crosses the long one, 0 to 1, its ends from there in mm, and its direction."""
    along = end - start
    upright = _unit(short[1] - short[0])
    share = float((np.mean(short, axis=0) - start) @ along / (along @ along))
    foot = start + share * along
    return share, [float((each - foot) @ upright) for each in short], upright


def _diameter_dragged(points: list[np.ndarray], index: int, to: Sequence[float]) -> list[np.ndarray]:
    """Return the points of an ellipse after an end was moved; the opposite end stays, the other diameter keeps its length."""
    dragged, other = index // 2 * 2, 2 - index // 2 * 2
    normal = np.cross(points[1] - points[0], points[3] - points[2])
    length = np.linalg.norm(points[other + 1] - points[other])
    sense = np.sign(np.cross(points[dragged + 1] - points[dragged], points[other + 1] - points[other]) @ normal)
    points[index] = np.asarray(to, float)
    along, middle = points[dragged + 1] - points[dragged], (points[dragged] + points[dragged + 1]) / 2
    across = _unit(np.cross(normal, along)) * length / 2 * sense
    points[other], points[other + 1] = middle - across, middle + across
    return points


def _unit(vector: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    if length < 1e-9:
        raise InputError("The measurement has no extent. Click places that lie apart.")
    return vector / length
