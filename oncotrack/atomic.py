"""Atomic writing of files: into a temporary folder next to the target, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
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


def file_to_replace(path: str | Path) -> Path:
    """Return the absolute path of the file that writing to `path` replaces: behind a link, the file it points to.

    Parameters
    ----------
    path : path
        A file, which need not exist, or a link to one.

    Raises
    ------
    OutputError
        It is a device, a pipe, a folder or a link that points to itself, or its name is too long.
    """
    target = Path(path).absolute()
    try:
        if target.is_symlink():
            target = target.resolve()
        is_usable = target.is_file() or not os.path.lexists(target)
    except (OSError, RuntimeError) as error:
        is_long = getattr(error, "errno", None) == errno.ENAMETOOLONG
        what = "its name is longer than a disk allows" if is_long else "it is a link that leads nowhere"
        raise OutputError(f"{path} cannot be written: {what}. Choose another file.") from error
    if not is_usable:
        raise OutputError(
            f"{path} cannot be written: it is a folder, a device or a pipe and no file. Choose another name."
        )
    return target


@contextmanager
def replacing(path: str | Path, *, is_durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path of the same name; when the block succeeds it replaces the target, otherwise it is removed.

    A link stays a link: the file it points to is replaced.

    Parameters
    ----------
    path : path
        The target; its folder is made when it is missing.
    is_durable : bool
        Whether the file must survive a power cut from the end of the block on: it is written to the disk before and after
        it replaces the target, which takes some 10 ms.

    Raises
    ------
    OutputError
        The folder cannot be made or written to, or the target is a device, a pipe or a folder.
    """
    target = file_to_replace(path)
    folder = folder_beside(target)
    temporary = folder / target.name
    try:
        yield temporary
        move(temporary, target, is_durable=is_durable)
    except OSError as error:
        raise OutputError(f"{target} could not be written: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)
        folder.rmdir()


def move(source: Path, target: Path, *, is_durable: bool = True) -> None:
    """Rename a complete file to its name.

    Parameters
    ----------
    source, target : Path
        On one file system; a file `target` is replaced.
    is_durable : bool
        See `replacing`.

    Raises
    ------
    OSError
        It cannot be renamed or written to the disk.
    """
    if is_durable:
        _to_disk(source)
    for each in list(_EARLIER):
        each._make_room(target)
    source.replace(target)
    if is_durable:
        with contextlib.suppress(OSError):  # Windows and some network file systems cannot do it for a folder
            _to_disk(target.parent)


def remove(path: Path) -> None:
    """Remove a file of an earlier run, if there is one; a file of an earlier session is kept, see `EarlierFiles`.

    Parameters
    ----------
    path : Path
        The file.
    """
    for each in list(_EARLIER):
        each._make_room(path)
    path.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> Path:
    """Write a text as UTF-8, atomically and durably, and return the path.

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
    with replacing(path, is_durable=True) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def set_aside(path: Path) -> Path:
    """Rename a file to a free name with the time of its last change, and return the new path.

    Parameters
    ----------
    path : Path
        The file: "masks.seg.nrrd" becomes "masks.20261130-141500.seg.nrrd".

    Raises
    ------
    OutputError
        The file cannot be renamed.
    """
    with _copy_named(path) as free:
        path.rename(free)
    return free


@contextmanager
def _copy_named(path: Path) -> Iterator[Path]:
    """Yield a free name for a copy of a file, with the time of its last change."""
    stem, dot, ending = path.name.partition(".")
    try:
        stamp = datetime.fromtimestamp(path.stat().st_mtime).strftime("%Y%m%d-%H%M%S")
        numbers = ("", *(f"-{number}" for number in range(2, 1000)))
        free = next(
            free for n in numbers if not os.path.lexists(free := path.with_name(f"{stem}.{stamp}{n}{dot}{ending}"))
        )
        yield free
    except (OSError, StopIteration) as error:
        raise OutputError(
            f"{path} could not be renamed to keep a copy: {getattr(error, 'strerror', '') or 'there are too many copies'}. "
            "Choose another folder."
        ) from error


class EarlierFiles:
    """The files of a folder that earlier sessions wrote: until `close`, they are renamed instead of being replaced.

    Parameters
    ----------
    folder : Path
        Files in it and in its subfolders are kept when this process would replace them through this module.

    Attributes
    ----------
    kept : dict of str to str
        The new names of the files that were renamed, by their old ones.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._own = folder.resolve(), set[Path]()
        self.kept: dict[str, str] = {}
        _EARLIER.append(self)

    def close(self) -> None:
        """Stop keeping the files."""
        if self in _EARLIER:
            _EARLIER.remove(self)

    def _make_room(self, target: Path) -> None:
        target = target.parent.resolve() / target.name
        if target.is_relative_to(self._folder):
            if target not in self._own and target.is_file():
                with _copy_named(target) as free:
                    try:
                        os.link(target, free)  # so that the file has its name until it is replaced
                    except OSError:
                        target.rename(free)
                self.kept[target.name] = free.name
            self._own.add(target)


_EARLIER: list[EarlierFiles] = []


def _to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
