"""Dragging of axes: the mask is updated during the drag; axes and mask become one command when the end is released."""

from __future__ import annotations

import math
from collections.abc import Callable

import slicer

from oncotrack.errors import OncoTrackError
from oncotrack.findings.finding import Axis
from oncotrack.masks.axes import RecistAxes
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.node_registry import NodeKey
from oncotrack.scene.nodes.shapes import LONG_AXIS, SHORT_AXIS, read_axis
from oncotrack.scene.session.single_scan_selection import SingleScanSelection

Later = Callable[[Callable[[], None]], None]
"""Runs a function on the GUI thread after the events that are now in the queue."""
_NEAR_MM = 1e-4


class AxesHandles:
    """Observer of the axes of one scan's findings that have a mask.

    Parameters
    ----------
    nodes : FindingNodes
    scan : SingleScanSelection
    preview, change : callable
        Called with a finding's uid and its present axes: `preview` during a drag, once for all moves in the event queue,
        and `change` when the end is released.
    later : callable
        Runs a function after the events that are now in the queue.
    """

    def __init__(
        self,
        nodes: FindingNodes,
        scan: SingleScanSelection,
        preview: Callable[[str, RecistAxes], None],
        change: Callable[[str, RecistAxes], None],
        later: Later,
    ) -> None:
        self._nodes, self._scan, self._later = nodes, scan, later
        self._preview, self._change = preview, change
        self._held: NodeKey | None = None
        nodes.shape_listeners.append(self._on_released)
        nodes.dragging.connect(self._on_move)

    def close(self) -> None:
        """Stop observing the lines."""
        self._nodes.dragging.disconnect(self._on_move)
        self._nodes.shape_listeners.remove(self._on_released)

    def _on_move(self, key: NodeKey) -> None:
        if self._is_ours(key):
            previous, self._held = self._held, key
            if previous is None:
                self._later(self._show)

    def _show(self) -> None:
        held, self._held = self._held, None
        if held is None:
            return
        try:
            if (axes := self._axes(held)) is not None:
                self._preview(held.finding, axes)
        except OncoTrackError:
            return  # reported when the end is released

    def _on_released(self, key: NodeKey, _node: slicer.vtkMRMLMarkupsLineNode) -> bool:
        if not self._is_ours(key):
            return False
        self._held = None
        axes = self._axes(key)
        seen = self._nodes.findings[key.finding].at(key.time_point)
        known = seen.long_axis, seen.short_axis
        if axes and not all(any(_is_near(axis, each) for each in known) for axis in (axes.long, axes.short)):
            self._change(key.finding, axes)
        return True

    def _is_ours(self, key: NodeKey) -> bool:
        if key.part not in (LONG_AXIS, SHORT_AXIS) or key.time_point != self._scan.time_point:
            return False
        seen = self._nodes.findings[key.finding].at(key.time_point) if key.finding in self._nodes.findings else None
        return seen is not None and seen.mask is not None

    def _axes(self, key: NodeKey) -> RecistAxes | None:
        """Return both lines of a finding as they are now; None while one is missing."""
        nodes = (
            self._nodes.registry.find(NodeKey(part, key.time_point, key.finding)) for part in (LONG_AXIS, SHORT_AXIS)
        )
        lines = [axis for node in nodes if node is not None and (axis := read_axis(node)) is not None]
        return RecistAxes.of(*lines) if len(lines) == 2 else None


def _is_near(one: Axis, other: Axis | None) -> bool:
    if other is None:
        return False
    return max(math.dist(one.start, other.start), math.dist(one.end, other.end)) < _NEAR_MM
