"""Reading of the series that an index chose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oncotrack.archive.cases import Scan
from oncotrack.archive.folders import files_of, state_of
from oncotrack.background.isolation import isolated
from oncotrack.errors import InputError
from oncotrack.images.dicom import read
from oncotrack.images.dicom.headers import read_header
from oncotrack.images.dicom.listing import list_series

if TYPE_CHECKING:
    from oncotrack.images.dicom import Series
    from oncotrack.images.volume import Volume


def read_scan(root: Path, scan: Scan) -> Volume:
    """Read the series of a visit.

    Parameters
    ----------
    root : Path
        The archive.
    scan : Scan
        The series.

    Raises
    ------
    InputError
        Its files are missing, have changed since the index was made, or cannot be read.
    """
    return _read(root / scan.folders[0], root, scan)


@isolated
def _read(_named: Path, root: Path, scan: Scan) -> Volume:
    return read(series_of(root, scan)).checked()


def series_of(root: Path, scan: Scan) -> Series:
    """Return the series of a visit, without its pixels.

    Parameters
    ----------
    root : Path
        The archive.
    scan : Scan
        The series.

    Raises
    ------
    InputError
        Its files are missing or have changed since the index was made.
    """
    folder = root / scan.folders[0]
    try:
        paths = [path for each in scan.folders for path in files_of(root / each)]
        memo: dict[bytes, bytes] = {}
        found = [file for path in paths if (file := read_header(path, memo)) is not None]
        series = next((each for each in list_series(found, {}, folder) if each.key == scan.key), None)
        is_same = series is not None and state_of(series.files) == scan.content
    except OSError as error:
        raise InputError(
            f"{folder} cannot be read: {error.strerror or error}. Check that this computer has the archive there."
        ) from error
    if series is None or not is_same:
        raise InputError(f"The files in {folder} have changed since the index was made. Make the index again.")
    return series
