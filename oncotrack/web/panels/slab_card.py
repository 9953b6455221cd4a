"""The card of the View tab for thick slabs and the projection of the whole scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v
from trame_slicer.views import SliceView

from oncotrack.errors import InputError
from oncotrack.scene.commands import PAGE, commands_of
from oncotrack.scene.views.scan_text import shown_volume
from oncotrack.scene.views.slab import AVERAGE, MAXIMUM, OFF, SLABS, THICKNESSES, next_thickness, set_slab, show_all
from oncotrack.web.attributes import raw
from oncotrack.web.panels.command_button import command_button
from oncotrack.web.tools import Command, page_command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_TABLE = commands_of(PAGE)
_USUAL_MM = 10.0


class SlabCard:
    """Commands and elements for thick slabs, which all slice views share.

    Parameters
    ----------
    viewer : Viewer
        Its state gets `slab_mode` (a key of `SLABS`), `slab_mm` and `is_all_projected` (the slab is the whole scan).
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        viewer.state.update({"slab_mode": OFF, "slab_mm": _USUAL_MM, "is_all_projected": False})
        self._shown = OFF, _USUAL_MM
        viewer.state.change("slab_mode", "slab_mm")(self._on_state)
        viewer.views.added.connect(self._on_view)

    @property
    def commands(self) -> Sequence[Command]:
        """Kind, thickness, projection of the whole scan."""
        return (
            page_command(_TABLE["choose_slab"], "mdi-layers-outline", self.choose),
            page_command(_TABLE["thicker"], "mdi-plus", lambda: self._step(1), self._has_scan),
            page_command(_TABLE["thinner"], "mdi-minus", lambda: self._step(-1), self._has_scan),
            page_command(_TABLE["project_all"], "mdi-layers-triple", self.project_all, self._has_scan),
        )

    def build(self) -> None:
        """Create the choice of the slab and its thickness."""
        html.H2(_TABLE["choose_slab"].title)
        commands = {command.name: command for command in self.commands}
        v.VSelect(
            v_model=("slab_mode",),
            items=("slab_kinds", [{"title": title, "value": kind} for kind, title in SLABS.items()]),
            label="Views show",
            density="compact",
            variant="outlined",
            hide_details=True,
            **raw(data_slab_kind="yes"),
        )
        with html.Div(style="display: flex; gap: 4px; align-items: center;", v_if=(f"slab_mode !== '{OFF}'",)):
            command_button(self._viewer, commands["thinner"], "", data_view_command="thinner")
            v.VSlider(
                v_model=("slab_mm",),
                name="Thickness of the slab in mm",
                min=THICKNESSES[0],
                max=THICKNESSES[-1],
                step=1,
                hide_details=True,
                thumb_label=True,
                density="compact",
                **raw(aria_label="Thickness of the slab in mm", data_slab_mm="yes"),
            )
            command_button(self._viewer, commands["thicker"], "", data_view_command="thicker")
            html.Span("{{ is_all_projected ? 'whole scan' : slab_mm + ' mm' }}", classes="quiet")
        command_button(
            self._viewer, commands["project_all"], _TABLE["project_all"].title, data_view_command="project_all"
        )

    def choose(self, kind: str, thickness_mm: float | None = None) -> None:
        """Show slabs of a kind, or single slices with `OFF`."""
        if kind not in SLABS:
            raise InputError(f"There is no slab {kind!r}. Choose one of: {', '.join(SLABS)}.")
        thickness_mm = float(self._viewer.state.slab_mm if thickness_mm is None else thickness_mm)
        self._viewer.state.update({"slab_mode": kind, "slab_mm": thickness_mm, "is_all_projected": False})
        self._shown = kind, thickness_mm
        with self._viewer.views.blocked():
            set_slab(self._nodes(), kind, thickness_mm)

    def project_all(self) -> None:
        """Show the maximum through the whole scan in every view; pressed again, single slices."""
        state = self._viewer.state
        if state.is_all_projected:
            self.choose(OFF)
            return
        self.choose(MAXIMUM)
        with self._viewer.session.linking.paused():
            for node in self._nodes():
                if (volume := shown_volume(node)) is not None:
                    show_all(node, volume, MAXIMUM)
        state.is_all_projected = True

    def _step(self, by: int) -> None:
        state = self._viewer.state
        if state.slab_mode == OFF:
            if by > 0:
                self.choose(AVERAGE)
            return
        thickness = next_thickness(state.slab_mm, by)
        self.choose(state.slab_mode if thickness else OFF, thickness or THICKNESSES[0])

    def _on_state(self, slab_mode: str, slab_mm: float, **_state: object) -> None:
        if (slab_mode, float(slab_mm)) != self._shown:
            self._viewer.attempt(self.choose, slab_mode, slab_mm)

    def _on_view(self, view: SliceView) -> None:
        set_slab([view.get_view_node()], *self._shown)

    def _has_scan(self) -> bool:
        return self._viewer.session.baseline is not None or self._viewer.session.followup is not None

    def _nodes(self) -> list:
        return [view.get_view_node() for view in self._viewer.views.slices()]
