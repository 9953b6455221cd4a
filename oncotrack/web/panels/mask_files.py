"""Importing masks from a table of axes or a segmentation, and exporting them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.scene.masks.recist import RecistScene
from oncotrack.web.attributes import raw
from oncotrack.web.files import Files
from oncotrack.web.panels.scan_tool import MASKS
from oncotrack.web.tools import Command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer


class MaskFiles:
    """Import by a path in the folders given at start, and export.

    Parameters
    ----------
    viewer : Viewer
    files : Files
    session : RecistScene
    show_outcome : callable
        Shows the result of a task as a message.
    can : callable
        Returns a function that tells whether a method of the session can be used now.
    """

    def __init__(
        self,
        viewer: Viewer,
        files: Files,
        session: RecistScene,
        show_outcome: Callable[[object], None],
        can: Callable[[str], Callable[[], bool]],
    ) -> None:
        self._viewer, self._files, self._session, self._show_outcome = viewer, files, session, show_outcome
        self._can = can
        viewer.state.change("mask_file")(lambda **_state: viewer.refresh_commands())
        viewer.state.mask_file = ""

    @property
    def commands(self) -> Sequence[Command]:
        """Export, measurement of a table, import of a segmentation."""
        return (
            Command(f"{MASKS.prefix}export", "Export the masks: segmentation, table, training pairs, findings", "mdi-export",
                    self._export, is_possible=self._can("export"), is_in_bar=False),
            Command(f"{MASKS.prefix}batch", "Measure every row of a table of axes (CSV, .mrk.json)", "mdi-table",
                    self._batch, is_possible=self._with_file("batch"), is_in_bar=False),
            Command(f"{MASKS.prefix}import", "Import the segments of a file (.seg.nrrd)", "mdi-import", self._import,
                    is_possible=self._with_file("take_segmentation"), is_in_bar=False),
        )  # fmt: skip

    def build(self) -> None:
        """Create the path and the three buttons."""
        commands = {command.name: command for command in self.commands}
        html.H2("Files", classes="mt-2")
        v.VTextField(
            v_model=("mask_file",), label="Table of axes, or segmentation", density="compact", variant="outlined",
            hide_details=True, title="In one of the folders OncoTrack was started with", **raw(data_mask_file="yes"),
        )  # fmt: skip
        with html.Div(classes="d-flex flex-wrap my-2", style="gap: 6px;"):
            for name, title in (("batch", "Measure rows"), ("import", "Import masks"), ("export", "Export")):
                MASKS.button(self._viewer, commands[MASKS.prefix + name], title)

    def _with_file(self, name: str) -> Callable[[], bool]:
        can = self._can(name)
        return lambda: can() and bool(self._viewer.state.mask_file)

    def _path(self) -> Path:
        return self._files.allowed(self._viewer.state.mask_file)

    def _batch(self) -> None:
        self._viewer.submit(self._session.batch(self._path()), self._show_outcome)

    def _import(self) -> None:
        self._viewer.submit(self._session.take_segmentation(self._path()), self._show_outcome)

    def _export(self) -> None:
        self._viewer.submit(
            self._session.export(self._files.out), lambda paths: self._files.show_saved(*(path.name for path in paths))
        )
