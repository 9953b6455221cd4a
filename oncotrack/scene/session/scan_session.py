"""The base of the sessions on one scan: choice of the scan, list order, and navigation between its findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import slicer
from undo_stack import Signal

from oncotrack.errors import OncoTrackError
from oncotrack.findings.finding import Finding
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.shared_nodes import release_nodes, share_nodes
from oncotrack.scene.session.finding_commands import FindingCommands
from oncotrack.scene.session.single_scan_selection import SingleScanSelection
from oncotrack.scene.views.mouse_mode import stop_placing
from oncotrack.scene.views.reveal import enlarge, field_around
from oncotrack.scene.views.slice_views import SliceViews, shown_slice_nodes


class ScanSession(FindingCommands):
    """The base of the sessions that work on one scan.

    All sessions on a scene share one list of findings. A subclass defines by `current` and `shown` which findings it
    works on.

    Parameters
    ----------
    scene : vtkMRMLScene
    role : str
        As for `SingleScanSelection`.
    slice_nodes : callable, optional
        Returns the slice nodes that show the scan; all of the scene's when missing.
    """

    changed = Signal()
    """Anything that a panel shows may be different now."""
    refused = Signal()
    """(OncoTrackError): an edit in the scene was not possible and has been undone."""

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        role: str,
        slice_nodes: Callable[[], Sequence[slicer.vtkMRMLSliceNode]] | None = None,
    ) -> None:
        self.scene = scene
        self.nodes: FindingNodes = share_nodes(scene)
        self._listed: tuple[str, ...] | None = None
        self._others: tuple[str, list[str]] = ("", [])  # the current finding, and the list without it
        self._before = 0  # how many of those precede it; kept after it has moved within the list or left it
        self._left_views: dict[str, tuple[str, ...]] | None = None
        self._scan = SingleScanSelection(self.nodes, role)
        self._views = SliceViews(scene, slice_nodes or (lambda: shown_slice_nodes(scene)))
        self._wires: list[tuple[Signal, Callable]] = []
        self._wire((self.nodes.changed, self.changed.emit), (self.nodes.refused, self.refused.emit))

    def close(self) -> None:
        """Stop observing the scene; the nodes stay."""
        for signal, slot in self._wires:
            signal.disconnect(slot)
        self._views.close()
        release_nodes(self.nodes)

    @property
    def problem(self) -> OncoTrackError | None:
        """Why the findings that the scene was saved with could not be read, to be shown once; None when they could."""
        return self.nodes.problem

    # the scan

    @property
    def scan(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The scan's volume node, or None."""
        return self._scan.volume

    def set_scan(self, volume: slicer.vtkMRMLScalarVolumeNode | None) -> None:
        """Choose the scan; findings of other scans stay in the list."""
        if volume is not self.scan:
            self._scan.choose(volume)
            if self._left_views is not None:
                self.enter()
            self.nodes.draw()
            self.changed.emit()

    @property
    def time_point(self) -> str:
        """Time point of the scan in every finding; "" while there is none."""
        return self._scan.time_point

    def enter(self) -> None:
        """Draw only the scan's nodes, in all views, until `leave`."""
        if self._left_views is None:
            self._left_views = dict(self.nodes.views)
        self.nodes.set_views({self.time_point: ()} if self.time_point else {})

    def leave(self, *, restores_views: bool = True) -> None:
        """Draw marks where they were drawn before `enter` (with `restores_views`), and return to navigation with the mouse."""
        stop_placing(self.scene)
        if self._left_views is not None:
            if restores_views:
                self.nodes.set_views(self._left_views)
            self._left_views = None

    # the list

    @property
    def decided_time_point(self) -> str:
        """Time point of the scan."""
        return self.time_point

    @property
    def shown(self) -> tuple[Finding, ...]:
        """The findings that the session lists."""
        raise NotImplementedError

    @property
    def listed(self) -> tuple[str, ...]:
        """Uids in the order of `next` and `previous`: the order that a panel has set, else that of `shown`."""
        return tuple(finding.uid for finding in self.shown) if self._listed is None else self._listed

    @listed.setter
    def listed(self, uids: Sequence[str]) -> None:
        self._listed = tuple(uids)
        self._count_before()

    def remove_from_scan(self, uid: str = "") -> None:
        """Remove a finding from this scan, and go to the one after it; it stays in the list if it is also on another scan."""
        uid, listed = self._finding(uid).uid, list(self.listed)
        is_current = uid == self._current_uid
        self.findings.remove_from_scan(uid, self.time_point)
        if is_current and uid in listed and len(listed) > 1:
            self.go_to(listed[(listed.index(uid) + 1) % len(listed)])

    # navigation

    def go_to(self, uid: str = "") -> None:
        """Make a finding the current one and show it in the views."""
        finding = self._finding(uid)
        self.nodes.select(finding.uid)
        if (seen := finding.at(self.time_point)) is not None:
            self._views.reveal(seen.centre)

    def enlarge(self) -> None:
        """Show the current finding large and in the middle of the views."""
        if (seen := self._finding("").at(self.time_point)) is not None:
            enlarge(self._views.nodes(), seen.centre, field_around(seen))

    # private

    def _wire(self, *wires: tuple[Signal, Callable]) -> None:
        for signal, slot in wires:
            signal.connect(slot)
        self._wires.extend(wires)

    def _step(self, by: int) -> None:
        self._count_before()
        here, others = self._others
        if others:
            self.go_to(others[(self._before + min(by, 0)) % len(others)])
            self._count_before()
        elif here in self.listed:
            self.go_to(here)

    def _count_before(self) -> None:
        """Store the current finding's place in the list, so that `next` continues there after a decision has moved it."""
        here = self.current.uid if self.current else ""
        uids = [uid for uid in self.listed if uid in self.findings]
        others = [uid for uid in uids if uid != here]
        if self._others != (here, others):
            self._others = here, others
            self._before = uids.index(here) if here in uids else 0
