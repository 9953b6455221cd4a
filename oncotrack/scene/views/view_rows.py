"""Rows of slice views: the baseline, the follow-up and, where the reader wants it, a third visit; each axial, coronal, sagittal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import slicer

if TYPE_CHECKING:
    from oncotrack.findings.finding import Point

ORIENTATIONS = ("Axial", "Coronal", "Sagittal")
BASELINE_VIEWS = tuple(f"Baseline{orientation}" for orientation in ORIENTATIONS)
FOLLOWUP_VIEWS = tuple(f"FollowUp{orientation}" for orientation in ORIENTATIONS)
THIRD_VIEWS = tuple(f"ThirdVisit{orientation}" for orientation in ORIENTATIONS)
BASELINE_GROUP, FOLLOWUP_GROUP, THIRD_GROUP = 21, 22, 23
"""View groups: Slicer's own linking stays within one, so each row scrolls by itself and OncoTrack links the rows."""
_IN_PLANE_MM = 0.01
_COLOURS = ("#F34A33", "#6EB04B", "#EDD54C")


def middle(node: slicer.vtkMRMLSliceNode) -> Point:
    """Return the position in the middle of a slice view, RAS mm."""
    matrix = node.GetSliceToRAS()
    return tuple(matrix.GetElement(axis, 3) for axis in range(3))


def is_in_plane(ras: Sequence[float], node: slicer.vtkMRMLSliceNode) -> bool:
    """Return whether a position (RAS mm) lies in the plane that a slice view shows."""
    matrix = node.GetSliceToRAS()
    offset = sum(matrix.GetElement(axis, 2) * (ras[axis] - matrix.GetElement(axis, 3)) for axis in range(3))
    return abs(offset) < _IN_PLANE_MM


@dataclass(frozen=True)
class ViewRow:
    """The slice views of one time point, by their layout names; views that are not open are skipped."""

    scene: slicer.vtkMRMLScene
    names: tuple[str, ...]
    group: int
    names_3d: tuple[str, ...] = ()

    @property
    def view_ids(self) -> tuple[str, ...]:
        """Ids of the nodes of all views, 3D views included, whether or not they are open yet."""
        return self.slice_ids + tuple(f"vtkMRMLViewNode{name}" for name in self.names_3d)

    @property
    def slice_ids(self) -> tuple[str, ...]:
        """Ids of the slice views' nodes alone."""
        return tuple(f"vtkMRMLSliceNode{name}" for name in self.names)

    def slices(self) -> list[slicer.vtkMRMLSliceNode]:
        """Return the slice nodes that exist, in the order of the names."""
        nodes = (self.scene.GetSingletonNode(name, "vtkMRMLSliceNode") for name in self.names)
        return [node for node in nodes if node]

    def slice_at(self, index: int) -> slicer.vtkMRMLSliceNode | None:
        """Return the slice node at an index of the row, or None."""
        return self.scene.GetSingletonNode(self.names[index], "vtkMRMLSliceNode")

    def index_of(self, node: slicer.vtkMRMLSliceNode | None) -> int:
        """Return the index of a slice node in the row; -1 when it is not in it."""
        name = node.GetLayoutName() if node else ""
        return self.names.index(name) if name in self.names else -1

    def show(
        self, background: slicer.vtkMRMLVolumeNode | None, foreground: slicer.vtkMRMLVolumeNode | None, opacity: float
    ) -> None:
        """Show a scan in every view, with an overlay of `opacity` (0 to 1), also when Slicer shows another volume elsewhere.

        Without an overlay it is shown with the PET that belongs to it.
        """
        if foreground is None:
            from oncotrack.scene.views.fusion import overlay_of

            foreground, opacity = overlay_of(background)
        for name in self.names:
            composite = self.scene.GetSingletonNode(name, "vtkMRMLSliceCompositeNode")
            if composite:
                composite.SetDoPropagateVolumeSelection(False)
                composite.SetBackgroundVolumeID(background.GetID() if background else None)
                composite.SetForegroundVolumeID(foreground.GetID() if foreground else None)
                composite.SetForegroundOpacity(opacity if foreground else 0.0)

    def set_group(self) -> None:
        """Put the views into this row's group."""
        for node in self.slices():
            node.SetViewGroup(self.group)

    def jump(self, ras: Sequence[float]) -> None:
        """Centre every view on a point, RAS mm."""
        for node in self.slices():
            node.JumpSliceByCentering(*ras)


def _view(name: str, orientation: str, label: str, colour: str, group: int) -> str:
    return (
        f'<item><view class="vtkMRMLSliceNode" singletontag="{name}">'
        f'<property name="orientation" action="default">{orientation}</property>'
        f'<property name="viewlabel" action="default">{label}</property>'
        f'<property name="viewcolor" action="default">{colour}</property>'
        f'<property name="viewgroup" action="default">{group}</property></view></item>'
    )


def _row(names: tuple[str, ...], letter: str, group: int) -> str:
    views = (
        _view(name, orientation, f"{letter} {orientation[0]}", colour, group)
        for name, orientation, colour in zip(names, ORIENTATIONS, _COLOURS, strict=True)
    )
    return f'<item><layout type="horizontal">{"".join(views)}</layout></item>'


LAYOUT_ID = 27511
LAYOUT = (
    '<layout type="vertical" split="true">'
    + _row(BASELINE_VIEWS, "B", BASELINE_GROUP)
    + _row(FOLLOWUP_VIEWS, "F", FOLLOWUP_GROUP)
    + "</layout>"
)
"""Layout description for Slicer's layout node: baseline row above, follow-up row below."""
