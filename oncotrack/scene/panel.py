"""What a follow-up panel shows and lets a reader do, in words; no toolkit knows more than this."""

from __future__ import annotations

import math
from dataclasses import dataclass

from oncotrack.findings import Finding, Observation, State
from oncotrack.scene.follow_up import FollowUpScene

_TO_REVIEW = "to review"
SHOWN: dict[str, tuple[State, ...]] = {
    "all": tuple(State),
    _TO_REVIEW: (State.PROPOSED,),
    "accepted": (State.ACCEPTED, State.EDITED),
    "rejected": (State.REJECTED,),
    "absent": (State.ABSENT,),
}
"""Choices of the state filter, with the states of the match that each lets through."""
COLUMNS = ("Lesion", "State", "Trust", "Axes (mm)")


@dataclass(frozen=True)
class Line:
    """A lesion as a line of the table; `cells` go with `COLUMNS`, `tip` says more about the match."""

    uid: str
    cells: tuple[str, str, str, str]
    tip: str


def lines(session: FollowUpScene, shown: str = "all") -> list[Line]:
    """The lesions that the state filter `shown` lets through, in the list's order."""
    chosen = SHOWN[shown]
    result = []
    for finding in session.findings:
        match = finding.at(session.followup_id)
        if match is None and shown not in ("all", _TO_REVIEW):
            continue
        if match is None or match.state in chosen:
            cells = (finding.label, state(match), trust(match), _axes(session, finding))
            result.append(Line(finding.uid, cells, verdict(session, finding)))
    return result


def state(match: Observation | None) -> str:
    """What is known of a match, in a word or two."""
    if match is None:
        return "not followed"
    return "not found" if _was_not_found(match) else match.state.value


def trust(match: Observation | None) -> str:
    """The cycle error: by how much matching back misses the lesion; empty when it is not known."""
    error = match.evidence.cycle_error_mm if match and match.evidence else None
    return f"{error:.1f} mm" if error is not None and math.isfinite(error) else ""


def verdict(session: FollowUpScene, finding: Finding | None = None) -> str:
    """What there is to say of a finding's match (the current one by default), as a sentence; "" without a finding."""
    finding = finding or session.current
    if finding is None:
        return ""
    match = finding.at(session.followup_id)
    if match is None:
        return f"{finding.label} has not been followed yet."
    if _was_not_found(match):
        return f"{finding.label} was not found. {match.evidence.reason}".strip()
    back = trust(match)
    return f"{finding.label}: {state(match)}" + (f"; matched back it misses its start by {back}." if back else ".")


def alternatives(session: FollowUpScene) -> list[str]:
    """The current match's alternatives as the views letter them, with score and distance from the match."""
    match = session.match
    known = match.evidence.alternatives if match and match.evidence else ()
    return [
        f"{letter}: score {other.score:.2f}, {math.dist(other.centre, match.centre):.0f} mm away"
        + ("" if other.cycle_error_mm is None else f", misses its start by {other.cycle_error_mm:.1f} mm")
        for letter, other in zip("bcdefgh", known, strict=False)
    ]


def possible(session: FollowUpScene) -> frozenset[str]:
    """Names of the methods of `FollowUpScene` that a reader can use now, so that a panel can dim the rest."""
    names = set()
    both = session.baseline is not None and session.followup is not None
    if both:
        names |= {"begin_placing", "register"}
    if len(session.findings):
        names |= {"next", "previous"}
    if both and any(f.at(session.baseline_id) and not f.at(session.followup_id) for f in session.findings):
        names.add("follow_missing")
    if session.current:
        names.add("delete")
        if both and session.current.at(session.baseline_id):
            names.add("follow_again")
    if session.match:
        names |= {"accept", "reject", "mark_absent"}
    if alternatives(session):
        names.add("take_alternative")
    if session.findings.can_undo:
        names.add("undo")
    if session.findings.can_redo:
        names.add("redo")
    return frozenset(names)


def own_volumes(session: FollowUpScene) -> list[str]:
    """Ids of the volumes that OncoTrack draws itself, which are no scans to choose from."""
    return [node.GetID() for _key, node in session.nodes.parts if node.IsA("vtkMRMLVolumeNode")]


def _was_not_found(match: Observation) -> bool:
    return match.state is State.ABSENT and not match.provenance.reader and match.evidence is not None


def _axes(session: FollowUpScene, finding: Finding) -> str:
    seen = [finding.at(session.baseline_id), finding.at(session.followup_id)]
    texts = [" x ".join(f"{axis.length_mm:.1f}" for axis in (o.long_axis, o.short_axis) if axis) for o in seen if o]
    return " → ".join(text or "-" for text in texts) if any(texts) else ""
