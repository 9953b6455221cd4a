"""A finding's 3D box, RECIST axes and slice outlines as nodes, drawn and read back."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from oncotrack.findings.finding import Axis, Box, Finding, Observation, Provenance, State
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.tracklet import Tracklet
from oncotrack.scene.nodes.fiducials import CURRENT_COLOUR, OTHER_COLOUR, format_lengths, label_with_state, style_points
from oncotrack.scene.nodes.node_registry import NodeKey

BOX, LONG_AXIS, SHORT_AXIS, OUTLINE = "box", "long axis", "short axis", "outline"
"""Values of `NodeKey.part` for the shapes of a finding at a time point, each in its own node."""
FIELDS = {BOX: "box", LONG_AXIS: "long_axis", SHORT_AXIS: "short_axis", OUTLINE: "tracklet"}
"""The field of the observation that each part shows."""
CLASSES = {
    BOX: "vtkMRMLMarkupsROINode",
    LONG_AXIS: "vtkMRMLMarkupsLineNode",
    SHORT_AXIS: "vtkMRMLMarkupsLineNode",
    OUTLINE: "vtkMRMLModelNode",
}
_NEAR_MM = 1e-4
_SHOWN = "OncoTrack.shown"


def shapes_of(findings: FindingList) -> dict[NodeKey, tuple[Finding, Observation]]:
    """Return the findings and observations that need a shape node, by the node's key."""
    return {
        NodeKey(part, time_point, finding.uid): (finding, observation)
        for finding in findings
        for time_point, observation in finding.observations.items()
        for part, field in FIELDS.items()
        if getattr(observation, field) is not None
    }


def style_shape(node: slicer.vtkMRMLDisplayableNode, part: str, view_ids: tuple[str, ...]) -> None:
    """Set the display properties of a new node, in the given views (in all when empty)."""
    if part == OUTLINE:
        node.SetAndObservePolyData(vtk.vtkPolyData())  # Slicer reports an error for a visible model without data
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetViewNodeIDs(list(view_ids))
    if part == OUTLINE:
        display.SetVisibility2D(True)
        display.SetLineWidth(2)
        display.SetSliceIntersectionThickness(2)
        display.SetLighting(False)
        return
    style_points(display, view_ids)
    display.SetPointLabelsVisibility(part == LONG_AXIS)
    format_lengths(node)
    if part == BOX:
        display.SetFillVisibility(False)
        display.SetRotationHandleVisibility(False)
        display.SetTranslationHandleVisibility(False)


def has_axes_of_mask(seen: Observation) -> bool:
    """Return whether mask and long axis show a finding: the label stands at the axis, and a point would cover the mask."""
    return seen.mask is not None and seen.long_axis is not None


def draw_shape(
    node: slicer.vtkMRMLDisplayableNode, part: str, finding: Finding, observation: Observation, is_current: bool
) -> None:
    """Update a node from the part of the observation that it shows."""
    name = f"{finding.label} {part}"
    if part == BOX:
        if finding.place:
            name = f"{finding.label} {finding.place} {part}"
        if observation.score is not None:
            name += f" {observation.score:.2f}"
        _draw_box(node, observation.box)
    elif part == OUTLINE:
        _draw_outline(node, observation.tracklet)
    else:
        draw_axis(node, getattr(observation, FIELDS[part]))
        _label_axis(
            node,
            label_with_state(finding.label, observation) if part == LONG_AXIS and has_axes_of_mask(observation) else "",
        )
    if node.GetName() != name:
        node.SetName(name)
    colour = CURRENT_COLOUR if is_current else OTHER_COLOUR
    display = node.GetDisplayNode()
    display.SetColor(*colour)
    display.SetSelectedColor(*colour)
    if part == BOX:
        # a box derived from slice boxes or a mask cannot be dragged: these are drawn and edited in the slice views
        is_own = observation.tracklet is None and observation.mask is None
        display.SetHandlesInteractive(is_current and is_own)
        display.SetVisibility2D(is_own)


def read_shape(
    node: slicer.vtkMRMLDisplayableNode, part: str, findings: FindingList, uid: str, time_point: str
) -> None:
    """Turn a reader's edit of the node into one command; does nothing when the node still agrees with the list."""
    observation = findings[uid].at(time_point)
    old = getattr(observation, FIELDS[part])
    if part == BOX:
        new = _read_box(node)
        if new is None or max(map(math.dist, (new.low, new.high), (old.low, old.high))) < _NEAR_MM:
            return
        changed = replace(observation, box=new, centre=new.centre, tracklet=None, volume_mm3=None, mask=None)
        if observation.has_box_axes:
            changed = replace(changed, long_axis=None, short_axis=None)
        text = f"change the box of {findings[uid].label}"
    elif part in (LONG_AXIS, SHORT_AXIS):
        new = read_axis(node)
        if new is None or max(map(math.dist, (new.start, new.end), (old.start, old.end))) < _NEAR_MM:
            return
        changed = replace(observation, **{FIELDS[part]: new})
        if observation.mask is not None:  # it was made from the old axes
            changed = replace(changed, mask=None, volume_mm3=None)
        text = f"change the {part} of {findings[uid].label}"
    else:
        return
    provenance = replace(observation.provenance, reader="reader", when=Provenance().when)
    findings.observe(uid, time_point, replace(changed, state=State.EDITED, provenance=provenance), text)


