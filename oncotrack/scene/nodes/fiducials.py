"""The findings' positions as one fiducial node per time point, drawn from the list of findings and read back after an edit.

A point's description holds the finding's uid. Its label gives the state in words, never by colour alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple
from weakref import WeakKeyDictionary

import slicer
import vtk

from oncotrack.findings.finding import Finding, Observation, Point, State
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.sizes import axes_text
from oncotrack.findings.visit_table import state
from oncotrack.scene.nodes.node_registry import NodeKey, NodeRegistry

CURRENT_COLOUR = (1.0, 0.85, 0.2)
OTHER_COLOUR = (0.35, 0.75, 1.0)
PENDING = "pending"
"""Description of a point whose finding is still being searched for."""

_STATES = ("size proposed", "not found (program)", "absent (reader)", *(state.value for state in State))
_STATE_SUFFIX = re.compile(rf"( ({'|'.join(map(re.escape, _STATES))}))?( (box )?[\d.]+( mm)?( x [\d.]+)? mm)?$")
_NEAR_MM = 1e-4
_FIRST = 10.0  # priority of an observer that is called before those that read edits
_DRAWN: WeakKeyDictionary[slicer.vtkMRMLMarkupsFiducialNode, _Drawn | None] = WeakKeyDictionary()
Edit = Callable[[], object]


class _Drawn(NamedTuple):
    """What a node shows, as it was drawn last and not changed since: the name of its visit, and by uid each finding, whether it is the
    current one, and the index of its point."""

    visit: str
    shown: dict[str, tuple[Finding, bool]]
    indices: dict[str, int]


def label_with_state(label: str, observation: Observation, visit: str = "") -> str:
    """Return a finding's label with state and long x short axis: "L 1 proposed", "L 1 size proposed 14.6 mm x 8.2 mm".

    A point that the reader placed, which needs no decision, has the name of its visit instead: "L 1 (baseline)".
    """
    is_placed = observation.state is State.ACCEPTED and not (observation.evidence or observation.provenance.method)
    words = (
        f"({visit})" if is_placed and visit else "size proposed" if observation.is_size_proposed else state(observation)
    )
    size = axes_text(observation) if observation.is_there else ""
    return f"{label} {words} {size}".rstrip()


def label_without_state(text: str, visit: str = "") -> str:
    """Return the label without what `label_with_state` adds: "L 1" for "L 1 proposed 14.6 mm"."""
    return _STATE_SUFFIX.sub("", text.strip()).removesuffix(f" ({visit})").strip()


def style_fiducials(node: slicer.vtkMRMLMarkupsFiducialNode, view_ids: tuple[str, ...]) -> None:
    """Draw the points as small open crosses, which leave the lesion visible, in the given views (in all when empty)."""
    node.CreateDefaultDisplayNodes()
    node.SetControlPointLabelFormat("...")
    style_points(node.GetDisplayNode(), ())
    place_in_views(node, view_ids)


def place_in_views(node: slicer.vtkMRMLMarkupsFiducialNode, view_ids: tuple[str, ...]) -> None:
    """Show the points in these views, in all when empty; without labels in 3D views, where they would cover each other."""
    solid_ids = [view_id for view_id in view_ids if view_id.startswith("vtkMRMLViewNode")]
    if node.GetNumberOfDisplayNodes() < 2:
        added = node.GetScene().AddNewNodeByClass(node.GetDisplayNode().GetClassName())
        style_points(added, ())
        node.AddAndObserveDisplayNodeID(added.GetID())
    flat, solid = node.GetNthDisplayNode(0), node.GetNthDisplayNode(1)
    flat.SetViewNodeIDs([view_id for view_id in view_ids if view_id not in solid_ids])
    solid.SetViewNodeIDs(solid_ids or ["none"])
    solid.SetPointLabelsVisibility(False)
    solid.SetGlyphType(slicer.vtkMRMLMarkupsDisplayNode.Sphere3D)


def style_points(display: slicer.vtkMRMLMarkupsDisplayNode, view_ids: tuple[str, ...]) -> None:
    """Give points OncoTrack's glyph, text size and colours, in the given views (in all when empty)."""
    display.SetGlyphType(slicer.vtkMRMLMarkupsDisplayNode.CrossDot2D)
    display.SetGlyphScale(2.5)
    display.SetTextScale(3.0)
    display.SetSelectedColor(*CURRENT_COLOUR)
    display.SetColor(*OTHER_COLOUR)
    display.SetActiveColor(*CURRENT_COLOUR)
    display.SetPropertiesLabelVisibility(False)
    display.SetPointLabelsVisibility(True)
    text = display.GetTextProperty()
    text.SetBackgroundColor(0.0, 0.0, 0.0)  # so that labels are readable on bone and on lung
    text.SetBackgroundOpacity(0.5)
    display.SetViewNodeIDs(list(view_ids))


