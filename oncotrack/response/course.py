"""A patient's course: visits, lesions, and the reading of each lesion at each visit. Lengths in mm, volumes in mm³."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum
from functools import cached_property

from oncotrack.errors import InputError
from oncotrack.findings.finding import Role


class Seen(str, Enum):
    """What a reader says about a lesion at a visit."""

    MEASURED = "measured"
    TOO_SMALL = "too small to measure"
    PRESENT = "present"
    PROGRESSED = "unequivocal progression"
    ABSENT = "absent"
    MERGED = "merged with another lesion"
    NOT_EVALUABLE = "not evaluable"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A lesion at one visit.

    Attributes
    ----------
    seen : Seen
        What the reader says about it.
    long_mm, short_mm, volume_mm3 : float, optional
        Its diameters and volume, where they were measured.
    sul_peak : float, optional
        Peak of the uptake normalised by lean body mass, in PET.
    suv_peak : float, optional
        The same, normalised by body weight.
    merged_with : str
        Identifier of the lesion that is measured for both, when `seen` is merged.
    equivocal : bool
        A new lesion, or the progression of a non-target lesion, is suspected but not certain.
    increased : bool
        It is larger than at the visit before, in the reader's judgement; iRECIST needs this of lesions without a sum.
    plane : str
        Plane of the diameters, "axial".
    window : two floats, optional
        Width and level of the window in which they were measured.
    is_proposal : bool
        Whether no reader has accepted it yet.
    doubts : tuple of str
        Sentences on what is doubtful in the mask that the diameters belong to.
    """

    seen: Seen = Seen.MEASURED
    long_mm: float | None = None
    short_mm: float | None = None
    volume_mm3: float | None = None
    sul_peak: float | None = None
    suv_peak: float | None = None
    merged_with: str = ""
    equivocal: bool = False
    increased: bool = False
    plane: str = ""
    window: tuple[float, float] | None = None
    is_proposal: bool = False
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("long_mm", "short_mm", "volume_mm3", "sul_peak", "suv_peak"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise InputError(f"{value} is no size: diameters, volumes and uptakes are numbers from 0.")
        if self.seen is Seen.MEASURED and self.long_mm == 0:
            object.__setattr__(self, "seen", Seen.ABSENT)

    @property
    def is_there(self) -> bool:
        """Whether the lesion was seen."""
        return self.seen not in (Seen.ABSENT, Seen.NOT_EVALUABLE)


@dataclass(frozen=True)
class Visit:
    """A visit with its scan; `slice_mm` is the slice thickness, `contrast` the contrast phase as in `findings.contrast`."""

    id: str
    label: str
    day: date | None = None
    slice_mm: float | None = None
    contrast: str = ""

    @property
    def text(self) -> str:
        """Label and date, "Week 6 (2025-03-01)"."""
        return f"{self.label} ({self.day.isoformat()})" if self.day else self.label


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """A lesion through all visits.

    Attributes
    ----------
    id, label : str
        Identifier, and name for the reader.
    role : Role
        Target, non-target or new.
    is_node : bool
        Whether it is a lymph node, measured by its short axis.
    organ : str
        Where it is.
    split_from : str
        Identifier of the lesion that it is a fragment of.
    readings : mapping of str to Reading
        By the identifier of the visit; visits at which it was not assessed are missing.
    """

    id: str
    label: str
    role: Role
    is_node: bool = False
    organ: str = ""
    split_from: str = ""
    readings: Mapping[str, Reading] = field(default_factory=dict)

    @property
    def organ_group(self) -> str:
        """The organ that counts for the largest number per organ; all lymph nodes are one (RECIST working group)."""
        return "lymph nodes" if self.is_node else self.organ.strip().casefold()

    def at(self, visit: Visit) -> Reading | None:
        """Return the reading at a visit, or None.

        Parameters
        ----------
        visit : Visit
            A visit of the course.
        """
        return self.readings.get(visit.id)


@dataclass(frozen=True)
class Course:
    """Visits, the first of which is the baseline, and lesions.

    Raises
    ------
    InputError
        No visit, dates that do not rise, an identifier that occurs twice, or a lesion that is merged with, or split
        from, one that does not exist or that refers back to it.
    """

    visits: tuple[Visit, ...]
    lesions: tuple[Lesion, ...]
    name: str = ""

    def __post_init__(self) -> None:
        if not self.visits:
            raise InputError("There is no visit. The first visit is the baseline.")
        days = [visit.day for visit in self.visits if visit.day]
        if days != sorted(days):
            raise InputError("The dates of the visits do not rise. Put the visits in the order of their dates.")
        for items, what in ((self.visits, "visits"), (self.lesions, "lesions")):
            if len({item.id for item in items}) < len(items):
                raise InputError(f"Two {what} have the same identifier.")
        for lesion in self.lesions:
            if lesion.split_from:
                self._referred(lesion, lesion.split_from)
            for visit in self.visits:
                self.holder(lesion, visit)

    @cached_property
    def _by_id(self) -> dict[str, Lesion]:
        return {lesion.id: lesion for lesion in self.lesions}

    def _referred(self, lesion: Lesion, other: str) -> Lesion:
        if other == lesion.id or other not in self._by_id:
            raise InputError(f"{lesion.label} refers to a lesion that is not in the list. Choose another lesion.")
        return self._by_id[other]

    @property
    def baseline(self) -> Visit:
        """The first visit."""
        return self.visits[0]

    def of_role(self, role: Role) -> list[Lesion]:
        """Return the lesions of a role.

        Parameters
        ----------
        role : Role
            Target, non-target or new.
        """
        return [lesion for lesion in self.lesions if lesion.role is role]

    def holder(self, lesion: Lesion, visit: Visit) -> Lesion:
        """Return the lesion that is measured for this one at a visit: itself, or the one that it has merged with.

        Parameters
        ----------
        lesion : Lesion
            A lesion of the course.
        visit : Visit
            A visit of the course.

        Raises
        ------
        InputError
            The lesions refer to each other in a circle.
        """
        for _ in self.lesions:
            reading = lesion.at(visit)
            if reading is None or reading.seen is not Seen.MERGED:
                return lesion
            lesion = self._referred(lesion, reading.merged_with)
        raise InputError(
            f"{lesion.label} is merged with a lesion that is merged with {lesion.label}. Measure one of them."
        )

    def fragments(self, lesion: Lesion) -> list[Lesion]:
        """Return the lesions that split from this one.

        Parameters
        ----------
        lesion : Lesion
            A lesion of the course.
        """
        return [other for other in self.lesions if other.split_from == lesion.id]

    def was_seen_until(self, lesion: Lesion, index: int) -> bool:
        """Return whether a lesion has a reading at a visit or before.

        Parameters
        ----------
        lesion : Lesion
            A lesion of the course.
        index : int
            Of the visit.
        """
        return any(lesion.at(visit) for visit in self.visits[: index + 1])

    def days(self, index: int, since: int = 0) -> int | None:
        """Return the days from one visit to another; None where a date is missing.

        Parameters
        ----------
        index, since : int
            Of the later and of the earlier visit.
        """
        end, start = self.visits[index].day, self.visits[since].day
        return (end - start).days if end and start else None

    def until(self, count: int) -> Course:
        """Return the course as it was after some visits.

        Parameters
        ----------
        count : int
            Number of visits, from 1.
        """
        visits = self.visits[:count]
        ids = {visit.id for visit in visits}
        lesions = (
            replace(lesion, readings={key: each for key, each in lesion.readings.items() if key in ids})
            for lesion in self.lesions
        )
        return replace(self, visits=visits, lesions=tuple(lesions))
