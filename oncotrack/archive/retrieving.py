"""The series of an archive (PACS) that a query finds, retrieved into a tree that is then indexed like any other."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from oncotrack.archive.selection import Rules
from oncotrack.background.jobs import Progress, part_of, silent
from oncotrack.findings.names import file_stem
from oncotrack.pacs.archive import Archive, ArchiveError, Query, SeriesEntry, StudyEntry
from oncotrack.pacs.retrieve import retrieve_series


@dataclass(frozen=True)
class Retrieval:
    """What became of the series that a query found.

    Attributes
    ----------
    retrieved, known : int
        Number of series that were retrieved now, and before.
    left_out : Counter of str
        Number of the others by reason, a sentence.
    """

    retrieved: int
    known: int
    left_out: Counter[str]


def retrieve_archive(
    archive: Archive, query: Query, root: Path, rules: Rules, progress: Progress = silent
) -> Retrieval:
    """Retrieve the series that a query finds and the rules may choose; series that are in the folder already stay.

    A query knows the modality and mostly the number of images of a series; all other rules are applied to the files.

    Parameters
    ----------
    archive : Archive
        The archive.
    query : Query
        Which studies.
    root : Path
        Folder to retrieve into: one folder for each patient, study and series.
    rules : Rules
        How the series of a study is chosen.
    progress : Progress
        Called for each series; may cancel, which leaves complete series.

    Raises
    ------
    ArchiveError
        The archive does not answer the query.
    OutputError
        The folder cannot be written.
    """
    studies = archive.find_studies(query)
    left_out: Counter[str] = Counter()
    retrieved = known = 0
    for number, study in enumerate(studies):
        part = part_of(progress, number / len(studies), (number + 1) / len(studies))
        part(0.0, f"Study {number + 1} of {len(studies)}")
        for series in archive.find_series(study.uid):
            if reason := _exclusion(series, rules):
                left_out[reason] += 1
                continue
            folder = root / _folder(study) / _short(series.uid)
            if folder.is_dir() and any(folder.iterdir()):
                known += 1
                continue
            try:
                retrieve_series(archive, series, folder, part)
                retrieved += 1
            except ArchiveError as error:
                left_out[str(error)] += 1
    return Retrieval(retrieved, known, left_out)


def _exclusion(series: SeriesEntry, rules: Rules) -> str:
    """Return why a series is not retrieved, a sentence; "" when it is."""
    if series.modality != rules.modality:
        return f"It is of modality {series.modality or 'unknown'}, not {rules.modality}."
    if 0 < series.instances < rules.least_slices:
        return f"It has fewer than {rules.least_slices} images."
    return ""


def _folder(study: StudyEntry) -> Path:
    return Path(file_stem(study.patient_id or "unknown")[:40]) / f"{study.date or 'undated'}-{_short(study.uid)}"


def _short(uid: str) -> str:
    return blake2b(uid.encode(), digest_size=6).hexdigest()
