"""The table of visits as text: one row per finding, one column per visit, and the texts of its cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from oncotrack.findings.dates import day_text
from oncotrack.findings.finding import Finding, Observation, Role, State, TimePoint
from oncotrack.findings.sizes import axes_text, volume_text

GOOD_MM = 5.0
"""Below this result of the reverse check a match is usually right."""

SIZE_PROPOSED = ", size proposed"
"""Follows the state of a finding that was accepted, but not its size."""


@dataclass(frozen=True)
class VisitLine:
    """A finding's row.

    Attributes
    ----------
    uid, label : str
        Of the finding.
    cells : tuple of str
        Size and state, one cell per visit.
    tips : tuple of str
        Tooltips of the cells; "" where there is nothing to add.
    """

    uid: str
    label: str
    cells: tuple[str, ...]
    tips: tuple[str, ...]


def headings(visits: Sequence[TimePoint]) -> list[str]:
    """Return the column headings: each visit's label, with its date where it is known.

    Parameters
    ----------
    visits : sequence of TimePoint
        The columns.
    """
    return [f"{visit.label} {day_text(visit.date)}".strip() for visit in visits]


def lines(visits: Sequence[TimePoint], findings: Sequence[Finding]) -> list[VisitLine]:
    """Return the rows of the table.

    Parameters
    ----------
    visits : sequence of TimePoint
        The columns.
    findings : sequence of Finding
        The rows.
    """
    rows = []
    for finding in findings:
        observations = [finding.at(visit.id) for visit in visits]
        rows.append(
            VisitLine(finding.uid, finding.label, tuple(map(cell, observations)), tuple(map(tip, observations)))
        )
    return rows


def cell(observation: Observation | None) -> str:
    """Return size and state, "14.6 mm x 8.2 mm, accepted", or "-" where the lesion has not been searched for.

    Parameters
    ----------
    observation : Observation or None
        The lesion at a visit; None before it has been searched for.
    """
    if observation is None:
        return "-"
    texts = (size(observation) if observation.is_there else "", state(observation))
    return ", ".join(text for text in texts if text)


def description(finding: Finding) -> str:
    """Return role, side and site of a finding in words, "target, right axillary nodes"; "" where none was stated.

    Parameters
    ----------
    finding : Finding
        The lesion or node.
    """
    role = "" if finding.role is Role.NONE else finding.role.value
    return ", ".join(filter(None, (role, finding.place)))


def tip(observation: Observation | None) -> str:
    """Return what is doubtful in a lesion's mask, why it was not found, its match's reverse check, and which method found it.

    Parameters
    ----------
    observation : Observation or None
        The lesion at a visit; None before it has been searched for.
    """
    if observation is None or observation.state is State.ABSENT:
        return ""
    if observation.evidence is None:
        return " ".join(observation.doubts)
    method = observation.provenance.method
    sentences = (
        *observation.doubts,
        observation.evidence.reason,
        check_sentence(observation.evidence.cycle_error_mm),
        f"Method: {method}." if method else "",
    )
    return " ".join(sentence for sentence in sentences if sentence)


def size(observation: Observation) -> str:
    """Return long x short axis and volume, "14.6 mm x 8.2 mm, 2.3 ml"; "" when nothing is known of the size.

    Parameters
    ----------
    observation : Observation
        The lesion at a visit.
    """
    return ", ".join(filter(None, (axes_text(observation), volume_text(observation))))


def state(observation: Observation | None) -> str:
    """Return the state of a finding at a visit in words, "accepted, size proposed"; those for its absence name who decided it.

    Parameters
    ----------
    observation : Observation or None
        The lesion at a visit; None before it has been searched for.
    """
    if observation is None:
        return "not followed"
    if observation.state is State.ABSENT:
        return "absent (reader)" if observation.provenance.reader else "absent"
    if observation.state is State.NOT_FOUND:
        return "not found (program)"
    return observation.state.value + SIZE_PROPOSED * observation.is_size_proposed


def reverse_check(observation: Observation | None) -> str:
    """Return how far the reverse search of a match ended from its start, "4.5 mm off (good below 5)".

    Parameters
    ----------
    observation : Observation or None
        The lesion at a visit.

    Returns
    -------
    str
        "" where it is unknown, and for a lesion that is absent: there is no match to check.
    """
    if observation is None or observation.evidence is None or observation.state is State.ABSENT:
        return ""
    return off_text(observation.evidence.cycle_error_mm)


def off_text(cycle_error_mm: float | None, *, has_limit: bool = True) -> str:
    """Return a cycle error in words, "4.5 mm off (good below 5)"; "" when it is unknown.

    Parameters
    ----------
    cycle_error_mm : float or None
        Distance between the starting point and the end of the return match, mm.
    has_limit : bool
        Whether to say what is good; a list of alternatives does without.
    """
    if cycle_error_mm is None or not math.isfinite(cycle_error_mm):
        return ""
    return f"{cycle_error_mm:.1f} mm off" + (f" (good below {GOOD_MM:.0f})" if has_limit else "")


def check_sentence(cycle_error_mm: float | None) -> str:
    """Return the sentence "Reverse check: 4.5 mm off (good below 5)."; "" when the cycle error is unknown.

    Parameters
    ----------
    cycle_error_mm : float or None
        See `off_text`.
    """
    text = off_text(cycle_error_mm)
    return f"Reverse check: {text}." if text else ""
