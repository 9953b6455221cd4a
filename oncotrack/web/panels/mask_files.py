"""Import of masks from a table of diameters or a segmentation, and export."""

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
    make_command : callable
        `ScanTool.make_command` of the tool.
    """

    def __init__(
        self,
        viewer: Viewer,
        files: Files,
        session: RecistScene,
        show_outcome: Callable[[object], None],
        make_command: Callable[..., Command],
    ) -> None:
        self._viewer, self._files, self._session, self._show_outcome = viewer, files, session, show_outcome
        self._make_command = make_command
        viewer.state.change("mask_file")(lambda **_state: viewer.refresh_commands())
        viewer.state.mask_file = ""

    @property
    def commands(self) -> Sequence[Command]:
        """Export, measurement of a table, import of a segmentation."""
        return (
            self._make_command("export_masks", "mdi-export", self._export),
            self._make_command("measure_table", "mdi-table", self._measure_table, self._is_file_named),
            self._make_command("import_masks", "mdi-import", self._import, self._is_file_named),
        )

    def build(self) -> None:
        """Create the path and the three buttons."""
        commands = {command.name: command for command in self.commands}
        html.H2("Files", classes="mt-2")
        v.VTextField(
            v_model=("mask_file",), label="Table of diameters, or segmentation", density="compact", variant="outlined",
            hide_details=True, title="In one of the folders OncoTrack was started with", **raw(data_mask_file="yes"),
        )  # fmt: skip
        with html.Div(classes="d-flex flex-wrap my-2", style="gap: 6px;"):
            for name in ("measure_table", "import_masks", "export_masks"):
                MASKS.button(self._viewer, commands[MASKS.prefix + name], has_title=True)

    def _is_file_named(self) -> bool:
        return bool(self._viewer.state.mask_file)

    def _path(self) -> Path:
        return self._files.allowed(self._viewer.state.mask_file)

    def _measure_table(self) -> None:
        self._viewer.submit(self._session.measure_table(self._path()), self._show_outcome)

    def _import(self) -> None:
        self._viewer.submit(self._session.import_masks(self._path()), self._show_outcome)

    def _export(self) -> None:
        self._viewer.submit(
            self._session.export(self._viewer.results.folder), lambda paths: self._files.saving.show(*paths)
        )
