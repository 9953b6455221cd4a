"""Saving of findings, scenes and reports into the folder of results."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from oncotrack.atomic import folder_beside, replacing, write_text
from oncotrack.background.jobs import Progress
from oncotrack.errors import InputError
from oncotrack.findings import measurement_table
from oncotrack.findings.finding import Finding
from oncotrack.findings.finding_list import FindingList
from oncotrack.scene.files.storage import save_task
from oncotrack.scene.nodes.table import to_csv
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.nodes.volumes import to_volume
from oncotrack.web.results import FINDINGS

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer


class Saving:
    """Saves for one viewer, into its `results`.

    Parameters
    ----------
    viewer : Viewer
        Its state gets `saved`: names of the results written, newest last.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer, self._results = viewer, viewer.results
        viewer.state.saved = []

    def save_findings(self) -> None:
        """Write findings.json and findings.csv into the output folder, and measurements.csv if something was measured."""
        findings, folder = self._viewer.session.findings, self._results.folder
        paths = [findings.save(folder / FINDINGS), write_text(folder / "findings.csv", to_csv(findings))]
        if findings.measurements:
            text = measurement_table.to_csv(findings.measurements, findings.time_points)
            paths.append(write_text(folder / "measurements.csv", text))
        findings.mark_saved()
        self.show(*paths)

    def save_scene(self) -> None:
        """Write scene.mrb, with images and marks as they are now, into the output folder."""
        session = self._viewer.session

        def write() -> None:
            findings, written = session.findings, session.findings.findings
            self._viewer.submit(
                save_task(session.scene, self._results.folder / "scene.mrb"),
                lambda path: saved(path, findings, written),
            )

        def saved(path: Path, findings: FindingList, written: tuple[Finding, ...]) -> None:
            if (
                session.findings is findings and findings.findings is written
            ):  # otherwise there are newer, unsaved edits
                findings.mark_saved()
            self.show(path)

        self._viewer.announce("Saving the scene", write)

    def save_report(self) -> None:
        """Write report.html into the output folder."""
        from oncotrack.report import write_report, write_visits_report

        session, target = self._viewer.session, self._results.folder / "report.html"
        if len(session.visits) < 2:
            raise InputError("A report compares two scans. Open a baseline and a follow-up first.")
        folder = folder_beside(target)
        drawn = folder / target.name
        volumes = [to_volume(each) for each in session.visits]
        known = session.findings
        findings = FindingList(session.time_points, known.findings, known.notes, known.measurements)
        registration = session.registration

        def work(progress: Progress) -> Path:
            from oncotrack.followup.tracker import ScanPair

            progress(0.1, "Drawing the pictures")
            if len(volumes) > 2:
                write_visits_report(drawn, volumes, findings)
            else:
                write_report(drawn, ScanPair(*volumes, registration), findings)
            progress(1.0, "")
            return drawn

        def abandon() -> None:
            shutil.rmtree(folder, ignore_errors=True)

        def apply(written: Path) -> Path:
            with replacing(target) as temporary:
                written.replace(temporary)
            abandon()
            return target

        self._viewer.submit(Task("Writing the report", work, apply, abandon), self.show)

    def show(self, *paths: Path) -> None:
        """Show that these results were written to the output folder, and offer them for download."""
        kept = self._results.add_saved(paths)
        for path in paths:
            self._viewer.record.file("saved", path)
        self._viewer.state.saved = list(self._results.saved)
        self._viewer.refresh()
        names = " and ".join(path.name for path in paths)
        self._viewer.show_message(" ".join([f"Saved {names} in {self._results.folder}.", *kept]))
