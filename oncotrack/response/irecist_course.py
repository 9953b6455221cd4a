"""iRECIST for a course of measurements: sums of target lesions and of new lesions, and growth since an unconfirmed progression."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from oncotrack.findings.finding import Role
from oncotrack.response.course import Course, Lesion, Seen, Visit
from oncotrack.response.criteria import (
    MOST_PER_ORGAN,
    MOST_TARGETS,
    PROGRESSION_MM,
    TARGET_MM,
    TARGET_NODE_MM,
    Response,
    Settings,
    Verdict,
    is_progression,
    reaches,
)
from oncotrack.response.irecist import Category, Evidence, IResponse, IVerdict, Status, verdict
from oncotrack.response.non_targets import NewLesions, new_lesions, non_target_verdict
from oncotrack.response.progression import Progression
from oncotrack.response.sums import TargetSum, diameter_mm, target_sum
from oncotrack.response.targets import TargetResult, target_result


@dataclass(frozen=True)
class IVisitResponse:
    """The response at one visit by iRECIST, with the parts that gave it."""

    visit: Visit
    target: TargetResult
    non_target: Verdict
    new: NewLesions
    overall: IVerdict


def assess_immune(course: Course, settings: Settings | None = None) -> tuple[IVisitResponse, ...]:
    """Return the response at every visit after baseline; it depends on that visit and on earlier ones only.

    Parameters
    ----------
    course : Course
        Visits and lesions.
    settings : Settings, optional
        The protocol's.
    """
    return _Assessment(course, settings or Settings()).run()


def progression_immune(course: Course, responses: Sequence[IVisitResponse]) -> Progression | None:
    """Return the progression, dated to the unconfirmed one that was confirmed or that nothing evaluable followed.

    Parameters
    ----------
    course : Course
        Visits and lesions.
    responses : sequence of IVisitResponse
        From `assess_immune`.
    """
    start = None
    for index, each in enumerate(responses, 1):
        response = each.overall.response
        if response is IResponse.ICPD:
            return Progression(start or index, course.visits[start or index], each.overall.why)
        if response is IResponse.IUPD:
            start = start or index
        elif response is not IResponse.NE:
            start = None
    if start is None:
        return None
    visit = course.visits[start]
    return Progression(
        start, visit, f"The progression of {visit.label} is not confirmed yet, and nothing better followed."
    )


class _Assessment:
    """The visits of a course one after the other."""

    def __init__(self, course: Course, settings: Settings) -> None:
        self._course, self._settings = course, settings
        self._sums: list[TargetSum] = [target_sum(course, n, settings) for n in range(len(course.visits))]
        self._new = [new_lesions(course, n) for n in range(len(course.visits))]
        self._responses: list[IVisitResponse] = []

    def run(self) -> tuple[IVisitResponse, ...]:
        """Return the response at every visit after baseline."""
        status, start = Status(), 0
        for index in range(1, len(self._course.visits)):
            evidence, parts = self._evidence(index, start)
            overall, status = verdict(evidence, status, self._settings)
            start = index if status.start is evidence else start if status.start else 0
            self._responses.append(IVisitResponse(self._course.visits[index], *parts, self._new[index], overall))
        return tuple(self._responses)

    def _evidence(self, index: int, start: int) -> tuple[Evidence, tuple[TargetResult, Verdict]]:
        """Return the evidence of a visit, with the growth since the visit `start`."""
        evaluable = [r.overall.response for r in self._responses if r.overall.response is not IResponse.NE]
        after_complete = bool(evaluable) and evaluable[-1] is IResponse.ICR
        before = [each.target.verdict.response for each in self._responses]
        target = target_result(self._course, self._sums[: index + 1], before, after_complete, self._settings)
        non_target = non_target_verdict(self._course, index, after_complete)
        added = self._added(index)
        progress = {
            Category.TARGET: target.verdict.why if target.verdict.response is Response.PD else "",
            Category.NON_TARGET: non_target.why if non_target.response is Response.PD else "",
            Category.NEW: added or self._new_progress(index),
        }
        growth = {
            Category.TARGET: self._target_growth(index, start),
            Category.NON_TARGET: self._reported_growth(self._course.of_role(Role.NON_TARGET), index),
            Category.NEW: added or self._new_growth(index, start),
        }
        evidence = Evidence(
            self._course.visits[index],
            target.verdict.response,
            non_target.response,
            bool(self._new[index].certain),
            {key: text for key, text in progress.items() if text},
            {key: text for key, text in growth.items() if text},
            added,
            self._course.days(index),
        )
        return evidence, (target, non_target)

    def _target_growth(self, index: int, start: int) -> str:
        now, then = self._sums[index].measured_mm, self._sums[start].mm
        if start and then is not None and reaches(now - then, PROGRESSION_MM):
            return f"The sum of target diameters grew from {then:.1f} to {now:.1f} mm, by at least {PROGRESSION_MM:.0f} mm."
        return ""

    def _reported_growth(self, lesions: Sequence[Lesion], index: int) -> str:
        """Return the sentence about lesions that the reader finds larger than at the visit before."""
        visit = self._course.visits[index]
        larger = [each.label for each in lesions if (seen := each.at(visit)) and seen.is_there and seen.increased]
        return f"Larger than at the visit before: {', '.join(larger)}." if larger else ""

    def _first(self, lesion: Lesion) -> int:
        """Return the visit at which a new lesion was certain for the first time; the number of visits before that."""
        return next((n for n, each in enumerate(self._new) if lesion in each.certain), len(self._new))

    def _added(self, index: int) -> str:
        added = [each.label for each in self._new[index].certain if self._first(each) == index]
        return f"New at {self._course.visits[index].label}: {', '.join(added)}." if added else ""

    def _measured_new(self, index: int) -> list[Lesion]:
        """Return the new lesions that are measured: at most 5 and 2 an organ, measurable when they appeared."""
        chosen: list[Lesion] = []
        per_organ: Counter[str] = Counter()
        for _first, _size, _id, lesion in sorted(
            (self._first(each), -(self._new_mm(each, self._first(each)) or 0.0), each.id, each)
            for each in self._course.of_role(Role.NEW)
            if self._first(each) <= index
        ):
            size = self._new_mm(lesion, self._first(lesion)) or 0.0
            organ = lesion.organ_group
            if (
                reaches(size, TARGET_NODE_MM if lesion.is_node else TARGET_MM)
                and len(chosen) < MOST_TARGETS
                and per_organ[organ] < MOST_PER_ORGAN
            ):
                chosen.append(lesion)
                per_organ[organ] += 1
        return chosen

    def _new_mm(self, lesion: Lesion, index: int) -> float | None:
        seen = lesion.at(self._course.visits[index])
        if seen is not None and seen.seen is Seen.MERGED:
            return 0.0
        return diameter_mm(lesion, seen, self._settings)

    def _new_sum(self, lesions: Sequence[Lesion], index: int) -> float | None:
        sizes = [self._new_mm(each, index) for each in lesions]
        return None if not sizes or None in sizes else math.fsum(size or 0.0 for size in sizes)

    def _new_growth(self, index: int, start: int) -> str:
        lesions = self._measured_new(start) if start else []
        now, then = self._new_sum(lesions, index), self._new_sum(lesions, start)
        if now is not None and then is not None and reaches(now - then, PROGRESSION_MM):
            return f"The sum of new lesions grew from {then:.1f} to {now:.1f} mm, by at least {PROGRESSION_MM:.0f} mm."
        others = [each for each in self._new[index].certain if each not in lesions]
        return self._reported_growth(others, index)

    def _new_progress(self, index: int) -> str:
        """Return why new lesions of earlier visits progress: as target lesions by their sum, others unequivocally."""
        lesions = self._measured_new(index - 1)
        first = max((self._first(each) for each in lesions), default=index)
        sums = [mm for n in range(first, index) if (mm := self._new_sum(lesions, n)) is not None]
        now = self._new_sum(lesions, index)
        if now is not None and sums and is_progression(now, min(sums)):
            return f"The sum of new lesions is {now:.1f} mm, PD against its smallest value of {min(sums):.1f} mm."
        visit = self._course.visits[index]
        worse = [
            each.label
            for each in self._new[index].certain
            if each not in lesions and (seen := each.at(visit)) and seen.seen is Seen.PROGRESSED and not seen.equivocal
        ]
        return f"Unequivocal progression of {', '.join(worse)}." if worse else ""
