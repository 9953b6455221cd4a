"""Writing without ever leaving half a file: temporary file beside the target, then rename."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oncotrack.errors import OutputError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path with the same suffixes; on success it becomes `path`, on failure it vanishes.

    Raises
    ------
    OutputError
        When the folder cannot be made or written to.
    """
    target = Path(path).absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".oncotrack-", dir=target.parent))
    except OSError as error:
        raise OutputError(
            f"{target} cannot be written: {error.strerror or error}. Choose a folder you may write to."
        ) from error
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
    """Write `text` as UTF-8, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)
