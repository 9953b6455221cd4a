"""The mask of the current finding: its measurements and edits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
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
    ("carry", "Carry to 3D", "Carry the mask through the slices next to the axes", "mdi-layers-triple", "c"),
    ("draw_more_axes", "More axes", "Draw axes on another slice of the same lesion, and carry again", "mdi-ruler-square",
     "e"),
    ("square", "Square", "Turn the short axis upright on the long one", "mdi-angle-right", "q"),
    ("make_mask", "From axes", "Make the mask in one slice again, from the axes", "mdi-refresh", "m"),
    ("remeasure", "Measure", "Give the finding the axes that its mask measures", "mdi-tape-measure", "t"),
    ("propose", "Propose", "Propose axes and mask from what is known of the finding", "mdi-auto-fix", "o"),
    ("drop_mask", "No mask", "Take the mask away; the axes stay", "mdi-eraser", ""),
)  # fmt: skip
"""Method of the session, button, tooltip, icon, key."""


class MaskCard:
    """Buttons for the edits; axes are changed by dragging their ends in the slice.

    Parameters
    ----------
    viewer : Viewer
    session : RecistScene
    do : callable
        Runs a method of the session by its name; long work is queued.
    can : callable
        Returns a function that tells whether a method of the session can be used now.
    """

    def __init__(
        self, viewer: Viewer, session: RecistScene, do: Callable[..., None], can: Callable[[str], Callable[[], bool]]
    ) -> None:
        self._viewer, self._session, self._do, self._can = viewer, session, do, can
        viewer.state.mask_words = ""

    @property
    def commands(self) -> Sequence[Command]:
        """One for each edit."""
        return tuple(
            Command(MASKS.prefix + name, tip, icon, partial(self._do, name), key, self._can(name), is_in_bar=False)
            for name, _title, tip, icon, key in _EDITS
        )

    def build(self) -> None:
        """Create the measurements and the edits."""
        commands = {command.name: command for command in self.commands}
        with html.Div(v_if=("mask_words",), **raw(data_mask_words="yes")):
            html.P("{{ mask_words }}")
            html.P("Drag an end of an axis: the mask follows.", classes="quiet")
            with html.Div(classes="d-flex flex-wrap my-2", style="gap: 6px;"):
                for name, title, *_rest in _EDITS:
                    MASKS.button(self._viewer, commands[MASKS.prefix + name], title)

    def refresh(self) -> None:
        """Update the measurements from the session."""
        self._viewer.state.mask_words = panel.current_words(self._session)
