"""Objects on their way to an archive: kept on disk until it has them, and sent once."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from oncotrack.atomic import replacing
from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import InputError, MissingPackageError, OncoTrackError, OutputError
from oncotrack.pacs.archive import Archive, ArchiveError
from oncotrack.settings import settings_file

_WAITING, _SENDING = ".dcm", ".sending"


@dataclass(frozen=True)
class Sent:
    """What was sent, how many objects still wait, and why they do (a sentence, or "")."""

    sent: int
    waiting: int
    problem: str = ""


class Outbox:
    """The objects that wait for one archive: a folder with one file for each SOP Instance UID.

    A file that is being sent is renamed first and removed when the archive has it. One that was being sent when the program
    ended is looked for in the archive before it is sent again.

    Parameters
    ----------
    archive : str
        Name of the archive.
    folder : path, optional
        Folder of all outboxes; by default beside the reader's settings.
    """

    def __init__(self, archive: str, folder: str | Path | None = None) -> None:
        self._folder = (Path(folder) if folder else settings_file().with_name("outbox")) / archive

    @property
    def waiting(self) -> list[Path]:
        """The files that wait, oldest first."""
        found = [*self._folder.glob(f"*{_WAITING}"), *self._folder.glob(f"*{_SENDING}")]
        return sorted(found, key=lambda path: (path.stat().st_mtime, path.name))

    def add(self, paths: Iterable[str | Path]) -> int:
        """Put copies of DICOM files into the outbox, and return how many are new in it.

        Parameters
        ----------
        paths : iterable of path
            The files.

        Raises
        ------
        InputError
            A file is no DICOM; nothing is added.
        OutputError
            The outbox cannot be written.
        """
        files = [(Path(path), _uid(Path(path))) for path in paths]
        present = {path.stem for path in self.waiting}
        new = [(path, uid) for path, uid in files if uid not in present]
        for path, uid in new:
            with replacing(self._folder / f"{uid}{_WAITING}") as temporary:
                shutil.copyfile(path, temporary)
        return len(new)

    def send(self, archive: Archive, progress: Progress = silent) -> Sent:
        """Send what waits, until the archive does not take it; the rest is kept.

        Parameters
        ----------
        archive : Archive
            The archive of this outbox.
        progress : Progress
            Called before each object.

        Raises
        ------
        OutputError
            Another program is sending from this outbox.
        """
        if not self.waiting:
            return Sent(0, 0)
        with _lock(self._folder):
            files = self.waiting
            sent = 0
            for path in files:
                progress(sent / len(files), f"Sending {sent + 1} of {len(files)}")
                try:
                    if path.suffix != _SENDING or not _is_there(archive, path):
                        moving = path.rename(path.with_suffix(_SENDING))
                        archive.send(moving)
                        path = moving
                except OncoTrackError as error:
                    if not isinstance(error, ArchiveError):
                        raise
                    return Sent(sent, len(self.waiting), str(error))
                path.unlink()
                sent += 1
            return Sent(sent, 0)


def _is_there(archive: Archive, path: Path) -> bool:
    """Return whether the archive has an object that was being sent when the program ended."""
    header = dcmread(path, stop_before_pixels=True)
    return str(header.SOPInstanceUID) in archive.find_instances(
        str(header.StudyInstanceUID), str(header.SeriesInstanceUID)
    )


def _uid(path: Path) -> str:
    try:
        return str(dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"]).SOPInstanceUID)
    except (InvalidDicomError, AttributeError, OSError) as error:
        raise InputError(
            f"{path} is no DICOM file and cannot be sent. Choose files that oncotrack export wrote."
        ) from error


def _lock(folder: Path):
    """Return a lock that the operating system releases when the program ends, however it ends."""
    try:
        from filelock import FileLock, Timeout
    except ImportError as error:
        raise MissingPackageError('Sending needs the package filelock: pip install "oncotrack[pacs]".') from error

    class Lock(FileLock):
        """Raises a sentence when another program holds it."""

        def __enter__(self):
            try:
                return super().__enter__()
            except Timeout as error:
                raise OutputError(
                    f"Another program is sending from {folder}. Wait until it has finished; nothing is lost."
                ) from error

    return Lock(folder / ".lock", timeout=0)
