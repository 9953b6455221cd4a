"""The scans of a report in words: visit, date, series, patient, and the reader's answers to questions about them."""

from __future__ import annotations

from collections.abc import Sequence

from oncotrack.findings.dates import day_text
from oncotrack.findings.note import Note
from oncotrack.findings.patient import Patient, agreement_text, difference_text
from oncotrack.images.volume import Volume, notices


def scans_text(scans: Sequence[tuple[str, Volume]], notes: Sequence[Note] = ()) -> str:
    """Return one line per scan, then what is known of the patient, then the notes.

    Parameters
    ----------
    scans : sequence of (str, Volume)
        The scans by their names, in the reader's order.
    notes : sequence of Note
        Of the list of findings.
    """
    patients = [(label, Patient.of(volume.metadata)) for label, volume in scans]
    lines = [_line(label, volume, who) for (label, volume), (_label, who) in zip(scans, patients, strict=True)]
    if len(scans) > 1:
        lines.append(difference_text(patients) or agreement_text(patients))
    return "\n".join([*lines, *(note.text for note in notes)])


def _line(label: str, volume: Volume, who: Patient) -> str:
    about = volume.metadata
    date, series = day_text(about.get("date", "")) or "no date", about.get("description")
    parts = (volume.name, date, series, who.text, *notices(about))
    return f"{label[:1].upper()}{label[1:]}: {'; '.join(part for part in parts if part)}"
