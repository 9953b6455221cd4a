"""The lymph node session, used by the Slicer module and the browser."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import slicer
from undo_stack import Signal

from oncotrack.background.jobs import Progress
from oncotrack.errors import InputError, OncoTrackError
from oncotrack.findings.finding import Finding, State
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.node_files import write_nodes
from oncotrack.findings.tracklet_edits import Rerun, detected_nodes, has_decisions
from oncotrack.images.suv import as_kind
from oncotrack.images.volume import Volume
from oncotrack.scene.detection.detect_task import FACTORIES, DetectTasks
from oncotrack.scene.detection.node_display import NodeDisplay
from oncotrack.scene.detection.pet_image import PETImage
from oncotrack.scene.detection.primary_tumour import NEEDED, PrimaryTumour
from oncotrack.scene.detection.tracklet_editor import TrackletEditor
from oncotrack.scene.detection.uptakes import Uptakes
from oncotrack.scene.nodes.mask_segments import MaskSegments
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.session.scan_session import ScanSession
from oncotrack.scene.session.single_scan_selection import DETECTED
from oncotrack.scene.views.node_placement import NodePlacement


class DetectionScene(ScanSession):
    """One scan in a scene and its lymph nodes.

    Every method runs on the GUI thread; methods that run long return a `Task`.

    Parameters
    ----------
    scene : vtkMRMLScene
    detectors : mapping of name to factory, optional
        As for `DetectTasks`; all of OncoTrack's when missing.
    slice_nodes : callable, optional
        Returns the slice nodes that show the scan; all of the scene's when missing.

    Attributes
    ----------
    editor : TrackletEditor
        Edits of the current finding's slice boxes.
    pet : PETImage
        The PET beside the scan.
    tumour : PrimaryTumour
        The primary tumour, which the detector for PET/CT needs.
    uptakes : Uptakes
        The uptake of findings.
    """

    placed = Signal()
    """(Finding): a reader placed a new node; submit `follow_new(uid)`."""

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        *,
        detectors: Mapping[str, Callable[[], Any]] | None = None,
        slice_nodes: Callable[[], Sequence[slicer.vtkMRMLSliceNode]] | None = None,
    ) -> None:
        super().__init__(scene, DETECTED, slice_nodes)
        self.pet = PETImage(self.nodes, self._scan, self._views.nodes)
        self.tumour = PrimaryTumour(self.nodes, self._scan, self.pet)
        self.uptakes = Uptakes(self._scan, self.pet, self.tumour)
        self._masks = MaskSegments(self.nodes)
        self._detecting = DetectTasks(
            self.nodes, self._scan, detectors or FACTORIES, self.go_to, self._pet_and_tumour, self._show_from
        )
        self.editor = TrackletEditor(self.nodes, self._scan, self._views, self._detecting.detector)
        self._display = NodeDisplay(self.nodes, self._scan, self.editor)
        self._placement = NodePlacement(self.nodes)
        self._wire(
            (self.editor.refused, self.refused.emit),
            (self.editor.moved, self.changed.emit),
            (self._display.clicked, self.nodes.select),
            (self._placement.placed, self._on_placed),
            (self.pet.changed, self.changed.emit),
            (self.tumour.refused, self.refused.emit),
        )
        self.nodes.draw()

    def enter(self) -> None:
        """Draw only the scan's nodes, in all views, and show the handles of slice boxes, until `leave`."""
        super().enter()
        self.editor.is_enabled = True

    def leave(self, *, restores_views: bool = True) -> None:
        """Remove the handles, and leave as every session does."""
        self.editor.is_enabled = False
        super().leave(restores_views=restores_views)

    def set_scan(self, volume: slicer.vtkMRMLScalarVolumeNode | None) -> None:
        """Choose the scan, which is shown with its PET; findings of other scans stay in the list."""
        super().set_scan(volume)
        self.pet.draw()

    def close(self) -> None:
        """Stop observing the scene; the nodes stay."""
        self._placement.close()
        self.tumour.close()
        self.pet.close()
        self._masks.close()
        self._display.close()
        self.editor.close()
        super().close()

    # detecting

    @property
    def has_decisions(self) -> bool:
        """Whether nodes of this scan were accepted, edited or rejected, so that a panel asks before a new run."""
        return has_decisions(self.findings, self.time_point)

    def detect(self, rerun: Rerun | None = None) -> Task:
        """Return the task that detects the scan's nodes; applying it adds them as findings, one step of undo, and returns them.

        Where a PET belongs to the scan, the detector for PET/CT is used.

        Parameters
        ----------
        rerun : Rerun, optional
            Whether the reader's decisions are kept or replaced; required when there are any.

        Raises
        ------
        InputError
            There is no scan, `has_decisions` and `rerun` is None, or there is a PET and no primary tumour.
        """
        return self._detecting.detect(rerun)

    def follow_new(self, uid: str) -> Task:
        """Return the task that follows a newly placed node from its one slice box through the other slices."""
        self.nodes.select(uid)
        return self.editor.follow(self.editor.tracklet.first, up=True, down=True)

    # the list

    @property
    def detected(self) -> tuple[Finding, ...]:
        """The lymph nodes of this scan."""
        return detected_nodes(self.findings, self.time_point)

    @property
    def shown(self) -> tuple[Finding, ...]:
        """Those that are drawn: of at least the threshold's probability, or decided on; rejected ones only while current."""
        return tuple(finding for finding in self.detected if self._display.is_shown(finding))

    @property
    def current(self) -> Finding | None:
        """The node the reader works on."""
        return self.editor.finding

    @property
    def threshold(self) -> float:
        """Proposals of a lower probability, or score where there is none (0 to 1), are hidden, not deleted."""
        return self._display.threshold

    @threshold.setter
    def threshold(self, score: float) -> None:
        if score != self._display.threshold:
            self._display.threshold = score
            self.changed.emit()

    @property
    def hidden_count(self) -> int:
        """Number of proposals that are hidden because of their probability."""
        shown = {finding.uid for finding in self.shown}
        hidden = [finding.at(self.time_point) for finding in self.detected if finding.uid not in shown]
        return sum(seen.state is State.PROPOSED for seen in hidden)

    # in the views

    def image(self) -> Volume:
        """Return the scan as the engine uses it; InputError where there is none."""
        return self._scan.image()

    def slice_nodes(self) -> Sequence[slicer.vtkMRMLSliceNode]:
        """Return the slice nodes that show the scan."""
        return self._views.nodes()

    def at(self, ras: Sequence[float]) -> Finding | None:
        """Return the shown node whose slice box contains a position (RAS mm); the one with the smallest box of several."""
        hits = []
        for finding in self.shown:
            tracklet = finding.at(self.time_point).tracklet
            u, v, index = tracklet.flat(ras)
            box = tracklet.at(index)
            if box and box.low[0] <= u <= box.high[0] and box.low[1] <= v <= box.high[1]:
                hits.append(((box.high[0] - box.low[0]) * (box.high[1] - box.low[1]), finding))
        return min(hits, key=lambda hit: hit[0], default=(0, None))[1]

    def begin_placing(self) -> None:
        """Make the reader's next click in a slice view place a new node."""
        self._scan.image()
        self._placement.begin()

    def export(self, folder: Path) -> Task:
        """Return the task that writes the shown nodes that are not rejected; applying it returns the files' paths.

        See `oncotrack.findings.node_files.write_nodes`. InputError when there are none.
        """
        image, time_point = self._scan.image(), self.time_point
        findings = FindingList(self.findings.time_points, [self._with_uptake(each) for each in self.findings])
        chosen = [findings[each.uid] for each in self.shown if each.at(time_point).state is not State.REJECTED]
        if not chosen:
            raise InputError("There are no nodes to export. Detect or add some, or lower the score.")

        def work(progress: Progress) -> tuple[Path, ...]:
            progress(0.1, "Drawing the label map")
            return write_nodes(folder, findings, chosen, time_point, image.geometry)

        return Task("Writing the nodes", work, lambda paths: paths)

    # private

    def _pet_and_tumour(self) -> tuple[Volume, ...]:
        """Return PET in SUV by body weight and the tumour's mask; () without PET, InputError without tumour."""
        if self.pet.volume is None:
            return ()
        mask = self.tumour.mask
        if mask is None:
            raise InputError(NEEDED, parameter="tumour")
        return as_kind(self.pet.image(), "BW"), mask

    def _with_uptake(self, finding: Finding) -> Finding:
        """Return a finding with its uptake as it is now on this scan."""
        seen = finding.at(self.time_point)
        if seen is None or self.pet.volume is None:
            return finding
        seen = replace(seen, uptake=self.uptakes.of(finding))
        return replace(finding, observations={**finding.observations, self.time_point: seen})

    def _show_from(self, least: float) -> None:
        self._display.threshold = least

    def _on_placed(self, at: tuple[float, float, float]) -> None:
        try:
            finding = self.editor.add_node(at)
        except OncoTrackError as error:
            self.refused.emit(error)
        else:
            self.go_to(finding.uid)  # the other views too
            self.placed.emit(finding)
