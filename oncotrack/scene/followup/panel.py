"""The contents of a follow-up panel as text, and the commands that are possible, for both user interfaces."""

from __future__ import annotations

import math
from dataclasses import dataclass

import slicer

from oncotrack.findings.alternative_letters import alternative_letter
from oncotrack.findings.dates import days_between
from oncotrack.findings.finding import Finding, State
from oncotrack.findings.sizes import axes_text, change_text
from oncotrack.findings.visit_table import (
    VisitLine,
    check_sentence,
    headings,
    off_text,
    reverse_check,
    state,
)
from oncotrack.findings.visit_table import lines as visit_rows
from oncotrack.scene.choices import MATCH_STATES
from oncotrack.scene.followup.follow_tasks import is_missing, is_undecided
from oncotrack.scene.followup.follow_up import FollowUpScene
from oncotrack.scene.followup.measure_tasks import may_be_measured

_STATES = (
    tuple(State),
    (State.PROPOSED, State.NOT_FOUND),
    (State.ACCEPTED, State.EDITED),
    (State.REJECTED,),
    (State.ABSENT,),
)
_SHIFT_MM = 0.5  # a shift that is worth mentioning
SHOWN: dict[str, tuple[State, ...]] = dict(zip(MATCH_STATES, _STATES, strict=True))
"""Choices of the state filter, with the states of the match that each lets through."""


@dataclass(frozen=True)
class LesionLine:
    """A line of the table of lesions: `cells` under `LESION_COLUMNS`; `tip` describes the match in a sentence."""

    uid: str
    cells: tuple[str, str, str, str]
    tip: str


def lines(session: FollowUpScene, shown: str = "all", search: str = "") -> list[LesionLine]:
    """Return the lesions that pass the state filter `shown` and contain the words of `search`, in the list's order."""
    chosen = SHOWN[shown]
    result = []
    for finding in session.findings:
        match = finding.at(session.followup_id)
        if match is None and shown not in MATCH_STATES[:2]:
            continue
        if match is None or match.state in chosen:
            cells = (finding.label, state(match), reverse_check(match), _axes(session, finding))
            described = " ".join((*cells, finding.kind.value, finding.role.value, finding.place, finding.comment))
            if search.strip().lower() not in described.lower():
                continue
            result.append(LesionLine(finding.uid, cells, match_text(session, finding)))
    return result


def match_text(session: FollowUpScene, finding: Finding | None = None) -> str:
    """Return a sentence about a finding's match (the current one by default); "" without a finding."""
    finding = finding or session.current
    if finding is None:
        return ""
    match = finding.at(session.followup_id)
    if match is None:
        return f"{finding.label} has not been followed yet."
    if match.state is State.NOT_FOUND:
        reason = match.evidence.reason if match.evidence else ""
        return f"{finding.label} was not found by the program. {reason}".strip()
    is_explained = match.evidence and match.state is not State.ABSENT
    explanation = check_sentence(match.evidence.cycle_error_mm) if is_explained else ""
    change = change_since_baseline(session, finding)
    return " ".join(filter(None, (f"{finding.label}: {state(match)}.", explanation, change and f"Size: {change}.")))


def change_since_baseline(session: FollowUpScene, finding: Finding) -> str:
    """Return the change of a finding's size from baseline to follow-up in mm, per cent, ml and days; "" where it is not known."""
    ids = session.baseline_id, session.followup_id
    return change_text(*(finding.at(each) for each in ids), days_apart(session))


def days_apart(session: FollowUpScene) -> int | None:
    """Return the days from baseline to follow-up; None where a date is not known."""
    dates = {visit.id: visit.date for visit in session.time_points}
    return days_between(*(dates.get(each, "") for each in (session.baseline_id, session.followup_id)))


def alternatives(session: FollowUpScene) -> list[str]:
    """Return the current match's alternatives by their letters in the views, with score and distance from the match."""
    match = session.match
    known = match.evidence.alternatives if match and match.evidence and match.state is not State.ABSENT else ()
    return [
        f"{alternative_letter(index)}: score {other.score:.2f}, {math.dist(other.centre, match.centre):.0f} mm away"
        + (f", {off}" if (off := off_text(other.cycle_error_mm, has_limit=False)) else "")
        for index, other in enumerate(known, 1)
    ]


