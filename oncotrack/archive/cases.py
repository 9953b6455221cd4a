"""The patients of an index as units of work: which series is read of each visit, and how much memory they need."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from oncotrack.archive.entries import Entry

BASE_BYTES = 700 * 2**20
"""Memory of a worker process with its libraries and weights, before it reads a scan."""
BYTES_PER_VOXEL = 10
"""Memory that a patient's scans need for each voxel while they are computed, the images themselves included."""


@dataclass(frozen=True)
class Scan:
    """The series that is read of one visit.

    Attributes
    ----------
    folders : tuple of str
        Where its files lie, relative to the root of the archive.
    key, content, modality, date : str
        As in `Entry`.
    voxels : int
        Number of voxels.
    """

    folders: tuple[str, ...]
    key: str
    content: str
    modality: str
    date: str
    voxels: int


@dataclass(frozen=True)
class Case:
    """One patient of an archive.

    Attributes
    ----------
    patient : str
        By what the archive tells patients apart.
    root : Path
        The archive.
    scans : tuple of Scan
        One for each visit, earliest first.
    """

    patient: str
    root: Path
    scans: tuple[Scan, ...]

    @property
    def folder(self) -> str:
        """Name of the patient's folder among the results: the patient, with a checksum where that is no name of a folder."""
        plain = re.sub(r"[^A-Z0-9_-]+", "-", self.patient.upper()).strip("-")[:40]
        if plain == self.patient:
            return plain
        checksum = blake2b(self.patient.encode(errors="surrogateescape"), digest_size=4).hexdigest()
        return f"{plain or 'patient'}-{checksum}"

    @property
    def voxels(self) -> int:
        """Number of voxels of all scans."""
        return sum(scan.voxels for scan in self.scans)

    @property
    def bytes(self) -> int:
        """Memory that the scans need while they are computed."""
        return self.voxels * BYTES_PER_VOXEL


def cases_of(entries: Sequence[Entry], root: Path) -> list[Case]:
    """Return the patients of an index that have a series to read, in the order of the index.

    Parameters
    ----------
    entries : sequence of Entry
        The index.
    root : Path
        The archive.
    """
    chosen: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.is_read:
            chosen[entry.patient].append(entry)
    return [
        Case(patient, root, tuple(map(_scan, sorted(visits, key=lambda each: each.visit))))
        for patient, visits in chosen.items()
    ]


def _scan(entry: Entry) -> Scan:
    voxels = entry.columns * entry.rows * entry.slices
    return Scan(tuple(entry.folder.split("|")), entry.key, entry.content, entry.modality, entry.date, voxels)
