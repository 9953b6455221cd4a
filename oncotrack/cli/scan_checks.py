"""Checks of the scans that a command puts together: whose they are, and whether their dates contradict their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from oncotrack.cli.output import print_message
from oncotrack.errors import InputError
from oncotrack.findings.finding import TimePoint
from oncotrack.findings.note import Note, kept_order, order_question, patient_question, same_patient
from oncotrack.findings.patient import Patient, agreement_text
from oncotrack.findings.scans import visit_labels
from oncotrack.images.volume import Volume


@dataclass(frozen=True)
class CheckedScans:
    """The outcome: a sentence on the patient, without personal data, and the notes for the findings."""

    patient: str
    notes: tuple[Note, ...]


def check_scans(paths: Sequence[Path], volumes: Sequence[Volume], reason: str) -> CheckedScans:
    """Compare the patients, and print a message when the dates contradict the order, which is kept.

    Raises
    ------
    InputError
        The scans may be of different patients and there is no reason why they are of one.
    """
    labels = visit_labels(len(volumes))
    scans = [(f"{path.name or path} ({label})", Patient.of(volume.metadata))
             for path, label, volume in zip(paths, labels, volumes, strict=True)]  # fmt: skip
    notes: list[Note] = []
    patient = agreement_text(scans)
    if question := patient_question(scans):
        if not reason:
            raise InputError(
                f"{question} Choose other scans, or give the reason why they belong to one patient.",
                parameter="same_patient",
            )
        notes.append(same_patient(scans, reason))
        patient = f"The files name different patients. Reason to read them as one: {reason.strip()}"
    visits = [TimePoint(f"t{n}", label, date=volume.metadata.get("date", ""))
              for n, (label, volume) in enumerate(zip(labels, volumes, strict=True))]  # fmt: skip
    if sentence := order_question(visits):
        print_message(f"{sentence} The order of the arguments is kept.")
        note = kept_order(visits, "The order of the arguments is kept.")
        notes.append(replace(note, provenance=replace(note.provenance, reader="command line")))
    return CheckedScans(patient, tuple(notes))
