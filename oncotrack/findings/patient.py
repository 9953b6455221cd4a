"""Whose scan it is: the patient's identity in the files, compared when scans are put together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from oncotrack.findings.dates import day_text

_FIELDS = {"id": "patient ID", "name": "name", "birth_date": "birth date", "sex": "sex"}
UNKNOWN = "no patient data"
"""Text for a scan whose file has neither name, ID nor birth date."""


@dataclass(frozen=True)
class Patient:
    """The patient as a scan's file gives them; "" for what it does not give.

    Attributes
    ----------
    id : str
        DICOM Patient ID.
    name : str
        DICOM Patient's Name, "DOE^JANE".
    birth_date : str
        YYYYMMDD.
    sex : str
        "F", "M" or "O".
    """

    id: str = ""
    name: str = ""
    birth_date: str = ""
    sex: str = ""

    @classmethod
    def of(cls, metadata: Mapping[str, str]) -> Patient:
        """Return the patient of a scan.

        Parameters
        ----------
        metadata : mapping of str to str
            Of the scan's `Volume`.
        """
        keys = ("patient_id", "patient_name", "birth_date", "sex")
        return cls(*((metadata.get(key) or "").strip() for key in keys))

    @property
    def is_known(self) -> bool:
        """Whether the file gives a name, an ID or a birth date."""
        return bool(self.id or self.name or self.birth_date)

    @property
    def shown_name(self) -> str:
        """The name as it is written in text: "DOE, JANE"."""
        family, *others = [part.strip() for part in self.name.partition("=")[0].split("^")]
        return ", ".join(part for part in (family, " ".join(filter(None, others))) if part)

    @property
    def text(self) -> str:
        """Name, ID, birth date and sex on one line, or `UNKNOWN`."""
        if not self.is_known:
            return UNKNOWN
        parts = (
            self.shown_name,
            f"ID {self.id}" if self.id else "",
            f"born {day_text(self.birth_date)}" if self.birth_date else "",
            self.sex,
        )
        return ", ".join(part for part in parts if part)

    def differs_from(self, other: Patient) -> bool:
        """Return whether ID, name, birth date or sex, where both are known, are not the same.

        Parameters
        ----------
        other : Patient
            The patient of another scan.
        """
        return any(
            getattr(self, field) and getattr(other, field) and _key(self, field) != _key(other, field)
            for field in _FIELDS
        )


def differing(patients: Sequence[Patient]) -> list[tuple[Patient, Patient]]:
    """Return all pairs of patients that differ.

    Parameters
    ----------
    patients : sequence of Patient
        One per scan.
    """
    return [pair for pair in combinations(patients, 2) if pair[0].differs_from(pair[1])]


def difference_text(scans: Sequence[tuple[str, Patient]]) -> str:
    """Return a sentence that names what differs between the scans' patients; "" when nothing does.

    Parameters
    ----------
    scans : sequence of (str, Patient)
        The scans by their names in the sentence.
    """
    parts = []
    for field, words in _FIELDS.items():
        values: dict[str, tuple[str, list[str]]] = {}
        for scan, patient in scans:
            if getattr(patient, field):
                values.setdefault(_key(patient, field), (_shown(patient, field), []))[1].append(scan)
        if len(values) > 1:
            shown = " and ".join(f"{value} in {', '.join(where)}" for value, where in values.values())
            parts.append(f"the {words} is {shown}")
    return f"The scans may be of different patients: {'; '.join(parts)}." if parts else ""


def agreement_text(scans: Sequence[tuple[str, Patient]]) -> str:
    """Return a sentence on what agrees between scans whose patients do not differ, without personal data.

    Parameters
    ----------
    scans : sequence of (str, Patient)
        The scans by their names in the sentence.
    """
    unknown = [scan for scan, patient in scans if not patient.is_known]
    if unknown:
        have = "has" if len(unknown) == 1 else "have"
        return f"{' and '.join(unknown)} {have} {UNKNOWN}, so it was not checked that the scans belong to one patient."
    same = [words for field, words in _FIELDS.items() if all(getattr(patient, field) for _scan, patient in scans)]
    if not same:
        return "The files have no patient data in common, so it was not checked that the scans belong to one patient."
    words = f"{', '.join(same[:-1])} and {same[-1]} agree" if len(same) > 1 else f"{same[0]} agrees"
    return f"The {words}."


def _shown(patient: Patient, field: str) -> str:
    value = getattr(patient, field)
    return {"name": patient.shown_name, "birth_date": day_text(value)}.get(field, value) or value


def _key(patient: Patient, field: str) -> str:
    """Return a value without what two systems may write in two ways: case, separators, empty name components."""
    value = getattr(patient, field).casefold()
    if field == "name":
        return " ".join(re.findall(r"[^\s^,]+", value.partition("=")[0]))
    return re.sub(r"[.\-]", "", value) if field == "birth_date" else value.strip()
