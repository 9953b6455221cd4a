"""Brush and eraser for the current finding's mask, on trame-slicer's segmentation editor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import slicer
from trame_slicer.segmentation import SegmentationEffectErase, SegmentationEffectPaint
from trame_slicer.segmentation.paint_effect_parameters import BrushDiameterMode
from trame_slicer.segmentation.segmentation_paint_pipeline import SegmentationPaintPipeline2D

from oncotrack.errors import InputError
from oncotrack.scene.masks.recist import RecistScene

if TYPE_CHECKING:
    from trame_slicer.segmentation import SegmentationEffect

    from oncotrack.web.viewer import Viewer

OFF, PAINT, ERASE = "", "brush", "eraser"
"""What the left mouse button does in the slices of the scan."""
_RANGE = (-1024.0, 3000.0)


class _Pipeline(SegmentationPaintPipeline2D):
    """Painting in the slice views of the scan alone: the other scan's views show other anatomy at the same position."""

    def CanProcessInteractionEvent(self, event_data):
        is_scan = self._view is not None and self._effect.paints_in(self._view.get_view_node())
        return super().CanProcessInteractionEvent(event_data) if is_scan else (False, 0.0)


class _OnOneScan:
    """Part of both effects: pipelines for slice views only, active on one scan."""

    paints_in: Callable[[slicer.vtkMRMLSliceNode], bool]

    def _create_pipeline(self, view_node, _parameter):
        return _Pipeline() if isinstance(view_node, slicer.vtkMRMLSliceNode) else None


class _Paint(_OnOneScan, SegmentationEffectPaint):
    pass


class _Erase(_OnOneScan, SegmentationEffectErase):
    pass


class Brush:
    """Paints and erases in the current finding's mask; each stroke is one step of undo, and the mask is measured again.

    Parameters
    ----------
    viewer : Viewer
        Its state gets `brush` (`OFF`, `PAINT` or `ERASE`), `brush_mm` (diameter), `is_brush_sphere` (whether it reaches
        into the neighbouring slices), `is_brush_limited` and `brush_range` (only voxels within these values are painted).
    session : RecistScene
    slice_nodes : callable
        Returns the slice nodes that show the scan.
    """

    def __init__(
        self, viewer: Viewer, session: RecistScene, slice_nodes: Callable[[], list[slicer.vtkMRMLSliceNode]]
    ) -> None:
        self._viewer, self._session = viewer, session
        self._editor = viewer.app.segmentation_editor
        _OnOneScan.paints_in = staticmethod(lambda node: node in slice_nodes())
        viewer.state.update(
            {
                "brush": OFF,
                "brush_mm": 6.0,
                "is_brush_sphere": False,
                "is_brush_limited": False,
                "brush_range": list(_RANGE),
            }
        )
        viewer.state.change("brush_mm", "is_brush_sphere", "is_brush_limited", "brush_range")(self._on_option)
        session.changed.connect(self._on_changed)

    @property
    def is_on(self) -> bool:
        """Whether the left mouse button paints or erases."""
        return self._viewer.state.brush != OFF

    def toggle(self, tool: str) -> None:
        """Switch a tool on, or off if it is on.

        Raises
        ------
        InputError
            There is no mask to edit.
        """
        if self._viewer.state.brush == tool:
            self.stop()
            return
        uid = self._uid()
        if not uid:
            raise InputError("There is no mask to paint in. Draw diameters, or suggest a mask for the finding, first.")
        self._activate(uid)
        self._editor.set_active_effect_type(_Erase if tool == ERASE else _Paint)
        self._viewer.state.brush = tool
        self._on_option()

    def stop(self) -> None:
        """Give the left mouse button back."""
        if self.is_on:
            self._viewer.state.brush = OFF
            self._editor.deactivate_effect()

    def _activate(self, uid: str) -> None:
        if self._editor.active_segmentation_node is not self._session.segmentation:
            self._editor.set_active_segmentation(self._session.segmentation, self._session.scan)
        self._editor.set_active_segment_id(uid)

    def _uid(self) -> str:
        seen = self._session.observation
        return self._session.current.uid if seen is not None and seen.mask is not None else ""

    def _on_option(self, **_state: object) -> None:
        if not self.is_on:
            return
        state, effect = self._viewer.state, self._effect
        effect.set_use_sphere_brush(bool(state.is_brush_sphere))
        effect.set_brush_diameter(float(state.brush_mm), BrushDiameterMode.Absolute)
        modifier = self._editor.active_segment_modifier
        modifier.set_source_volume_intensity_mask_enabled(bool(state.is_brush_limited))
        modifier.set_source_volume_intensity_mask_range(*map(float, state.brush_range))

    @property
    def _effect(self) -> SegmentationEffect:
        return self._editor.active_effect

    def _on_changed(self) -> None:
        """Go on with the finding that the reader chose; stop where it has no mask."""
        if not self.is_on:
            return
        uid = self._uid()
        if not uid:
            self.stop()
        elif (
            uid != self._editor.active_segment_id
            or self._editor.active_segmentation_node is not self._session.segmentation
        ):
            tool = self._viewer.state.brush
            self.stop()
            self.toggle(tool)
