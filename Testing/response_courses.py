"""Courses for the tests of the response, written as a table: one lesion a line, one visit a column."""

from __future__ import annotations

from datetime import date, timedelta

from oncotrack.findings.finding import Role
from oncotrack.response.course import Course, Lesion, Reading, Seen, Visit

START = date(2025, 1, 1)
TOO_SMALL = Reading(seen=Seen.TOO_SMALL)
NOT_EVALUABLE = Reading(seen=Seen.NOT_EVALUABLE)
ABSENT = Reading(seen=Seen.ABSENT)
PRESENT = Reading(seen=Seen.PRESENT)
LARGER = Reading(seen=Seen.PRESENT, increased=True)
PROGRESSED = Reading(seen=Seen.PROGRESSED)
SUSPECTED = Reading(seen=Seen.PRESENT, equivocal=True)


def merged(with_: str) -> Reading:
    return Reading(seen=Seen.MERGED, merged_with=with_)


def visits(count: int, weeks: int = 8) -> tuple[Visit, ...]:
    """Return a baseline and visits every eight weeks."""
    names = ["Baseline", *(f"Week {weeks * n}" for n in range(1, count))]
    return tuple(Visit(f"v{n}", name, START + timedelta(weeks=weeks * n)) for n, name in enumerate(names))


def lesion(label: str, *readings, role: str = "target", node: bool = False, **fields) -> Lesion:
    """Return a lesion; a number is its diameter in mm (the short axis of a node), None a visit without a reading."""
    role = Role(role)
    found = {
        f"v{n}": each if isinstance(each, Reading) else _measured(float(each), node)
        for n, each in enumerate(readings)
        if each is not None
    }
    return Lesion(id=label, label=label, role=role, is_node=node, readings=found, **fields)


def node(label: str, *readings, **fields) -> Lesion:
    return lesion(label, *readings, node=True, **fields)


def non_target(label: str, *readings, **fields) -> Lesion:
    return lesion(label, *readings, role="non-target", **fields)


def new(label: str, *readings, **fields) -> Lesion:
    return lesion(label, *readings, role="new", **fields)


def course(*lesions: Lesion, count: int = 0, weeks: int = 8) -> Course:
    """Return the course of some lesions, with as many visits as the last one that was read."""
    last = max((int(key[1:]) + 1 for each in lesions for key in each.readings), default=1)
    return Course(visits(max(count, last), weeks), lesions)


def _measured(mm: float, is_node: bool) -> Reading:
    return Reading(long_mm=mm * 1.3, short_mm=mm) if is_node else Reading(long_mm=mm, short_mm=mm * 0.7)
