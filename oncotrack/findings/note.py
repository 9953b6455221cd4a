"""Questions about the choice of scans, and the reader's answers, which are kept with the findings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import combinations, pairwise

from oncotrack.errors import InputError
from oncotrack.findings.dates import day_text, parse_day
from oncotrack.findings.finding import Provenance, TimePoint
from oncotrack.findings.patient import Patient, difference_text, differing

_LEAST_LETTERS = 3


class Subject(str, Enum):
    """What a note is about."""

    PATIENT = "patient"
    ORDER = "order"
    REGISTRATION = "registration"


@dataclass(frozen=True, kw_only=True)
class Note:
    """A question about the scans that was answered, or what a program found about them.

    Attributes
    ----------
    subject : Subject
        What it is about.
    question : str
        The sentence that the reader saw.
    answer : str
        The reader's words; "" where no reader was asked.
    patients : tuple of Patient
        Patients that the reader declared to be one.
    dates : tuple of str
        Dates of the scans, in the order that the reader confirmed.
    provenance : Provenance
        Who answered, and when.
    """

    subject: Subject
    question: str
    answer: str
    patients: tuple[Patient, ...] = ()
    dates: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=lambda: Provenance(reader="reader"))

    @property
    def text(self) -> str:
        """Question, answer, and who answered when, for reports."""
        if not self.answer:
            return self.question
        who, when = self.provenance.reader or "unknown", self.provenance.when.replace("T", " ")[:16]
        return f'{self.question} Answer ({who}, {when} UTC): "{self.answer}"'


def patient_question(scans: Sequence[tuple[str, Patient]], notes: Sequence[Note] = ()) -> str:
    """Return what must be asked before scans are read together: a sentence, or "" when nothing differs or it was answered.

    Parameters
    ----------
    scans : sequence of (str, Patient)
        The scans by their names in the sentence.
    notes : sequence of Note
        Earlier answers.
    """
    confirmed = [
        pair for note in notes if note.subject is Subject.PATIENT for pair in combinations(set(note.patients), 2)
    ]
    is_open = any(
        not any({one, other} == set(known) for known in confirmed)
        for one, other in differing([patient for _scan, patient in scans])
    )
    return difference_text(scans) if is_open else ""


def same_patient(scans: Sequence[tuple[str, Patient]], reason: str) -> Note:
    """Return the note that the scans belong to one patient although their files differ.

    Parameters
    ----------
    scans : sequence of (str, Patient)
        As in `patient_question`.
    reason : str
        The reader's words.

    Raises
    ------
    InputError
        The reason has no words.
    """
    if len(re.findall(r"[^\W\d_]", reason)) < _LEAST_LETTERS:
        raise InputError(
            "A reason in words is needed, for example: the name changed by marriage. "
            "Write why these scans belong to one patient."
        )
    patients = tuple(dict.fromkeys(patient for _scan, patient in scans))
    return Note(subject=Subject.PATIENT, question=difference_text(scans), answer=reason.strip(), patients=patients)


def order_question(visits: Sequence[TimePoint], notes: Sequence[Note] = ()) -> str:
    """Return a sentence when a scan is dated later than the next one; "" when no scan is, or the reader confirmed the order.

    Scans without a date, or with one that is no day of the calendar, are left out.

    Parameters
    ----------
    visits : sequence of TimePoint
        In the reader's order.
    notes : sequence of Note
        Earlier answers.
    """
    confirmed = {pair for note in notes if note.subject is Subject.ORDER for pair in combinations(note.dates, 2)}
    dated = [(visit, day) for visit in visits if (day := parse_day(visit.date))]
    for (earlier, first), (later, second) in pairwise(dated):
        if first > second and (earlier.date, later.date) not in confirmed:
            return (
                f"The scan opened as {earlier.label} is dated later ({day_text(earlier.date)}) than the one opened as "
                f"{later.label} ({day_text(later.date)})."
            )
    return ""


def not_compared(earlier: TimePoint, later: TimePoint, problem: str) -> Note:
    """Return the note that two scans were not compared with each other.

    Parameters
    ----------
    earlier, later : TimePoint
        The scans.
    problem : str
        Why, a sentence.
    """
    text = f"{earlier.label[:1].upper()}{earlier.label[1:]} and {later.label} were not compared. {problem}"
    dates = tuple(filter(None, (earlier.date, later.date)))
    return Note(subject=Subject.REGISTRATION, question=text, answer="", dates=dates, provenance=Provenance())


def kept_order(visits: Sequence[TimePoint], answer: str = "The order is right.") -> Note:
    """Return the note that the order of the visits is right although their dates contradict it.

    Parameters
    ----------
    visits : sequence of TimePoint
        In the reader's order.
    answer : str
        The reader's words.
    """
    dates = tuple(visit.date for visit in visits)
    return Note(subject=Subject.ORDER, question=order_question(visits), answer=answer, dates=dates)


def order_by_date(visits: Sequence[TimePoint]) -> list[int]:
    """Return the numbers of the visits (from 0) in the order of their dates; those without a date keep their place.

    Parameters
    ----------
    visits : sequence of TimePoint
        In any order.
    """
    days = [parse_day(visit.date) for visit in visits]
    dated = [(day, number) for number, day in enumerate(days) if day]
    in_order = iter(sorted(dated))
    return [number if day is None else next(in_order)[1] for number, day in enumerate(days)]
