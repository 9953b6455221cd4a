"""The first progression and its date: that of the first suspicion, where one was confirmed later (RECIST 1.1, section 4.3.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oncotrack.findings.finding import Role
from oncotrack.response.course import Course, Lesion, Reading, Visit
from oncotrack.response.criteria import Response
from oncotrack.response.non_targets import is_certain_progression, is_normal_node, last_reading
from oncotrack.response.recist import VisitResponse


@dataclass(frozen=True)
class Progression:
    """The first progression.

    Attributes
    ----------
    index : int
        Of the visit that dates it.
    visit : Visit
        That visit.
    why : str
        What progressed, and when a suspicion was confirmed.
    """

    index: int
    visit: Visit
    why: str


def progression(course: Course, responses: Sequence[VisitResponse]) -> Progression | None:
    """Return the first progression of a course, or None.

    Parameters
    ----------
    course : Course
        Visits and lesions.
    responses : sequence of VisitResponse
        From `recist.assess`.
    """
    found = [
        Progression(index, each.visit, _cause(each))
        for index, each in enumerate(responses, 1)
        if each.overall.response is Response.PD
    ][:1]
    for lesion in course.lesions:
        if dates := _suspected_and_confirmed(course, lesion):
            start, end = (course.visits[n] for n in dates)
            what = "a new lesion" if lesion.role is Role.NEW else "progression"
            why = f"{lesion.label} was suspected as {what} at {start.label} and confirmed at {end.label}."
            found.append(Progression(dates[0], start, why))
    return min(found, key=lambda each: each.index, default=None)


def _cause(response: VisitResponse) -> str:
    sentences = [each.why for each in (response.target.verdict, response.non_target) if each.response is Response.PD]
    if response.new.certain:
        sentences.append(response.new.why)
    return " ".join(sentences)


def _suspected_and_confirmed(course: Course, lesion: Lesion) -> tuple[int, int] | None:
    """Return the visits at which a new lesion or progression was first suspected, and later confirmed."""
    if lesion.role is Role.TARGET:
        return None
    start = None
    for index in range(1, len(course.visits)):
        seen = lesion.at(course.visits[index])
        if seen is None or last_reading(course, lesion, index) is not seen:
            continue
        if not _is_suspicious(lesion, seen):
            start = None
        elif seen.equivocal:
            start = index if start is None else start
        else:
            return None if start is None else (start, index)
    return None


def _is_suspicious(lesion: Lesion, seen: Reading) -> bool:
    if lesion.role is Role.NEW:
        return seen.is_there and not is_normal_node(lesion, seen)
    return seen.equivocal or is_certain_progression(seen)
