"""The card of the current finding's mask: its measurements and edits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from trame.widgets import html

from oncotrack.scene.masks import panel
from oncotrack.scene.masks.recist import RecistScene
from oncotrack.web.attributes import raw
from oncotrack.web.panels.scan_tool import MASKS
from oncotrack.web.tools import Command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_EDITS = (
    ("extend_to_3d", "mdi-layers-triple"),
    ("add_diameters", "mdi-ruler-square"),
    ("make_perpendicular", "mdi-angle-right"),
    ("rebuild", "mdi-refresh"),
    ("remeasure", "mdi-tape-measure"),
    ("suggest", "mdi-auto-fix"),
    ("remove_mask", "mdi-eraser"),
)
"""Command and icon."""


class MaskCard:
    """Measurements of the mask, and a button for each edit; axes are edited by dragging their ends in the slice.

    Parameters
    ----------
    viewer : Viewer
    session : RecistScene
    make_command : callable
        `ScanTool.make_command` of the tool.
    """

    def __init__(self, viewer: Viewer, session: RecistScene, make_command: Callable[..., Command]) -> None:
        self._viewer, self._session, self._make_command = viewer, session, make_command
        viewer.state.mask_words = ""

    @property
    def commands(self) -> Sequence[Command]:
        """One for each edit."""
        return tuple(self._make_command(name, icon) for name, icon in _EDITS)

    def build(self) -> None:
        """Create the measurements and the edits."""
        commands = {command.name: command for command in self.commands}
        with html.Div(v_if=("mask_words",), **raw(data_mask_words="yes")):
            html.P("{{ mask_words }}")
            html.P("Drag an end of a diameter: the mask is updated.", classes="quiet")
            with html.Div(classes="d-flex flex-wrap my-2", style="gap: 6px;"):
                for name, _icon in _EDITS:
                    MASKS.button(self._viewer, commands[MASKS.prefix + name], has_title=True)

    def refresh(self) -> None:
        """Update the measurements from the session."""
        self._viewer.state.mask_words = panel.measurement_text(self._session)
