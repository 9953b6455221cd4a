"""Finding the lymph nodes of a scan and correcting them: what the desktop module and the browser both drive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import slicer
from undo_stack import Signal

from oncotrack.detection.detector import Detector
from oncotrack.errors import InputError, OncoTrackError
from oncotrack.finding import Finding, State
from oncotrack.findings import FindingList
from oncotrack.jobs import Progress
from oncotrack.node_files import write_nodes
from oncotrack.scene.detected_scan import DetectedScan
from oncotrack.scene.detecting import FACTORIES, Detecting
from oncotrack.scene.finding_nodes import FindingNodes
from oncotrack.scene.node_looks import NodeLooks
from oncotrack.scene.placing import stop_placing
from oncotrack.scene.seed import Seed
from oncotrack.scene.shared_nodes import release_nodes, share_nodes
from oncotrack.scene.slice_views import SliceViews, all_slice_nodes
from oncotrack.scene.tasks import Task
from oncotrack.scene.tracklet_editor import TrackletEditor
from oncotrack.tracklet_edits import Rerun, detected, forget, has_decisions


class DetectionScene:
    """One scan in a scene and the lymph nodes found in it.

    Every method runs on the interface's thread; long work comes back as a `Task`. It shares the list of findings with
    whatever else works on the scene.

    Parameters
    ----------
    scene : vtkMRMLScene
    detectors : mapping of name to factory, optional
        The first is used. A factory may load weights: it is called on the worker, once.
    slice_nodes : callable, optional
        The slice nodes that show the scan; all of the scene's when missing.

    Attributes
    ----------
    editor : TrackletEditor
        Edits of the current finding's slice boxes.
    """

    changed = Signal()
    """Anything that a panel shows may be different now."""
    placed = Signal()
    """(Finding): a reader placed a new node; submit `follow_new(uid)`."""
    refused = Signal()
    """(OncoTrackError): an edit in the scene was not possible and has been taken back."""

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        *,
        detectors: Mapping[str, Callable[[], Detector]] | None = None,
        slice_nodes: Callable[[], Sequence[slicer.vtkMRMLSliceNode]] | None = None,
    ) -> None:
        self.scene = scene
        self.nodes: FindingNodes = share_nodes(scene)
        self._left_views: dict[str, tuple[str, ...]] | None = None
        self._scan = DetectedScan(self.nodes)
        self._detecting = Detecting(self.nodes, self._scan, detectors or FACTORIES, self.go_to)
        self._views = SliceViews(scene, slice_nodes or (lambda: all_slice_nodes(scene)))
        self.editor = TrackletEditor(self.nodes, self._scan, self._views, self._detecting.detector)
        self._looks = NodeLooks(self.nodes, self._scan, self.editor)
        self._seed = Seed(self.nodes)
        self._wires = (
            (self.nodes.changed, self.changed.emit),
            (self.nodes.refused, self.refused.emit),
            (self.editor.refused, self.refused.emit),
            (self.editor.moved, self.changed.emit),
            (self._looks.clicked, self._on_clicked),
            (self._seed.placed, self._on_placed),
        )
        for signal, slot in self._wires:
            signal.connect(slot)
        self.nodes.draw()

    def close(self) -> None:
        """Stop looking at the scene; the nodes stay."""
        for signal, slot in self._wires:
            signal.disconnect(slot)
        self._seed.close()
        self._looks.close()
        self.editor.close()
        self._views.close()
        release_nodes(self.nodes)

    @property
    def problem(self) -> OncoTrackError | None:
        """Why the findings that the scene was saved with could not be read, to be shown once; None when all is well."""
        return self.nodes.problem

    # the scan

    @property
    def scan(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The volume that is looked at."""
        return self._scan.volume

    def set_scan(self, volume: slicer.vtkMRMLScalarVolumeNode | None) -> None:
        """Look at another volume; findings of other scans stay in the list."""
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
        """Draw the scan's nodes in all views, for as long as nothing else is worked on; `leave` ends it."""
        if self._left_views is None:
            self._left_views = dict(self.nodes.views)
        self.nodes.set_views({self.time_point: ()} if self.time_point else {})

    def leave(self) -> None:
        """Draw marks where they were drawn before; the mouse moves about again."""
        stop_placing(self.scene)
        if self._left_views is not None:
            self.nodes.set_views(self._left_views)
            self._left_views = None

    # detecting

    @property
    def has_decisions(self) -> bool:
        """Whether nodes of this scan were accepted, edited or rejected, so that a panel asks before a new run."""
        return has_decisions(self.findings, self.time_point)

    def detect(self, rerun: Rerun | None = None) -> Task:
        """Find the nodes of the scan; applying makes findings of them, one step of undo, and returns those.

        Parameters
        ----------
        rerun : Rerun, optional
            What becomes of a reader's decisions; must be said when there are any.

        Raises
        ------
        InputError
            There is no scan, or `has_decisions` and nothing was said.
        """
        return self._detecting.detect(rerun)

    def follow_new(self, uid: str) -> Task:
        """Follow a node of one slice box, just placed, through the other slices."""
        self.nodes.select(uid)
        return self.editor.follow(self.editor.tracklet.first, up=True, down=True)

    # the list

    @property
    def findings(self) -> FindingList:
        """The list behind the nodes, with undo and redo."""
        return self.nodes.findings

    @property
    def here(self) -> tuple[Finding, ...]:
        """The lymph nodes of this scan."""
        return detected(self.findings, self.time_point)

    @property
    def shown(self) -> tuple[Finding, ...]:
        """Those that the score threshold lets through."""
        return tuple(finding for finding in self.here if self._looks.is_shown(finding))

    @property
    def current(self) -> Finding | None:
        """The node the reader works on."""
        return self.editor.finding

    @property
    def threshold(self) -> float:
        """Proposals of a lower score (0 to 1) are hidden, not deleted."""
        return self._looks.threshold

    @threshold.setter
    def threshold(self, score: float) -> None:
        if score != self._looks.threshold:
            self._looks.threshold = score
            self.changed.emit()

    def accept(self, uid: str = "") -> None:
        """It is a lymph node."""
        self.findings.set_state(self._finding(uid).uid, self.time_point, State.ACCEPTED, "reader")

    def reject(self, uid: str = "") -> None:
        """It is none, and is not to be proposed again."""
        self.findings.set_state(self._finding(uid).uid, self.time_point, State.REJECTED, "reader")

    def delete(self, uid: str = "") -> None:
        """Delete a node on this scan; it stays in the list while another scan shows it."""
        forget(self.findings, self._finding(uid), self.time_point)

    def rename(self, label: str, uid: str = "") -> None:
        """Give a node another label."""
        self.findings.rename(self._finding(uid).uid, label)

    def undo(self) -> None:
        """Take the last edit back."""
        self.findings.undo()

    def redo(self) -> None:
        """Do it again."""
        self.findings.redo()

    # moving about

    def go_to(self, uid: str = "") -> None:
        """Make a node the current one and centre the views on it."""
        finding = self._finding(uid)
        self.nodes.select(finding.uid)
        if (seen := finding.at(self.time_point)) is not None:
            self._views.jump(seen.centre)

    def next(self) -> None:
        """Go to the next node that is shown; after the last comes the first."""
        self._step(1)

    def previous(self) -> None:
        """Go to the one before; before the first comes the last."""
        self._step(-1)

    def at(self, ras: Sequence[float]) -> Finding | None:
        """The shown node whose slice box a place (RAS mm) lies in; the smallest where several do."""
        hits = []
        for finding in self.shown:
            tracklet = finding.at(self.time_point).tracklet
            u, v, index = tracklet.flat(ras)
            box = tracklet.at(index)
            if box and box.low[0] <= u <= box.high[0] and box.low[1] <= v <= box.high[1]:
                hits.append(((box.high[0] - box.low[0]) * (box.high[1] - box.low[1]), finding))
        return min(hits, key=lambda hit: hit[0], default=(0, None))[1]

    def begin_placing(self) -> None:
        """The reader's next click in a slice view places a new node."""
        self._scan.image()
        self._seed.begin()

    def export(self, folder: Path) -> Task:
        """Write the nodes that are shown, without the rejected, for other programs; applying gives the files' paths.

        See `oncotrack.node_files.write_nodes`.
        """
        image, time_point = self._scan.image(), self.time_point
        findings = FindingList(self.findings.time_points, self.findings.findings)
        chosen = [finding for finding in self.shown if finding.at(time_point).state is not State.REJECTED]

        def work(progress: Progress) -> tuple[Path, ...]:
            progress(0.1, "Drawing the label map")
            return write_nodes(folder, findings, chosen, time_point, image.geometry)

        return Task("Writing the nodes", work, lambda paths: paths)

    # inside

    def _finding(self, uid: str) -> Finding:
        if uid:
            return self.findings[uid]
        if self.current is None:
            raise InputError("No node is chosen. Choose one in the list.")
        return self.current

    def _step(self, by: int) -> None:
        uids = [finding.uid for finding in self.shown]
        if uids:
            here = uids.index(self.current.uid) if self.current and self.current.uid in uids else -by
            self.go_to(uids[(here + by) % len(uids)])

    def _on_clicked(self, uid: str) -> None:
        self.nodes.select(uid)

    def _on_placed(self, at: tuple[float, float, float]) -> None:
        try:
            finding = self.editor.add_node(at)
        except OncoTrackError as error:
            self.refused.emit(error)
        else:
            self.placed.emit(finding)
