"""The contents of a detection panel as text, and the commands that are possible, for both user interfaces."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oncotrack.findings.finding import Finding, Observation, State, box_axes
from oncotrack.findings.sizes import ENLARGED_MM, MEASURABLE_MM, length_text, mm_text, size_class
from oncotrack.findings.tracklet import SliceBox, Tracklet
from oncotrack.findings.uptake import Uptake
from oncotrack.findings.visit_table import state
from oncotrack.scene.choices import NODE_ORDERS, NODE_SIZES, NODE_STATES, PET_ORDERS
from oncotrack.scene.detection import uptake_text
from oncotrack.scene.detection.detection import DetectionScene
from oncotrack.scene.detection.primary_tumour import NEEDED
from oncotrack.scene.views.scan_text import slice_number

_STATES = (tuple(State), (State.PROPOSED,), (State.ACCEPTED, State.EDITED), (State.REJECTED,))
SHOWN: dict[str, tuple[State, ...]] = dict(zip(NODE_STATES, _STATES, strict=True))
"""Choices of the state filter, with the states that each lets through."""
SIZES: dict[str, float] = dict(zip(NODE_SIZES, (0.0, ENLARGED_MM, MEASURABLE_MM), strict=True))
"""Choices of the size filter, with the least short axis (mm) that each lets through."""
_ORDERS: tuple[tuple[Callable[[Finding, Observation], object], bool], ...] = (
    (lambda _finding, seen: -1.0 if seen.confidence is None else seen.confidence, True),
    (lambda _finding, seen: _short_mm(seen), True),
    (lambda finding, _seen: _natural(finding.label), False),
    (lambda _finding, seen: list(State).index(seen.state), False),
    (lambda _finding, seen: seen.centre[2], True),
    (lambda finding, seen: (not finding.region, finding.region, finding.side.value, -(seen.confidence or 0.0)), False),
)
ORDERS = dict(zip(NODE_ORDERS[: -len(PET_ORDERS)], _ORDERS, strict=True))
"""Choices of the order: the sort key, and whether the largest comes first. Position runs from head to feet. Those by uptake are
in `uptake_text.ORDERS`."""


_CHECK = " Check every one, and look for missed nodes."


@dataclass(frozen=True)
class NodeLine:
    """A line of the table of nodes: `cells` under `NODE_COLUMNS` and, beside a PET, `PET_COLUMNS`; `tip` gives the position, and
    who or what found it.
    """

    uid: str
    cells: tuple[str, ...]
    tip: str


def lines(
    session: DetectionScene, shown: str = "all", size: str = "any size", order: str = "score", is_reversed: bool = False
) -> list[NodeLine]:
    """Return the nodes that pass the score threshold and the filters, sorted; rejected ones only with the filter for them."""
    drawn = {finding.uid for finding in session.shown}
    chosen = [
        (finding, seen)
        for finding in session.detected
        if (seen := finding.at(session.time_point)).state in SHOWN[shown]
        and (seen.state is State.REJECTED or finding.uid in drawn)
        and _short_mm(seen) >= SIZES[size]
    ]
    uptakes = {finding.uid: session.uptakes.of(finding) for finding, _seen in chosen}
    if order in ORDERS:
        key, largest_first = ORDERS[order]
        chosen.sort(key=lambda pair: key(*pair), reverse=largest_first != is_reversed)
    else:
        by_uptake, largest_first = uptake_text.ORDERS[order]
        chosen.sort(key=lambda pair: by_uptake(pair[0], uptakes[pair[0].uid]), reverse=largest_first != is_reversed)
    return [_line(finding, seen, uptakes[finding.uid]) for finding, seen in chosen]


def navigation_order(chosen: Sequence[NodeLine], shown: str) -> list[str]:
    """Return the uids that `next` and `previous` visit, in order: all lines, but rejected nodes only with the filter for them."""
    return [line.uid for line in chosen if shown == "rejected" or line.cells[1] != State.REJECTED.value]


def summary(session: DetectionScene) -> str:
    """Return sentences with the number of nodes; "" while there are none.

    Only nodes that are checked or measured are counted as enlarged, and a proposal is called unchecked.
    """
    seen = [finding.at(session.time_point) for finding in session.detected]
    if not seen:
        return ""
    drawn = [each.at(session.time_point) for each in session.shown]
    rejected = sum(each.state is State.REJECTED for each in seen)
    hidden = len(seen) - rejected - sum(each.state is not State.REJECTED for each in drawn)
    unchecked = sum(each.state is State.PROPOSED for each in seen)
    checked = [each for each in seen if each.state in (State.ACCEPTED, State.EDITED)]
    sized = checked + [each for each in seen if each.state is State.PROPOSED and each.is_measured]
    enlarged = sum(_short_mm(each) >= ENLARGED_MM for each in sized)
    parts = [f"{unchecked} unchecked proposal{'s' * (unchecked != 1)}"] * (unchecked > 0)
    parts += [f"{len(checked)} checked node{'s' * (len(checked) != 1)}"] * bool(checked)
    parts += [f"{enlarged} enlarged"] * bool(sized)
    parts += [f"{rejected} rejected"] * (rejected > 0) + [f"{hidden} less probable hidden"] * (hidden > 0)
    return ", ".join(parts) + f".{_CHECK * (unchecked > 0)}"


def outcome_text(session: DetectionScene, outcome: object) -> str:
    """Return a sentence on the outcome of a task that was just applied."""
    if isinstance(outcome, str):
        return outcome
    if isinstance(outcome, Finding):
        finding = session.findings.find(outcome.uid)
        if finding is None or finding.at(session.time_point) is None:
            return ""  # undone, or removed
        count = len(finding.at(session.time_point).tracklet.boxes)
        return f"{finding.label} has boxes on {count} slice{'s' * (count != 1)} now."
    if outcome and all(isinstance(each, Path) for each in outcome):
        return f"Written to {outcome[0].parent}: {', '.join(path.name for path in outcome)}."
    present = [session.findings[each.uid] for each in outcome if each.uid in session.findings]
    if outcome and not present:
        return ""  # undone
    count = sum(each.at(session.time_point).state is State.PROPOSED for each in present)
    return f"{count} unchecked proposal{'s' * (count != 1)}.{_CHECK if count else ' Look for missed nodes.'}"


def slice_text(session: DetectionScene) -> str:
    """Return a sentence on the current node's box in the slice in view; "" without a node."""
    finding, index = session.current, session.editor.slice_index
    if finding is None:
        return ""
    tracklet = session.editor.tracklet
    if index is None:
        return f"{finding.label}: no view faces its slices."
    here, *ends = (_slice_number(session, tracklet, each) for each in (index, tracklet.last, tracklet.first))
    first, last = sorted(ends, key=_natural)
    run = f"its boxes are on slices {first.split()[0]} to {last}" if first != last else f"its box is on slice {last}"
    box = tracklet.at(index)
    if box is None:
        return f"{finding.label} has no box on slice {here}; {run}."
    long, short = (axis.length_mm for axis in box_axes(tracklet, box))
    return f"{finding.label}, slice {here}: box {mm_text(long, short)}; {run}."