def drop_shape(part: str, findings: FindingList, uid: str, time_point: str) -> None:
    """Remove a shape from a finding after its node was deleted; without slice boxes the finding is removed from the scan."""
    observation = findings[uid].at(time_point)
    if observation is None:
        return
    if observation.tracklet is not None and part not in (LONG_AXIS, SHORT_AXIS):
        findings.remove_from_scan(uid, time_point)
    else:
        emptied = replace(observation, **{FIELDS[part]: None})
        findings.observe(uid, time_point, emptied, f"delete the {part} of {findings[uid].label}")


def outline(tracklet: Tracklet) -> vtk.vtkPolyData:
    """Return one flat plate per slice box, as thick as a slice; a slice view shows the outline where it cuts the plate."""
    append = vtk.vtkAppendPolyData()
    half = np.asarray(tracklet.step) * 0.499
    for box in tracklet.boxes:
        corners = np.asarray(tracklet.corners(box))
        points = vtk.vtkPoints()
        points.SetData(numpy_to_vtk(np.concatenate([corners - half, corners + half]), deep=True))
        faces = vtk.vtkCellArray()
        for first in range(4):
            second = (first + 1) % 4
            faces.InsertNextCell(4, (first, second, second + 4, first + 4))
        plate = vtk.vtkPolyData()
        plate.SetPoints(points)
        plate.SetPolys(faces)
        append.AddInputData(plate)
    append.Update()
    return append.GetOutput()


def _draw_outline(node: slicer.vtkMRMLModelNode, tracklet: Tracklet) -> None:
    # the node remembers which tracklet it shows, so that it is not built again on every change
    digest = hashlib.blake2b(repr(tracklet).encode(), digest_size=16).hexdigest()
    if node.GetPolyData() is None or node.GetAttribute(_SHOWN) != digest:
        node.SetAndObservePolyData(outline(tracklet))
        node.SetAttribute(_SHOWN, digest)


def _draw_box(node: slicer.vtkMRMLMarkupsROINode, box: Box) -> None:
    shown = _read_box(node)
    if shown is None or max(map(math.dist, (box.low, box.high), (shown.low, shown.high))) > _NEAR_MM:
        node.SetCenterWorld(*box.centre)
        node.SetSizeWorld(*(high - low for low, high in zip(box.low, box.high, strict=True)))
    if node.GetNthControlPointVisibility(0):
        node.SetNthControlPointVisibility(0, False)  # the finding's fiducial point lies here, and moves the box


def _read_box(node: slicer.vtkMRMLMarkupsROINode) -> Box | None:
    if node.GetNumberOfDefinedControlPoints() == 0:
        return None
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    return Box(bounds[0::2], bounds[1::2]) if bounds[0] <= bounds[1] else None


def draw_axis(node: slicer.vtkMRMLMarkupsLineNode, axis: Axis) -> None:
    """Update the line node from an axis."""
    shown = read_axis(node)
    if shown is not None and max(map(math.dist, (shown.start, shown.end), (axis.start, axis.end))) < _NEAR_MM:
        return
    if shown is None:
        node.RemoveAllControlPoints()
        for end in (axis.start, axis.end):
            node.AddControlPointWorld(vtk.vtkVector3d(*end))
    else:
        node.SetNthControlPointPositionWorld(0, *axis.start)
        node.SetNthControlPointPositionWorld(1, *axis.end)


def _label_axis(node: slicer.vtkMRMLMarkupsLineNode, text: str) -> None:
    """Label the end that lies on the right in the view, where the text does not cover the lesion."""
    axis = read_axis(node)
    right = 0 if axis.start[0] < axis.end[0] else 1
    for index in range(2):
        label = text if index == right else ""
        if node.GetNthControlPointLabel(index) != label:
            node.SetNthControlPointLabel(index, label)


def read_axis(node: slicer.vtkMRMLMarkupsLineNode) -> Axis | None:
    """Return the line that the node shows, RAS mm; None while it lacks an end."""
    if node.GetNumberOfDefinedControlPoints() != 2:
        return None
    ends = []
    for index in range(2):
        end = [0.0, 0.0, 0.0]
        node.GetNthControlPointPositionWorld(index, end)
        ends.append(tuple(end))
    return Axis(*ends)
