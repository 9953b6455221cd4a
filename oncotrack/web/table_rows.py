"""The findings and the current match as text, for the page."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from typing import Any

from oncotrack.findings.alternative_letters import alternative_letter
from oncotrack.findings.finding import Finding, Observation, State
from oncotrack.findings.sizes import change_text
from oncotrack.findings.visit_table import SIZE_PROPOSED, description, off_text, reverse_check, size
from oncotrack.scene.followup import panel
from oncotrack.scene.followup.follow_up import FollowUpScene

STATES = {
    State.PROPOSED: ("Proposed", "mdi-help-circle-outline"),
    State.NOT_FOUND: ("Not found (program)", "mdi-magnify-close"),
    State.ACCEPTED: ("Accepted", "mdi-check-circle"),
    State.EDITED: ("Edited", "mdi-pencil-circle"),
    State.REJECTED: ("Rejected", "mdi-close-circle-outline"),
    State.ABSENT: ("Absent (reader)", "mdi-minus-circle-outline"),
}
SIZE_PROPOSED_ICON = "mdi-check-circle-outline"
_HEADINGS = {State.NOT_FOUND: "Expected position of", State.ABSENT: "Former position of"}
UNMATCHED = ("unmatched", "Not searched yet", "mdi-circle-outline")
_EXPECTED = (
    "The mark shows where it is expected: accept it there, drag it onto the lesion, or record that it is absent. Then it can "
    "be measured."
)


Known = dict[str, tuple[Finding, Any, dict[str, Any]]]
"""By uid a finding, what its row depends on beside it, and its row."""


def kept_rows(
    known: Known, findings: Iterable[Finding], depends_on: Any, make: Callable[[Finding], dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return the row of each finding by uid, made again only where the finding or what rows depend on has changed.

    Parameters
    ----------
    known : Known
        The rows of the last call; updated.
    findings : iterable of Finding
        In the order of the rows.
    depends_on : object
        What every row depends on beside its finding.
    make : callable
        Returns the row of a finding.
    """
    before = dict(known)
    known.clear()
    for finding in findings:
        kept = before.get(finding.uid)
        if kept is None or kept[0] is not finding or kept[1] != depends_on:
            kept = finding, depends_on, make(finding)
        known[finding.uid] = kept
    return {uid: row for uid, (_finding, _depends_on, row) in known.items()}


def rows(session: FollowUpScene, known: Known | None = None) -> list[dict[str, Any]]:
    """Return one row per finding: uid, label, state as text and icon, reverse check, sizes and their change, and a stamp.

    Parameters
    ----------
    session : FollowUpScene
    known : Known, optional
        As in `kept_rows`; without it all rows are made.
    """
    current = session.current.uid if session.current else ""
    scans = session.baseline_id, session.followup_id, panel.days_apart(session)

    def make(finding: Finding) -> dict[str, Any]:
        row = _row(finding, *scans)
        return row | {"stamp": hashlib.blake2b(repr(row).encode(), digest_size=8).hexdigest()}

    made = kept_rows({} if known is None else known, session.findings, scans, make)
    return [row | {"is_current": True} if uid == current else row for uid, row in made.items()]


def match(session: FollowUpScene) -> dict[str, Any]:
    """Return the match of the current finding as text; an empty dictionary without a match."""
    finding, seen = session.current, session.match
    if finding is None or seen is None:
        return {}
    visit = next((each.label for each in session.time_points if each.id == session.followup_id), "follow-up")
    evidence = seen.evidence
    is_absent = seen.state is State.ABSENT
    alternatives = evidence.alternatives if evidence and not is_absent else ()
    return {
        "label": finding.label,
        "title": f"{_HEADINGS.get(seen.state, 'Match of')} {finding.label} in the {visit}",
        "state_text": STATES[seen.state][0] + SIZE_PROPOSED * seen.is_size_proposed,
        "change": panel.change_since_baseline(session, finding),
        "place": _position_text(seen.centre),
        "ras": [round(value, 3) for value in seen.centre],
        "score": f"{seen.score:.2f}" if seen.score is not None and not is_absent else "",
        "reason": _reason(finding, seen, session.baseline_id),
        "doubts": _doubts(finding.at(session.baseline_id), seen),
        "trust": reverse_check(seen) if seen.state is not State.NOT_FOUND else "",
        "method": "" if is_absent else seen.provenance.method,
        "alternatives": [
            {
                "letter": alternative_letter(index),
                "score": f"{each.score:.2f}",
                "trust": off_text(each.cycle_error_mm, has_limit=False),
                "away": f"{math.dist(each.centre, seen.centre):.0f} mm away",
                "ras": [round(value, 3) for value in each.centre],
            }
            for index, each in enumerate(alternatives, 1)
        ],
    }


def _row(finding: Finding, baseline: str, followup: str, days: int | None) -> dict[str, Any]:
    before, after = finding.at(baseline), finding.at(followup)
    value, words, icon = (after.state.value, *STATES[after.state]) if after else UNMATCHED
    if after is not None and after.is_size_proposed:
        words, icon = "Size proposed", SIZE_PROPOSED_ICON
    return {
        "uid": finding.uid,
        "label": finding.label,
        "kind": finding.kind.value,
        "is_current": False,
        "state": value,
        "state_text": words,
        "icon": icon,
        "trust": f"Reverse check: {check}" if after and after.is_there and (check := reverse_check(after)) else "",
        "axes": " → ".join(filter(None, (_size(before), _size(after)))),
        "change": change_text(before, after, days),
        "about": description(finding),
        "baseline": [round(value, 3) for value in before.centre] if before else None,
        "followup": [round(value, 3) for value in after.centre] if after else None,
    }


def _reason(finding: Finding, seen: Observation, baseline: str) -> str:
    """Return what the reader should know before the decision: why the lesion was not found, or that its size is proposed."""
    before = finding.at(baseline)
    if seen.is_there and (seen.is_size_proposed or (before is not None and before.is_size_proposed)):
        return "The program proposed the size. Check the border in both scans, then accept it."
    is_open = not seen.is_decided and seen.state is not State.ABSENT
    reason = seen.evidence.reason if seen.evidence and is_open else ""
    return f"{reason} {_EXPECTED}".strip() if is_open and seen.state is State.NOT_FOUND else reason


def _doubts(*observations: Observation | None) -> list[str]:
    """Return what is doubtful in the masks of a lesion, each sentence once."""
    return list(dict.fromkeys(doubt for each in observations if each is not None for doubt in each.doubts))


def _size(seen: Observation | None) -> str:
    return size(seen) if seen and seen.is_there else ""


def _position_text(ras: tuple[float, float, float]) -> str:
    """Return a position (RAS mm) in words: "R 12.0, P 3.4, S 50.1 mm"."""
    letters = ("RL", "AP", "SI")
    return ", ".join(f"{pair[value < 0]} {abs(value):.1f}" for pair, value in zip(letters, ras, strict=True)) + " mm"
