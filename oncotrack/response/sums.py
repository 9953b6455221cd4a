"""The sum of diameters of the target lesions: long axes, and the short axes of lymph nodes (RECIST 1.1, section 3.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from oncotrack.findings.finding import Role
from oncotrack.response.course import Course, Lesion, Reading, Seen
from oncotrack.response.criteria import NORMAL_NODE_MM, TOLERANCE, Settings


@dataclass(frozen=True)
class Part:
    """A lesion's share of a sum."""

    lesion: Lesion
    mm: float

    @property
    def is_normal(self) -> bool:
        """Whether nothing pathological is left: no lesion, or a lymph node below 10 mm."""
        return self.mm < NORMAL_NODE_MM - TOLERANCE if self.lesion.is_node else self.mm == 0

    @property
    def text(self) -> str:
        """Label and diameter, "LN 2 7.0 mm"."""
        return f"{self.lesion.label} {self.mm:.1f} mm"


@dataclass(frozen=True)
class TargetSum:
    """The diameters of the target lesions at one visit.

    Attributes
    ----------
    parts : tuple of Part
        What was measured; merged lesions once.
    missing : tuple of str
        Labels of the target lesions that were not measured.
    """

    parts: tuple[Part, ...]
    missing: tuple[str, ...]

    @property
    def measured_mm(self) -> float:
        """Sum of what was measured, mm."""
        return math.fsum(part.mm for part in self.parts)

    @property
    def mm(self) -> float | None:
        """The sum of diameters, mm; None where a target lesion was not measured."""
        return None if self.missing or not self.parts else self.measured_mm


def diameter_mm(lesion: Lesion, reading: Reading | None, settings: Settings) -> float | None:
    """Return the diameter that enters the sum: the long axis, the short one of a lymph node, 0 for a lesion that is gone.

    Parameters
    ----------
    lesion : Lesion
        It decides which axis is measured.
    reading : Reading or None
        The lesion at a visit.
    settings : Settings
        With the diameter of a lesion too small to measure.

    Returns
    -------
    float or None
        In mm; None where it was not measured.
    """
    if reading is None or reading.seen is Seen.NOT_EVALUABLE:
        return None
    if reading.seen is Seen.ABSENT:
        return 0.0
    mm = reading.short_mm if lesion.is_node else reading.long_mm
    return settings.too_small_mm if mm is None and reading.seen is Seen.TOO_SMALL else mm


def target_sum(course: Course, index: int, settings: Settings) -> TargetSum:
    """Return the diameters of the target lesions at a visit.

    Fragments of a lesion are added up from the visit at which they appear; merged lesions are measured once.

    Parameters
    ----------
    course : Course
        Visits and lesions.
    index : int
        Of the visit.
    settings : Settings
        With the diameter of a lesion too small to measure.
    """
    visit = course.visits[index]
    parts: dict[str, Part] = {}
    missing = []
    for lesion in course.of_role(Role.TARGET):
        reading = lesion.at(visit)
        is_not_yet_split = lesion.split_from and not course.was_seen_until(lesion, index)
        if reading is None and (is_not_yet_split or any(each.at(visit) for each in course.fragments(lesion))):
            continue
        holder = course.holder(lesion, visit)
        mm = diameter_mm(holder, holder.at(visit), settings)
        if mm is None:
            missing.append(lesion.label)
        else:
            parts[holder.id] = Part(holder, mm)
    return TargetSum(tuple(parts.values()), tuple(missing))
