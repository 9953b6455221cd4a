"""The follow-up session, used by the Slicer module and the browser."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import slicer
from undo_stack import Signal

from oncotrack.errors import InputError, OncoTrackError
from oncotrack.findings.finding import Kind, Observation, Point, Provenance, Role, State, TimePoint, point
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.shapes import middle
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, Tracker
from oncotrack.registration.registration import Registration
from oncotrack.scene.followup.axes_edits import AxesEdits
from oncotrack.scene.followup.chain_task import ChainTasks
from oncotrack.scene.followup.follow_tasks import FollowTasks
from oncotrack.scene.followup.match_task import MatchTasks
from oncotrack.scene.followup.measure_tasks import MeasureTasks
from oncotrack.scene.followup.overlays import Overlays
from oncotrack.scene.followup.registration_residual import RegistrationResidual
from oncotrack.scene.followup.third_visit import ThirdVisit
from oncotrack.scene.followup.tracking_method import TRACKERS, TrackingMethod
from oncotrack.scene.nodes.shared_nodes import release_nodes, share_nodes
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.session.scan_questions import ScanQuestions
from oncotrack.scene.session.time_point_selection import TimePointSelection
from oncotrack.scene.views.linking import LinkedRows
from oncotrack.scene.views.mouse_mode import place_point_in, stop_placing
from oncotrack.scene.views.reveal import enlarge, field_around, reveal
from oncotrack.scene.views.view_rows import BASELINE_GROUP, BASELINE_VIEWS, FOLLOWUP_GROUP, FOLLOWUP_VIEWS, ViewRow

_Scan = slicer.vtkMRMLScalarVolumeNode


class FollowUpScene(FollowTasks):
    """The scans of one patient in a scene, two of them side by side, and the lesions followed from one to the other.

    Every method runs on the GUI thread; methods that run long return a `Task`.

    Parameters
    ----------
    scene : vtkMRMLScene
        If it was saved with findings, they are read.
    trackers : mapping of name to factory, optional
        The methods to choose from; the first is the default. A factory may load weights: it is called on the worker.
    baseline_views, followup_views : sequence of str
        Layout names of each row's slice views.
    followup_3d_views : sequence of str
        Layout names of 3D views that draw the follow-up's marks too.

    Attributes
    ----------
    questions : ScanQuestions
        What must be asked about the chosen scans.
    third : ThirdVisit
        A third visit beside the two, where the reader wants one.
    residual : RegistrationResidual
        How well the registration aligns the scans.
    axes_edits : AxesEdits
        Changes diameters together with their mask.
    submit : callable
        Queues the task that an edit in a view needs, for example when an end of a diameter is dragged; by default it runs at
        once.
    """

    changed = Signal()
    """Anything that a panel shows may be different now."""
    placed = Signal()
    """(position): a reader placed a point in the baseline by Slicer's place mode; submit `follow(position)`."""
    refused = Signal()
    """(OncoTrackError): an edit in the scene was not possible and has been undone."""

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
        self._choice = TimePointSelection(self.nodes)
        self.questions = ScanQuestions(self.nodes, self._choice)
        self.method = TrackingMethod(self.nodes, trackers or TRACKERS)
        self._matching = MatchTasks(self.nodes, self._choice, self.method, self.go_to)
        self._chaining = ChainTasks(self.nodes, self._choice, self.method, self.go_to)
        self._measuring = MeasureTasks(self.nodes, self._choice, self.go_to)
        self.submit: Callable[[Task], object] = Task.run
        self.residual = RegistrationResidual(self._choice)
        self.axes_edits = AxesEdits(self.nodes, lambda task: self.submit(task))
        self.baseline_row = ViewRow(scene, tuple(baseline_views), BASELINE_GROUP)
        self.followup_row = ViewRow(scene, tuple(followup_views), FOLLOWUP_GROUP, tuple(followup_3d_views))
        self.linking = LinkedRows(self.baseline_row, self.followup_row, lambda: self.registration)
        self.third = ThirdVisit(scene, self._choice, self.baseline_row)
        self.third.changed.connect(self._on_third)
        self.overlays = Overlays(self.nodes, self._choice, self.baseline_row, self.followup_row)
        self.overlays.changed.connect(self.changed.emit)
        self.method.changed.connect(self.changed.emit)
        self.nodes.replaced.connect(self._on_replaced)
        self.nodes.changed.connect(self._on_changed)
        self.nodes.placed.connect(self._on_placed)
        self.nodes.moved.connect(self._on_moved)
        self.nodes.refused.connect(self.refused.emit)
        self._on_replaced()
        self._on_changed()

    def close(self) -> None:
        """Stop observing the scene; the nodes stay."""
        self.axes_edits.close()
        self.linking.close()
        self.third.changed.disconnect(self._on_third)
        self.third.close()
        self.overlays.changed.disconnect(self.changed.emit)
        self.method.changed.disconnect(self.changed.emit)
        self.nodes.replaced.disconnect(self._on_replaced)
        self.nodes.changed.disconnect(self._on_changed)
        self.nodes.placed.disconnect(self._on_placed)
        self.nodes.moved.disconnect(self._on_moved)
        self.nodes.refused.disconnect(self.refused.emit)
        release_nodes(self.nodes)

    def enter(self) -> None:
        """Show the chosen scans and their marks in the rows, until `leave`."""
        self._show_rows()

    def leave(self) -> None:
        """Return to navigation with the mouse, and unlink the rows."""
        self.stop_placing()
        self.linking.is_enabled = False

    @property
    def problem(self) -> OncoTrackError | None:
        """Why the findings that the scene was saved with could not be read, to be shown once; None when they could."""
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
            self._show_rows()
            self._on_changed()

    @property
    def registration(self) -> Registration | None:
        """Baseline to follow-up, from the transform node; None while there is none that fits the scans."""
        return self._choice.registration

    def name_time_points(self) -> None:
        """Add the visits to the list's time points; call it in the same undo group as what is first seen on them."""
        self._choice.name_time_points()

    def unmatched_time_points(self, findings: FindingList) -> tuple[TimePoint, ...]:
        """Return the time points of another list, for example one from disk, whose scans are not the chosen ones."""
        return self._choice.unmatched_time_points(findings)

    def load_findings(self, findings: FindingList, registrations: Mapping[tuple[_Scan, _Scan], Registration]) -> None:
        """Replace the findings by a list on the time points of the visits, and draw their registrations."""
        self.findings.load_json(findings.to_json())
        for pair, registration in registrations.items():
            self._choice.pair(*pair).draw(registration)

    # visits

    @property
    def visits(self) -> tuple[slicer.vtkMRMLScalarVolumeNode, ...]:
        """All scans of the patient in the reader's order, whatever their dates."""
        return self._choice.visits

    @property
    def time_points(self) -> tuple[TimePoint, ...]:
        """The visits as time points, whether or not the list of findings has them yet."""
        return self._choice.time_points

    def set_visits(self, volumes: Sequence[slicer.vtkMRMLScalarVolumeNode]) -> None:
        """Choose the scans, earliest first, through which lesions are followed; the rows show two of them."""
        self._choice.choose_visits(volumes)
        if self.baseline is None or self.followup is None:
            self.show_visit(1)
        else:
            self._on_changed()

    def order_by_date(self) -> None:
        """Order the visits by their dates, as the reader asks for; the rows show the first two."""
        visits = self.questions.by_date()
        if len(visits) > 2:
            self.set_visits(visits)
        self.set_scans(*visits[:2])

    def show_visit(self, number: int) -> None:
        """Show a visit (from 0) in the follow-up's row and the one before it in the baseline's; for 0, the first two visits."""
        visits = self.visits
        if not 0 <= number < max(len(visits), 2):
            raise InputError(f"There is no visit {number + 1}; the patient has {len(visits)}.")
        number = max(number, 1)
        self.set_scans(*(visits[n] if n < len(visits) else None for n in (number - 1, number)))
        if self.current:
            self.go_to()

    def link_here(self) -> None:
        """Link the positions that baseline and follow-up show now; called again, link them by the registration."""
        if self.linking.is_held:
            self.linking.release()
        else:
            self.linking.hold()
            self.linking.is_enabled = True
        self._on_changed()

    # navigation

    def go_to(self, uid: str = "") -> None:
        """Make a finding the current one and show its position in each row.

        Linked rows follow the baseline's, so that the finding lies at the same place in their views.
        """
        finding = self._finding(uid)
        self.nodes.select(finding.uid)
        if (seen := finding.at(self.baseline_id)) is not None:
            reveal(self.baseline_row.slices(), _place(seen))
        with self.linking.paused(), self.third.linking.paused():
            for time_point, row in self._rows[1:]:
                if (seen := finding.at(time_point)) is not None:
                    reveal(row.slices(), _place(seen))
                elif row is self.third.row:
                    self.third.align()

    def enlarge(self) -> None:
        """Show the current finding large and in the middle of each row, all at one scale."""
        finding = self._finding("")
        seen = [(row, each) for time_point, row in self._rows if (each := finding.at(time_point)) is not None]
        field = max((field_around(each) for _row, each in seen), default=0.0)
        with self.linking.paused(), self.third.linking.paused():
            for row, each in seen:
                enlarge(row.slices(), _place(each), field)

    def begin_placing(self) -> None:
        """Make the reader's next click in a slice view place a point in the baseline."""
        self._choice.scans()
        place_point_in(self.nodes.fiducials(self.baseline_id))

    def place(
        self,
        at: Sequence[float],
        radius_mm: float = DEFAULT_RADIUS_MM,
        *,
        kind: Kind = Kind.LESION,
        role: Role = Role.NONE,
        site: str = "",
    ) -> Task:
        """Mark a baseline point (RAS mm) as pending, and return the task that searches for it in the follow-up.

        If the task fails or is cancelled, the mark is removed.
        """
        self._choice.scans()
        self.nodes.mark_pending(self.baseline_id, point(at))
        return self.follow(at, radius_mm, kind=kind, role=role, site=site)

    def stop_placing(self) -> None:
        """Return to navigation with the mouse."""
        stop_placing(self.scene)

    def _step(self, by: int) -> None:
        uids = [finding.uid for finding in self.findings]
        if uids:
            here = uids.index(self.current.uid) if self.current else -by
            self.go_to(uids[(here + by) % len(uids)])

    # private

    def _anchor(self) -> None:
        seen = self.current.at(self.baseline_id) if self.current else None
        match = self.match
        if seen and match and match.is_there:
            self.linking.anchor(seen.centre, match.centre)
        else:
            self.linking.anchor()

    def _on_replaced(self) -> None:
        self._choice.clear_cache()
        self._show_rows()

    def _show_rows(self) -> None:
        self.nodes.set_views({time_point: row.view_ids for time_point, row in self._rows if time_point})
        self.overlays.show_scans()
        self.third.draw()

    def time_point_of(self, node: slicer.vtkMRMLSliceNode) -> str:
        """Return the time point whose row a slice view belongs to; "" for a view of no row."""
        return next((time_point for time_point, row in self._rows if row.index_of(node) >= 0), "")

    @property
    def _rows(self) -> tuple[tuple[str, ViewRow], ...]:
        """Time point and row of baseline, follow-up and third visit."""
        return (
            (self.baseline_id, self.baseline_row),
            (self.followup_id, self.followup_row),
            (self.third.time_point, self.third.row),
        )

    def _on_third(self) -> None:
        self._show_rows()
        self.changed.emit()

    def _on_changed(self) -> None:
        self._choice.arrange_list()
        self.overlays.draw()
        self._anchor()
        self.changed.emit()

    def _on_moved(self, time_point: str, at: Point) -> None:
        """Show the new position of a dragged point in the other views of its row."""
        with self.linking.paused(), self.third.linking.paused():
            for known, row in self._rows:
                if known == time_point:
                    reveal(row.slices(), at)

    def _on_placed(self, time_point: str, at: Point) -> None:
        if time_point == self.baseline_id:
            self.placed.emit(at)
            return
        seen = Observation(centre=at, state=State.ACCEPTED, provenance=Provenance(reader="reader"))
        with self.findings.group(f"add {self.findings.next_label()}"):
            self._choice.name_time_points()
            finding = self.findings.add(time_point, seen, role=Role.NEW)
        self.nodes.select(finding.uid)


def _place(seen: Observation) -> Point:
    """Return what is shown of a finding: the middle of its long diameter where it was measured, so that both are seen."""
    if seen.is_measured and seen.is_there and seen.long_axis is not None:
        return middle(seen.long_axis.start, seen.long_axis.end)
    return seen.centre
