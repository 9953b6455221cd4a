"""The text on the images as VTK draws it in the corners of slice views, for Slicer (the browser draws it on the page)."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping

import slicer
import vtk

from oncotrack.scene.nodes.observers import Observers
from oncotrack.scene.views.scan_text import ALL, NONE, WITHOUT_NAMES, ScanText, SliceText, shown_volume, window_text

_CORNERS = (
    vtk.vtkCornerAnnotation.UpperLeft,
    vtk.vtkCornerAnnotation.UpperRight,
    vtk.vtkCornerAnnotation.LowerRight,
)
_FONT_PX = 13
_LETTERS_PER_LINE = 40
_ABOVE_IMAGE = 10


class CornerText:
    """Describes in each view the scan that it shows; the lower left corner stays free for Slicer's own text.

    Parameters
    ----------
    visit_names : callable
        Returns the names of the visits by their volume nodes.
    """

    def __init__(self, visit_names: Callable[[], Mapping[slicer.vtkMRMLVolumeNode, str]]) -> None:
        self._visit_names = visit_names
        self._shown = ALL
        self._actors: dict[str, tuple[slicer.vtkMRMLSliceNode, vtk.vtkRenderer, vtk.vtkCornerAnnotation]] = {}
        self._observers, self._displays = Observers(), Observers()

    def choose(self, *, hides_names: bool, hides_text: bool) -> None:
        """Choose what is shown; notices on the image are shown in any case."""
        chosen = NONE if hides_text else WITHOUT_NAMES if hides_names else ALL
        if chosen != self._shown:
            self._shown = chosen
            self.update()

    def attach(self, view: slicer.vtkMRMLSliceNode, renderer: vtk.vtkRenderer) -> None:
        """Draw the text of a view with its renderer from now on."""
        name = view.GetLayoutName()
        if name in self._actors and self._actors[name][:2] == (view, renderer):
            return
        actor = vtk.vtkCornerAnnotation()
        actor.SetMaximumFontSize(_FONT_PX)
        actor.SetMinimumFontSize(8)
        actor.SetNonlinearFontScaleFactor(1.0)
        actor.SetLayerNumber(_ABOVE_IMAGE)
        actor.PickableOff()
        style = actor.GetTextProperty()
        style.SetColor(1.0, 1.0, 1.0)
        style.ShadowOn()
        renderer.AddViewProp(actor)
        self._actors[name] = view, renderer, actor
        composite = view.GetScene().GetSingletonNode(name, "vtkMRMLSliceCompositeNode")
        for node in (view, composite):
            if node is not None:
                self._observers.add(node, vtk.vtkCommand.ModifiedEvent, lambda *_: self._describe(name))
        self._describe(name)

    def update(self) -> None:
        """Describe all views again, after the visits or what is known of them have changed."""
        self._displays.clear()
        self._describe_all()

    def close(self) -> None:
        """Remove the text."""
        self._observers.clear()
        self._displays.clear()
        for _view, renderer, actor in self._actors.values():
            renderer.RemoveViewProp(actor)
        self._actors.clear()

    def _describe(self, name: str) -> None:
        view, _renderer, actor = self._actors[name]
        if view.GetScene() is None:
            return
        volume = shown_volume(view)
        corners = self._lines(view, volume) if volume is not None else ([], [], [])
        for corner, lines in zip(_CORNERS, corners, strict=True):
            actor.SetText(corner, "\n".join(line for line in lines if line))
        display = volume.GetDisplayNode() if volume is not None else None
        if display is not None and not self._displays.watches(display):
            self._displays.add(display, vtk.vtkCommand.ModifiedEvent, lambda *_: self._describe_all())

    def _describe_all(self) -> None:
        for name in self._actors:
            self._describe(name)

    def _lines(
        self, view: slicer.vtkMRMLSliceNode, volume: slicer.vtkMRMLVolumeNode
    ) -> tuple[list[str], list[str], list[str]]:
        scan = ScanText.of(volume, self._visit_names().get(volume, ""))
        here = SliceText.of(view, volume)
        said = [*([here.slab] if here.slab else []), *scan.notices]
        notices = [line for notice in said for line in textwrap.wrap(f"! {notice}", _LETTERS_PER_LINE)]
        if self._shown == NONE:
            return notices, [], []
        who = [scan.patient, scan.patient_id] if self._shown == ALL else []
        series = scan.series or (scan.file if self._shown == ALL else "")
        return (
            [scan.visit, *who, *notices],
            [scan.date, *textwrap.wrap(series, _LETTERS_PER_LINE)],
            # the longest on top, clear of the name that Slicer writes in the lower left corner
            [here.spacing, here.number, here.position, here.zoom, window_text(volume)],
        )
