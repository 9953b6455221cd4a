"""The table of visits as text: one row per finding, one column per visit, and the texts of its cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from oncotrack.findings.dates import day_text
from oncotrack.findings.finding import Finding, Observation, State, TimePoint


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
    """Return size and state, "14.6 x 8.2 mm, accepted", or "-" where the lesion has not been searched for.

    Parameters
    ----------
    observation : Observation or None
        The lesion at a visit; None before it has been searched for.
    """
    if observation is None:
        return "-"
    texts = (size(observation) if observation.is_there else "", state(observation))
    return ", ".join(text for text in texts if text)


def tip(observation: Observation | None) -> str:
    """Return why a lesion was not found, how far its match can be trusted, and which method found it.

    Parameters
    ----------
    observation : Observation or None
        The lesion at a visit; None before it has been searched for.
    """
    if observation is None or observation.evidence is None:
        return ""
    method = observation.provenance.method
    sentences = (
        observation.evidence.reason,
        return_match(observation.evidence.cycle_error_mm),
        f"Method: {method}." if method else "",
    )
    return " ".join(sentence for sentence in sentences if sentence)


def size(observation: Observation) -> str:
    """Return long and short axis in mm, otherwise the volume in ml, or "" when nothing was measured.

    Parameters
    ----------
    observation : Observation
        The lesion at a visit.
    """
    if lengths := axes(observation):
        return f"{lengths} mm"
    return "" if observation.volume_mm3 is None else f"{observation.volume_mm3 / 1000:.1f} ml"


def axes(observation: Observation) -> str:
    """Return the lengths of long and short axis in mm, "14.6 x 8.2", or "" when neither was measured.

    Parameters
    ----------
    observation : Observation
        The lesion at a visit.
    """
    return " x ".join(f"{axis.length_mm:.1f}" for axis in (observation.long_axis, observation.short_axis) if axis)


def state(observation: Observation | None) -> str:
    """Return the state of a finding at a visit in words; those for its absence name who decided it.

    Parameters
    ----------
    observation : Observation or None
        The lesion at a visit; None before it has been searched for.
    """
    if observation is None:
        return "not followed"
    if observation.state is State.ABSENT:
        return "absent (reader)" if observation.provenance.reader else "absent"
    return "not found (program)" if observation.state is State.NOT_FOUND else observation.state.value


def trust(observation: Observation | None) -> str:
    """Return the cycle error of a match for a table, "4.5 mm", or "" when it is unknown.

    Parameters
    ----------
    observation : Observation or None
        The lesion at a visit; None before it has been searched for.
    """
    evidence = observation.evidence if observation else None
    return _millimetres(evidence.cycle_error_mm) if evidence else ""


def cycle_error(error_mm: float | None) -> str:
    """Return the cycle error in a few words, "cycle error 4.5 mm".

    Parameters
    ----------
    error_mm : float or None
        Distance between the starting point and the end of the return match, mm.
    """
    return f"cycle error {_millimetres(error_mm) or 'unknown'}"


def return_match(error_mm: float | None) -> str:
    """Return the sentence that explains the cycle error, or "" when it is unknown.

    Parameters
    ----------
    error_mm : float or None
        Distance between the starting point and the end of the return match, mm.
    """
    length = _millimetres(error_mm)
    return f"Return match ends {length} from the starting point (cycle error)." if length else ""


def _millimetres(error_mm: float | None) -> str:
    return f"{error_mm:.1f} mm" if error_mm is not None and math.isfinite(error_mm) else ""
