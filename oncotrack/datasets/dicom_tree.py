"""Search for DICOM series in a downloaded folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from oncotrack.errors import InputError, MissingPackageError
from oncotrack.images.dicom import is_dicom_file

_TAGS = ["Modality", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription"]
_OBJECTS = ("SEG", "RTSTRUCT", "SR", "PR", "KO", "REG")


@dataclass(frozen=True)
class Series:
    """A DICOM series on disk: a folder of slices, or one file that holds an object (SEG, RTSTRUCT)."""

    path: Path
    modality: str
    patient: str
    study_uid: str
    series_uid: str
    number: int
    description: str


def dicom_headers() -> ModuleType:
    """Import and return `pydicom`; MissingPackageError when it is not installed."""
    try:
        import pydicom
    except ImportError as error:
        raise MissingPackageError(
            "Reading DICOM headers needs the package pydicom. Install it: pip install pydicom."
        ) from error
    return pydicom


def require_path(folder: str | Path, what: str) -> Path:
    """Return the folder or file as a Path; InputError names what is missing."""
    path = Path(folder).expanduser()
    if not path.exists():
        raise InputError(f"{path} does not exist; it should hold {what}. Check the path or download it first.")
    return path


def require_file(file: str | Path, what: str) -> Path:
    """Return the file as a Path; InputError when it is missing or a folder."""
    path = require_path(file, what)
    if path.is_dir():
        raise InputError(f"{path} is a folder, not {what}. Choose the file in it.")
    return path


def find_series(root: str | Path) -> Iterator[Series]:
    """Yield all series under `root`, sorted by path; the slices of a series share one folder, as in the archives."""
    pydicom = dicom_headers()
    root = Path(root)
    for folder in [root, *sorted(path for path in root.rglob("*") if path.is_dir())]:
        seen = set()
        for file in sorted(path for path in folder.iterdir() if path.is_file() and is_dicom_file(path)):
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS)
            modality, uid = str(header.get("Modality", "")), str(header.get("SeriesInstanceUID", ""))
            if modality not in _OBJECTS and uid in seen:
                continue
            seen.add(uid)
            yield Series(
                file if modality in _OBJECTS else folder,
                modality,
                str(header.get("PatientID", "")),
                str(header.get("StudyInstanceUID", "")),
                uid,
                int(header.get("SeriesNumber") or 0),
                str(header.get("SeriesDescription", "")),
            )
