"""A log that a hospital can keep: what was opened, saved and failed, and when, without data of patients.

Files and scans are named by checksums only, errors by their kind, because names, paths and messages can identify a patient.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import threading
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path

import filelock
import numpy as np

from oncotrack import __version__
from oncotrack.images.volume import Volume
from oncotrack.settings import settings_file

SWITCH = "ONCOTRACK_LOG"
"""Environment variable: the folder of the log."""
_LARGEST_BYTES, _OLD_FILES, _SESSIONS = 2**20, 9, 99
_CHUNK_BYTES = 2**24


class Record:
    """The log of one session: ``oncotrack.log``, or ``oncotrack-2.log`` and so on while another session uses that.

    A file of 1 MiB is renamed to ``oncotrack.log.1``; ten are kept.

    Parameters
    ----------
    folder : Path, optional
        Where the log is written; by default `folder_of_logs`. A folder that cannot be written to leaves no log, and a
        sentence about it in `problem`.

    Attributes
    ----------
    problem : str
        Why there is no log; "" when there is one.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.problem = ""
        self._logger = logging.Logger("oncotrack.record")
        self._lock: filelock.BaseFileLock | None = None
        folder = folder or folder_of_logs()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handler = RotatingFileHandler(
                self._free_file(folder), maxBytes=_LARGEST_BYTES, backupCount=_OLD_FILES, encoding="utf-8"
            )
        except OSError as error:
            self.problem = f"No log is kept: {folder} cannot be written to ({error.strerror or error})."
            return
        formatter = logging.Formatter("%(asctime)sZ %(message)s", "%Y-%m-%dT%H:%M:%S")
        formatter.converter = time.gmtime
        handler.setFormatter(formatter)
        self._logger.addHandler(handler)
        self.add("started", version=__version__, process=os.getpid())

    def add(self, event: str, **about: object) -> None:
        """Write one line: the time (UTC), the event, and ``name=value`` for what is known about it.

        Parameters
        ----------
        event : str
            "opened", "saved", "failed" and so on.
        **about
            Numbers, checksums and words of OncoTrack; nothing from a file or a reader.
        """
        self._logger.info(" ".join([event, *(f"{name}={value}" for name, value in about.items())]))

    def opened_scan(self, volume: Volume) -> None:
        """Write that a scan was opened, with the checksum of its voxels; computed on a thread of its own."""

        def write() -> None:
            voxels = hashlib.sha256(np.ascontiguousarray(volume.array).data).hexdigest()
            size = "x".join(map(str, volume.geometry.size))
            self.add("opened", kind="scan", modality=volume.modality or "unknown", size=size, voxels_sha256=voxels)

        threading.Thread(target=write, name="oncotrack-record", daemon=True).start()

    def file(self, event: str, path: Path) -> None:
        """Write that a file was opened or saved, with its ending and checksum; computed on a thread of its own."""

        def write() -> None:
            with contextlib.suppress(OSError):
                self.add(event, kind=path.suffix or "file", bytes=path.stat().st_size, sha256=_checksum(path))

        threading.Thread(target=write, name="oncotrack-record", daemon=True).start()

    def close(self) -> None:
        """Write the end of the session."""
        self.add("ended")
        for handler in list(self._logger.handlers):
            handler.close()
            self._logger.removeHandler(handler)
        if self._lock is not None:
            self._lock.release()

    def _free_file(self, folder: Path) -> Path:
        for number in range(1, _SESSIONS):
            path = folder / ("oncotrack.log" if number == 1 else f"oncotrack-{number}.log")
            lock = filelock.FileLock(path.with_suffix(".lock"), mode=0o600, thread_local=False)
            with contextlib.suppress(filelock.Timeout):
                try:
                    lock.acquire(timeout=0)
                except NotImplementedError:  # the disk cannot lock files
                    return path
                self._lock = lock
                return path
        raise OSError("too many sessions use it")


def folder_of_logs() -> Path:
    """Return the folder of the log: ``ONCOTRACK_LOG``, otherwise ``log`` beside the reader's settings."""
    if folder := os.environ.get(SWITCH):
        return Path(folder).expanduser()
    return settings_file().parent / "log"


def _checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
