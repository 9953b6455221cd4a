"""The measurements of the list as markups: drawn from it, and read back when a reader drags a point."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import slicer
import vtk

from oncotrack.errors import OncoTrackError
from oncotrack.findings.measurement import Measurement, Tool, ellipse_outline
from oncotrack.findings.measurement_list import MeasurementList
from oncotrack.scene.nodes.fiducials import CURRENT_COLOUR, format_lengths, style_points
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.markup_edits import MarkupEdits
from oncotrack.scene.nodes.node_registry import NodeKey, key_of
from oncotrack.scene.nodes.observers import Observers
from oncotrack.scene.nodes.time_points import put_into_study

MAIN, SHORT = "measurement", "measurement's short diameter"
"""Values of `NodeKey.part`; saved scenes contain them."""
COLOUR = (0.55, 1.0, 0.65)
_CLASSES = {
    Tool.RULER: "vtkMRMLMarkupsLineNode",
    Tool.BIDIRECTIONAL: "vtkMRMLMarkupsLineNode",
    Tool.ANGLE: "vtkMRMLMarkupsAngleNode",
    Tool.ELLIPSE: "vtkMRMLMarkupsClosedCurveNode",
}
_ELLIPSE_POINTS = {0: 0, 2: 2, 4: 1, 6: 3}  # of eight on the outline, those that are ends of the diameters
_NEAR_MM = 1e-4
_WHOLE = -1


@dataclass(frozen=True)
class _Shape:
    """One markup of a measurement: its points, and which points of the measurement they are."""

    part: str
    points: np.ndarray
    handles: dict[int, int]


def _shapes(measurement: Measurement) -> list[_Shape]:
    points = np.asarray(measurement.points_ras)
    if measurement.tool is Tool.BIDIRECTIONAL:
        return [_Shape(MAIN, points[:2], {0: 0, 1: 1}), _Shape(SHORT, points[2:], {0: 2, 1: 3})]
    if measurement.tool is Tool.ELLIPSE:
        return [_Shape(MAIN, ellipse_outline(measurement.points_ras, 8), _ELLIPSE_POINTS)]
    return [_Shape(MAIN, points, {n: n for n in range(len(points))})]


class MeasurementNodes:
    """Draws the measurements of a scene's list of findings, in the views of their scans.

    Parameters
    ----------
    nodes : FindingNodes
        The list and its nodes.
    changed : callable
        Called with a measurement after a reader has dragged it.
    removed : callable
        Called with the UID of a measurement whose markup was deleted.
    """

    def __init__(
        self, nodes: FindingNodes, changed: Callable[[Measurement], None], removed: Callable[[str], None]
    ) -> None:
        self._nodes, self._changed, self._removed = nodes, changed, removed
        self._is_drawing = False
        # which point of a markup is being dragged; once a drag is drawn, other points have moved too
        self._held: dict[slicer.vtkMRMLMarkupsNode, int | None] = {}
        self._edits = MarkupEdits()
        self._edits.edited.connect(self._on_edited)
        self._edits.dragging.connect(self._on_dragging)
        self._observers = Observers()
        self._observers.add_with_node(nodes.scene, nodes.scene.NodeRemovedEvent, self._on_node_removed)

    def close(self) -> None:
        """Stop observing the scene; the markups stay."""
        self._observers.clear()
        self._edits.clear()

    def draw(self) -> None:
        """Update every markup from the list; one that is being dragged is updated when it is released."""
        scene = self._nodes.scene
        if scene.IsClosing() or scene.IsImporting() or self._is_drawing:
            return
        shapes = {
            NodeKey(shape.part, measurement.time_point, measurement.uid): (measurement, shape)
            for measurement in self._list()
            for shape in _shapes(measurement)
        }
        with self._drawing():
            for key, _node in self._nodes.registry:
                if key.part in (MAIN, SHORT) and key not in shapes:
                    self._nodes.registry.remove(key)
            for key, (measurement, shape) in shapes.items():
                node = self._nodes.registry.find(key) or self._make(key, measurement)
                self._edits.watch(node)
                if not self._edits.is_held(node):
                    self._draw(node, measurement, shape)
                self._show(node, key.time_point)

    # nodes

    def _make(self, key: NodeKey, measurement: Measurement) -> slicer.vtkMRMLMarkupsNode:
        node = self._nodes.registry.need(key, _CLASSES[measurement.tool], measurement.label)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        style_points(display, ())
        for set_colour in (display.SetColor, display.SetSelectedColor):
            set_colour(*COLOUR)
        display.SetActiveColor(*CURRENT_COLOUR)
        display.SetGlyphScale(1.6)
        display.SetVisibility3D(False)
        format_lengths(node)
        if measurement.tool is Tool.ELLIPSE:
            display.SetFillVisibility(False)
        for known in self._nodes.findings.time_points:
            if known.id == measurement.time_point:
                put_into_study(known, node)
        return node

    def _draw(self, node: slicer.vtkMRMLMarkupsNode, measurement: Measurement, shape: _Shape) -> None:
        if node.GetName() != measurement.label:
            node.SetName(measurement.label)
        if node.GetNumberOfControlPoints() != len(shape.points):
            node.RemoveAllControlPoints()
            for at in shape.points:
                node.AddControlPointWorld(vtk.vtkVector3d(*at))
        text = f"{measurement.label}: {measurement.short_text}" if shape.part == MAIN else ""
        labelled = _right_end(shape)
        for index, at in enumerate(shape.points):
            if np.abs(control_point(node, index) - at).max() > _NEAR_MM:
                node.SetNthControlPointPositionWorld(index, *at)
            if node.GetNthControlPointLabel(index) != (label := text if index == labelled else ""):
                node.SetNthControlPointLabel(index, label)
            is_handle = index in shape.handles
            if bool(node.GetNthControlPointVisibility(index)) != is_handle:
                node.SetNthControlPointVisibility(index, is_handle)
                node.SetNthControlPointLocked(index, not is_handle)

    def _show(self, node: slicer.vtkMRMLMarkupsNode, time_point: str) -> None:
        """Show a markup in the slice views of its scan alone."""
        views = self._nodes.views
        ids = [each for each in views.get(time_point, ()) if each.startswith("vtkMRMLSliceNode")]
        display = node.GetDisplayNode()
        if list(display.GetViewNodeIDs()) != ids:
            display.SetViewNodeIDs(ids)
        if bool(display.GetVisibility()) != (is_shown := not views or time_point in views):
            display.SetVisibility(is_shown)

    # edits

    def _on_dragging(self, node: slicer.vtkMRMLMarkupsNode) -> None:
        """Draw a measurement as it would be if it were released now."""
        if not self._is_drawing and (dragged := self._read(node)) is not None:
            with self._drawing():
                for shape in _shapes(dragged):
                    key = NodeKey(shape.part, dragged.time_point, dragged.uid)
                    if (each := self._nodes.registry.find(key)) is not None:
                        self._draw(each, dragged, shape)

    def _on_edited(self, node: slicer.vtkMRMLMarkupsNode) -> None:
        if self._is_drawing or self._nodes.scene.IsClosing() or self._nodes.scene.IsImporting():
            return
        dragged, known = self._read(node), self._known(node)
        self._held.pop(node, None)
        if dragged is not None and known is not None and not _is_near(dragged, known):
            self._changed(dragged)
        self.draw()

    def _known(self, node: slicer.vtkMRMLMarkupsNode) -> Measurement | None:
        key = key_of(node)
        return next((each for each in self._list() if key is not None and each.uid == key.finding), None)

    def _read(self, node: slicer.vtkMRMLMarkupsNode) -> Measurement | None:
        """Return the measurement after the reader's change of one of its markups; None when it cannot be read."""
        known, key = self._known(node), key_of(node)
        if known is None:
            return None
        shape = next(each for each in _shapes(known) if each.part == key.part)
        if node.GetNumberOfDefinedControlPoints() != len(shape.points):
            return None
        shifts = np.array([control_point(node, index) - at for index, at in enumerate(shape.points)])
        handle = self._held.setdefault(node, _dragged_handle(shape, shifts))
        try:
            if handle is None:
                return None
            if handle == _WHOLE:
                return known.shifted(shifts[next(iter(shape.handles))])
            return known.with_point(shape.handles[handle], shape.points[handle] + shifts[handle])
        except OncoTrackError:
            return None

    def _on_node_removed(self, scene: slicer.vtkMRMLScene, node: slicer.vtkMRMLNode) -> None:
        self._edits.drop(node)
        self._held.pop(node, None)
        key = key_of(node)
        if key is None or key.part not in (MAIN, SHORT) or self._is_drawing or scene.IsClosing():
            return
        self._nodes.registry.unregister(node)
        if self._known(node) is not None:
            self._removed(key.finding)

    # private

    def _list(self) -> MeasurementList:
        return MeasurementList(self._nodes.findings)

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        was_drawing, self._is_drawing = self._is_drawing, True
        try:
            with self._nodes.drawing():
                yield
        finally:
            self._is_drawing = was_drawing


def _right_end(shape: _Shape) -> int:
    """Return the handle on the right in a view, where a label covers least: towards the patient's left, else the back."""
    return min(shape.handles, key=lambda index: (round(shape.points[index][0], 1), shape.points[index][1]))


def _dragged_handle(shape: _Shape, shifts: np.ndarray) -> int | None:
    """Return which point of a markup was moved, `_WHOLE` for all of them; None for neither."""
    moved = [index for index in shape.handles if np.abs(shifts[index]).max() > _NEAR_MM]
    if len(moved) == 1:
        return moved[0]
    is_shift = moved and np.ptp(shifts[list(shape.handles)], axis=0).max() < _NEAR_MM
    return _WHOLE if is_shift else None


def _is_near(one: Measurement, other: Measurement) -> bool:
    return bool(np.abs(np.subtract(one.points_ras, other.points_ras)).max() < _NEAR_MM)


def control_point(node: slicer.vtkMRMLMarkupsNode, index: int) -> np.ndarray:
    """Return the position of a control point, (3,) RAS mm."""
    position = [0.0, 0.0, 0.0]
    node.GetNthControlPointPositionWorld(index, position)
    return np.array(position)
