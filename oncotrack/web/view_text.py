"""The text on the images of the page: HTML in the corners of each view, which costs the server no drawing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict

import slicer
import vtk
from trame.widgets import html
from trame_server import Server
from trame_slicer.views import SliceView

from oncotrack.scene.views.scan_text import ALL, NONE, WITHOUT_NAMES, ScanText, SliceText, shown_volume, window_text
from oncotrack.scene.views.view_rows import ORIENTATIONS
from oncotrack.web.attributes import raw
from oncotrack.web.pet_legend import pet_legend

_SIDES = {"Axial": ("R", "L", "A", "P"), "Coronal": ("R", "L", "S", "I"), "Sagittal": ("A", "P", "S", "I")}
_NAMES_SHOWN, _TEXT_SHOWN = f"image_text === '{ALL}'", f"image_text !== '{NONE}'"


class ViewText:
    """Text and letters over each view; every view describes the scan and the slice of the picture that was sent last.

    Parameters
    ----------
    server : Server
        Its state gets `image_text` (`ALL`, `WITHOUT_NAMES` or `NONE`) and, by view name, `views`: the slice in words
        (`number`, `place`, `spacing`, `zoom`, `slab`), the size in pixels and the row-major matrix from RAS mm to pixels, origin
        at the lower left; and `view_scans`: the scan in words, the fields of `ScanText` and its `window`.

    Attributes
    ----------
    solid : vtkMRMLScalarVolumeNode or None
        The scan that the 3D view shows.
    """

    def __init__(self, server: Server) -> None:
        self._state = server.state
        self._state.update({"views": {}, "view_scans": {}, "image_text": ALL})
        self._visits: Mapping[slicer.vtkMRMLVolumeNode, str] = {}
        self._pictured: dict[str, slicer.vtkMRMLVolumeNode | None] = {}
        self.solid: slicer.vtkMRMLVolumeNode | None = None

    # content

    def caption_of(self, view: SliceView) -> Callable[[], Callable[[], None]]:
        """Return a function that describes a slice view now and returns one that writes this on the page."""
        node, name = view.get_view_node(), view.get_singleton_tag()

        def describe() -> Callable[[], None]:
            volume, text = shown_volume(node), self._slice(node)
            scan = self._scan(volume)

            def write() -> None:
                with self._state:
                    if text != self._state.views.get(name):
                        self._state.views = {**self._state.views, name: text}
                    self._write_scan(name, volume, scan)

            return write

        return describe

    def caption_of_3d(self, name: str) -> Callable[[], Callable[[], None]]:
        """Return a function that names the scan in the 3D view now and returns one that writes this on the page."""

        def describe() -> Callable[[], None]:
            volume = self.solid if self.solid is not None and self.solid.GetScene() is not None else None
            scan = self._scan(volume)

            def write() -> None:
                with self._state:
                    self._write_scan(name, volume, scan)

            return write

        return describe

    def name_visits(self, visits: Mapping[slicer.vtkMRMLVolumeNode, str]) -> None:
        """Set the names of the visits by their volumes and write them on the page again."""
        self._visits = visits
        for name, volume in self._pictured.items():
            if volume is not None and volume.GetScene() is not None:
                self._write_scan(name, volume, self._scan(volume))

    def toggle_names(self) -> None:
        """Hide the patients' names, or show them again."""
        self._state.image_text = ALL if self._state.image_text == WITHOUT_NAMES else WITHOUT_NAMES

    def toggle_text(self) -> None:
        """Hide all text but notices, or show it again."""
        self._state.image_text = ALL if self._state.image_text == NONE else NONE

    def _write_scan(self, name: str, volume: slicer.vtkMRMLVolumeNode | None, scan: dict | None) -> None:
        self._pictured[name] = volume
        if scan != self._state.view_scans.get(name):
            others = {each: text for each, text in self._state.view_scans.items() if each != name}
            self._state.view_scans = {**others, name: scan} if scan else others

    def _scan(self, volume: slicer.vtkMRMLVolumeNode | None) -> dict | None:
        if volume is None:
            return None
        text = asdict(ScanText.of(volume, self._visits.get(volume, "")))
        return {**text, "notices": list(text["notices"]), "window": window_text(volume)}

    @staticmethod
    def _slice(node: slicer.vtkMRMLSliceNode) -> dict:
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(node.GetXYToRAS(), inverse)
        text = SliceText.of(node, shown_volume(node))
        return {
            "number": text.number,
            "place": text.position,
            "spacing": text.spacing,
            "zoom": text.zoom,
            "slab": text.slab,
            "size": list(node.GetDimensions()[:2]),
            "ras_to_xy": [round(value, 6) for value in inverse.GetData()],
        }

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
            html.Div("PET: {{ pet.name }}", v_if=(f"pet_legend.views?.includes('{name}') && {_NAMES_SHOWN}",),
                     **raw(data_fused=name))  # fmt: skip
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
