"""Messages on DICOM objects and archives, for both user interfaces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from oncotrack.findings.patient import Patient
from oncotrack.pacs.archive import SeriesEntry

if TYPE_CHECKING:
    from oncotrack.pacs.outbox import Sent
    from oncotrack.scene.files.archive_session import FoundStudy

NO_ARCHIVE = "No archive is set up: write archives.toml beside your settings (see docs/dicom.md)."
NO_STUDY = "No study matches."


def patient_text(found: FoundStudy) -> str:
    """Return the patient of a study, and whether results are stored with it."""
    stored = ", with stored results" if found.results else ""
    name = Patient(name=found.study.patient_name).shown_name
    return f"{name} ({found.study.patient_id}){stored}"


def series_text(series: SeriesEntry) -> str:
    """Return modality, description and number of images of a series."""
    images = f"{series.instances} images" if series.instances else ""
    return ", ".join(filter(None, (series.modality, series.description, images)))


def written_text(paths: Sequence[Path], left_out: Sequence[str]) -> str:
    """Return where DICOM objects were written to, and what was left out."""
    return " ".join([f"Wrote {len(paths)} DICOM files into {paths[0].parent}.", *left_out])


def read_text(count: int, source: str, problems: Sequence[str]) -> str:
    """Return how many findings were read, and what could not be."""
    return " ".join([f"{count} finding{'s' if count != 1 else ''} read from {source}.", *problems])


def sent_text(archive: str, result: Sent, left_out: Sequence[str]) -> str:
    """Return what was sent, what waits and why, and what was left out."""
    words = f"{result.sent} DICOM objects sent to {archive}."
    if result.waiting:
        words = f"{words} {result.waiting} wait in the outbox and are sent next time. {result.problem}"
    return " ".join([words, *left_out])
