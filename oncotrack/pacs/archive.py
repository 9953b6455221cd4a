"""What an archive can do, and what it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydicom.dataset import Dataset

from oncotrack.errors import OncoTrackError


class ArchiveError(OncoTrackError):
    """An archive does not answer, refuses, or answers with something else; the message says what to do."""


@dataclass(frozen=True)
class Query:
    """What is searched for; empty fields match everything. Names may hold * as a wildcard; dates are YYYYMMDD, or a range."""

    patient_id: str = ""
    patient_name: str = ""
    date: str = ""
    study_uid: str = ""


@dataclass(frozen=True)
class StudyEntry:
    """A study in an archive."""

    uid: str
    patient_id: str = ""
    patient_name: str = ""
    date: str = ""
    description: str = ""
    modalities: str = ""


@dataclass(frozen=True)
class SeriesEntry:
    """A series in an archive; `instances` is the number of its images, 0 where the archive does not say it."""

    uid: str
    study_uid: str
    modality: str = ""
    number: str = ""
    description: str = ""
    date: str = ""
    instances: int = 0


class Archive(Protocol):
    """An archive; all methods raise `ArchiveError`."""

    name: str

    def find_studies(self, query: Query) -> list[StudyEntry]:
        """Return the studies that match.

        Parameters
        ----------
        query : Query
            What is searched for.
        """
        ...

    def find_series(self, study_uid: str) -> list[SeriesEntry]:
        """Return the series of a study.

        Parameters
        ----------
        study_uid : str
            Study Instance UID.
        """
        ...

    def find_instances(self, study_uid: str, series_uid: str) -> list[str]:
        """Return the SOP Instance UIDs of a series.

        Parameters
        ----------
        study_uid, series_uid : str
            UIDs.
        """
        ...

    def retrieve(self, study_uid: str, series_uid: str) -> Iterator[Dataset]:
        """Yield the instances of a series as they arrive.

        Parameters
        ----------
        study_uid, series_uid : str
            UIDs.
        """
        ...

    def send(self, path: Path) -> None:
        """Store one file.

        Parameters
        ----------
        path : Path
            The file.
        """
        ...
