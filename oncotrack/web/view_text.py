"""The text on the images of the page: HTML in the corners of each view, which costs the server no drawing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict

import slicer
import vtk
from trame.widgets import html
from trame_server import Server
from trame_slicer.views import SliceView

from oncotrack.scene.nodes.observers import Observers
from oncotrack.scene.views.scan_text import ALL, NONE, WITHOUT_NAMES, ScanText, SliceText, shown_volume, window_text
from oncotrack.scene.views.view_rows import ORIENTATIONS
from oncotrack.web.attributes import raw
from oncotrack.web.pet_legend import pet_legend

_SIDES = {"Axial": ("R", "L", "A", "P"), "Coronal": ("R", "L", "S", "I"), "Sagittal": ("A", "P", "S", "I")}
_NAMES_SHOWN, _TEXT_SHOWN = f"image_text === '{ALL}'", f"image_text !== '{NONE}'"


class ViewText:
    """Text and letters over each view; every view describes the scan that it really shows.

    Parameters
    ----------
    server : Server
        Its state gets `image_text` (`ALL`, `WITHOUT_NAMES` or `NONE`) and, by view name, `views`: the slice in words
        (`number`, `place`, `spacing`, `zoom`, `slab`), the size in pixels and the row-major matrix from RAS mm to pixels, origin
        at the lower left; and `view_scans`: the scan in words, the fields of `ScanText` and its `window`.
    """

    def __init__(self, server: Server) -> None:
        self._state = server.state
        self._state.update({"views": {}, "view_scans": {}, "image_text": ALL})
        self._views: list[slicer.vtkMRMLSliceNode] = []
        self._visits: Mapping[slicer.vtkMRMLVolumeNode, str] = {}
        self._solid: tuple[str, slicer.vtkMRMLVolumeNode | None] = "", None
        self._displays = Observers()

    # content

    def watch(self, view: SliceView) -> None:
        """Describe this view from now on."""
        node = view.get_view_node()
        self._views.append(node)
        node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda caller, _: self._show_slice(caller))
        composite = node.GetScene().GetSingletonNode(node.GetLayoutName(), "vtkMRMLSliceCompositeNode")
        composite.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._show(node))

    def name_visits(self, visits: Mapping[slicer.vtkMRMLVolumeNode, str]) -> None:
        """Set the names of the visits by their volumes."""
        self._visits = visits
        self._show_scans()

    def show_solid(self, view: str, volume: slicer.vtkMRMLVolumeNode | None) -> None:
        """Name the scan that a 3D view shows."""
        self._solid = view, volume
        self._show_scans()

    def toggle_names(self) -> None:
        """Hide the patients' names, or show them again."""
        self._state.image_text = ALL if self._state.image_text == WITHOUT_NAMES else WITHOUT_NAMES

    def toggle_text(self) -> None:
        """Hide all text but notices, or show it again."""
        self._state.image_text = ALL if self._state.image_text == NONE else NONE

    def _show(self, node: slicer.vtkMRMLSliceNode) -> None:
        self._show_scans()
        self._show_slice(node)

    def _show_scans(self) -> None:
        shown = {node.GetLayoutName(): shown_volume(node) for node in self._views}
        view, volume = self._solid
        if view:
            shown[view] = volume if volume is not None and volume.GetScene() is not None else None
        volumes = {volume for volume in shown.values() if volume is not None}
        texts = {volume: self._scan(volume) for volume in volumes}
        scans = {name: texts[volume] for name, volume in shown.items() if volume is not None}
        if scans != self._state.view_scans:
            self._state.view_scans = scans
        self._watch_windows(volumes)

    def _scan(self, volume: slicer.vtkMRMLVolumeNode) -> dict:
        text = asdict(ScanText.of(volume, self._visits.get(volume, "")))
        return {**text, "notices": list(text["notices"]), "window": window_text(volume)}

    def _watch_windows(self, volumes: set[slicer.vtkMRMLVolumeNode]) -> None:
        displays = {display.GetID(): display for volume in volumes if (display := volume.GetDisplayNode())}
        if not all(self._displays.watches(display) for display in displays.values()):
            self._displays.clear()
            for display in displays.values():
                self._displays.add(display, vtk.vtkCommand.ModifiedEvent, lambda *_: self._show_scans())

    def _show_slice(self, node: slicer.vtkMRMLSliceNode) -> None:
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(node.GetXYToRAS(), inverse)
        text = SliceText.of(node, shown_volume(node))
        description = {
            "number": text.number,
            "place": text.position,
            "spacing": text.spacing,
            "zoom": text.zoom,
            "slab": text.slab,
            "size": list(node.GetDimensions()[:2]),
            "ras_to_xy": [round(value, 6) for value in inverse.GetData()],
        }
        name = node.GetLayoutName()
        if description != self._state.views.get(name):
            self._state.views = {**self._state.views, name: description}

    # page

    def build(self, name: str, reset: Callable[[], None], maximise: Callable[[], None]) -> None:
        """Create the elements over one view.

        Parameters
        ----------
        name : str
            The view.
        reset : callable
            Fits the view to its whole scan.
        maximise : callable
            Shows the view alone, or all views again.
        """
        orientation = next((each for each in ORIENTATIONS if name.endswith(each)), "")
        title = orientation.lower() or "3D"
        scan, shown = f"view_scans.{name}", f"views.{name}"
        visit = f"{scan} ? {scan}.visit + ' · ' : ''"
        with html.Div(classes="view-text view-upper-left"):
            html.Div(f"{{{{ {visit} }}}}{title}", classes="view-title", v_if=(_TEXT_SHOWN,))
            with html.Div(v_if=(f"{scan} && {_NAMES_SHOWN}",), **raw(data_patient=name)):
                html.Div(f"{{{{ {scan}.patient }}}}")
                html.Div(f"{{{{ {scan}.patient_id }}}}")
            html.Div(f"⚠ {{{{ {shown}.slab }}}}", v_if=(f"{shown} && {shown}.slab",), classes="view-notice",
                     **raw(data_slab=name))  # fmt: skip
            html.Div("⚠ {{ notice }}", v_for=(f"notice in {scan} ? {scan}.notices : []",), key="notice",
                     classes="view-notice", title=("notice",), **raw(data_notice=name))  # fmt: skip
        with html.Div(classes="view-text view-upper-right", v_if=(f"{scan} && {_TEXT_SHOWN}",)):
            html.Div(f"{{{{ {scan}.date }}}}", **raw(data_date=name))
            html.Div(f"{{{{ {scan}.series || ({_NAMES_SHOWN} ? {scan}.file : '') }}}}", **raw(data_series=name))
        with html.Div(classes="view-buttons"):
            html.Button("Fit", type="button", title=f"Show the whole {title} view again", click=reset,
                        **raw(data_view=name, data_name=(f"({visit}) + '{title}'",)))  # fmt: skip
            html.Button(f"{{{{ maximised === '{name}' ? 'Restore' : 'Maximise' }}}}", type="button", click=maximise,
                        title=(f"maximised === '{name}' ? 'Show all views again' : 'Show the {title} view alone'",),
                        **raw(data_maximise=name))  # fmt: skip
        html.Div(classes="view-maximised", v_if=(f"maximised === '{name}'",))
        if not orientation:
            return
        pet_legend(name)
        with html.Div(classes="view-text view-lower-left", v_if=(f"{shown} && {_TEXT_SHOWN}",)):
            html.Div("{{ cursor.text }}", classes="view-value", v_if=(f"cursor.view === '{name}' && cursor.text",),
                     **raw(data_value=name))  # fmt: skip
            html.Div(f"{{{{ {shown}.number }}}}", **raw(data_slice=name))
            html.Div(f"{{{{ {shown}.place }}}}", classes="view-place")
            html.Div(f"{{{{ {shown}.spacing }}}}", **raw(data_spacing=name))
        with html.Div(classes="view-text view-lower-right", v_if=(f"{scan} && {shown} && {_TEXT_SHOWN}",)):
            html.Div(f"{{{{ {shown}.zoom }}}}", **raw(data_zoom=name))
            html.Div(f"{{{{ {scan}.window }}}}", **raw(data_window_level=name))
        for letter, side in zip(_SIDES[orientation], ("left", "right", "top", "bottom"), strict=True):
            html.Div(letter, classes=f"view-side view-{side}")