def visit_table(session: FollowUpScene) -> tuple[list[str], list[VisitLine]]:
    """Return headings and rows of the lesions over time, one column per visit; no rows for fewer than three visits."""
    visits = session.time_points
    return headings(visits), visit_rows(visits, session.findings.findings) if len(visits) > 2 else []


def visit_names(session: FollowUpScene) -> dict[slicer.vtkMRMLVolumeNode, str]:
    """Return the names of the visits ("baseline", "follow-up" ...) by their volume nodes."""
    return dict(zip(session.visits, (visit.label for visit in session.time_points), strict=True))


def link_text(session: FollowUpScene) -> str:
    """Return in words how the two scans are linked; "" without two scans."""
    if session.baseline is None or session.followup is None:
        return ""
    registration = session.registration
    if registration is None:
        return "The scans are not registered, so their views are not linked."
    quality = f"similarity {registration.similarity:.2f}, overlap {100 * registration.overlap:.0f} %"
    if residual := session.residual.value:
        quality = f"{quality}, {residual.text}"
    shift, linking = session.linking.shift_mm, session.linking
    if linking.is_held:
        return f"You linked the positions that were shown, {shift:.0f} mm from the registration ({quality})."
    if shift > _SHIFT_MM:
        return f"The scans are registered ({quality}). The link is shifted by {shift:.0f} mm to fit the current match."
    return f"The scans are registered ({quality}): linked views show corresponding positions."


def method_tip(session: FollowUpScene, name: str = "") -> str:
    """Return a method's description (the one in use by default) and its limits."""
    about = session.method.about(name or session.method.name)
    return " ".join(text for text in (about.about, about.caution) if text)


def possible_methods(session: FollowUpScene) -> frozenset[str]:
    """Return the names of the methods of `FollowUpScene` that can be called now; a panel disables the others."""
    names = set()
    both = session.baseline is not None and session.followup is not None
    if both:
        names |= {"begin_placing", "register"}
    if len(session.findings):
        names |= {"next", "previous"}
    if both:
        ids = session.baseline_id, session.followup_id
        for name, test in (("follow_missing", is_missing), ("rematch", is_undecided), ("measure_all", may_be_measured)):
            if any(test(finding, *ids) for finding in session.findings):
                names.add(name)
        if session.current and may_be_measured(session.current, *ids):
            names.add("measure")
    if session.current:
        names |= {"remove_everywhere", "enlarge"} | _possible_with_current(session)
    if session.match:
        names |= {"accept", "reject", "mark_absent"}
    if alternatives(session):
        names.add("take_alternative")
    if session.findings.can_undo:
        names.add("undo")
    if session.findings.can_redo:
        names.add("redo")
    return frozenset(names)


def _possible_with_current(session: FollowUpScene) -> set[str]:
    names, visits, match = set(), session.visits, session.match
    if session.baseline and session.followup and session.current.at(session.baseline_id):
        names.add("follow_again")
        if session.method.may_map:
            names.add("map_probability")
    if len(visits) > 1 and any(map(session.is_present, session.findings)):
        names.add("follow_all_through")
        if session.is_present(session.current):
            names.add("follow_through")
        if match and match.is_there and session.followup is not visits[-1]:
            names.add("follow_onward")
    return names


def own_volumes(session: FollowUpScene) -> list[str]:
    """Return the ids of the volumes that OncoTrack created, which must not be offered as scans."""
    return [node.GetID() for _key, node in session.nodes.registry if node.IsA("vtkMRMLVolumeNode")]


def _axes(session: FollowUpScene, finding: Finding) -> str:
    seen = [finding.at(session.baseline_id), finding.at(session.followup_id)]
    texts = [axes_text(each) if each.is_there else "" for each in seen if each]
    return " → ".join(text or "-" for text in texts) if any(texts) else ""
