"""CSV files of data sets."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from oncotrack.datasets.dicom_tree import require_file
from oncotrack.errors import InputError


def table_rows(path: str | Path, what: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and row of a table, one by one.

    Parameters
    ----------
    path : path
        The table.
    what : str
        The expected file, for error messages.

    Raises
    ------
    InputError
        The file is missing or not a table.
    """
    path = require_file(path, what)
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            yield from enumerate(csv.DictReader(file), 2)
    except csv.Error as error:
        raise InputError(f"{path} is not a table ({error}). Choose {what}.") from error
