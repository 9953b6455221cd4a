"""Placement of a new lymph node: one click in a slice view, read from a fiducial point that is removed at once."""

from __future__ import annotations

import slicer
from undo_stack import Signal

from oncotrack.scene.nodes.fiducials import style_points
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.node_registry import NodeKey
from oncotrack.scene.nodes.observers import Observers
from oncotrack.scene.views.mouse_mode import is_placing, place_point_in, stop_placing

CLICK = NodeKey("new node")
"""The fiducial node that receives the click."""


class NodePlacement:
    """Reads one click in a slice view after each `begin`.

    Parameters
    ----------
    nodes : FindingNodes
        The nodes of the scene.
    key : NodeKey
        Of the fiducial node that receives the click; each placement in a scene has its own.
    """

    placed = Signal()
    """(Point): where a reader clicked, RAS mm."""

    def __init__(self, nodes: FindingNodes, key: NodeKey = CLICK) -> None:
        self._nodes, self._key = nodes, key
        self._observers = Observers()

    def begin(self) -> None:
        """Make the next click in a slice view emit `placed`."""
        place_point_in(self._nodes.registry.find(self._key) or self._make())

    def close(self) -> None:
        """Remove the node from the scene."""
        self._observers.clear()
        self._nodes.registry.remove(self._key)

    def _on_mode(self) -> None:
        """Remove the point that followed the mouse when the reader leaves the placement without a click."""
        node = self._nodes.registry.find(self._key)
        if node is not None and not is_placing(node.GetScene()) and not node.GetNumberOfDefinedControlPoints():
            node.RemoveAllControlPoints()

    def _make(self) -> slicer.vtkMRMLMarkupsFiducialNode:
        self._observers.clear()
        node = self._nodes.registry.need(self._key, "vtkMRMLMarkupsFiducialNode", "New node")
        node.SetSaveWithScene(False)
        node.SetHideFromEditors(True)
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetSaveWithScene(False)
        style_points(node.GetDisplayNode(), ())
        node.GetDisplayNode().SetVisibility3D(False)
        node.GetDisplayNode().SetPointLabelsVisibility(False)
        self._observers.add(node, node.PointPositionDefinedEvent, lambda caller, _: self._on_point(caller))
        interaction = node.GetScene().GetNodeByID("vtkMRMLInteractionNodeSingleton")
        self._observers.add(interaction, interaction.InteractionModeChangedEvent, lambda *_: self._on_mode())
        return node

    def _on_point(self, node: slicer.vtkMRMLMarkupsFiducialNode) -> None:
        for index in range(node.GetNumberOfControlPoints()):
            if node.GetNthControlPointPositionStatus(index) == node.PositionDefined:
                position = [0.0, 0.0, 0.0]
                node.GetNthControlPointPositionWorld(index, position)
                stop_placing(node.GetScene())
                node.RemoveAllControlPoints()
                self.placed.emit(tuple(position))
                return
