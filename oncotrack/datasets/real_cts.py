"""Real CTs that synthetic disease is inserted into, that are warped, or that phantoms are compared with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from oncotrack.errors import InputError
from oncotrack.images.files import load
from oncotrack.images.volume import Volume


def read_cts(paths: Iterable[Path]) -> list[Volume]:
    """Read CTs, each named by its path alone; of a study with one CT that one is taken.

    Raises
    ------
    InputError
        As `oncotrack.load`.
    """
    return [_read(path) for path in paths]


def _read(path: Path) -> Volume:
    try:
        return load(path, modality="CT")
    except InputError as error:
        if error.parameter == "series":
            raise InputError(f"{error} Here, give the path of one of its files instead of the folder.") from error
        raise
