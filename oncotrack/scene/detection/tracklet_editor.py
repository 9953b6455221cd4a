"""Editing of the current finding's slice boxes on the slice in view."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from undo_stack import Signal

from oncotrack.background.jobs import Progress
from oncotrack.detection.detector import Detector
from oncotrack.errors import InputError, OncoTrackError
from oncotrack.findings import tracklet_edits as edits
from oncotrack.findings.finding import Finding, Kind, Observation, Provenance, State, point
from oncotrack.findings.observation_edits import edited_by_reader
from oncotrack.findings.tracklet import SliceBox, Tracklet
from oncotrack.images.volume import Volume
from oncotrack.scene.nodes.fiducials import label_with_state
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.session.single_scan_selection import SingleScanSelection
from oncotrack.scene.views.slice_box import SliceBoxHandle
from oncotrack.scene.views.slice_views import SliceViews, centre

DEFAULT_BOX_MM = 12.0
"""Edge length of the box that is added by a click."""
_MERGEABLE = 8


class TrackletEditor:
    """Edits of the current node's slice boxes, and of nodes as a whole (add, split, merge, trim, extend); each is one step of undo.

    Parameters
    ----------
    nodes : FindingNodes
    scan : SingleScanSelection
    views : SliceViews
    detector : callable
        Returns the detector of a scan, which follows boxes through its slices; called on the worker's thread.
    """

    moved = Signal()
    """Another slice of the current finding is in view."""
    refused = Signal()
    """(OncoTrackError): an edit was not possible."""

    def __init__(
        self, nodes: FindingNodes, scan: SingleScanSelection, views: SliceViews, detector: Callable[[Volume], Detector]
    ) -> None:
        self._nodes, self._scan, self._views, self._detector = nodes, scan, views, detector
        self._handle = SliceBoxHandle(nodes)
        self._handle.edited.connect(self._on_dragged)
        self._views.moved.connect(self._on_moved)
        self._is_shown = self._is_enabled = True
        self._last_shown: tuple[str, int | None] = ("", None)

    def close(self) -> None:
        """Remove the handles."""
        self._views.moved.disconnect(self._on_moved)
        self._handle.close()

    # the current finding and slice

    @property
    def finding(self) -> Finding | None:
        """The current finding if it has slice boxes on this scan, else None."""
        current = self._nodes.current
        seen = current.at(self._scan.time_point) if current else None
        return current if seen and seen.tracklet else None

    @property
    def tracklet(self) -> Tracklet | None:
        """The current finding's slice boxes on this scan, or None."""
        return self.finding.at(self._scan.time_point).tracklet if self.finding else None

    @property
    def slice_index(self) -> int | None:
        """Index of the slice in view; None while no view is parallel to the tracklet's slices."""
        tracklet = self.tracklet
        faces = self._views.along(tracklet) if tracklet else []
        return tracklet.flat(centre(faces[0]))[2] if faces else None

    @property
    def box(self) -> SliceBox | None:
        """The current finding's box on the slice in view, or None."""
        index = self.slice_index
        return None if index is None else self.tracklet.at(index)

    @property
    def is_enabled(self) -> bool:
        """Whether boxes get handles; False while the reader works with another tool."""
        return self._is_enabled

    @is_enabled.setter
    def is_enabled(self, enabled: bool) -> None:
        if enabled != self._is_enabled:
            self._is_enabled = enabled
            self._nodes.draw()

    @property
    def has_handles(self) -> bool:
        """Whether there is a box with handles on the slice in view."""
        return self._is_enabled and self.box is not None

    @property
    def counts_upwards(self) -> bool:
        """Whether higher slice numbers of the current finding's grid lie nearer to the head."""
        return self._required_tracklet().step[2] >= 0

    # edits

    def set_box(self, box: SliceBox) -> None:
        """Move, resize or add the box of one slice."""
        is_new = self._required_tracklet().at(box.slice_index) is None
        self._replace_boxes(self._required_tracklet().with_box(box), f"{'add' if is_new else 'change'} a slice box of")

    def add_box(self) -> None:
        """Copy the nearest box to the slice in view."""
        index = self._required_slice()
        if self.tracklet.at(index):
            raise InputError(f"{self.finding.label} has a box on this slice already. Drag it.")
        self.set_box(replace(self.tracklet.nearest(index), slice_index=index, score=None))

    def delete_box(self) -> None:
        """Delete the box of the slice in view; with the last one the finding is removed from the scan."""
        index, finding = self._required_box_slice(), self.finding
        if len(self.tracklet.boxes) == 1:
            self._nodes.findings.remove_from_scan(finding.uid, self._scan.time_point)
        else:
            self._replace_boxes(self.tracklet.without_box(index), "delete a slice box of")

    def split(self) -> None:
        """Split the current finding in two: the slices of lower number, and this slice with those of higher number."""
        index = self._required_slice()
        _kept, new = edits.split(self._nodes.findings, self.finding.uid, self._scan.time_point, index)
        self._nodes.select(new.uid)

    def trim_below(self) -> None:
        """Delete the boxes nearer to the feet than this slice."""
        self._trim(is_lower=self.counts_upwards)

    def trim_above(self) -> None:
        """Delete the boxes nearer to the head than this slice."""
        self._trim(is_lower=not self.counts_upwards)

    def merge(self, uid: str) -> None:
        """Merge another finding into the current one."""
        self._required_tracklet()
        edits.merge(self._nodes.findings, self.finding.uid, uid, self._scan.time_point)

    def mergeable(self) -> tuple[Finding, ...]:
        """Return the findings that the current one can be merged with, nearest first."""
        mine, time_point = self.finding, self._scan.time_point
        if mine is None:
            return ()
        others = [
            each
            for each in edits.detected_nodes(self._nodes.findings, time_point)
            if each.uid != mine.uid
            and each.at(time_point).state is not State.REJECTED
            and self.tracklet.is_on_grid_of(each.at(time_point).tracklet)
        ]
        centre_mm = mine.at(time_point).centre
        return tuple(sorted(others, key=lambda each: math.dist(each.at(time_point).centre, centre_mm))[:_MERGEABLE])

    def add_node(self, at: Sequence[float]) -> Finding:
        """Add a lymph node with one slice box around a position, RAS mm."""
        at, image = point(at), self._scan.image()
        if not image.geometry.contains(at):
            raise InputError(f"This position lies outside of {image.name}. Click inside the scan.")
        grid = self._grid()
        u, v, index = grid.flat(at)
        half = DEFAULT_BOX_MM / 2
        tracklet = replace(grid, boxes=(SliceBox(index, (u - half, v - half), (u + half, v + half)),))
        seen = edited_by_reader(Observation(centre=at, provenance=Provenance(reader="reader")).with_tracklet(tracklet))
        findings = self._nodes.findings
        with findings.group(f"add {findings.next_label(Kind.LYMPH_NODE)}"):
            self._scan.name_time_point()
            finding = findings.add(self._scan.time_point, seen, kind=Kind.LYMPH_NODE)
        self._nodes.select(finding.uid)
        return finding

    def extend_up(self) -> Task:
        """Return the task that searches the node again from this slice towards the head; its boxes towards the feet stay."""
        is_up = self.counts_upwards
        return self.follow(up=is_up, down=not is_up)

    def extend_down(self) -> Task:
        """Return the task that searches the node again from this slice towards the feet; its boxes towards the head stay."""
        is_up = self.counts_upwards
        return self.follow(up=not is_up, down=is_up)

    def follow(self, slice_index: int | None = None, *, up: bool, down: bool) -> Task:
        """Return the task that follows a box through slices of higher (`up`) and lower (`down`) number.

        It starts from the box of `slice_index`, by default of the slice in view. Applying it returns the finding.

        Raises
        ------
        InputError
            No finding with slice boxes is chosen, or it has no box on that slice.
        """
        index = self._required_box_slice() if slice_index is None else slice_index
        finding, tracklet, image = self.finding, self._required_tracklet(), self._scan.image()
        before = finding.at(self._scan.time_point).state

        def work(progress: Progress) -> Tracklet:
            return self._detector(image).retrack(image, tracklet, index, progress, up=up, down=down)

        def apply(followed: Tracklet) -> Finding:
            findings, time_point = self._nodes.findings, self._scan.time_point
            seen = findings[finding.uid].at(time_point) if finding.uid in findings else None
            if not self._scan.is_still(image) or seen is None or seen.tracklet != tracklet:
                raise InputError(f"{finding.label} was changed meanwhile, so the new boxes were discarded. Try again.")
            if followed == tracklet:  # nothing was found on other slices
                return findings[finding.uid]
            text = f"follow {finding.label}"
            with findings.group(text):
                edits.replace_tracklet(findings, finding.uid, time_point, followed, text)
                if seen.state is not before:  # decided on while the task ran
                    findings.set_state(finding.uid, time_point, seen.state)
            return findings[finding.uid]

        return Task(f"Following {finding.label}", work, apply)

    # the handles

    def draw(self, is_shown: bool) -> None:
        """Show the handles on the box of the slice in view, if the current finding is shown; called when nodes are drawn."""
        self._is_shown = is_shown
        box = self.box if is_shown and self._is_enabled else None
        if box is None:
            self._handle.hide()
            return
        faces, finding = self._views.along(self.tracklet), self.finding
        label = label_with_state(finding.label, finding.at(self._scan.time_point))
        self._handle.show(
            finding.uid, self.tracklet, box, centre(faces[0]), tuple(face.GetID() for face in faces), label
        )

    def _on_dragged(self, uid: str, box: SliceBox) -> None:
        try:
            if self.finding is None or self.finding.uid != uid:
                raise InputError("Another node was chosen while you dragged, so the box was left unchanged.")
            self.set_box(box)
            corners = self.tracklet.corners(box)
            self._views.reveal([sum(values) / len(corners) for values in zip(*corners, strict=True)])
        except OncoTrackError as error:
            self.refused.emit(error)
            self.draw(self._is_shown)

    def _on_moved(self) -> None:
        self.draw(self._is_shown)
        here = (self.finding.uid if self.finding else "", self.slice_index)
        if here != self._last_shown:
            self._last_shown = here
            self.moved.emit()

    # private

    def _required_tracklet(self) -> Tracklet:
        if self.tracklet is None:
            raise InputError("No node with slice boxes is chosen. Choose one in the list.")
        return self.tracklet

    def _required_slice(self) -> int:
        self._required_tracklet()
        if self.slice_index is None:
            raise InputError(f"No view shows the slices of {self.finding.label}. Turn one to face them.")
        return self.slice_index

    def _required_box_slice(self) -> int:
        index = self._required_slice()
        if self.tracklet.at(index) is None:
            raise InputError(f"{self.finding.label} has no box on this slice. Scroll to one of its slices.")
        return index

    def _trim(self, *, is_lower: bool) -> None:
        index, tracklet = self._required_slice(), self._required_tracklet()
        first, last = (index, tracklet.last) if is_lower else (tracklet.first, index)
        self._replace_boxes(tracklet.trim(first, last), "trim")

    def _replace_boxes(self, tracklet: Tracklet, what: str) -> None:
        if tracklet != self.tracklet:
            finding = self.finding
            edits.replace_tracklet(
                self._nodes.findings, finding.uid, self._scan.time_point, tracklet, f"{what} {finding.label}"
            )

    def _grid(self) -> Tracklet:
        """Return the slice grid for new boxes: that of existing nodes, else the scan's grid that is nearest to axial."""
        time_point = self._scan.time_point
        known = edits.detected_nodes(self._nodes.findings, time_point)
        if known:
            return known[0].at(time_point).tracklet
        return Tracklet.on(self._scan.image().geometry.axial(), [SliceBox(0, (0, 0), (0, 0))])
