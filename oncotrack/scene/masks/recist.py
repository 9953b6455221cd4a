"""The masks session, used by the Slicer module and the browser: masks from two diameters, diameters from masks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import slicer

from oncotrack.errors import InputError, OncoTrackError
from oncotrack.findings.observation_edits import edited_by_reader
from oncotrack.images.volume import Volume
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.pseudo_mask import pseudo_mask
from oncotrack.scene.masks import recist_files
from oncotrack.scene.masks.axes_draft import AxesDraft
from oncotrack.scene.masks.axes_handles import AxesHandles, Later
from oncotrack.scene.masks.mask_display import MaskDisplay
from oncotrack.scene.masks.mask_editing import MaskEditing
from oncotrack.scene.nodes.mask_edits import axes_of, with_mask, with_painted_mask, without_mask
from oncotrack.scene.nodes.mask_segments import MaskSegments
from oncotrack.scene.nodes.tasks import Task


def immediately(function: Callable[[], None]) -> None:
    """Run a function at once: a `Later` for use without an event loop."""
    function()


class RecistScene(MaskEditing):
    """One scan in a scene and the masks of its lesions.

    Every method runs on the GUI thread; methods that run long return a `Task`. Every edit is one command on the list.

    Parameters
    ----------
    scene : vtkMRMLScene
    slice_nodes : callable, optional
        The slice nodes that show the scan; all of the scene's when missing.
    submit : callable, optional
        Queues the task that an edit in a view needs, for example when the end of a diameter of a 3D mask is dragged;
        without it the task runs at once.
    later : callable, optional
        Runs a function after the events that are now in the queue; during a drag the mask is then drawn once for all of
        them.

    Attributes
    ----------
    is_entered : bool
        Whether a click on the fiducial point of a finding suggests its mask.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        *,
        slice_nodes: Callable[[], Sequence[slicer.vtkMRMLSliceNode]] | None = None,
        submit: Callable[[Task], object] = Task.run,
        later: Later = immediately,
    ) -> None:
        super().__init__(scene, slice_nodes, submit)
        self.is_entered = False
        self._extended_uid = ""
        self._segments = MaskSegments(self.nodes)
        self._display = MaskDisplay(self.nodes)
        self._draft = AxesDraft(self.nodes, self._on_drawn)
        self._handles = AxesHandles(self.nodes, self._scan, self._preview, self._on_dragged, later)
        self._wire(
            (self._segments.painted, self._on_painted),
            (self._segments.renamed, self._on_renamed),
            (self._segments.deleted, self._on_deleted),
            (self._display.clicked, self._on_clicked),
            (self._draft.changed, self.changed.emit),
            (self._draft.refused, self.refused.emit),
        )
        self.nodes.draw()

    def close(self) -> None:
        """Stop observing the scene; the nodes stay."""
        self._draft.close()
        self._handles.close()
        self._segments.close()
        self._display.close()
        super().close()

    def enter(self) -> None:
        """Draw only the scan's nodes, in all views, and suggest a mask when a finding is clicked, until `leave`."""
        self.is_entered = True
        super().enter()

    def leave(self, *, restores_views: bool = True) -> None:
        """Discard unfinished lines, and draw marks where they were drawn before `enter`."""
        self.is_entered = False
        self._draft.cancel()
        super().leave(restores_views=restores_views)

    @property
    def segmentation(self) -> slicer.vtkMRMLSegmentationNode | None:
        """The scan's masks, one segment per finding; a segment's id is the finding's uid."""
        return self._segments.node(self.time_point)

    # drawing axes

    @property
    def hint(self) -> str:
        """What a reader who draws axes should do next; "" while none are drawn."""
        return self._draft.hint

    def draw_axes(self) -> None:
        """Make the next four clicks in a slice view draw two axes.

        They become those of the current finding, if it has none here and the axes cross near it, else of a new one.
        """
        self._scan.image()
        self._extended_uid = ""
        self._draft.begin()

    def add_diameters(self) -> None:
        """Make the next four clicks draw further axes of the current finding; its 3D mask is then made from both pairs."""
        axes_of(self._finding(""), self.time_point)
        self._draft.begin()
        self._extended_uid = self.current.uid

    def cancel_drawing(self) -> None:
        """Discard the lines that have not become a finding yet."""
        self._draft.cancel()

    # files

    def measure_table(self, *tables: Path) -> Task:
        """Return the task that adds a finding for every row of a table of axes; see `recist_files.measure_table`."""
        return recist_files.measure_table(self, self._scan, *tables)

    def export(self, folder: Path) -> Task:
        """Return the task that writes masks, table, training pairs and findings; see `recist_files.export`."""
        return recist_files.export(self, self._scan, folder)

    def import_masks(self, path: Path) -> Task:
        """Return the task that adds a finding for every segment of a file; see `recist_files.import_masks`."""
        return recist_files.import_masks(self, self._scan, path)

    # private

    def _on_drawn(self, axes: RecistAxes) -> None:
        axes = self._perpendicular_if_chosen(axes).checked(self._scan.image().geometry)
        if self._extended_uid:
            uid, self._extended_uid = self._extended_uid, ""
            self._submit(self.extend_to_3d(uid, axes))
            return
        mask = pseudo_mask(self._scan.image(), axes)
        if self._is_of_current(axes):
            finding = self.current
            seen = edited_by_reader(with_mask(self.observation, mask, axes))
            self._observe(finding.uid, seen, f"draw the diameters of {finding.label}")
        else:
            finding = self.add(with_mask(None, mask, axes))
        self.go_to(finding.uid)  # the other views too
        self._warn(axes)

    def _is_of_current(self, axes: RecistAxes) -> bool:
        """Return whether drawn axes belong to the current finding, which has no measured ones yet."""
        seen = self.observation
        if seen is None or seen.is_measured or not seen.is_there:
            return False
        return math.dist(seen.centre, axes.centre) <= max(seen.radius_mm or 0.0, axes.long.length_mm)

    def _on_clicked(self, time_point: str, uid: str) -> None:
        if self.is_entered and time_point == self.time_point:
            try:
                self.suggest(uid)
            except OncoTrackError as error:
                self.refused.emit(error)

    def _on_dragged(self, uid: str, axes: RecistAxes) -> None:
        self.nodes.select(uid)
        axes = self._perpendicular_if_chosen(axes).checked(self._scan.image().geometry)
        self._reshape(axes, "change the diameters of")
        self._views.reveal(axes.centre)

    def _preview(self, uid: str, axes: RecistAxes) -> None:
        self._segments.preview(
            self.time_point, uid, pseudo_mask(self._scan.image(), self._perpendicular_if_chosen(axes))
        )

    def _on_painted(self, time_point: str, uid: str, mask: Volume | None) -> None:
        label, seen = self.findings[uid].label, self.findings[uid].at(time_point)
        if mask is None:
            self.refused.emit(InputError(f"The mask of {label} is empty now. Paint in it, or remove the finding."))
            return
        try:
            painted = with_painted_mask(seen, mask)
            if time_point == self.time_point:
                painted = self._judged(painted)
            self.findings.observe(uid, time_point, painted, f"edit the mask of {label}")
        except OncoTrackError as error:
            self.refused.emit(error)

    def _on_deleted(self, time_point: str, uid: str) -> None:
        finding = self.findings[uid]
        self.findings.observe(
            uid, time_point, without_mask(finding.at(time_point)), f"delete the mask of {finding.label}"
        )

    def _on_renamed(self, uid: str, name: str) -> None:
        try:
            self.findings.rename(uid, name)
        except OncoTrackError as error:
            self.refused.emit(error)
            self.nodes.draw()