def make_draft(nodes: NodeRegistry, key: NodeKey, class_name: str, name: str) -> slicer.vtkMRMLMarkupsNode:
    """Return markups for what a reader is drawing: with their lengths, not in 3D, never saved with the scene."""
    node = nodes.need(key, class_name, name)
    node.SetControlPointLabelFormat("")
    node.SetSaveWithScene(False)
    node.SetHideFromEditors(True)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    style_points(display, ())
    display.SetPointLabelsVisibility(False)
    display.SetPropertiesLabelVisibility(True)
    display.SetVisibility3D(False)
    format_lengths(node)
    return node


def format_lengths(node: slicer.vtkMRMLMarkupsNode) -> None:
    """Make Slicer write the length of a line as all lengths are written: "12.0 mm"."""
    if (length := node.GetMeasurement("length")) is not None:
        length.SetPrintFormat("%.1f mm")


def draw_fiducials(
    node: slicer.vtkMRMLMarkupsFiducialNode, findings: FindingList, time_point: str, current: str
) -> None:
    """Update the node to one point per finding at the time point; a point that a reader is placing stays as it is.

    Where only the list has changed since the last call, only the points of changed findings are looked at.
    """
    shown = {finding.uid: (finding, finding.uid == current) for finding in findings if finding.at(time_point)}
    if node not in _DRAWN:
        node.AddObserver(vtk.vtkCommand.AnyEvent, _forget_drawn, _FIRST)
    visit, known = _visit(findings, time_point), _DRAWN.get(node)
    before = known.shown if known and known.visit == visit else {}
    was = node.StartModify()  # every change of a point would draw every view
    try:
        is_same_set = before and before.keys() == shown.keys()
        indices = known.indices if is_same_set else _without_superfluous(node, shown)
        for uid, each in shown.items():
            if not _is_same(each, before.get(uid)):
                _draw_point(node, indices, each, each[0].at(time_point), visit)
    finally:
        node.EndModify(was)
    _DRAWN[node] = _Drawn(visit, shown, indices)


def _forget_drawn(node: slicer.vtkMRMLMarkupsFiducialNode | None, _event: str) -> None:
    if node is not None:  # None for a node that is being deleted
        _DRAWN[node] = None


def _is_same(shown: tuple[Finding, bool], before: tuple[Finding, bool] | None) -> bool:
    return before is not None and shown[0] is before[0] and shown[1] == before[1]


def _without_superfluous(node: slicer.vtkMRMLMarkupsFiducialNode, shown: Mapping[str, object]) -> dict[str, int]:
    """Remove points that belong to no finding, and return the index of each finding's point."""
    uids = _descriptions(node)
    indices = _first_of_each(uids)
    superfluous = [
        index
        for index, uid in enumerate(uids)
        if uid and uid != PENDING and (uid not in shown or index != indices[uid])
    ]
    for index in reversed(superfluous):
        node.RemoveNthControlPoint(index)
    return _first_of_each(_descriptions(node)) if superfluous else indices


def _draw_point(
    node: slicer.vtkMRMLMarkupsFiducialNode,
    indices: dict[str, int],
    shown: tuple[Finding, bool],
    observation: Observation,
    visit: str,
) -> None:
    finding, is_current = shown
    index = indices.get(finding.uid, -1)
    if index < 0:
        index = _pending_index(node, observation.centre) if PENDING in indices else -1
        if index < 0:
            index = node.AddControlPointWorld(vtk.vtkVector3d(*observation.centre))
        node.SetNthControlPointDescription(index, finding.uid)
        node.SetNthControlPointLocked(index, False)
        indices[finding.uid] = index
    elif _distance(node, index, observation.centre) > _NEAR_MM:
        node.SetNthControlPointPositionWorld(index, *observation.centre)
    label = label_with_state(finding.label, observation, visit)
    if node.GetNthControlPointLabel(index) != label:
        node.SetNthControlPointLabel(index, label)
    if bool(node.GetNthControlPointSelected(index)) != is_current:
        node.SetNthControlPointSelected(index, is_current)


def read_fiducials(node: slicer.vtkMRMLMarkupsFiducialNode, findings: FindingList, time_point: str) -> None:
    """Make every edit since the points were drawn a command on the list; several of them are one step of undo."""
    edits = list(_edits(node, findings, time_point))
    if len(edits) == 1:
        edits[0][1]()
    elif edits:
        with findings.group(f"{edits[0][0]} and {len(edits) - 1} more"):
            for _text, edit in edits:
                edit()


