"""Opening and saving of scans, scenes and findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from oncotrack.atomic import write_text
from oncotrack.background.jobs import Progress
from oncotrack.errors import InputError
from oncotrack.findings import measurement_table
from oncotrack.findings.finding import Finding
from oncotrack.findings.finding_list import FindingList
from oncotrack.images.volume import Volume
from oncotrack.scene.files.series_list import ScanSource, SeriesChoice, SeriesRow
from oncotrack.scene.files.series_tasks import reading_task
from oncotrack.scene.files.storage import open_task, save_task
from oncotrack.scene.nodes.table import to_csv
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.nodes.volumes import add_volume, to_volume
from oncotrack.scene.views.fusion import pet_of
from oncotrack.web.access import Folders
from oncotrack.web.display import Display
from oncotrack.web.questions import Question
from oncotrack.web.read_ahead import ReadAhead
from oncotrack.web.roles import BASELINE, FOLLOWUP
from oncotrack.web.scan_checks import ScanChecks
from oncotrack.web.scan_opener import ScanOpener

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer


class Files:
    """Opens and saves for one viewer.

    Parameters
    ----------
    viewer : Viewer
        Its state gets `saved`: names of the results written, newest last.
    display : Display
    folders : Folders
        Where the page may open files from.
    out : Path
        Where results are written.
    reader : ReadAhead
        Reads scans.

    Attributes
    ----------
    opener : ScanOpener
        Opens scans and asks which series.
    openers : mapping of role to callable
        Opens what is neither scan nor scene, a PET and the mask of a tumour: called with the source, and with what to call when
        the file is no longer needed.
    """

    def __init__(self, viewer: Viewer, display: Display, folders: Folders, out: Path, reader: ReadAhead) -> None:
        self._viewer, self._display, self._folders, self.out = viewer, display, folders, out
        self.opener = ScanOpener(viewer, reader)
        self.openers: dict[str, Callable[[ScanSource, Callable[[], object]], object]] = {}
        self._later: dict[str, ScanSource] = {}
        self._checks = ScanChecks(viewer)
        viewer.state.update({"saved": [], "folders": [str(path) for path in folders.paths], "typed": ""})

    # open

    def open_first(self, given: Mapping[str, ScanSource]) -> None:
        """Open what the viewer was started with, by role; a role that begins with `VISIT` is an additional visit."""
        scans = {role: source for role, source in given.items() if role not in self.openers}
        self._later = {role: source for role, source in given.items() if role in self.openers}
        if BASELINE in scans and scans[BASELINE].path.suffix.lower() == ".mrb":
            self.open_path(scans.pop(BASELINE).path, BASELINE)
        elif scans:
            self._open_scans(scans)

    def open_typed(self, typed: str, role: str) -> None:
        """Open a path that a reader typed, if it is in the folders given at start."""
        self.open_path(self.allowed(typed), role)

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders and files given at start."""
        return self._folders.paths

    def allowed(self, typed: str) -> Path:
        """Return the path that a reader typed.

        Raises
        ------
        InputError
            It is outside the folders given at start.
        """
        return self._folders.check(typed)

    def open_path(
        self, path: Path, role: str, *, is_sure: bool = False, finished: Callable[[], None] = lambda: None
    ) -> None:
        """Open a scene (.mrb), findings (.json) or a scan.

        Parameters
        ----------
        path : Path
            The file, a DICOM folder, a DICOMDIR or a zip archive.
        role : str
            Of a scan: "baseline", "followup" or, for an additional one, "visit".
        is_sure : bool
            Replace unsaved findings by those of a scene without asking the reader.
        finished : callable
            Called when the file is no longer needed.
        """
        if role in self.openers:
            self.openers[role](ScanSource(path), finished)
            return
        suffix = path.suffix.lower()
        if suffix not in (".mrb", ".json"):
            self._open_scans({role: ScanSource(path)}, finished)
            return
        if suffix == ".mrb" and self._viewer.state.unsaved and not is_sure:
            self._viewer.questions.ask(
                Question(
                    "Unsaved findings",
                    "There are unsaved findings. Opening a scene replaces them.",
                    "Open and replace",
                    "Keep findings",
                    lambda _words: self.open_path(path, role, is_sure=True, finished=finished),
                    finished,
                )
            )
            return
        if suffix == ".mrb":
            self._open_scene(path, finished)
            return
        try:
            self._open_findings(path)
        finally:
            finished()

    def open_series(self, choice: SeriesChoice, row: SeriesRow, role: str) -> None:
        """Open a series of a list in a role."""
        if role in self.openers:
            self.openers[role](ScanSource(choice.source.path, row.key), lambda: None)
            return
        self._viewer.submit(
            reading_task(choice, row, lambda volume: self._check_and_show({role: volume}, lambda: None))
        )

    def open_folders(self, folders: Mapping[str, Path], finished: Callable[[], None]) -> None:
        """Open DICOM folders by role; `finished` is called when they are shown, or when the reader decided not to."""
        self._open_scans({role: ScanSource(folder) for role, folder in folders.items()}, finished)

    def _open_scans(self, sources: dict[str, ScanSource], finished: Callable[[], None] = lambda: None) -> None:
        self.opener.open(sources, lambda volumes: self._check_and_show(volumes, finished), finished)

    def _check_and_show(self, volumes: dict[str, Volume], finished: Callable[[], None]) -> None:
        def show() -> None:
            with self._viewer.views.blocked():
                self._show(volumes)
            finished()

        self._checks.before_showing(volumes, show, finished)

    def _show(self, volumes: dict[str, Volume]) -> None:
        session = self._viewer.session
        scene, before = session.scene, {BASELINE: session.baseline, FOLLOWUP: session.followup}
        after = {**before, **{role: add_volume(scene, volume) for role, volume in volumes.items()}}
        session.set_scans(after.pop(BASELINE), after.pop(FOLLOWUP))
        if after:
            session.set_visits([*session.visits, *after.values()])
        session.questions.forget_others()
        for old in before.values():
            if old is not None and old not in session.visits:
                for node in filter(None, (pet_of(old), old)):
                    scene.RemoveNode(node)
        self._start()
        self._viewer.refresh()
        self._open_later()

    def _open_later(self) -> None:
        """Open what was given together with the first scan, beside it."""
        later, self._later = self._later, {}
        for role, source in later.items():
            self.openers[role](source, lambda: None)

    def _start(self, *, is_saved: bool = False) -> None:
        session = self._viewer.session
        session.overlays.show_scans()
        self._viewer.views.fit()
        self._display.start(is_saved=is_saved)
        if session.current:
            session.go_to()
        self._check()

    def _check(self) -> None:
        """Ask what must be asked about the scans, then register them."""
        session = self._viewer.session
        if self._checks.after_showing(self._close, lambda: self._start(is_saved=True)):
            return
        if session.baseline and session.followup and session.registration is None:
            self._viewer.register(when_drawn=True)

    def _close(self) -> None:
        """Close the scene whose scans are not of one patient."""
        self._viewer.session.scene.Clear(0)
        self._viewer.refresh()

    def _open_scene(self, path: Path, finished: Callable[[], None]) -> None:
        task = open_task(self._viewer.session.scene, path)

        def abandon() -> None:
            task.abandon()
            finished()

        def show(unpacked: Path) -> None:
            finished()
            notice = task.apply(unpacked)
            self._start(is_saved=True)
            if (problem := self._viewer.session.problem) is not None:
                raise problem
            self._viewer.show_message(f"Opened {path.name}. {notice}".rstrip())

        def unpacked(description: Path) -> None:
            self._viewer.announce("Showing the scene", lambda: show(description))

        # reading a scene blocks the event loop, so a message is shown first
        self._viewer.submit(Task(task.text, task.work, lambda description: description, abandon), unpacked)

    def _open_findings(self, path: Path) -> None:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path.name} could not be read as a findings file. Choose a findings.json.") from error
        session = self._viewer.session
        self.replace_findings(text, path.name)
        if others := session.unmatched_time_points(session.findings):
            names = " and ".join(time_point.image or time_point.label for time_point in others)
            self._viewer.show_message(
                f"The findings of {path.name} were made on other scans ({names}); undo restores the previous list.",
                "error",
            )

    def replace_findings(self, text: str, source: str) -> None:
        """Replace the list of findings, as one step of undo."""
        session = self._viewer.session
        session.findings.load_json(text, source)
        session.overlays.show_scans()
        if session.current:
            session.go_to()

    def restore_autosave(self) -> None:
        """Restore the findings that an earlier session did not save."""
        if text := self._viewer.autosave.restore():
            self.replace_findings(text, "The autosave")
        self._viewer.refresh()

    def discard_autosave(self) -> None:
        """Discard the findings that an earlier session did not save; the file is kept as a backup under another name."""
        self._viewer.autosave.discard()
        self._viewer.refresh()

    # save

    def save_findings(self) -> None:
        """Write findings.json and findings.csv into the output folder, and measurements.csv if something was measured."""
        findings = self._viewer.session.findings
        findings.save(self.out / "findings.json")
        write_text(self.out / "findings.csv", to_csv(findings))
        names = ["findings.json", "findings.csv"]
        if findings.measurements:
            text = measurement_table.to_csv(findings.measurements, findings.time_points)
            write_text(self.out / "measurements.csv", text)
            names.append("measurements.csv")
        findings.mark_saved()
        self.show_saved(*names)

    def save_scene(self) -> None:
        """Write scene.mrb, with images and marks as they are now, into the output folder."""
        session = self._viewer.session

        def write() -> None:
            findings, written = session.findings, session.findings.findings
            self._viewer.submit(
                save_task(session.scene, self.out / "scene.mrb"), lambda path: saved(path, findings, written)
            )

        def saved(path: Path, findings: FindingList, written: tuple[Finding, ...]) -> None:
            if (
                session.findings is findings and findings.findings is written
            ):  # otherwise there are newer, unsaved edits
                findings.mark_saved()
            self.show_saved(path.name)

        self._viewer.announce("Saving the scene", write)

    def save_report(self) -> None:
        """Write report.html into the output folder."""
        from oncotrack.report import write_report, write_visits_report

        session, target = self._viewer.session, self.out / "report.html"
        if len(session.visits) < 2:
            raise InputError("A report compares two scans. Open a baseline and a follow-up first.")
        volumes = [to_volume(each) for each in session.visits]
        known = session.findings
        findings = FindingList(session.time_points, known.findings, known.notes, known.measurements)
        registration = session.registration

        def work(progress: Progress) -> Path:
            from oncotrack.followup.tracker import ScanPair

            progress(0.1, "Drawing the pictures")
            if len(volumes) > 2:
                write_visits_report(target, volumes, findings)
            else:
                write_report(target, ScanPair(*volumes, registration), findings)
            return target

        self._viewer.submit(Task("Writing the report", work, lambda path: self.show_saved(path.name)))

    def show_saved(self, *names: str) -> None:
        """Show that these results were written to the output folder, and offer them for download."""
        state = self._viewer.state
        state.saved = [name for name in state.saved if name not in names] + list(names)
        self._viewer.refresh()
        self._viewer.show_message(f"Saved {' and '.join(names)} in {self.out}.")
