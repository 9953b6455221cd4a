"""Two lines that a reader draws on a lesion, in either order, before they become a finding."""

from __future__ import annotations

from collections.abc import Callable

import slicer
from undo_stack import Signal

from oncotrack.errors import OncoTrackError
from oncotrack.findings.finding import Axis
from oncotrack.masks.axes import RecistAxes
from oncotrack.scene.nodes.fiducials import make_draft
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.node_registry import NodeKey
from oncotrack.scene.nodes.observers import Observers
from oncotrack.scene.nodes.shapes import read_axis
from oncotrack.scene.views.mouse_mode import is_placing, place_point_in, stop_placing

LINES = NodeKey("first axis"), NodeKey("second axis")
_NAMES = "One axis", "Other axis"
_HINTS = "Click both ends of one diameter in a slice.", "Click both ends of the other diameter, across the first one."
_WAITING = "Drag the ends of the two lines until they fit, or start again."


class AxesDraft:
    """Drawing of two lines by four clicks; lines from which no mask can be made stay, so that their ends can be dragged.

    Parameters
    ----------
    nodes : FindingNodes
        The nodes of the scene.
    on_drawn : callable
        Called with the axes when both lines are drawn; an OncoTrackError that it raises is emitted by `refused`.
    """

    changed = Signal()
    """`hint` has changed."""
    refused = Signal()
    """(OncoTrackError): no finding can be made from these lines."""

    def __init__(self, nodes: FindingNodes, on_drawn: Callable[[RecistAxes], None]) -> None:
        self._nodes, self._on_drawn = nodes, on_drawn
        self._is_begun = False
        self._observers = Observers()

    @property
    def hint(self) -> str:
        """What the reader should do next; "" while nothing is drawn."""
        return (*_HINTS, _WAITING)[len(self._drawn())] if self._is_begun else ""

    def begin(self) -> None:
        """Make the next four clicks in a slice view draw two lines; unfinished lines are discarded."""
        self.cancel()
        self._is_begun = True
        interaction = self._nodes.scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
        self._observers.add(interaction, interaction.InteractionModeChangedEvent, lambda *_: self._place_next())
        self._place_line(0)

    def cancel(self) -> None:
        """Remove the lines, and return to navigation with the mouse."""
        if self._is_begun:
            self._is_begun = False
            self._observers.clear()
            stop_placing(self._nodes.scene)
            for node in self._lines():
                node.RemoveAllControlPoints()  # the nodes stay: one of them may be handling a click now
            self.changed.emit()

    def close(self) -> None:
        """Remove the lines from the scene."""
        self.cancel()
        for key in LINES:
            self._nodes.registry.remove(key)

    # private

    def _lines(self) -> list[slicer.vtkMRMLMarkupsLineNode]:
        return [node for node in map(self._nodes.registry.find, LINES) if node is not None]

    def _drawn(self) -> list[Axis]:
        """Return the lines that have both ends."""
        return [axis for node in self._lines() if (axis := read_axis(node)) is not None]

    def _place_line(self, index: int) -> None:
        node = self._nodes.registry.find(LINES[index]) or self._make(index)
        self._observers.add(node, node.PointPositionDefinedEvent, lambda *_: self._on_point())
        self._observers.add(node, node.PointEndInteractionEvent, lambda *_: self._finish())
        place_point_in(node)
        self.changed.emit()

    def _make(self, index: int) -> slicer.vtkMRMLMarkupsLineNode:
        return make_draft(self._nodes.registry, LINES[index], "vtkMRMLMarkupsLineNode", _NAMES[index])

    def _place_next(self) -> None:
        # Slicer leaves place mode after the second point of a line; only then can the second line be started
        if self._is_begun and len(self._drawn()) == 1 and not is_placing(self._nodes.scene):
            self._place_line(1)

    def _on_point(self) -> None:
        self._place_next()
        self._finish()

    def _finish(self) -> None:
        if len(lines := self._drawn()) < 2:
            return
        stop_placing(self._nodes.scene)  # else Slicer would start another line when the finding's nodes are added
        try:
            self._on_drawn(RecistAxes.of(*lines))
        except OncoTrackError as error:
            self.refused.emit(error)
            self.changed.emit()
        else:
            self.cancel()
