"""Reading of scans for the page; the reader chooses where a path holds several series."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oncotrack.background.jobs import Progress
from oncotrack.images.volume import Volume
from oncotrack.scene.files.series_list import ScanSource, SeriesChoice, SeriesRow
from oncotrack.scene.files.series_tasks import opened_text, reading_task
from oncotrack.scene.nodes.tasks import Task
from oncotrack.web.read_ahead import ReadAhead
from oncotrack.web.roles import BASELINE, FOLLOWUP
from oncotrack.web.series_dialog import SeriesDialog

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_TITLES = {BASELINE: "Open the baseline", FOLLOWUP: "Open the follow-up"}


@dataclass
class _Opening:
    """Scans that are opened together, by role: read, or waiting for the reader's choice."""

    scans: dict[str, Volume | SeriesChoice]
    show: Callable[[dict[str, Volume]], object]
    finished: Callable[[], object]


class ScanOpener:
    """Reads scans on the worker thread and asks the reader which series where there are several.

    Parameters
    ----------
    viewer : Viewer
    reader : ReadAhead
        Reads scans, some of which it has read already.

    Attributes
    ----------
    dialog : SeriesDialog
        Asks the reader.
    """

    def __init__(self, viewer: Viewer, reader: ReadAhead) -> None:
        self._viewer, self._reader, self._has_opened = viewer, reader, False
        self.dialog = SeriesDialog(viewer)

    def open(
        self,
        sources: Mapping[str, ScanSource],
        show: Callable[[dict[str, Volume]], object],
        finished: Callable[[], object],
    ) -> None:
        """Read scans, by role.

        Parameters
        ----------
        sources : mapping of role to ScanSource
            What to read.
        show : callable
            Called with the volumes by role, without those whose choice the reader cancelled; not called without any.
        finished : callable
            Called when the files are no longer needed and `show` was not called.
        """

        def work(progress: Progress) -> _Opening:
            scans = {}
            for done, (role, source) in enumerate(sources.items()):
                progress(0.1 + 0.8 * done / len(sources), source.path.name)
                scans[role] = self._reader.load(source)
            return _Opening(scans, show, finished)

        if self._has_opened:  # at the start it is about something else
            self._close_message()
        self._has_opened = True
        self._viewer.submit(Task("Opening", work, self._go_on, finished))

    def _go_on(self, opening: _Opening) -> None:
        """Ask about the first scan that needs a choice; then show the scans."""
        for role, choice in opening.scans.items():
            if isinstance(choice, SeriesChoice):
                self._ask(opening, role, choice)
                return
        volumes = {role: volume for role, volume in opening.scans.items() if isinstance(volume, Volume)}
        if not volumes:
            opening.finished()
            return
        if said := " ".join(filter(None, map(opened_text, volumes.values()))):
            self._viewer.show_message(said)
        opening.show(volumes)

    def _close_message(self) -> None:
        """Close a message about what was opened or chosen before."""
        self._viewer.state.message_closed = self._viewer.state.message["number"]

    def _ask(self, opening: _Opening, role: str, choice: SeriesChoice) -> None:
        def cancelled() -> None:
            del opening.scans[role]
            self._go_on(opening)

        def opened(volume: Volume) -> None:
            opening.scans[role] = volume
            self._close_message()
            self._go_on(opening)

        def chosen(row: SeriesRow) -> None:
            # a series that cannot be read leaves the reader with the others
            self._viewer.submit(reading_task(choice, row, opened, lambda: self._ask(opening, role, choice)))

        self.dialog.ask(_TITLES.get(role, "Open an additional visit"), choice, chosen, cancelled)
