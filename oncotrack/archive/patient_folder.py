"""The results of one patient on disk: one file for each stage, named by its key, and findings.json."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from oncotrack.archive.cases import Case, Scan
from oncotrack.archive.plan import Keys
from oncotrack.atomic import write_text
from oncotrack.errors import InputError
from oncotrack.findings.finding_list import FindingList

PATIENTS = "patients"
FINDINGS = "findings.json"
DICOM = "dicom"
_ROWS, _FAILURE, _STAGES, _SCANS = "rows.json", "failure.json", "stages", "scans.json"


class PatientFolder:
    """The folder of a patient among the results of an archive.

    A stage's result exists if and only if the file named by its key does, because every file is written atomically.

    Parameters
    ----------
    out : Path
        The results of the archive.
    case : Case
        The patient.
    """

    def __init__(self, out: Path, case: Case) -> None:
        self._case = case
        self.path = out / PATIENTS / case.folder
        self.findings = self.path / FINDINGS
        self.dicom = self.path / DICOM

    def is_done(self, keys: Keys) -> bool:
        """Return whether all results of these keys are written.

        Parameters
        ----------
        keys : Keys
            Of the patient.
        """
        return (rows := self.rows()) is not None and rows["patients"][0]["key"] == keys.all

    def stage(self, name: str, key: str) -> Path:
        """Return the file of a stage's result.

        Parameters
        ----------
        name, key : str
            The stage and its key.
        """
        return self.path / _STAGES / f"{name}-{key}.json"

    def load_or_make(self, name: str, key: str, make: Callable[[], FindingList]) -> FindingList:
        """Return the result of a stage: from its file, else computed now and written.

        Parameters
        ----------
        name, key : str
            The stage and its key.
        make : callable
            Computes it.
        """
        path = self.stage(name, key)
        if path.is_file():
            try:
                return FindingList.open(path)
            except InputError:  # damaged on the disk
                path.unlink(missing_ok=True)
        make().save(path)
        return FindingList.open(path)  # as a later run would read it, so that an interrupted run gives the same

    def rows(self) -> dict[str, list[dict[str, Any]]] | None:
        """Return the patient's rows in the tables; None where the patient is not done."""
        return _read(self.path / _ROWS)

    def failure(self) -> dict[str, Any] | None:
        """Return the patient's row in the table of failures; None where the last attempt did not fail."""
        return _read(self.path / _FAILURE)

    def finish(
        self, found: FindingList, rows: dict[str, list[dict[str, Any]]], keys: Keys, jobs: Iterable[str]
    ) -> None:
        """Write the findings and which scans they are of, then the rows, by which the patient is done.

        Results of other keys are removed.

        Parameters
        ----------
        found : FindingList
            The findings after the last job.
        rows : dict
            The patient's rows in the tables.
        keys : Keys
            The keys of the results.
        jobs : iterable of str
            The stages that were done; results of others stay.
        """
        found.save(self.findings)
        write_text(self.path / _SCANS, json.dumps({**asdict(self._case), "root": str(self._case.root)}))
        write_text(self.path / _ROWS, json.dumps(rows, allow_nan=False))
        (self.path / _FAILURE).unlink(missing_ok=True)
        known = {key for key in (*keys.detect, keys.follow, keys.measure, keys.respond, keys.export) if key}
        for path in (self.path / _STAGES).glob("*.json"):
            stage, _dash, key = path.stem.partition("-")
            if stage in jobs and key not in known:
                path.unlink(missing_ok=True)

    def fail(self, stage: str, reason: str) -> None:
        """Write why the patient could not be computed.

        Parameters
        ----------
        stage : str
            What was being done.
        reason : str
            A sentence.
        """
        write_text(self.path / _FAILURE, json.dumps(failure_row(self._case, stage, reason)))


def failure_row(case: Case, stage: str, reason: str) -> dict[str, Any]:
    """Return a row of the table of failures.

    Parameters
    ----------
    case : Case
        The patient.
    stage : str
        What was being done.
    reason : str
        Why it failed, a sentence.
    """
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"patient": case.patient, "folder": case.folder, "stage": stage, "reason": reason, "when": when}


def read_case(folder: Path) -> Case:
    """Return which scans the results in a patient's folder are of.

    Parameters
    ----------
    folder : Path
        The patient's folder.

    Raises
    ------
    InputError
        The list of the scans is missing or damaged.
    """
    known = _read(folder / _SCANS)
    try:
        scans = tuple(Scan(**{**scan, "folders": tuple(scan["folders"])}) for scan in known["scans"])
        return Case(known["patient"], Path(known["root"]), scans)
    except (TypeError, KeyError) as error:
        raise InputError(f"{folder / _SCANS} is damaged. Run the archive again.") from error


def _read(path: Path) -> Any:
    """Return the content of a JSON file of this module; None where it does not exist or is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
