"""The archive (PACS) on the page: search, choice of series, loading and sending, and DICOM objects of the findings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oncotrack.errors import InputError
from oncotrack.pacs.outbox import Sent
from oncotrack.scene.files.archive_session import ArchiveSession, Retrieved
from oncotrack.scene.files.dicom_objects import export_task, import_task
from oncotrack.scene.files.exchange_text import patient_text, read_text, sent_text, series_text, written_text
from oncotrack.scene.nodes.tasks import Task

if TYPE_CHECKING:
    from oncotrack.web.files import Files
    from oncotrack.web.viewer import Viewer


class ArchivePage:
    """Connects the session of the archive with the page.

    Parameters
    ----------
    viewer : Viewer
        Its state gets `archives`, `archive`, `archive_patient`, `archive_name`, `archive_studies` and `archive_roles`.
    files : Files
        Opens the retrieved scans.
    """

    def __init__(self, viewer: Viewer, files: Files) -> None:
        self._viewer, self._files = viewer, files
        self._session = ArchiveSession(viewer.results.base / "retrieved")
        self._results: list[Path] = []
        try:
            names = self._session.names()
        except InputError as error:
            names = []
            viewer.show_message(str(error), "error")
        viewer.state.update(
            {
                "archives": names,
                "archive": names[0] if names else "",
                "archive_patient": "",
                "archive_name": "",
                "archive_studies": [],
                "archive_roles": {},
                "archive_searched": False,
            }
        )

    def search(self, archive: str, patient: str, name: str) -> None:
        """Search for a patient's studies."""
        self._viewer.submit(self._session.search_task(archive, patient or "", name or "", self._show))

    def choose(self, series_uid: str, role: str) -> None:
        """Choose what a series is opened as."""
        self._session.choose(series_uid, role)
        self._viewer.state.archive_roles = dict(self._session.roles)

    def load(self) -> None:
        """Retrieve the chosen series and open them, with the results stored beside them."""
        self._viewer.submit(self._session.load_task(self._open))

    def export(self) -> None:
        """Write the findings as DICOM objects into the output folder."""
        self._viewer.submit(self._export_task(self._written))

    def read_objects(self, typed: str) -> None:
        """Read DICOM objects from a file or folder that the reader typed."""
        self._import([self._files.allowed(typed)], str(typed))

    def send(self, archive: str) -> None:
        """Write the findings as DICOM objects and send them."""

        def written(paths: list[Path], left_out: tuple[str, ...]) -> None:
            self._viewer.submit(
                self._session.send_task(archive, paths, lambda result: self._sent(archive, result, left_out))
            )

        self._viewer.submit(self._export_task(written))

    def _export_task(self, written: Callable[[list[Path], tuple[str, ...]], object]) -> Task:
        return export_task(self._viewer.session.nodes, self._viewer.results.folder / "dicom", written, self._results)

    def _show(self) -> None:
        state: Any = self._viewer.state
        state.archive_studies = [
            {
                "uid": found.study.uid,
                "title": found.title,
                "patient": patient_text(found),
                "results": len(found.results),
                "series": [{"uid": each.uid, "text": series_text(each)} for each in found.images],
            }
            for found in self._session.studies
        ]
        state.archive_roles, state.archive_searched = {}, True
        self._viewer.refresh()

    def _open(self, retrieved: Retrieved) -> None:
        self._results = list(retrieved.results)

        def opened() -> None:
            if retrieved.results and self._viewer.session.visits:
                self._import(list(retrieved.results), "the archive")

        self._files.open_folders(retrieved.scans, opened)

    def _import(self, paths: list[Path], source: str) -> None:
        def read(text: str, problems: tuple[str, ...], count: int) -> None:
            self._files.replace_findings(text, source)
            self._viewer.refresh()
            self._viewer.show_message(read_text(count, source, problems), "error" if problems else "info")

        self._viewer.submit(import_task(self._viewer.session.nodes, paths, read))

    def _written(self, paths: list[Path], left_out: tuple[str, ...]) -> None:
        self._viewer.show_message(written_text(paths, left_out))

    def _sent(self, archive: str, result: Sent, left_out: tuple[str, ...]) -> None:
        self._viewer.show_message(sent_text(archive, result, left_out), "error" if result.waiting else "info")