def _slice_number(session: DetectionScene, tracklet: Tracklet, index: int) -> str:
    """Return the number of a node's slice as the views count it, "12 of 50"."""
    u, v = tracklet.nearest(index).low
    corner = tracklet.corners(SliceBox(index, (u, v), (u, v)))[0]
    normal = np.cross(tracklet.u_axis, tracklet.v_axis)
    return slice_number(session.scan, normal, corner) or "unknown"


def mergeable(session: DetectionScene) -> list[tuple[str, str]]:
    """Return uid and label of the findings that the current one can be merged with, nearest first."""
    return [(each.uid, each.label) for each in session.editor.mergeable()]


def possible_methods(session: DetectionScene) -> frozenset[str]:
    """Return the names of the session's methods that can be called now ("accept", "editor.split")."""
    names = set()
    if session.scan is not None:
        names |= {"detect", "begin_placing"}
    if session.shown:
        names.add("export")
    if session.listed:
        names |= {"next", "previous"}
    names |= _of_pet(session)
    if session.current:
        names |= {"accept", "reject", "remove_from_scan", "enlarge"}
        names |= {f"editor.{name}" for name in _edits(session)}
    if session.findings.can_undo:
        names.add("undo")
    if session.findings.can_redo:
        names.add("redo")
    return frozenset(names)


