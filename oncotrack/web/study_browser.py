"""The browser of the scans: the visits that are open, and the series in the folders that the viewer was started with."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import slicer

from oncotrack.background.jobs import Progress
from oncotrack.errors import InputError
from oncotrack.scene.files.series_list import ScanSource, SeriesChoice, rows_of
from oncotrack.scene.files.thumbnails import png, volume_thumbnail
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.nodes.volumes import stamp, to_volume
from oncotrack.scene.views.scan_text import ScanText
from oncotrack.web.roles import BASELINE, FOLLOWUP

if TYPE_CHECKING:
    from oncotrack.web.files import Files
    from oncotrack.web.viewer import Viewer


@dataclass(frozen=True)
class _Listed:
    """A folder whose series are listed."""

    folder: Path
    choice: SeriesChoice


class StudyBrowser:
    """Scans to hang: visits that are open, and series of folders that were listed.

    Parameters
    ----------
    viewer : Viewer
        Its state gets `is_browser_open`, `browser_visits`, `browser_studies` (folders that can be listed) and
        `browser_folders` (those that are).
    files : Files
    """

    def __init__(self, viewer: Viewer, files: Files) -> None:
        self._viewer, self._files = viewer, files
        self._listed: list[_Listed] = []
        self._pictures: dict[tuple, str] = {}
        studies = [
            str(path)
            for path in files.folders
            if path != viewer.results.base and (path.is_dir() or path.suffix == ".zip")
        ]
        viewer.state.update(
            {"is_browser_open": False, "browser_visits": [], "browser_studies": studies, "browser_folders": []}
        )
        viewer.updates.on(viewer.session.changed, self.refresh)
        viewer.state.change("is_browser_open")(lambda **_state: self.refresh())

    # content

    def toggle(self) -> None:
        """Open the browser, or close it."""
        self._viewer.state.is_browser_open = not self._viewer.state.is_browser_open

    def refresh(self) -> None:
        """Update the open visits on the page; nothing is drawn while the browser is closed."""
        if not self._viewer.state.is_browser_open:
            return
        session = self._viewer.session
        labels = [each.label for each in session.time_points]
        visits = [self._visit(number, *each) for number, each in enumerate(zip(session.visits, labels, strict=True))]
        if visits != self._viewer.state.browser_visits:
            self._viewer.state.browser_visits = visits

    def list_folder(self, typed: str) -> None:
        """List the series of a folder that the page may open."""
        folder = self._files.allowed(typed)

        def work(progress: Progress) -> SeriesChoice:
            from oncotrack.images.dicom import load_study

            progress(0.2, folder.name)
            study = load_study(folder)
            return SeriesChoice(ScanSource(folder), rows_of(study), study)

        def apply(choice: SeriesChoice) -> None:
            self._listed = [each for each in self._listed if each.folder != folder] + [_Listed(folder, choice)]
            self._viewer.state.browser_folders = [
                {
                    "name": each.folder.name,
                    "rows": [
                        {
                            "number": row.number,
                            "title": row.title,
                            "details": row.details,
                            "problem": row.problem,
                        }
                        for row in each.choice.rows
                    ],
                }
                for each in self._listed
            ]

        self._viewer.submit(Task("Listing the series", work, apply))

    def picture(self, folder: int, row: int) -> bytes | None:
        """Return the picture of a series as PNG, None without one; may be called on any thread.

        Parameters
        ----------
        folder : int
            Number of the listed folder, from 0.
        row : int
            Number of the series, from 1.
        """
        listed = self._listed[folder : folder + 1]
        if not listed or not 1 <= row <= len(listed[0].choice.rows):
            return None
        picture = listed[0].choice.thumbnail(listed[0].choice.rows[row - 1].key)
        return None if picture is None else png(picture)

    # hanging

    def hang(self, item: str, role: str) -> None:
        """Show a scan of the browser in a role.

        Parameters
        ----------
        item : str
            "visit:1", a visit from 0, or "series:0:2", a folder from 0 and a series from 1.
        role : str
            See `roles`.

        Raises
        ------
        InputError
            There is no such scan, or it is no volume.
        """
        kind, *numbers = item.split(":")
        try:
            places = [int(number) for number in numbers]
            if kind == "visit":
                self._hang_visit(self._viewer.session.visits[places[0]], role)
                return
            listed, row = self._listed[places[0]], places[1] - 1
            chosen = listed.choice.rows[row]
        except (IndexError, ValueError) as error:
            raise InputError("This scan is no longer in the list. List the folder again.") from error
        if chosen.problem:
            raise InputError(f"{chosen.title} cannot be shown: {chosen.problem}")
        self._files.open_series(listed.choice, chosen, role)

    def _hang_visit(self, scan: slicer.vtkMRMLScalarVolumeNode, role: str) -> None:
        session = self._viewer.session
        shown = {BASELINE: session.baseline, FOLLOWUP: session.followup}
        other = FOLLOWUP if role == BASELINE else BASELINE
        if role not in shown or shown[role] is scan:
            return
        if shown[other] is scan:
            shown[other] = shown[role]  # the two swap places
        shown[role] = scan
        self._viewer.hang(lambda: session.set_scans(shown[BASELINE], shown[FOLLOWUP]))

    def _visit(self, number: int, scan: slicer.vtkMRMLScalarVolumeNode, label: str) -> dict[str, object]:
        session = self._viewer.session
        shown = {session.baseline: "shown on the left", session.followup: "shown on the right"}
        text = ScanText.of(scan, label)
        return {
            "number": number,
            "title": f"{number + 1}. {text.visit}",
            "details": " · ".join(filter(None, (text.date, text.series or text.file))),
            "shown": shown.get(scan, ""),
            "picture": self._picture_of(scan),
        }

    def _picture_of(self, scan: slicer.vtkMRMLScalarVolumeNode) -> str:
        key = stamp(scan)
        if key not in self._pictures:
            picture = png(volume_thumbnail(to_volume(scan)))
            self._pictures[key] = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
        return self._pictures[key]
