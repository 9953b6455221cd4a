"""The box of one slice with handles: an ROI in the plane of the slice view."""

from __future__ import annotations

import numpy as np
import slicer
from undo_stack import Signal

from oncotrack.findings.tracklet import SliceBox, Tracklet
from oncotrack.scene.nodes.fiducials import CURRENT_COLOUR, style_points
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.node_registry import NodeKey
from oncotrack.scene.nodes.observers import Observers
from oncotrack.scene.nodes.volumes import to_vtk

SLICE_BOX = NodeKey("slice box")
_THICKNESS_MM = 0.5
_NEAR_MM = 1e-3
_HANDLE_SCALE = 1.0
"""Size of the handles, per cent of the view: Slicer's own, 3, cover a node of 10 mm."""


class SliceBoxHandle:
    """A slice box with handles: dragging a corner or an edge resizes it, dragging its middle moves it.

    Parameters
    ----------
    nodes : FindingNodes
        The nodes of the scene; the ROI is not saved with it.
    """

    edited = Signal()
    """(uid, SliceBox): a reader has dragged the box of a finding."""

    def __init__(self, nodes: FindingNodes) -> None:
        self._nodes = nodes
        self._shown: tuple[str, Tracklet, SliceBox] | None = None
        self._is_busy = False
        self._observers = Observers()

    def show(
        self, uid: str, tracklet: Tracklet, box: SliceBox, position: np.ndarray, view_ids: tuple[str, ...], label: str
    ) -> None:
        """Draw a finding's box in some slice views, in their plane, which goes through `position` (RAS mm)."""
        if self._is_busy:
            return
        node = self._nodes.registry.find(SLICE_BOX) or self._make()
        self._shown = uid, tracklet, box
        u, v = np.asarray(tracklet.u_axis), np.asarray(tracklet.v_axis)
        normal = np.cross(u, v)
        middle = np.mean(tracklet.corners(box), axis=0)
        step = np.asarray(tracklet.step)
        middle = middle + step * ((position - middle) @ normal / (step @ normal))
        frame = np.eye(4)
        frame[:3] = np.stack([u, v, normal, middle], 1)
        was = node.StartModify()
        node.SetAndObserveObjectToNodeMatrix(to_vtk(frame))
        node.SetSize(*np.subtract(box.high, box.low), _THICKNESS_MM)
        node.SetNthControlPointLabel(0, label)
        node.GetDisplayNode().SetViewNodeIDs(list(view_ids))
        node.SetDisplayVisibility(True)
        node.EndModify(was)

    def hide(self) -> None:
        """Hide the box, unless it is being dragged."""
        if not self._is_busy:
            self._shown = None
            if (node := self._nodes.registry.find(SLICE_BOX)) is not None:
                node.SetDisplayVisibility(False)

    def close(self) -> None:
        """Remove the box from the scene."""
        self._observers.clear()
        self._nodes.registry.remove(SLICE_BOX)

    def _make(self) -> slicer.vtkMRMLMarkupsROINode:
        self._observers.clear()
        node = self._nodes.registry.need(SLICE_BOX, "vtkMRMLMarkupsROINode", "Slice box")
        node.SetSaveWithScene(False)
        node.SetHideFromEditors(True)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        style_points(display, ())
        display.SetGlyphScale(1.0)
        display.SetInteractionHandleScale(_HANDLE_SCALE)
        display.SetColor(*CURRENT_COLOUR)
        display.SetFillVisibility(False)
        display.SetVisibility3D(False)
        display.SetRotationHandleVisibility(False)
        display.SetTranslationHandleVisibility(False)
        display.SetHandlesInteractive(True)
        self._observers.add(node, node.PointStartInteractionEvent, lambda *_: self._on_hold(True))
        self._observers.add(node, node.PointEndInteractionEvent, lambda *_: self._on_hold(False))
        return node

    def _on_hold(self, has_begun: bool) -> None:
        self._is_busy = has_begun
        node = self._nodes.registry.find(SLICE_BOX)
        if has_begun or self._shown is None or node is None:
            return
        uid, tracklet, old = self._shown
        u, v, _slice = tracklet.flat(node.GetCenterWorld())
        half = np.abs(node.GetSize())[:2] / 2
        low, high = (u - half[0], v - half[1]), (u + half[0], v + half[1])
        if np.abs(np.subtract(low + high, old.low + old.high)).max() > _NEAR_MM:
            box = SliceBox(old.slice_index, tuple(map(float, low)), tuple(map(float, high)), old.score)
            self.edited.emit(uid, box)
