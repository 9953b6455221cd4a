"""The card of the brush: paint, erase, its size and limits, and the repair of a mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.web.attributes import raw
from oncotrack.web.brush import ERASE, PAINT, Brush
from oncotrack.web.panels.scan_tool import MASKS
from oncotrack.web.tools import Command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_REPAIRS = (("fill", "mdi-format-color-fill"), ("smooth", "mdi-blur"))


class BrushCard:
    """Buttons of the brush and of the repair of a mask, shown for a finding with a mask.

    Parameters
    ----------
    viewer : Viewer
    brush : Brush
    make_command : callable
        `ScanTool.make_command` of the tool.
    """

    def __init__(self, viewer: Viewer, brush: Brush, make_command: Callable[..., Command]) -> None:
        self._viewer, self._brush, self._make_command = viewer, brush, make_command

    @property
    def commands(self) -> Sequence[Command]:
        """Brush, eraser, filling and smoothing."""
        return (
            self._make_command("brush", "mdi-brush", lambda: self._brush.toggle(PAINT), is_always_possible=True),
            self._make_command(
                "eraser", "mdi-eraser-variant", lambda: self._brush.toggle(ERASE), is_always_possible=True
            ),
            *(self._make_command(name, icon) for name, icon in _REPAIRS),
        )

    def build(self) -> None:
        """Create the buttons, and the settings of the brush while it is on."""
        paint, erase, *repairs = self.commands
        with html.Div(v_if=("mask_possible.includes('remove_mask')",), **raw(data_brush_card="yes")):
            html.H2("Paint")
            with html.Div(classes="d-flex flex-wrap mb-1", style="gap: 6px;"):
                for tool, command in ((PAINT, paint), (ERASE, erase)):
                    v.VBtn(
                        command.title,
                        prepend_icon=command.icon,
                        size="small",
                        variant=(f"brush === '{tool}' ? 'flat' : 'tonal'",),
                        color=(f"brush === '{tool}' ? 'accent' : undefined",),
                        title=command.tooltip,
                        click=(self._viewer.run, f"['{command.name}']"),
                        **raw(data_brush=tool, aria_pressed=(f"brush === '{tool}'",)),
                    )
                for command in repairs:
                    MASKS.button(self._viewer, command, has_title=True)
            with html.Div(v_if=("brush",)):
                v.VSlider(
                    v_model=("brush_mm",), label="Diameter", name="Diameter", min=1, max=40, step=0.5, hide_details=True, density="compact",
                    **raw(data_brush_mm="yes"),
                )  # fmt: skip
                html.P("{{ brush_mm }} mm. Shift and wheel change it too.", classes="quiet")
                v.VCheckbox(
                    v_model=("is_brush_sphere",), label="Reach into the neighbouring slices (sphere)", density="compact",
                    hide_details=True, **raw(data_brush_sphere="yes"),
                )  # fmt: skip
                v.VCheckbox(
                    v_model=("is_brush_limited",), label="Change only voxels within a range", density="compact",
                    hide_details=True, **raw(data_brush_limited="yes"),
                )  # fmt: skip
                with html.Div(v_if=("is_brush_limited",)):
                    v.VRangeSlider(
                        v_model=("brush_range",), name="Range of values", min=-1024, max=3000, step=1, hide_details=True, density="compact",
                        **raw(data_brush_range="yes"),
                    )  # fmt: skip
                    html.P("{{ brush_range[0] }} to {{ brush_range[1] }} HU", classes="quiet")