def _of_pet(session: DetectionScene) -> set[str]:
    """Return the methods for PET and primary tumour that can be called now."""
    if session.scan is None:
        return set()
    names = {"pet.choose", "tumour.use"}
    if session.pet.volume is not None:
        names |= {"pet.remove", "tumour.begin_click"}
    return names | ({"tumour.choose"} if session.tumour.choices else set())


def tumour_text(session: DetectionScene) -> str:
    """Return a sentence on the primary tumour; "" without a PET."""
    if session.pet.volume is None:
        return ""
    finding = session.tumour.finding
    if finding is None:
        return NEEDED
    seen = finding.observation(session.time_point)
    return f"Primary tumour: {finding.label}, {(seen.volume_mm3 or 0.0) / 1000:.1f} ml, by {seen.provenance.method or 'reader'}."


def tumour_choices(session: DetectionScene) -> list[tuple[str, str]]:
    """Return uid and label of the findings that can be the primary tumour."""
    return [(each.uid, each.label) for each in session.tumour.choices]


def _edits(session: DetectionScene) -> set[str]:
    tracklet, index = session.editor.tracklet, session.editor.slice_index
    names = {"merge"} if session.editor.mergeable() else set()
    if index is None:
        return names
    if session.editor.box is None:
        names.add("add_box")
    else:
        names |= {"delete_box", "extend_up", "extend_down"}
    if tracklet.first < index <= tracklet.last:
        names.add("split")
    lower, higher = tracklet.first < index <= tracklet.last, tracklet.first <= index < tracklet.last
    below, above = (lower, higher) if session.editor.counts_upwards else (higher, lower)
    return names | ({"trim_below"} if below else set()) | ({"trim_above"} if above else set())


def _line(finding: Finding, seen: Observation, uptake: Uptake | None) -> NodeLine:
    tracklet = seen.tracklet
    volume, size = f"{(seen.volume_mm3 or tracklet.volume_mm3) / 1000:.2f}", size_class(seen)
    cells = (
        finding.label,
        state(seen),
        "" if seen.confidence is None else f"{seen.confidence:.2f}",
        finding.region_text,
        length_text(seen.long_axis),
        length_text(seen.short_axis),
        str(len(tracklet.boxes)),
        volume,
        size,
        *uptake_text.cells(finding, uptake),
    )
    position = ", ".join(f"{value:.1f}" for value in seen.centre)
    source = seen.provenance.reader or seen.provenance.method or "unknown"
    tip = f"{finding.label}, {finding.place}".strip(", ") + f" at {position} mm (R A S), by {source}"
    count = len(tracklet.boxes)
    tip += f". {count} slice{'s' * (count != 1)}, {volume} ml" + f", RECIST size: {size}" * bool(size)
    tip += ". Long and short are the sides of its largest slice box, no measured diameters." * seen.has_box_axes
    return NodeLine(finding.uid, cells, tip)


def _natural(label: str) -> list[tuple[bool, int | str]]:
    """Return a sort key by which "LN 2" comes before "LN 10"."""
    return [(not part.isdigit(), int(part) if part.isdigit() else part) for part in re.split(r"(\d+)", label) if part]


def _short_mm(seen: Observation) -> float:
    return seen.short_axis.length_mm if seen.short_axis else 0.0
