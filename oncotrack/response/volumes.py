"""Change of volumes, and their doubling time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from oncotrack.response.course import Course, Lesion
from oncotrack.response.criteria import percent


@dataclass(frozen=True)
class VolumeChange:
    """A lesion's volume at a visit, compared with the last visit before at which it was measured.

    Attributes
    ----------
    lesion : Lesion
        The lesion.
    index, since : int
        Of the two visits.
    mm3, before_mm3 : float
        The two volumes.
    days : int, optional
        Days between them.
    """

    lesion: Lesion
    index: int
    since: int
    mm3: float
    before_mm3: float
    days: int | None

    @property
    def percent(self) -> float | None:
        """Change, per cent; None where there was nothing before."""
        return percent(self.mm3 - self.before_mm3, self.before_mm3)

    @property
    def doubling_days(self) -> float | None:
        """Doubling time in days, negative for halving; None without growth, dates, or a volume at both visits."""
        return doubling_days(self.before_mm3, self.mm3, self.days)


def doubling_days(before_mm3: float, now_mm3: float, days: int | None) -> float | None:
    """Return the volume doubling time of exponential growth, ``days * ln 2 / ln(now / before)``.

    Parameters
    ----------
    before_mm3, now_mm3 : float
        The volumes.
    days : int or None
        Days between them.

    Returns
    -------
    float or None
        In days, negative where the volume halves in this time; None where it cannot be computed.
    """
    if not days or days < 0 or before_mm3 <= 0 or now_mm3 <= 0 or before_mm3 == now_mm3:
        return None
    rate = math.log(now_mm3 / before_mm3)
    return days * math.log(2) / rate if rate else None


def volume_changes(course: Course) -> list[VolumeChange]:
    """Return the change of every volume from the last visit before at which it was measured.

    Parameters
    ----------
    course : Course
        Visits and lesions.
    """
    changes = []
    for lesion in course.lesions:
        before: tuple[int, float] | None = None
        for index, visit in enumerate(course.visits):
            seen = lesion.at(visit)
            mm3 = None if seen is None else seen.volume_mm3 if seen.is_there else 0.0
            if seen is None or mm3 is None or (not seen.is_there and before is None):
                continue
            if before is not None:
                changes.append(VolumeChange(lesion, index, before[0], mm3, before[1], course.days(index, before[0])))
            before = index, mm3
    return changes
