"""The card of the View tab for moving through slices: keys, cine, one view alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.scene.commands import PAGE, commands_of
from oncotrack.scene.views.cine import FASTEST, SLOWEST
from oncotrack.web.attributes import raw
from oncotrack.web.panels.command_button import command_button
from oncotrack.web.tools import Command, page_command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_TABLE = commands_of(PAGE)
_FAR = 10**6


class CineCard:
    """Commands and elements for moving through slices.

    Parameters
    ----------
    viewer : Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer, self._navigation = viewer, viewer.navigation

    @property
    def commands(self) -> Sequence[Command]:
        """Slices, cine, one view alone."""
        steps = (("previous_slice", -1, "mdi-chevron-up"), ("next_slice", 1, "mdi-chevron-down"),
                 ("first_slice", -_FAR, "mdi-chevron-double-up"), ("last_slice", _FAR, "mdi-chevron-double-down"))  # fmt: skip
        return (
            *(page_command(_TABLE[name], icon, lambda by=by: self._navigation.move(by), self._has_scan)
              for name, by, icon in steps),
            page_command(_TABLE["play_cine"], "mdi-play", self._navigation.toggle_cine, self._has_scan, active="cine"),
            page_command(_TABLE["maximise"], "mdi-fullscreen", self._navigation.maximise, active="maximised"),
        )  # fmt: skip

    def build(self) -> None:
        """Create the buttons of the slices and the settings of the cine."""
        html.H2("Slices")
        commands = {command.name: command for command in self.commands}
        with html.Div(style="display: flex; gap: 4px; flex-wrap: wrap; align-items: center;"):
            for name in ("first_slice", "previous_slice", "next_slice", "last_slice"):
                command_button(self._viewer, commands[name], commands[name].title.split()[0], data_view_command=name)
            for name, title in (("play_cine", "{{ cine ? 'Stop' : 'Cine' }}"),
                                ("maximise", "{{ maximised ? 'Restore' : 'Maximise' }}")):  # fmt: skip
                command_button(self._viewer, commands[name], title, data_view_command=name)
        v.VSlider(
            v_model=("cine_speed",),
            label="Slices per second",
            name="Slices per second",
            min=SLOWEST,
            max=FASTEST,
            step=1,
            hide_details=True,
            thumb_label=True,
            density="compact",
            **raw(data_cine_speed="yes"),
        )
        v.VCheckbox(
            v_model=("cine_bounces",),
            label="Play back and forth instead of from the start again.",
            density="compact",
            hide_details=True,
            **raw(data_cine_bounces="yes"),
        )

    def _has_scan(self) -> bool:
        return self._viewer.session.baseline is not None or self._viewer.session.followup is not None
