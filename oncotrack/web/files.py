"""Opening of scans, scenes and findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from oncotrack.background.jobs import Progress
from oncotrack.findings.finding_list import FindingList, read_findings
from oncotrack.images.volume import Volume
from oncotrack.scene.files.series_list import ScanSource, SeriesChoice, SeriesRow
from oncotrack.scene.files.series_tasks import reading_task
from oncotrack.scene.files.storage import open_task
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.nodes.volumes import add_volume, to_volume
from oncotrack.scene.views.fusion import pet_of
from oncotrack.web.access import Folders
from oncotrack.web.autosave import count_text
from oncotrack.web.display import Display
from oncotrack.web.questions import Question
from oncotrack.web.read_ahead import ReadAhead
from oncotrack.web.results import FINDINGS
from oncotrack.web.roles import BASELINE, FOLLOWUP
from oncotrack.web.saving import Saving
from oncotrack.web.scan_checks import ScanChecks
from oncotrack.web.scan_opener import ScanOpener

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer


class Files:
    """Opens for one viewer.

    Parameters
    ----------
    viewer : Viewer
    display : Display
    folders : Folders
        Where the page may open files from.
    reader : ReadAhead
        Reads scans.

    Attributes
    ----------
    opener : ScanOpener
        Opens scans and asks which series.
    saving : Saving
        Saves results.
    openers : mapping of role to callable
        Opens what is neither scan nor scene, a PET and the mask of a tumour: called with the source, and with what to call when
        the file is no longer needed.
    """

    def __init__(self, viewer: Viewer, display: Display, folders: Folders, reader: ReadAhead) -> None:
        self._viewer, self._display, self._folders, self._results = viewer, display, folders, viewer.results
        self.opener = ScanOpener(viewer, reader)
        self.openers: dict[str, Callable[[ScanSource, Callable[[], object]], object]] = {}
        self._later: dict[str, ScanSource] = {}
        self._checks = ScanChecks(viewer)
        self.saving = Saving(viewer)
        viewer.state.update({"folders": [str(path) for path in folders.paths], "typed": ""})

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

    def open_patient(self, text: str, read: Callable[[Progress], dict[str, Volume]], findings: str) -> None:
        """Open another patient instead of what is open: scans by role, and their findings.

        Parameters
        ----------
        text : str
            What is done, for the progress bar.
        read : callable
            Reads the scans on the worker thread.
        findings : str
            JSON of a list of findings.
        """

        def show(volumes: dict[str, Volume]) -> None:
            self._viewer.session.scene.Clear(0)
            self._check_and_show(volumes, lambda: None, findings)

        self._viewer.submit(Task(text, read, show))

    def _open_scans(self, sources: dict[str, ScanSource], finished: Callable[[], None] = lambda: None) -> None:
        self.opener.open(sources, lambda volumes: self._check_and_show(volumes, finished), finished)

    def _check_and_show(self, volumes: dict[str, Volume], finished: Callable[[], None], findings: str = "") -> None:
        def show() -> None:
            with self._viewer.views.blocked():
                self._show(volumes, findings)
            finished()

        self._checks.before_showing(volumes, show, finished)

    def _show(self, volumes: dict[str, Volume], findings: str) -> None:
        session = self._viewer.session
        scene, before = session.scene, {BASELINE: session.baseline, FOLLOWUP: session.followup}
        after = {**before, **{role: add_volume(scene, volume) for role, volume in volumes.items()}}
        for volume in volumes.values():
            self._viewer.record.opened_scan(volume)
        session.set_scans(after.pop(BASELINE), after.pop(FOLLOWUP))
        if after:
            session.set_visits([*session.visits, *after.values()])
        session.questions.forget_others()
        if findings:
            session.findings.load_json(findings, FINDINGS)
            session.findings.mark_saved()
        for old in before.values():
            if old is not None and old not in session.visits:
                for node in filter(None, (pet_of(old), old)):
                    scene.RemoveNode(node)
        self._start()
        self._viewer.refresh()
        if news := self._results.news():
            self._viewer.show_message(news, "error")
        self._open_later()

    def _open_later(self) -> None:
        """Open what was given together with the first scan, beside it."""
        later, self._later = self._later, {}
        for role, source in later.items():
            self.openers[role](source, lambda: None)

    def _start(self, *, is_saved: bool = False) -> None:
        session = self._viewer.session
        if (first := session.baseline or session.followup) is not None:
            self._results.choose_for(to_volume(first))
            self._viewer.state.saved = list(self._results.saved)
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
        self._offer_earlier()
        if session.baseline and session.followup and session.registration is None:
            self._viewer.register(when_drawn=True)

    def _offer_earlier(self) -> None:
        """Ask whether to open what an earlier session saved of these scans, unless there are findings already."""
        session, results = self._viewer.session, self._results
        text, when = results.earlier_findings()
        if not text or len(session.findings) or results.autosave.is_offered:
            return
        earlier = FindingList.from_json(text)
        if not earlier.used_time_points or session.unmatched_time_points(earlier):
            return

        def open_them(_words: str) -> None:
            self.replace_findings(text, FINDINGS)
            session.findings.mark_saved()
            self._viewer.refresh()

        self._viewer.questions.ask(
            Question(
                "Earlier findings",
                f"An earlier session saved {count_text(earlier)} of these scans on {when}. Without them, this session "
                "starts with an empty list, and keeps their file under another name when it saves.",
                "Open them",
                "Start without them",
                open_them,
            )
        )

    def _close(self) -> None:
        """Close the scene whose scans are not of one patient."""
        self._viewer.session.scene.Clear(0)
        self._viewer.refresh()

    def _open_scene(self, path: Path, finished: Callable[[], None]) -> None:
        self._viewer.record.file("opened", path)
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
            news = self._results.news()
            said = " ".join(filter(None, (f"Opened {path.name}.", notice, news)))
            self._viewer.show_message(said, "error" if news else "info")

        def unpacked(description: Path) -> None:
            self._viewer.announce("Showing the scene", lambda: show(description))

        # reading a scene blocks the event loop, so a message is shown first
        self._viewer.submit(Task(task.text, task.work, lambda description: description, abandon), unpacked)

    def _open_findings(self, path: Path) -> None:
        session = self._viewer.session
        self._viewer.record.file("opened", path)
        self.replace_findings(read_findings(path), path.name)
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
        if text := self._results.autosave.restore():
            self.replace_findings(text, "The autosave")
        self._viewer.refresh()

    def discard_autosave(self) -> None:
        """Discard the findings that an earlier session did not save; the file is kept as a backup under another name."""
        self._results.autosave.discard()
        self._viewer.refresh()
