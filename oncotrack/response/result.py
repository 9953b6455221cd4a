"""The response of a patient by one set of criteria: at every visit, best overall, and the date of progression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oncotrack.errors import InputError
from oncotrack.findings.finding import Role
from oncotrack.response.best import best_overall
from oncotrack.response.conformity import Remark, conformity
from oncotrack.response.course import Course, Lesion, Visit
from oncotrack.response.criteria import Settings, Verdict
from oncotrack.response.irecist import IVerdict, best_immune
from oncotrack.response.irecist_course import IVisitResponse, assess_immune, progression_immune
from oncotrack.response.percist import percist_texts
from oncotrack.response.progression import Progression, progression
from oncotrack.response.recist import VisitResponse, assess
from oncotrack.response.sums import target_sum
from oncotrack.response.volumes import volume_changes

CRITERIA = {"recist11": "RECIST 1.1", "irecist": "iRECIST"}
"""Names of the criteria, and how they are written."""


@dataclass(frozen=True)
class CourseResponse:
    """The response of one patient.

    Attributes
    ----------
    course : Course
        Visits and lesions.
    criteria : str
        A key of `CRITERIA`.
    settings : Settings
        The protocol's.
    visits : tuple of VisitResponse or of IVisitResponse
        Of every visit after baseline.
    best : Verdict or IVerdict
        The best overall response without confirmation.
    best_confirmed : Verdict, optional
        The one with confirmation of CR and PR; None for iRECIST.
    progression : Progression, optional
        The first progression.
    remarks : tuple of Remark
        What does not conform to RECIST 1.1.
    """

    course: Course
    criteria: str
    settings: Settings
    visits: tuple[VisitResponse, ...] | tuple[IVisitResponse, ...]
    best: Verdict | IVerdict
    best_confirmed: Verdict | None
    progression: Progression | None
    remarks: tuple[Remark, ...]

    @property
    def is_measured(self) -> bool:
        """Whether any target lesion has a diameter at any visit."""
        visits = range(len(self.course.visits))
        return any(target_sum(self.course, visit, self.settings).parts for visit in visits)

    @property
    def best_change_percent(self) -> float | None:
        """Largest decrease of the sum of diameters from baseline until progression, per cent; the smallest increase without one."""
        end = self.progression.index if self.progression else len(self.visits)
        changes = [each.target.baseline_percent for each in self.visits[:end]]
        return min((change for change in changes if change is not None), default=None)


def respond(course: Course, criteria: str = "recist11", settings: Settings | None = None) -> CourseResponse:
    """Return the response of a patient.

    Parameters
    ----------
    course : Course
        Visits and lesions.
    criteria : {"recist11", "irecist"}
        RECIST 1.1 or iRECIST.
    settings : Settings, optional
        The protocol's.

    Raises
    ------
    InputError
        There are no such criteria, no visit after baseline, or no lesion.
    """
    settings = settings or Settings()
    if criteria not in CRITERIA:
        raise InputError(f'There are no criteria "{criteria}"; choose {" or ".join(CRITERIA)}.', parameter="criteria")
    if len(course.visits) < 2:
        raise InputError("There is only one visit. A response needs a baseline and at least one later visit.")
    if not course.lesions:
        raise InputError(
            "No finding has a role in RECIST. Choose the target lesions, and which findings are non-target or new."
        )
    remarks = tuple(conformity(course))
    if criteria == "irecist":
        immune = assess_immune(course, settings)
        steps = [(each.overall.response, each.visit.label, course.days(n)) for n, each in enumerate(immune, 1)]
        found = progression_immune(course, immune)
        return CourseResponse(course, criteria, settings, immune, best_immune(steps, settings), None, found, remarks)
    visits = assess(course, settings)
    found = progression(course, visits)
    best, confirmed = (best_overall(course, visits, found, confirmed=each, settings=settings) for each in (False, True))
    return CourseResponse(course, criteria, settings, visits, best, confirmed, found, remarks)


def as_json(result: CourseResponse) -> dict[str, Any]:
    """Return a response with the keys that scripts read.

    Parameters
    ----------
    result : CourseResponse
        From `respond`.
    """
    course = result.course
    baseline = target_sum(course, 0, result.settings)
    return {
        "name": course.name,
        "criteria": CRITERIA[result.criteria],
        "settings": vars(result.settings),
        "visits": [
            {**_visit(course.baseline), "days": 0, "sum_mm": baseline.mm},
            *(
                {**_visit(each.visit), "days": course.days(index), **_response(each)}
                for index, each in enumerate(result.visits, 1)
            ),
        ],
        "best_overall_response": _verdict(result.best),
        "best_overall_response_confirmed": result.best_confirmed and _verdict(result.best_confirmed),
        "best_change_percent": result.best_change_percent,
        "progression": result.progression
        and {
            **_visit(result.progression.visit),
            "days": course.days(result.progression.index),
            "why": result.progression.why,
        },
        "lesions": [_lesion(course, lesion) for lesion in course.lesions],
        "volumes": [
            {
                "label": change.lesion.label,
                "visit": course.visits[change.index].label,
                "since": course.visits[change.since].label,
                "volume_mm3": change.mm3,
                "change_percent": change.percent,
                "doubling_days": change.doubling_days,
            }
            for change in volume_changes(course)
        ],
        "percist": percist_texts(course),
        "remarks": [vars(remark) for remark in result.remarks],
    }


def _visit(visit: Visit) -> dict[str, Any]:
    return {"visit": visit.label, "date": visit.day and visit.day.isoformat()}


def _verdict(verdict: Verdict | IVerdict) -> dict[str, str]:
    return {"response": verdict.response.value, "why": verdict.why}


def _response(each: VisitResponse | IVisitResponse) -> dict[str, Any]:
    target = each.target
    return {
        "sum_mm": target.total.mm,
        "measured_mm": target.total.measured_mm,
        "missing": list(target.total.missing),
        "baseline_percent": target.baseline_percent,
        "nadir_mm": target.nadir_mm,
        "nadir_percent": target.nadir_percent,
        "nadir_change_mm": target.nadir_change_mm,
        "target": _verdict(target.verdict),
        "non_target": _verdict(each.non_target),
        "new_lesions": [lesion.label for lesion in each.new.certain],
        "possibly_new": [lesion.label for lesion in each.new.equivocal],
        "overall": _verdict(each.overall),
    }


def _lesion(course: Course, lesion: Lesion) -> dict[str, Any]:
    readings = []
    for visit in course.visits:
        seen = lesion.at(visit)
        if seen is not None:
            readings.append(
                {
                    "visit": visit.label,
                    "seen": seen.seen.value,
                    "long_mm": seen.long_mm,
                    "short_mm": seen.short_mm,
                    "volume_mm3": seen.volume_mm3,
                    "equivocal": seen.equivocal,
                }
            )
    is_counted = lesion.role is Role.TARGET
    return {
        "label": lesion.label,
        "role": lesion.role.value,
        "organ": lesion.organ,
        "lymph_node": lesion.is_node,
        "measured_by": ("short axis" if lesion.is_node else "long axis") if is_counted else None,
        "readings": readings,
    }
