"""Whether the response from proposed measurements is that of the true ones, on synthetic courses of several visits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from typing import Any

from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets.measured_visits import MeasuredCourse, TargetTruth
from oncotrack.errors import InputError
from oncotrack.evaluation.kept_parts import KeptParts, evaluated_parts
from oncotrack.findings.finding import Observation, Point, Role
from oncotrack.followup.match_lesions import match_all
from oncotrack.followup.measure import measure_match
from oncotrack.followup.methods import prepare
from oncotrack.followup.tracker import ScanPair, Tracker
from oncotrack.response.course import Course, Lesion, Reading, Seen, Visit
from oncotrack.response.result import respond

_START, _WEEKS = date(2026, 1, 1), 8


def evaluate_measured_courses(
    tracker: Tracker,
    courses: Iterable[tuple[str, Callable[[], MeasuredCourse | None]]],
    *,
    count: int = 0,
    kept: KeptParts | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Measure the target lesions of every course at every visit, and compare the responses with those of the truth.

    The reader's part is assumed: a match beside the lesion is placed on it, a lesion that is gone is marked as absent.
    Everything else is the program's.

    Parameters
    ----------
    tracker : Tracker
        The method that finds the lesions.
    courses : iterable of (str, callable)
        Names, and functions that return scans and true target lesions, or None where there are none.
    count : int
        Number of courses, for the progress; 0 if unknown.
    kept : KeptParts, optional
        Where the courses that are done are kept.
    progress : Progress
        Called before each course.

    Returns
    -------
    dict
        `courses`, `visits`; `visits_agree` and `courses_agree` (per cent: the response at a visit, and the best overall
        response); `differences` with both sums and both sentences; `not_registered`.

    Raises
    ------
    InputError
        No course could be used.
    """
    used, unregistered = evaluated_parts(
        courses, lambda course: _compared(tracker, course), count, kept or KeptParts(), progress
    )
    if not used:
        raise InputError("There is no course with a target lesion whose scans could be registered.")
    visits = [visit for course in used for visit in course["visits"]]
    differences = [visit for visit in visits if visit["truth"] != visit["measured"]]
    return {
        "task": "measured courses",
        "courses": len(used),
        "visits": len(visits),
        "visits_agree": 100 * (1 - len(differences) / len(visits)),
        "courses_agree": 100 * sum(course["is_best_same"] for course in used) / len(used),
        "true_responses": dict(Counter(visit["truth"] for visit in visits)),
        "differences": differences,
        "not_registered": unregistered,
    }


def _compared(tracker: Tracker, course: MeasuredCourse) -> dict[str, Any]:
    """Return the responses of a course beside the true ones."""
    measured = _measured(tracker, course)
    truth = respond(_course(course, [target.readings for target in course.targets]))
    found = respond(_course(course, measured))
    visits = [
        {
            "course": course.name,
            "visit": true.visit.label,
            "truth": true.overall.response.value,
            "measured": ours.overall.response.value,
            "true_sum_mm": true.target.total.mm,
            "measured_sum_mm": ours.target.total.mm,
            "why_truth": true.target.verdict.why,
            "why_measured": ours.target.verdict.why,
        }
        for true, ours in zip(truth.visits, found.visits, strict=True)
    ]
    return {"visits": visits, "is_best_same": truth.best.response is found.best.response}


def _measured(tracker: Tracker, course: MeasuredCourse) -> list[list[Reading]]:
    """Return the reading of every target lesion at every visit."""
    baseline, *later = course.scans
    readings = [[target.readings[0]] for target in course.targets]
    for n, scan in enumerate(later, 1):
        pair = ScanPair(baseline, scan, cache=False)
        prepare(tracker, pair)
        starts = [(each.before.centre, each.before.radius_mm or 10.0) for each in course.targets]
        matches = match_all(tracker, pair, starts)
        for target, seen, match in zip(course.targets, readings, matches, strict=True):
            at = target.positions[n]
            if at is None:
                seen.append(Reading(seen=Seen.ABSENT))
                continue
            position = match.position if match.found and _is_on(match.position, at, target, n) else at
            seen.append(_reading(pair, target, position))
    return readings


def _is_on(position: Point, at: Point, target: TargetTruth, n: int) -> bool:
    distance = sum((a - b) ** 2 for a, b in zip(position, at, strict=True)) ** 0.5
    return distance <= (target.readings[n].long_mm or 0.0) / 2


def _reading(pair: ScanPair, target: TargetTruth, position: Point) -> Reading:
    try:
        found = measure_match(pair, target.before, Observation(centre=position))
    except InputError:
        return Reading(seen=Seen.NOT_EVALUABLE)
    assert found.long_axis and found.short_axis
    return Reading(long_mm=found.long_axis.length_mm, short_mm=found.short_axis.length_mm, volume_mm3=found.volume_mm3)


def _course(course: MeasuredCourse, readings: Sequence[Sequence[Reading]]) -> Course:
    names = ["Baseline", *(f"Week {_WEEKS * n}" for n in range(1, len(course.scans)))]
    visits = tuple(Visit(f"v{n}", name, _START + timedelta(weeks=_WEEKS * n)) for n, name in enumerate(names))
    lesions = [
        Lesion(
            id=target.name,
            label=target.name,
            role=Role.TARGET,
            is_node=target.is_node,
            organ=target.organ,
            readings={visit.id: each for visit, each in zip(visits, seen, strict=True)},
        )
        for target, seen in zip(course.targets, readings, strict=True)
    ]
    return Course(visits, tuple(lesions), course.name)
