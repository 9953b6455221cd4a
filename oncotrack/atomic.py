"""Atomic writing of files: into a temporary folder next to the target, then renamed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oncotrack.errors import OutputError


def folder_beside(target: Path) -> Path:
    """Create a temporary folder in the folder of `target`, which is created too; the caller removes it.

    Raises
    ------
    OutputError
        When the folder cannot be made or written to.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".oncotrack-", dir=target.parent))
    except OSError as error:
        raise OutputError(
            f"{target} cannot be written: {error.strerror or error}. Choose a folder you may write to."
        ) from error


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path of the same name; when the block succeeds it replaces the target, otherwise it is removed.

    Parameters
    ----------
    path : path
        The target; its folder is made when it is missing.

    Raises
    ------
    OutputError
        The folder cannot be made or written to.
    """
    target = Path(path).absolute()
    folder = folder_beside(target)
    temporary = folder / target.name
    try:
        yield temporary
        temporary.replace(target)
    except OSError as error:
        raise OutputError(f"{target} could not be written: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)
        folder.rmdir()


def write_text(path: str | Path, text: str) -> Path:
    """Write a text as UTF-8, atomically, and return the path.

    Parameters
    ----------
    path : path
        The file to write.
    text : str
        Its content.

    Raises
    ------
    OutputError
        The folder cannot be made or written to.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)
