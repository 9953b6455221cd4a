"""Visibility of the detected nodes: proposals below a score threshold are hidden."""

from __future__ import annotations

from undo_stack import Signal

from oncotrack.findings.finding import Finding, State
from oncotrack.findings.tracklet_edits import detected_nodes
from oncotrack.scene.detection.tracklet_editor import TrackletEditor
from oncotrack.scene.nodes.finding_nodes import FIDUCIALS, FindingNodes
from oncotrack.scene.nodes.mask_segments import MASKS
from oncotrack.scene.nodes.node_registry import NodeKey
from oncotrack.scene.nodes.observers import Observers
from oncotrack.scene.nodes.shapes import FIELDS, LONG_AXIS, SHORT_AXIS, has_axes_of_mask
from oncotrack.scene.session.single_scan_selection import SingleScanSelection


class NodeDisplay:
    """Sets the visibility of one scan's nodes after they were drawn.

    Proposals below the threshold are hidden, and so are rejected nodes except the current one. The axes of a node
    without a mask run along the edges of its box, where the handles are, so they are hidden. A node with slice boxes is
    moved by its boxes, so its fiducial point is locked, and hidden while the handles of a box are shown.

    Parameters
    ----------
    nodes : FindingNodes
    scan : SingleScanSelection
    editor : TrackletEditor
    """

    clicked = Signal()
    """(uid): a reader clicked the fiducial point of a finding."""

    def __init__(self, nodes: FindingNodes, scan: SingleScanSelection, editor: TrackletEditor) -> None:
        self._nodes, self._scan, self._editor = nodes, scan, editor
        self._threshold = 0.0
        self._observers = Observers()
        nodes.drawn.connect(self._update)
        editor.moved.connect(self._update)

    def close(self) -> None:
        """Stop observing; the nodes stay as they are."""
        self._nodes.drawn.disconnect(self._update)
        self._editor.moved.disconnect(self._update)
        self._observers.clear()

    @property
    def threshold(self) -> float:
        """Proposals of a lower probability, or score where there is none (0 to 1), are hidden."""
        return self._threshold

    @threshold.setter
    def threshold(self, score: float) -> None:
        self._threshold = score
        self._update()

    def is_shown(self, finding: Finding) -> bool:
        """Return whether a node of this scan is drawn at the present threshold."""
        seen = finding.at(self._scan.time_point)
        if seen.state is State.REJECTED:
            return self._nodes.current is not None and finding.uid == self._nodes.current.uid
        return seen.state is not State.PROPOSED or seen.confidence is None or seen.confidence >= self._threshold

    def _update(self) -> None:
        time_point, views = self._scan.time_point, self._nodes.views
        if not time_point or (views and time_point not in views):
            self._editor.draw(False)
            return
        shown = {finding.uid: self.is_shown(finding) for finding in detected_nodes(self._nodes.findings, time_point)}
        current = self._nodes.current.uid if self._nodes.current else ""
        with self._nodes.drawing():
            for key, node in self._nodes.registry:
                if key.part in FIELDS and key.time_point == time_point and key.finding in shown:
                    has_mask = self._nodes.findings[key.finding].at(time_point).mask is not None
                    is_drawn = shown[key.finding] and (has_mask or key.part not in (LONG_AXIS, SHORT_AXIS))
                    if bool(node.GetDisplayVisibility()) != is_drawn:
                        node.SetDisplayVisibility(is_drawn)
            self._update_masks(shown)
            self._update_fiducials(shown, current if self._editor.has_handles else "")
            self._editor.draw(shown.get(current, False))

    def _update_masks(self, shown: dict[str, bool]) -> None:
        node = self._nodes.registry.find(NodeKey(MASKS, self._scan.time_point))
        if node is None or node.GetDisplayNode() is None:
            return
        display = node.GetDisplayNode()
        for uid, is_drawn in shown.items():
            if node.GetSegmentation().GetSegment(uid) and display.GetSegmentVisibility(uid) != is_drawn:
                display.SetSegmentVisibility(uid, is_drawn)

    def _update_fiducials(self, shown: dict[str, bool], edited: str) -> None:
        node = self._nodes.registry.find(NodeKey(FIDUCIALS, self._scan.time_point))
        if node is None:
            return
        display = node.GetNthDisplayNode(0)
        if not self._observers.watches(display):
            self._observers.clear()
            self._observers.add(display, display.JumpToPointEvent, lambda caller, _: self._on_click(caller))
        with_mask = {
            finding.uid
            for finding, seen in self._nodes.findings.observations_at(self._scan.time_point)
            if has_axes_of_mask(seen)
        }
        for index in range(node.GetNumberOfControlPoints()):
            uid = node.GetNthControlPointDescription(index)
            has_boxes = uid in shown
            # a mask would be covered: its axes are drawn instead, see MaskDisplay
            is_drawn = shown.get(uid, True) and uid not in with_mask and uid != edited
            if bool(node.GetNthControlPointVisibility(index)) != is_drawn:
                node.SetNthControlPointVisibility(index, is_drawn)
            if bool(node.GetNthControlPointLocked(index)) != has_boxes and uid in self._nodes.findings:
                node.SetNthControlPointLocked(index, has_boxes)

    def _on_click(self, display: object) -> None:
        uid = display.GetMarkupsNode().GetNthControlPointDescription(max(display.GetActiveControlPoint(), 0))
        if uid in self._nodes.findings:
            self.clicked.emit(uid)
