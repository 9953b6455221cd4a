"""The findings over time in words: a row a finding, a column a visit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from oncotrack.findings.finding import Finding, Observation, State, TimePoint


@dataclass(frozen=True)
class VisitLine:
    """A finding's row: `cells` go with the visits; `tips` say more of each, "" where there is nothing more to say."""

    uid: str
    label: str
    cells: tuple[str, ...]
    tips: tuple[str, ...]


def headings(visits: Sequence[TimePoint]) -> list[str]:
    """What stands above each visit's column: its label, and its date where it is known."""
    return [f"{visit.label} {_day(visit.date)}".strip() for visit in visits]


def lines(visits: Sequence[TimePoint], findings: Sequence[Finding]) -> list[VisitLine]:
    """One row a finding, one cell a visit: its size where it is known, and its state."""
    rows = []
    for finding in findings:
        seen = [finding.at(visit.id) for visit in visits]
        rows.append(VisitLine(finding.uid, finding.label, tuple(map(cell, seen)), tuple(map(tip, seen))))
    return rows


def cell(seen: Observation | None) -> str:
    """Size and state: "14.6 x 8.2 mm, accepted"; "-" where the lesion was not looked for."""
    if seen is None:
        return "-"
    return ", ".join(text for text in (size(seen) if seen.is_there else "", state(seen)) if text)


def tip(seen: Observation | None) -> str:
    """Why a lesion was not found, or how far its match can be trusted and which method found it."""
    if seen is None or seen.evidence is None:
        return ""
    said = [seen.evidence.reason]
    if trust(seen):
        said.append(f"Matched back it misses its start by {trust(seen)}.")
    if seen.provenance.method:
        said.append(f"Method: {seen.provenance.method}.")
    return " ".join(text for text in said if text)


def size(seen: Observation) -> str:
    """Long and short axis, else the volume; "" when neither was measured."""
    if lengths := axes(seen):
        return f"{lengths} mm"
    return "" if seen.volume_mm3 is None else f"{seen.volume_mm3 / 1000:.1f} ml"


def axes(seen: Observation) -> str:
    """Long and short axis in mm, "14.6 x 8.2"; "" when none was measured."""
    return " x ".join(f"{axis.length_mm:.1f}" for axis in (seen.long_axis, seen.short_axis) if axis)


def state(seen: Observation | None) -> str:
    """What is known of a match, in a word or two."""
    if seen is None:
        return "not followed"
    return "not found" if was_not_found(seen) else seen.state.value


def was_not_found(seen: Observation) -> bool:
    """Whether a method, and not a reader, says that the lesion is not there."""
    return seen.state is State.ABSENT and not seen.provenance.reader and seen.evidence is not None


def trust(seen: Observation | None) -> str:
    """The cycle error: by how much matching back misses the lesion; "" when it is not known."""
    error = seen.evidence.cycle_error_mm if seen and seen.evidence else None
    return f"{error:.1f} mm" if error is not None and math.isfinite(error) else ""


def _day(date: str) -> str:
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 else date
