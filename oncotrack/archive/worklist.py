"""The worklist of an archive's results: its patients filtered and sorted, and which of them a reader has read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from oncotrack.archive.cases import Case
from oncotrack.archive.patient_folder import FINDINGS, PATIENTS, read_case
from oncotrack.archive.tables import read_table
from oncotrack.atomic import write_text
from oncotrack.errors import InputError

_READ, _READING = "read.json", "reading"


@dataclass(frozen=True)
class Row:
    """A patient of the worklist.

    Attributes
    ----------
    patient, folder : str
        The patient, and the name of the folder of the results.
    visits, findings, new_findings : int
        Numbers of visits, of findings and of those that may be new.
    last_date : str
        Date of the last scan, YYYYMMDD.
    response : str
        Response at the last visit; "" for none.
    change_percent : float or None
        Best change of the sum of diameters.
    has_progression, is_read : bool
        Whether there is progression, and whether a reader has read these results.
    """

    patient: str
    folder: str
    visits: int
    findings: int
    new_findings: int
    last_date: str
    response: str
    change_percent: float | None
    has_progression: bool
    is_read: bool


FILTERS: dict[str, tuple[str, Callable[[Row], bool]]] = {
    "all": ("All", lambda _row: True),
    "unread": ("Not read yet", lambda row: not row.is_read),
    "new": ("Possibly new", lambda row: row.new_findings > 0),
    "progression": ("Progression", lambda row: row.has_progression),
}
"""Titles and conditions of the filters."""
ORDERS: dict[str, tuple[str, Callable[[Row], Any]]] = {
    "patient": ("Patient", lambda row: row.patient),
    "new": ("Most new findings", lambda row: (-row.new_findings, row.patient)),
    "change": ("Largest increase", lambda row: (row.change_percent is None, -(row.change_percent or 0), row.patient)),
    "date": ("Latest scan", lambda row: (-int(row.last_date or 0), row.patient)),
}
"""Titles and keys of the orders."""
_COLUMNS = ["patient", "folder", "visits", "findings", "new_findings", "last_date", "last_response",
            "best_change_percent", "progression", "key"]  # fmt: skip


class Worklist:
    """The patients of an archive's results.

    Parameters
    ----------
    folder : Path
        The results, from `oncotrack.archive.run.run_archive`.

    Raises
    ------
    InputError
        The folder holds no results.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "patients.parquet").is_file():
            raise InputError(
                f"{folder} holds no results of an archive. Give the folder that oncotrack archive run wrote into."
            )
        listed = read_table(folder, "patients", _COLUMNS)
        self._keys = {row["folder"]: row["key"] for row in listed}
        self._rows = {row["folder"]: self._row(row) for row in listed}

    def select(self, chosen: str = "all", order: str = "patient", words: str = "") -> list[Row]:
        """Return patients, filtered and sorted.

        Parameters
        ----------
        chosen, order : str
            Keys of `FILTERS` and `ORDERS`.
        words : str
            Only patients whose name contains this, in any case.
        """
        condition, key = FILTERS[chosen][1], ORDERS[order][1]
        wanted = words.strip().casefold()
        return sorted(
            (row for row in self._rows.values() if condition(row) and wanted in row.patient.casefold()), key=key
        )

    def row(self, folder: str) -> Row:
        """Return a patient.

        Parameters
        ----------
        folder : str
            Name of the folder of the patient's results.

        Raises
        ------
        InputError
            There is no such patient.
        """
        if folder not in self._rows:
            raise InputError("This patient is not in the worklist.")
        return self._rows[folder]

    def case(self, folder: str) -> Case:
        """Return which scans a patient has.

        Parameters
        ----------
        folder : str
            As for `row`.

        Raises
        ------
        InputError
            There is no such patient, or the list of the scans is damaged.
        """
        return read_case(self._place(self.row(folder).folder))

    def findings(self, folder: str) -> Path:
        """Return the findings of a patient: those that a reader saved, else those of the run.

        Parameters
        ----------
        folder : str
            As for `row`.
        """
        saved = self.reading(folder) / FINDINGS
        return saved if saved.is_file() else self._place(folder) / FINDINGS

    def reading(self, folder: str) -> Path:
        """Return the folder in which a reader's findings of a patient are saved; a run never writes there.

        Parameters
        ----------
        folder : str
            As for `row`.
        """
        return self._place(self.row(folder).folder) / _READING

    def mark(self, folder: str, is_read: bool) -> None:
        """Keep on disk whether a reader has read a patient's results; results that are computed again are unread.

        Parameters
        ----------
        folder : str
            As for `row`.
        is_read : bool
            Whether they are read.

        Raises
        ------
        OutputError
            The folder cannot be written.
        """
        row, path = self.row(folder), self._place(folder) / _READ
        if is_read:
            when = datetime.now(timezone.utc).isoformat(timespec="seconds")
            write_text(path, json.dumps({"key": self._keys[folder], "when": when}))
        else:
            path.unlink(missing_ok=True)
        self._rows[folder] = Row(**{**vars(row), "is_read": is_read})

    def _place(self, folder: str) -> Path:
        return self.folder / PATIENTS / folder

    def _row(self, known: dict[str, Any]) -> Row:
        return Row(
            known["patient"],
            known["folder"],
            known["visits"],
            known["findings"],
            known["new_findings"],
            known["last_date"],
            known["last_response"],
            known["best_change_percent"],
            known["progression"],
            self._is_read(known["folder"]),
        )

    def _is_read(self, folder: str) -> bool:
        try:
            return json.loads((self._place(folder) / _READ).read_text(encoding="utf-8"))["key"] == self._keys[folder]
        except (OSError, ValueError, KeyError, TypeError):
            return False
