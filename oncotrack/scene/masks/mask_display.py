"""Visibility of findings with a mask: the label is shown at the axes, and the point at the centre, which would cover the lesion, is hidden."""

from __future__ import annotations

import slicer
from undo_stack import Signal

from oncotrack.scene.nodes.finding_nodes import FIDUCIALS, FindingNodes
from oncotrack.scene.nodes.node_registry import NodeKey
from oncotrack.scene.nodes.observers import Observers
from oncotrack.scene.nodes.shapes import has_axes_of_mask


class MaskDisplay:
    """Hides the fiducial points of findings that have a mask, and shows them again when the mask is removed.

    Parameters
    ----------
    nodes : FindingNodes
        Their `drawn` signal triggers an update.
    """

    clicked = Signal()
    """(time point id, uid): a reader clicked the fiducial point of a finding without a mask."""

    def __init__(self, nodes: FindingNodes) -> None:
        self._nodes = nodes
        self._hidden: set[tuple[str, str]] = set()
        self._observers = Observers()
        nodes.drawn.connect(self._update)
        nodes.replaced.connect(self._on_replaced)

    def close(self) -> None:
        """Stop observing; the points stay as they are."""
        self._nodes.drawn.disconnect(self._update)
        self._nodes.replaced.disconnect(self._on_replaced)
        self._observers.clear()

    def _update(self) -> None:
        with_mask = {
            (time_point, finding.uid)
            for finding in self._nodes.findings
            for time_point, seen in finding.observations.items()
            if has_axes_of_mask(seen)
        }
        with self._nodes.drawing():
            for time_point, uid in self._hidden - with_mask:
                self._show(time_point, uid, True)
            for time_point, uid in with_mask:
                self._show(time_point, uid, False)
        self._hidden = with_mask
        for key, node in self._nodes.registry:
            if key.part == FIDUCIALS and not self._observers.watches(display := node.GetNthDisplayNode(0)):
                self._observers.add(
                    display, display.JumpToPointEvent, lambda caller, _, at=key.time_point: self._on_click(caller, at)
                )

    def _show(self, time_point: str, uid: str, shown: bool) -> None:
        node = self._nodes.registry.find(NodeKey(FIDUCIALS, time_point))
        index = node.GetControlPointIndexByDescription(uid) if node is not None else -1
        if index >= 0 and bool(node.GetNthControlPointVisibility(index)) != shown:
            node.SetNthControlPointVisibility(index, shown)
            node.SetNthControlPointLocked(index, not shown)

    def _on_click(self, display: slicer.vtkMRMLMarkupsDisplayNode, time_point: str) -> None:
        uid = display.GetMarkupsNode().GetNthControlPointDescription(max(display.GetActiveControlPoint(), 0))
        if uid in self._nodes.findings and (time_point, uid) not in self._hidden:
            self.clicked.emit(time_point, uid)

    def _on_replaced(self) -> None:
        self._hidden = set()
        self._observers.clear()
