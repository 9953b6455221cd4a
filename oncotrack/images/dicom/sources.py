"""The files of a folder, a DICOMDIR, a zip archive or a single file's series."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from oncotrack.background.helper_process import folder_of, is_helper
from oncotrack.errors import InputError

_LARGEST = 64 * 2**30  # bytes that an archive may unpack to
_MOST = 200_000  # files in an archive
_BLOCK = 2**20


@dataclass(frozen=True)
class Files:
    """Files to look into.

    Parameters
    ----------
    paths : list of Path
        The files.
    single : Path or None
        Only the series of this file is wanted.
    missing : dict of str to list of str
        Files that a DICOMDIR lists and that do not exist, by Series Instance UID.
    keep : object
        Keeps a temporary folder for as long as it is referred to.
    """

    paths: list[Path]
    single: Path | None = None
    missing: dict[str, list[str]] | None = None
    keep: object = None


def files_of(path: Path) -> Files:
    """Return the files that belong to a path.

    Parameters
    ----------
    path : Path
        A folder, a DICOMDIR, a zip archive or a DICOM file.

    Raises
    ------
    InputError
        It does not exist, or the archive or DICOMDIR cannot be read.
    """
    if path.is_dir():
        return Files(list(_walk(path)))
    if not path.is_file():
        what = "is a pipe or a device and no file" if path.exists() else "does not exist"
        raise InputError(f"{path} {what}. Check the path.")
    if path.name.upper() in ("DICOMDIR", "DICOMDIR."):
        return _from_dicomdir(path)
    if zipfile.is_zipfile(path):
        folder = _unpacked(path)
        return Files(list(_walk(Path(folder.name))), keep=folder)
    return Files(sorted(each for each in path.parent.iterdir() if each.is_file()), single=path)


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and its subfolders in the order of their names; no hidden ones, pipes or devices."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if not name.startswith(".") and name.upper() != "DICOMDIR" and path.is_file():
                yield path


def _from_dicomdir(path: Path) -> Files:
    """Return the files that a DICOMDIR refers to, inside its folder only."""
    import pydicom

    try:
        records = pydicom.dcmread(path).DirectoryRecordSequence
        root = path.parent.resolve()
        found: list[Path] = []
        missing: dict[str, list[str]] = {}
        series = ""
        for record in records:
            if record.DirectoryRecordType == "SERIES":
                series = str(record.get("SeriesInstanceUID", ""))
            parts = record.get("ReferencedFileID")
            if not parts:
                continue
            parts = [parts] if isinstance(parts, str) else list(parts)
            file = _inside(root, parts)
            if file is None:
                missing.setdefault(series, []).append("/".join(parts))
            else:
                found.append(file)
    except Exception as error:
        raise InputError(
            f"{path} is damaged or not a DICOMDIR. Open the folder {path.parent} instead; its files are then searched."
        ) from error
    return Files(found, missing=missing)


def _inside(root: Path, parts: list[str]) -> Path | None:
    """Return a referenced file, whatever the case of its name; None when it is missing or lies outside of `root`."""
    file = root
    for part in parts:
        if part in ("", ".", "..") or "/" in part or "\\" in part:
            return None
        if not (file / part).exists():
            names = {each.name.upper(): each.name for each in file.iterdir()} if file.is_dir() else {}
            part = names.get(part.upper(), names.get(f"{part.upper()};1", part))
        file = file / part
    return file if file.is_file() and file.resolve().is_relative_to(root) else None


class _Folder:
    """A temporary folder that is removed when this object is gone; a helper process hands it over with its result.

    Parameters
    ----------
    name : str
        Its path.
    """

    def __init__(self, name: str) -> None:
        self.name, self._around = name, folder_of(Path(name))
        self._removal = weakref.finalize(self, shutil.rmtree, name, True)

    def __reduce__(self) -> tuple:
        if not is_helper():
            return str, (self.name,)  # the helper only reads in it
        self._removal.detach()
        return _Folder, (self.name,)


def _unpacked(path: Path) -> _Folder:
    """Unpack a zip archive into a temporary folder, which is removed when the result is no longer used."""
    folder = _Folder(tempfile.mkdtemp(prefix="oncotrack-zip-"))
    root = Path(folder.name)
    try:
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            limit = min(_LARGEST, int(0.9 * shutil.disk_usage(root).free))
            if len(members) > _MOST or sum(each.file_size for each in members) > limit:
                raise InputError(
                    f"{path} unpacks to more than {limit / 2**30:.1f} GiB or {_MOST} files, the most that is allowed. "
                    "Unpack it yourself and open the folder."
                )
            if any(each.flag_bits & 1 for each in members):
                raise InputError(f"{path} is protected by a password. Unpack it with the password and open the folder.")
            left = limit
            for member in members:
                target = _target(root, member, path)
                if target:
                    left = _extract(archive, member, target, left, path)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path} cannot be unpacked: it is damaged or incomplete ({error}). Copy it again.") from error
    return folder


def _target(root: Path, member: zipfile.ZipInfo, path: Path) -> Path | None:
    """Return where to write a member; None for links and hidden files."""
    parts = PurePosixPath(member.filename.replace("\\", "/")).parts
    if not parts or ".." in parts or parts[0].endswith(":") or member.filename.startswith(("/", "\\")):
        raise InputError(
            f"{path} holds a file that would be unpacked outside the target folder. Do not open this archive."
        )
    is_link = member.external_attr >> 28 == 0o12
    if is_link or any(part.startswith(".") or part == "__MACOSX" for part in parts):
        return None
    return root.joinpath(*parts)


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int, path: Path) -> int:
    """Write one member and return the number of bytes that are left to write."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, target.open("wb") as out:
        while block := source.read(_BLOCK):
            left -= len(block)
            if left < 0:
                raise InputError(f"{path} unpacks to more data than it declares. Do not open this archive.")
            out.write(block)
    return left
