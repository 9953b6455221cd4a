"""Signals for edits of markups nodes, by a reader or by a program."""

from __future__ import annotations

from collections.abc import Callable

import slicer
from undo_stack import Signal

from oncotrack.scene.nodes.observers import Observers
from oncotrack.scene.nodes.shapes import BOX, CLASSES, LONG_AXIS

_EVENTS = ("PointModifiedEvent", "PointRemovedEvent", "PointPositionDefinedEvent")


class MarkupEdits:
    """Observer of markups nodes: it emits `dragging` while a node is dragged, and `edited` on release and on other changes."""

    edited = Signal()
    """(node): a node has changed."""
    dragging = Signal()
    """(node): a node that a reader holds has moved."""

    def __init__(self) -> None:
        self._observers = Observers()
        self._held: set[slicer.vtkMRMLMarkupsNode] = set()

    def is_held(self, node: slicer.vtkMRMLNode) -> bool:
        """Return whether a reader is dragging a node."""
        return node in self._held

    def watch(self, node: slicer.vtkMRMLMarkupsNode) -> None:
        """Observe a node; calling it again has no effect."""
        if self._observers.watches(node):
            return
        for event in _EVENTS:
            self._add(node, getattr(node, event), self._on_change)
        if node.IsA(CLASSES[BOX]):
            self._add(node, "ModifiedEvent", self._on_change)
        self._add(node, node.PointStartInteractionEvent, self._on_press)
        self._add(node, node.PointEndInteractionEvent, self._on_release)

    def drop(self, node: slicer.vtkMRMLNode) -> None:
        """Stop observing a node."""
        self._observers.drop(node)
        self._held.discard(node)

    def clear(self) -> None:
        """Stop observing all nodes."""
        self._observers.clear()
        self._held.clear()

    def release_all(self) -> None:
        """Treat no node as dragged any more."""
        self._held.clear()

    def _add(
        self, node: slicer.vtkMRMLMarkupsNode, event: int | str, slot: Callable[[slicer.vtkMRMLMarkupsNode], None]
    ) -> None:
        self._observers.add(node, event, lambda caller, _: slot(caller))

    def _on_change(self, node: slicer.vtkMRMLMarkupsNode) -> None:
        (self.dragging if self.is_held(node) else self.edited).emit(node)

    def _on_press(self, node: slicer.vtkMRMLMarkupsNode) -> None:
        self._show_length(node, True)
        self._held.add(node)

    def _on_release(self, node: slicer.vtkMRMLMarkupsNode) -> None:
        self._show_length(node, False)
        self._held.discard(node)
        self.edited.emit(node)

    def _show_length(self, node: slicer.vtkMRMLMarkupsNode, is_shown: bool) -> None:
        if node.IsA(CLASSES[LONG_AXIS]):
            node.GetDisplayNode().SetPropertiesLabelVisibility(is_shown)
