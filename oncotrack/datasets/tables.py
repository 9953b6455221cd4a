"""CSV files of data sets."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from oncotrack.datasets.dicom_tree import existing_file
from oncotrack.errors import InputError


def table_rows(path: str | Path, what: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and row of a table, one by one.

    Parameters
    ----------
    path : path
    what : str
        The file that was looked for, as a reader knows it.

    Raises
    ------
    InputError
        There is no such file, or it is no table.
    """
    path = existing_file(path, what)
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            yield from enumerate(csv.DictReader(file), 2)
    except csv.Error as error:
        raise InputError(f"{path} is no table ({error}). Choose {what}.") from error
