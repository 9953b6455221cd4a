"""The slice views of one scan and the slice of a tracklet's grid that they show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import slicer
import vtk
from undo_stack import Signal

from oncotrack.findings.tracklet import Tracklet
from oncotrack.scene.nodes.observers import Observers
from oncotrack.scene.views.reveal import reveal

_PARALLEL = 0.999


class SliceViews:
    """The slice views of one scan; `moved` is emitted when one of them moves.

    Parameters
    ----------
    scene : vtkMRMLScene
    nodes : callable
        Returns the slice nodes that show the scan now.
    """

    moved = Signal()
    """A view shows another slice, or was opened."""

    def __init__(self, scene: slicer.vtkMRMLScene, nodes: Callable[[], Sequence[slicer.vtkMRMLSliceNode]]) -> None:
        self._scene, self._nodes = scene, nodes
        self._seen: dict[str, bytes] = {}
        self._observers = Observers()
        self._observers.add_with_node(scene, scene.NodeAddedEvent, lambda _scene, node: self._watch(node))
        self._observers.add_with_node(scene, scene.NodeRemovedEvent, lambda _scene, node: self._observers.drop(node))
        for node in all_slice_nodes(scene):
            self._watch(node)

    def close(self) -> None:
        """Stop observing the views."""
        self._observers.clear()

    def nodes(self) -> Sequence[slicer.vtkMRMLSliceNode]:
        """Return the views."""
        return self._nodes()

    def along(self, tracklet: Tracklet) -> list[slicer.vtkMRMLSliceNode]:
        """Return the views that are parallel to the tracklet's slices."""
        normal = np.cross(tracklet.u_axis, tracklet.v_axis)
        return [node for node in self._nodes() if abs(_column(node, 2) @ normal) > _PARALLEL]

    def reveal(self, ras: Sequence[float]) -> None:
        """Show a position (RAS mm) in every view, see `reveal`."""
        reveal(self._nodes(), ras)

    def _watch(self, node: slicer.vtkMRMLNode) -> None:
        if node.IsA("vtkMRMLSliceNode"):
            self._observers.add(node, vtk.vtkCommand.ModifiedEvent, lambda caller, _: self._on_view(caller))
            self._on_view(node)

    def _on_view(self, node: slicer.vtkMRMLSliceNode) -> None:
        plane = np.append(_column(node, 2), _column(node, 2) @ centre(node)).round(3).tobytes()
        if self._seen.get(node.GetID()) != plane:
            self._seen[node.GetID()] = plane
            self.moved.emit()


def all_slice_nodes(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLSliceNode]:
    """Return every slice node of a scene."""
    nodes = scene.GetNodesByClass("vtkMRMLSliceNode")
    nodes.UnRegister(None)
    return [nodes.GetItemAsObject(index) for index in range(nodes.GetNumberOfItems())]


def shown_slice_nodes(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLSliceNode]:
    """Return the slice nodes of the views that the layout shows; all where there is no layout."""
    nodes = all_slice_nodes(scene)
    return [node for node in nodes if node.IsMappedInLayout()] or nodes


def centre(node: slicer.vtkMRMLSliceNode) -> np.ndarray:
    """Return the centre of a slice view, (3,) RAS mm."""
    return _column(node, 3)


def _column(node: slicer.vtkMRMLSliceNode, index: int) -> np.ndarray:
    return np.array([node.GetSliceToRAS().GetElement(row, index) for row in range(3)])
