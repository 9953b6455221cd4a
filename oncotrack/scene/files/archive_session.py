"""A search in an archive (PACS), the choice of series for the visits, their retrieve, and the sending of results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from oncotrack.background.jobs import Progress, part_of
from oncotrack.errors import InputError
from oncotrack.findings.dates import day_text
from oncotrack.pacs.archive import Archive, Query, SeriesEntry, StudyEntry
from oncotrack.pacs.archives import choose, read_archives
from oncotrack.pacs.connect import connect
from oncotrack.pacs.outbox import Outbox, Sent
from oncotrack.pacs.retrieve import retrieve_series
from oncotrack.scene.nodes.tasks import Task

_MOST_STUDIES = 40
_RESULTS = ("SR", "SEG", "RTSTRUCT", "PR")


@dataclass(frozen=True)
class FoundStudy:
    """A study of the patient with its series; those of results are not listed for opening."""

    study: StudyEntry
    series: tuple[SeriesEntry, ...]

    @property
    def title(self) -> str:
        """Date, description and modalities."""
        return ", ".join(filter(None, (day_text(self.study.date), self.study.description, self.study.modalities)))

    @property
    def images(self) -> list[SeriesEntry]:
        """The series that can be opened."""
        return [each for each in self.series if each.modality not in _RESULTS]

    @property
    def results(self) -> list[SeriesEntry]:
        """The series of reports, segmentations, structure sets and presentation states."""
        return [each for each in self.series if each.modality in _RESULTS]


@dataclass(frozen=True)
class Retrieved:
    """Folders of the retrieved series by role, and the folders of the results that belong to their studies."""

    scans: Mapping[str, Path]
    results: Sequence[Path]


class ArchiveSession:
    """The search of one reader.

    Parameters
    ----------
    folder : Path
        Where series are retrieved to.
    outbox : Path, optional
        Folder of the outboxes; by default beside the reader's settings.

    Attributes
    ----------
    folder : Path
        As given; another one counts from the next `load_task` on.
    studies : list of FoundStudy
        What the last search found, newest first.
    roles : dict of str to str
        Series Instance UID of each role, "baseline", "followup" and "visit".
    """

    def __init__(self, folder: Path, outbox: Path | None = None) -> None:
        self.folder, self._outbox = folder, outbox
        self.studies: list[FoundStudy] = []
        self.roles: dict[str, str] = {}
        self._name = ""

    @staticmethod
    def names() -> list[str]:
        """Return the names of the archives in the settings; none where there is no settings file.

        Raises
        ------
        InputError
            The settings file is faulty.
        """
        from oncotrack.pacs.archives import archives_file

        return list(read_archives()) if archives_file().exists() else []

    def search_task(self, archive: str, patient: str, name: str, found: Callable[[], object]) -> Task:
        """Return the task that searches for a patient's studies and their series; then `found` is called.

        Parameters
        ----------
        archive : str
            Name of the archive.
        patient, name : str
            Patient ID, and name with * for anything.
        found : callable
            Called when `studies` holds the result.

        Raises
        ------
        InputError
            There is nothing to search for, or no such archive.
        """
        if not patient.strip() and not name.strip():
            raise InputError("Nothing to search for: type a patient ID or a name.")
        there = self._archive(archive)

        def work(progress: Progress) -> list[FoundStudy]:
            progress(0.0, "Asking for studies")
            studies = there.find_studies(Query(patient.strip(), name.strip()))[:_MOST_STUDIES]
            rows = []
            for number, study in enumerate(studies):
                progress((number + 1) / (len(studies) + 1), f"Study {number + 1} of {len(studies)}")
                rows.append(FoundStudy(study, tuple(there.find_series(study.uid))))
            return rows

        def apply(rows: list[FoundStudy]) -> object:
            self.studies, self.roles, self._name = rows, {}, archive
            return found()

        return Task(f"Searching {archive}", work, apply)

    def choose(self, series_uid: str, role: str) -> None:
        """Choose what a series is opened as; choosing it again undoes it.

        Parameters
        ----------
        series_uid : str
            A series of `studies`.
        role : str
            "baseline", "followup" or "visit".
        """
        was = self.roles.get(role)
        self.roles = {key: uid for key, uid in self.roles.items() if key != role and uid != series_uid}
        if was != series_uid:
            self.roles[role] = series_uid

    def load_task(self, loaded: Callable[[Retrieved], object]) -> Task:
        """Return the task that retrieves the chosen series and the results of their studies.

        Parameters
        ----------
        loaded : callable
            Called with the folders.

        Raises
        ------
        InputError
            No series is chosen, or the series are of different patients.
        """
        by_uid = {each.uid: (each, found) for found in self.studies for each in found.series}
        chosen = {role: by_uid[uid] for role, uid in self.roles.items() if uid in by_uid}
        if not chosen:
            raise InputError("No series is chosen. Choose a baseline, and follow-ups.")
        if len({found.study.patient_id for _, found in chosen.values()}) > 1:
            raise InputError("The chosen series belong to different patients. Choose series of one patient.")
        results = _once(each for _, found in chosen.values() for each in found.results)
        there, target = self._archive(self._name), self.folder
        wanted: list[tuple[str, SeriesEntry]] = [(role, each) for role, (each, _) in chosen.items()]
        wanted += [("", each) for each in results]

        def work(progress: Progress) -> Retrieved:
            scans: dict[str, Path] = {}
            others: list[Path] = []
            weights = [max(each.instances, 1) for _, each in wanted]
            for number, (role, each) in enumerate(wanted):
                start, stop = (sum(weights[: number + k]) / sum(weights) for k in (0, 1))
                folder = retrieve_series(there, each, target, part_of(progress, start, stop))
                if role:
                    scans[role] = folder
                else:
                    others.append(folder)
            return Retrieved(scans, others)

        return Task("Retrieving", work, loaded)

    def send_task(self, archive: str, files: Sequence[Path], sent: Callable[[Sent], object]) -> Task:
        """Return the task that sends files through the outbox; what the archive does not take stays there.

        Parameters
        ----------
        archive : str
            Name of the archive.
        files : sequence of Path
            DICOM files.
        sent : callable
            Called with the result.
        """
        there, outbox = self._archive(archive), Outbox(archive, self._outbox)

        def work(progress: Progress) -> Sent:
            outbox.add(files)
            return outbox.send(there, progress)

        return Task(f"Sending to {archive}", work, sent)

    @staticmethod
    def _archive(name: str) -> Archive:
        return connect(*choose(read_archives(), name))


def _once(series: Iterable[SeriesEntry]) -> list[SeriesEntry]:
    return list({each.uid: each for each in series}.values())
