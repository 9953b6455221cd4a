"""A measurement while its points are clicked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import slicer
from undo_stack import Signal

from oncotrack.errors import InputError, OncoTrackError
from oncotrack.findings.finding import Point, point
from oncotrack.findings.measurement import Tool, bidirectional_points, ellipse_points
from oncotrack.scene.measuring.measurement_nodes import COLOUR, control_point
from oncotrack.scene.nodes.fiducials import make_draft
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.node_registry import NodeKey
from oncotrack.scene.nodes.observers import Observers
from oncotrack.scene.views.mouse_mode import is_placing, place_point_in, stop_placing
from oncotrack.scene.views.scan_text import shown_volume

LINE, ANGLE = NodeKey("new measurement"), NodeKey("new angle")
"""The markups that receive the clicks."""
HINTS = {
    Tool.RULER: "Click both ends of the distance.",
    Tool.BIDIRECTIONAL: "Click both ends of the longest diameter; then drag the ends of the shorter one.",
    Tool.ANGLE: "Click one end, the vertex, and the other end of the angle.",
    Tool.ELLIPSE: "Click two opposite corners of the region.",
}
_FLAT_MM = 0.1

Placed = Callable[[Tool, Sequence[Point], slicer.vtkMRMLSliceNode], None]
"""Called with the tool, the points of the new measurement (RAS mm) and the view in which they were clicked."""


class Draft:
    """Reads the clicks of one new measurement after each `begin`.

    Parameters
    ----------
    nodes : FindingNodes
    on_placed : Placed
        Called when all points were clicked; an OncoTrackError that it raises is emitted by `refused`.
    """

    changed = Signal()
    """`tool` has changed."""
    refused = Signal()
    """(OncoTrackError): nothing can be measured between these clicks."""

    def __init__(self, nodes: FindingNodes, on_placed: Placed) -> None:
        self._nodes, self._on_placed = nodes, on_placed
        self.tool: Tool | None = None
        self._views: list[slicer.vtkMRMLSliceNode] = []
        self._observers = Observers()

    @property
    def hint(self) -> str:
        """What the reader should do next; "" while nothing is placed."""
        return HINTS[self.tool] if self.tool else ""

    def begin(self, tool: Tool) -> None:
        """Make the next clicks in a slice view place a measurement."""
        self.cancel()
        self.tool = tool
        key = ANGLE if tool is Tool.ANGLE else LINE
        node = self._nodes.registry.find(key) or self._make(key)
        interaction = self._nodes.scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
        self._observers.add(node, node.PointPositionDefinedEvent, lambda caller, _: self._on_point(caller))
        self._observers.add(interaction, interaction.InteractionModeChangedEvent, lambda *_: self._on_mode(node))
        place_point_in(node)
        self.changed.emit()

    def cancel(self) -> None:
        """Discard the points, and return to navigation with the mouse."""
        if self.tool is None:
            return
        self.tool, self._views = None, []
        self._observers.clear()
        stop_placing(self._nodes.scene)
        for node in filter(None, map(self._nodes.registry.find, (LINE, ANGLE))):
            node.RemoveAllControlPoints()  # the nodes stay: one of them may be handling a click now
        self.changed.emit()

    def close(self) -> None:
        """Remove the markups from the scene."""
        self.cancel()
        for key in (LINE, ANGLE):
            self._nodes.registry.remove(key)

    def _make(self, key: NodeKey) -> slicer.vtkMRMLMarkupsNode:
        class_name = "vtkMRMLMarkupsAngleNode" if key == ANGLE else "vtkMRMLMarkupsLineNode"
        node = make_draft(self._nodes.registry, key, class_name, "New measurement")
        display = node.GetDisplayNode()
        display.SetSelectedColor(*COLOUR)
        display.SetGlyphScale(1.6)
        if key == ANGLE:
            node.GetMeasurement("angle").SetEnabled(False)  # it reports an error while two points coincide
        return node

    def _on_point(self, node: slicer.vtkMRMLMarkupsNode) -> None:
        crosshair = self._nodes.scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        view = crosshair.GetCursorPositionXYZ([0.0, 0.0, 0.0]) if crosshair else None
        if view is not None:
            self._views.append(view)
        if self.tool and node.GetNumberOfDefinedControlPoints() == node.GetRequiredNumberOfControlPoints():
            self._finish(node)

    def _on_mode(self, node: slicer.vtkMRMLMarkupsNode) -> None:
        """Discard unfinished points when the reader has chosen another mode of the mouse."""
        is_whole = node.GetNumberOfDefinedControlPoints() == node.GetRequiredNumberOfControlPoints()
        if self.tool and not is_whole and not is_placing(self._nodes.scene):
            self.cancel()

    def _finish(self, node: slicer.vtkMRMLMarkupsNode) -> None:
        tool, views = self.tool, list(self._views)
        clicked = [point(control_point(node, index)) for index in range(node.GetNumberOfControlPoints())]
        self.cancel()
        try:
            view = _one_view(views, tool)
            self._on_placed(tool, _points(tool, clicked, view), view)
        except OncoTrackError as error:
            self.refused.emit(error)


def _one_view(views: Sequence[slicer.vtkMRMLSliceNode], tool: Tool) -> slicer.vtkMRMLSliceNode:
    """Return the view of the last click; InputError when the clicks were not in views of one scan, or of one plane."""
    if not views:
        raise InputError("The clicks were in no slice view. Click in a slice of the scan.")
    if len({shown_volume(view) for view in views}) > 1:
        raise InputError("The clicks were on two scans. Click all points on one scan.")
    if tool in (Tool.BIDIRECTIONAL, Tool.ELLIPSE) and len(set(views)) > 1:
        raise InputError("The clicks were in two views. Click both points in one view.")
    return views[-1]


def _points(tool: Tool, clicked: Sequence[Point], view: slicer.vtkMRMLSliceNode) -> Sequence[Point]:
    """Return the points of the measurement from those that were clicked."""
    if tool not in (Tool.BIDIRECTIONAL, Tool.ELLIPSE):
        return clicked
    rows = view.GetSliceToRAS().GetData()
    right, up, normal = (np.array(rows[column:12:4]) for column in range(3))
    if abs(np.subtract(clicked[1], clicked[0]) @ normal) > _FLAT_MM:
        raise InputError("The clicks were in two slices. Click both points in one slice.")
    if tool is Tool.BIDIRECTIONAL:
        return bidirectional_points(*clicked, normal)
    return ellipse_points(*clicked, right, up)
