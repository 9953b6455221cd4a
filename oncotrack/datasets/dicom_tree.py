"""Search for DICOM series in a downloaded folder."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from oncotrack.errors import InputError, MissingPackageError
from oncotrack.images.dicom import Series, load_study


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
    """Return the file as a Path; InputError when it is missing, a folder, a pipe or a device."""
    path = require_path(file, what)
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe or a device"
        raise InputError(f"{path} is {kind}, not {what}. Choose the file{' in it' if path.is_dir() else ''}.")
    return path


def find_series(root: str | Path) -> tuple[Series, ...]:
    """Return all DICOM series under `root`: volumes and objects (SEG, RTSTRUCT); none where there is no DICOM."""
    try:
        return load_study(root).series
    except InputError:
        return ()
