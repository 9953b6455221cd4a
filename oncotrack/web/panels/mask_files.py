"""Masks in and out of the browser: a table of axes, a segmentation, and the results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.scene.masks.recist import RecistScene
from oncotrack.web.attributes import raw
from oncotrack.web.panels.scan_tool import MASKS
from oncotrack.web.tools import Command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer


class MaskFiles:
    """Export, and what is opened by a path in the folders that the viewer was started with.

    Parameters
    ----------
    viewer : Viewer
    session : RecistScene
    tell : callable
        Says what a task has brought.
    """

    def __init__(self, viewer: Viewer, session: RecistScene, tell: Callable[[object], None]) -> None:
        self._viewer, self._session, self._tell = viewer, session, tell
        viewer.state.mask_file = ""

    @property
    def commands(self) -> Sequence[Command]:
        """Export, batch, segmentation."""
        return (
            Command(f"{MASKS.prefix}export", "Export the masks: segmentation, table, training pairs, findings", "mdi-export",
                    self._export, enabled=MASKS.can("export"), is_in_bar=False),
            Command(f"{MASKS.prefix}batch", "Measure every row of a table of axes (CSV, .mrk.json)", "mdi-table",
                    self._batch, enabled=f"{MASKS.can('batch')} && !!mask_file", is_in_bar=False),
            Command(f"{MASKS.prefix}take", "Take up the segments of a file (.seg.nrrd)", "mdi-import", self._take,
                    enabled=f"{MASKS.can('take_segmentation')} && !!mask_file", is_in_bar=False),
        )  # fmt: skip

    def build(self) -> None:
        """The path and the three buttons."""
        commands = {command.name: command for command in self.commands}
        html.H2("Files", classes="mt-2")
        v.VTextField(
            v_model=("mask_file",), label="Table of axes, or segmentation", density="compact", variant="outlined",
            hide_details=True, title="In one of the folders OncoTrack was started with", **raw(data_mask_file="yes"),
        )  # fmt: skip
        with html.Div(classes="d-flex flex-wrap my-2", style="gap: 6px;"):
            for name, title in (("batch", "Measure rows"), ("take", "Take masks"), ("export", "Export")):
                MASKS.button(self._viewer, commands[MASKS.prefix + name], title)

    def _path(self) -> Path:
        return self._viewer.files.allowed(self._viewer.state.mask_file)

    def _batch(self) -> None:
        self._viewer.submit(self._session.batch(self._path()), self._tell)

    def _take(self) -> None:
        self._viewer.submit(self._session.take_segmentation(self._path()), self._tell)

    def _export(self) -> None:
        files = self._viewer.files
        self._viewer.submit(self._session.export(files.out), lambda paths: files.tell(*(path.name for path in paths)))
