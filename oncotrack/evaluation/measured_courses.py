"""Whether the response from proposed measurements is that of the true ones, on synthetic courses of several visits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets.measured_visits import MeasuredCourse, TargetTruth
from oncotrack.errors import InputError, RegistrationError
from oncotrack.findings.finding import Observation, Point, Role
from oncotrack.followup.match_lesions import match_all
from oncotrack.followup.measure import measure_match
from oncotrack.followup.methods import prepare
from oncotrack.followup.tracker import ScanPair, Tracker
from oncotrack.response.course import Course, Lesion, Reading, Seen, Visit
from oncotrack.response.result import respond

_START, _WEEKS = date(2026, 1, 1), 8


def evaluate_measured_courses(
    tracker: Tracker, courses: Iterable[MeasuredCourse], *, count: int = 0, progress: Progress = silent
) -> dict[str, Any]:
    """Measure the target lesions of every course at every visit, and compare the responses with those of the truth.

    The reader's part is assumed: a match beside the lesion is placed on it, a lesion that is gone is marked as absent.
    Everything else is the program's.

    Parameters
    ----------
    tracker : Tracker
        The method that finds the lesions.
    courses : iterable of MeasuredCourse
        Scans and true target lesions.
    count : int
        Number of courses, for the progress; 0 if unknown.
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
    visits, agreeing, same_best, used = 0, 0, 0, 0
    differences, unregistered, counted = [], [], Counter()
    for course in courses:
        progress(used / max(count, used + 1), course.name)
        try:
            measured = _measured(tracker, course)
        except RegistrationError:
            unregistered.append(course.name)
            continue
        used += 1
        truth = respond(_course(course, [target.readings for target in course.targets]))
        found = respond(_course(course, measured))
        same_best += truth.best.response is found.best.response
        for true, ours in zip(truth.visits, found.visits, strict=True):
            visits += 1
            counted[true.overall.response.value] += 1
            if true.overall.response is ours.overall.response:
                agreeing += 1
                continue
            differences.append(
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
            )
    if not used:
        raise InputError("There is no course with a target lesion whose scans could be registered.")
    return {
        "task": "measured courses",
        "courses": used,
        "visits": visits,
        "visits_agree": 100 * agreeing / visits,
        "courses_agree": 100 * same_best / used,
        "true_responses": dict(counted),
        "differences": differences,
        "not_registered": unregistered,
    }


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
