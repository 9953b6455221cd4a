"""Following lesions in a scene: what the desktop module and the browser both drive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import slicer
import vtk
from undo_stack import Signal

from oncotrack.errors import InputError, OncoTrackError
from oncotrack.findings import Finding, FindingList, Kind, Observation, Point, Provenance, Role, State, TimePoint, point
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, Tracker
from oncotrack.registration import Registration
from oncotrack.scene.layers import Layers
from oncotrack.scene.linking import LinkedRows
from oncotrack.scene.matching import TRACKERS, Matching
from oncotrack.scene.placing import place_into, stop_placing
from oncotrack.scene.rows import BASELINE_GROUP, BASELINE_VIEWS, FOLLOWUP_GROUP, FOLLOWUP_VIEWS, Row
from oncotrack.scene.scan_choice import ScanChoice
from oncotrack.scene.shared_nodes import release_nodes, share_nodes
from oncotrack.scene.tasks import Task

_CORRESPONDING = (State.PROPOSED, State.ACCEPTED, State.EDITED)


class FollowUpScene:
    """Two scans of one patient in a scene, and the lesions followed from one to the other.

    Every method runs on the interface's thread; long work comes back as a `Task`.

    Parameters
    ----------
    scene : vtkMRMLScene
        One that was saved with findings is taken up where it was left.
    trackers : mapping of name to factory, optional
        The methods to choose from; the first is the default. A factory may load weights: it is called on the worker.
    baseline_views, followup_views : sequence of str
        Layout names of each row's slice views.
    followup_3d_views : sequence of str
        Layout names of 3D views that draw the follow-up's marks too.
    """

    changed = Signal()
    """Anything that a panel shows may be different now."""
    placed = Signal()
    """(position): a reader placed a point in the baseline; submit `follow(position)`."""
    refused = Signal()
    """(OncoTrackError): an edit in the scene was not possible and has been taken back."""

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        *,
        trackers: Mapping[str, Callable[[], Tracker]] | None = None,
        baseline_views: Sequence[str] = BASELINE_VIEWS,
        followup_views: Sequence[str] = FOLLOWUP_VIEWS,
        followup_3d_views: Sequence[str] = (),
    ) -> None:
        self.scene = scene
        self.nodes = share_nodes(scene)
        self._choice = ScanChoice(self.nodes)
        self._matching = Matching(self.nodes, self._choice, trackers or TRACKERS, self.go_to)
        self.baseline_row = Row(scene, tuple(baseline_views), BASELINE_GROUP)
        self.followup_row = Row(scene, tuple(followup_views), FOLLOWUP_GROUP, tuple(followup_3d_views))
        self.linking = LinkedRows(self.baseline_row, self.followup_row, lambda: self.registration)
        self.layers = Layers(self.nodes, self._choice, self.baseline_row, self.followup_row)
        self.layers.changed.connect(self.changed.emit)
        self.nodes.replaced.connect(self._on_replaced)
        self.nodes.changed.connect(self._on_changed)
        self.nodes.placed.connect(self._on_placed)
        self.nodes.refused.connect(self.refused.emit)
        self._on_replaced()
        self._on_changed()

    def close(self) -> None:
        """Stop looking at the scene; the nodes stay."""
        self.linking.close()
        self.layers.changed.disconnect(self.changed.emit)
        self.nodes.replaced.disconnect(self._on_replaced)
        self.nodes.changed.disconnect(self._on_changed)
        self.nodes.placed.disconnect(self._on_placed)
        self.nodes.refused.disconnect(self.refused.emit)
        release_nodes(self.nodes)

    @property
    def problem(self) -> OncoTrackError | None:
        """Why the findings that the scene was saved with could not be read, to be shown once; None when all is well."""
        return self.nodes.problem

    # scans

    @property
    def baseline(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The earlier scan."""
        return self._choice.baseline

    @property
    def followup(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The later scan."""
        return self._choice.followup

    @property
    def baseline_id(self) -> str:
        """Time point of the baseline in every finding; "" while there is none."""
        return self._choice.baseline_id

    @property
    def followup_id(self) -> str:
        """Time point of the follow-up in every finding; "" while there is none."""
        return self._choice.followup_id

    def set_scans(
        self, baseline: slicer.vtkMRMLScalarVolumeNode | None, followup: slicer.vtkMRMLScalarVolumeNode | None
    ) -> None:
        """Choose the scans and show each in its row; findings of other scans stay in the list."""
        if (baseline, followup) != (self.baseline, self.followup):
            self._choice.choose(baseline, followup)
            self._on_replaced()
            self._on_changed()

    @property
    def registration(self) -> Registration | None:
        """Baseline to follow-up as its transform node says, or None while there is none that fits the scans."""
        return self._choice.registration

    def strangers(self, findings: FindingList) -> tuple[TimePoint, ...]:
        """Time points of another list, say one from disk, whose scans are not the chosen ones."""
        return self._choice.strangers(findings)

    def take_up(self, findings: FindingList, registration: Registration) -> None:
        """Show what was found outside the scene: a list on the time points of the chosen scans, and their registration."""
        self.findings.load_json(findings.to_json())
        self._choice.draw_registration(registration)

    # long work

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the trackers."""
        return self._matching.methods

    @property
    def method(self) -> str:
        """The tracker in use."""
        return self._matching.method

    @method.setter
    def method(self, name: str) -> None:
        self._matching.method = name
        self.changed.emit()

    def register(self) -> Task:
        """Bring the scans into correspondence, so that the rows are linked before any lesion is followed."""
        return self._matching.register()

    def follow(
        self, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, *, kind: Kind = Kind.LESION, label: str = ""
    ) -> Task:
        """Make a finding of a baseline point (RAS mm) and look for it in the follow-up; applying gives the finding."""
        return self._matching.follow(at, radius_mm, kind, label)

    def follow_again(self, uid: str = "") -> Task:
        """Look again for a finding (the current one by default), from where it now lies in the baseline."""
        finding = self._finding(uid)
        return self._matching.follow_findings([finding], f"match {finding.label} again")

    def follow_missing(self) -> Task:
        """Look for every baseline finding that has nothing in the follow-up yet, as one step of undo."""
        missing = [f for f in self.findings if f.at(self.baseline_id) and not f.at(self.followup_id)]
        if not missing:
            raise InputError("Every finding of the baseline has been followed already.")
        return self._matching.follow_findings(missing, f"follow {len(missing)} findings")

    # the list

    @property
    def findings(self) -> FindingList:
        """The list behind the nodes, with undo and redo."""
        return self.nodes.findings

    @property
    def current(self) -> Finding | None:
        """The finding the reader works on."""
        return self.nodes.current

    @property
    def match(self) -> Observation | None:
        """What is seen of the current finding in the follow-up."""
        return self.current.at(self.followup_id) if self.current else None

    def accept(self, uid: str = "") -> None:
        """The match is right."""
        self.findings.set_state(self._finding(uid).uid, self.followup_id, State.ACCEPTED, "reader")

    def reject(self, uid: str = "") -> None:
        """The match is wrong."""
        self.findings.set_state(self._finding(uid).uid, self.followup_id, State.REJECTED, "reader")

    def mark_absent(self, uid: str = "") -> None:
        """The lesion is not in the follow-up any more."""
        self.findings.set_state(self._finding(uid).uid, self.followup_id, State.ABSENT, "reader")

    def delete(self, uid: str = "") -> None:
        """Delete a finding at all time points."""
        self.findings.remove(self._finding(uid).uid)

    def rename(self, label: str, uid: str = "") -> None:
        """Give a finding another label."""
        self.findings.rename(self._finding(uid).uid, label)

    def take_alternative(self, index: int, uid: str = "") -> None:
        """Put the match where its alternative number `index` (from 0) is, and go there."""
        uid = self._finding(uid).uid
        self.findings.take_alternative(uid, self.followup_id, index)
        self.go_to(uid)

    def undo(self) -> None:
        """Take the last edit back."""
        self.findings.undo()

    def redo(self) -> None:
        """Do it again."""
        self.findings.redo()

    # moving about

    def go_to(self, uid: str = "") -> None:
        """Make a finding the current one and centre each row on its place there."""
        finding = self._finding(uid)
        self.nodes.select(finding.uid)
        with self.linking.paused():
            for row, time_point in ((self.baseline_row, self.baseline_id), (self.followup_row, self.followup_id)):
                if (seen := finding.at(time_point)) is not None:
                    row.jump(seen.centre)

    def next(self) -> None:
        """Go to the next finding; after the last comes the first."""
        self._step(1)

    def previous(self) -> None:
        """Go to the finding before; before the first comes the last."""
        self._step(-1)

    def begin_placing(self) -> None:
        """The reader's next click in a slice view places a point in the baseline."""
        self._choice.scans()
        place_into(self.nodes.centres(self.baseline_id))

    def place(self, at: Sequence[float]) -> None:
        """Place a point (RAS mm) in the baseline as a click in place mode does; `placed` follows."""
        self._choice.scans()
        self.nodes.centres(self.baseline_id).AddControlPointWorld(vtk.vtkVector3d(*point(at)))

    def stop_placing(self) -> None:
        """The mouse moves about again."""
        stop_placing(self.scene)

    def _step(self, by: int) -> None:
        uids = [finding.uid for finding in self.findings]
        if uids:
            here = uids.index(self.current.uid) if self.current else -by
            self.go_to(uids[(here + by) % len(uids)])

    # inside

    def _finding(self, uid: str) -> Finding:
        if uid:
            return self.findings[uid]
        if self.current is None:
            raise InputError("No finding is chosen. Choose one in the list, or place a point in the baseline.")
        return self.current

    def _anchor(self) -> None:
        seen = self.current.at(self.baseline_id) if self.current else None
        match = self.match
        if seen and match and match.state in _CORRESPONDING:
            self.linking.anchor(seen.centre, match.centre)
        else:
            self.linking.anchor()

    def _on_replaced(self) -> None:
        self._choice.forget()
        rows = ((self.baseline_id, self.baseline_row), (self.followup_id, self.followup_row))
        self.nodes.set_views({time_point: row.view_ids for time_point, row in rows if time_point})
        self.layers.show_scans()

    def _on_changed(self) -> None:
        self.layers.draw()
        self._anchor()
        self.changed.emit()

    def _on_placed(self, time_point: str, at: Point) -> None:
        if time_point == self.baseline_id:
            self.placed.emit(at)
            return
        seen = Observation(centre=at, state=State.ACCEPTED, provenance=Provenance(reader="reader"))
        with self.findings.group(f"add {self.findings.next_label()}"):
            self._choice.name_time_points()
            finding = self.findings.add(time_point, seen, role=Role.NEW)
        self.nodes.select(finding.uid)