def _edits(
    node: slicer.vtkMRMLMarkupsFiducialNode, findings: FindingList, time_point: str
) -> Iterator[tuple[str, Edit]]:
    """Yield a description and a function for each edit since the points were drawn; the function changes the list."""
    visit = _visit(findings, time_point)
    indices = _first_of_each(_descriptions(node))
    for finding in findings:
        observation = finding.at(time_point)
        if observation is None:
            continue
        index = indices.get(finding.uid, -1)
        if index < 0 or not _is_defined(node, index):
            yield f"delete {finding.label}", partial(_delete, findings, finding, time_point)
            continue
        if _distance(node, index, observation.centre) > _NEAR_MM:
            yield f"move {finding.label}", partial(findings.move, finding.uid, time_point, _position(node, index))
        label = node.GetNthControlPointLabel(index)
        name = label_without_state(label, visit)
        if name != finding.label and label != label_with_state(finding.label, observation, visit):
            yield f"rename {finding.label}", partial(findings.rename, finding.uid, name)


def draw_pending(node: slicer.vtkMRMLMarkupsFiducialNode, at: Point) -> None:
    """Add a pending point at a position (RAS mm) whose finding is being searched for."""
    _mark_pending(node, node.AddControlPointWorld(vtk.vtkVector3d(*at)))


def collect_placed(node: slicer.vtkMRMLMarkupsFiducialNode, findings: FindingList) -> list[Point]:
    """Mark the points that a reader placed since the last call as pending, and return their positions (RAS mm)."""
    placed = []
    for index in range(node.GetNumberOfControlPoints()):
        uid = node.GetNthControlPointDescription(index)
        is_copy = uid in findings and index != _index(node, uid)
        if _is_defined(node, index) and (not uid or is_copy):
            _mark_pending(node, index)
            placed.append(_position(node, index))
    return placed


def _mark_pending(node: slicer.vtkMRMLMarkupsFiducialNode, index: int) -> None:
    node.SetNthControlPointDescription(index, PENDING)
    node.SetNthControlPointLocked(index, True)
    node.SetNthControlPointLabel(index, "...")


def discard_pending(node: slicer.vtkMRMLMarkupsFiducialNode, at: Point) -> None:
    """Remove a pending point that did not become a finding."""
    index = _pending_index(node, at)
    if index >= 0:
        node.RemoveNthControlPoint(index)


def _delete(findings: FindingList, finding: Finding, time_point: str) -> None:
    """Remove a finding whose point was deleted: everywhere at its first time point, else from this scan only."""
    order = [known.id for known in findings.time_points]
    seen = sorted(finding.observations, key=lambda each: order.index(each) if each in order else len(order))
    if seen[0] == time_point:
        findings.remove_everywhere(finding.uid)
    else:
        findings.remove_from_scan(finding.uid, time_point)


def _visit(findings: FindingList, time_point: str) -> str:
    return next((known.label for known in findings.time_points if known.id == time_point), "")


def _index(node: slicer.vtkMRMLMarkupsNode, uid: str) -> int:
    """Return the index of a finding's point, or -1."""
    return node.GetControlPointIndexByDescription(uid)


def _descriptions(node: slicer.vtkMRMLMarkupsNode) -> list[str]:
    return [node.GetNthControlPointDescription(index) for index in range(node.GetNumberOfControlPoints())]


def _first_of_each(descriptions: list[str]) -> dict[str, int]:
    """Return the index of the first point of each description."""
    indices: dict[str, int] = {}
    for index, description in enumerate(descriptions):
        indices.setdefault(description, index)
    return indices


def _pending_index(node: slicer.vtkMRMLMarkupsNode, at: Point) -> int:
    """Return the index of the pending point at a position (RAS mm), or -1."""
    for index in range(node.GetNumberOfControlPoints()):
        if node.GetNthControlPointDescription(index) == PENDING and _distance(node, index, at) < _NEAR_MM:
            return index
    return -1


def _is_defined(node: slicer.vtkMRMLMarkupsNode, index: int) -> bool:
    return node.GetNthControlPointPositionStatus(index) == slicer.vtkMRMLMarkupsNode.PositionDefined


def _position(node: slicer.vtkMRMLMarkupsNode, index: int) -> Point:
    position = [0.0, 0.0, 0.0]
    node.GetNthControlPointPositionWorld(index, position)
    return tuple(position)


def _distance(node: slicer.vtkMRMLMarkupsNode, index: int, point: Point) -> float:
    return math.dist(_position(node, index), point)
