"""The package highdicom, which writes the objects; imported when it is needed."""

from __future__ import annotations

from types import ModuleType

from pydicom.dataset import Dataset

from oncotrack.errors import MissingPackageError

MANUFACTURER, MODEL = "OncoTrack", "OncoTrack"


def highdicom() -> ModuleType:
    """Import and return the package highdicom.

    Raises
    ------
    MissingPackageError
        It is not installed.
    """
    try:
        import highdicom as package
        import highdicom.seg
        import highdicom.sr
    except ImportError as error:
        raise MissingPackageError(
            'DICOM reports and segmentations need the package highdicom. Install it: pip install "oncotrack[dicom]".'
        ) from error
    return package


def person_name(name: str) -> str:
    """Return a name as DICOM writes it: a name without parts is a family name ("Smith^").

    Parameters
    ----------
    name : str
        In any form.
    """
    return name if "^" in name else f"{name}^"


def is_own(header: Dataset) -> bool:
    """Return whether OncoTrack wrote an object.

    Parameters
    ----------
    header : Dataset
        The object.
    """
    return header.get("Manufacturer") == MANUFACTURER and header.get("ManufacturerModelName") == MODEL
