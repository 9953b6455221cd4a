"""Private files of a running viewer: the page that opens the address in the browser, and a folder for temporary files."""

from __future__ import annotations

import contextlib
import html
import os
import secrets
import shutil
import tempfile
import threading
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

_PREFIX = "oncotrack-viewer-"
_LOCK = "in-use.lock"
_NEW_S = 60.0  # a folder this young may belong to a viewer that has not locked it yet


class BrowserLauncher:
    """Opens an address in the reader's browser by way of a private file that leads to it.

    The address holds the token, and every user of the computer sees the arguments of a browser that starts. The name of a
    file tells them nothing, and only this user can read it.

    Parameters
    ----------
    folder : Path
        Where the file lies until `close`: a folder of the reader's, because browsers in a sandbox cannot read others.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"open-{secrets.token_hex(4)}.html"
        self._folder = folder
        self._has_made_folder = False

    def open(self, address: str) -> None:
        """Write the file and open it. A browser that is slow to start, or runs in this terminal, does not stop the viewer."""
        self._has_made_folder = not self._folder.exists()
        self._folder.mkdir(parents=True, exist_ok=True)
        shown = html.escape(address, quote=True)
        page = (
            f'<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
            f'<meta http-equiv="refresh" content="0; url={shown}"><title>OncoTrack</title><a href="{shown}">OncoTrack</a>'
        )
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(page)
        threading.Thread(target=webbrowser.open, args=(self.path.as_uri(),), daemon=True).start()

    def close(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)
        if self._has_made_folder:
            with contextlib.suppress(OSError):  # results were written meanwhile
                self._folder.rmdir()


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Put all temporary files of this process, such as uploads, into one private folder, which is removed in the end.

    The folders of viewers that were killed are removed first.
    """
    outer, before = Path(tempfile.gettempdir()), (tempfile.tempdir, os.environ.get("TMPDIR"))
    _remove_abandoned(outer)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=outer))
    lock = filelock.FileLock(folder / _LOCK, mode=0o600, thread_local=False)
    with contextlib.suppress(OSError, NotImplementedError):  # on a disk that cannot lock files the folder is merely new
        lock.acquire(timeout=0)
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)  # the latter for processes that this one starts
    try:
        yield folder
    finally:
        tempfile.tempdir = before[0]
        os.environ.pop("TMPDIR")
        if before[1] is not None:
            os.environ["TMPDIR"] = before[1]
        lock.release(force=True)
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(outer: Path) -> None:
    for folder in outer.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, NotImplementedError, filelock.Timeout):
            about = folder.lstat()
            is_own = not hasattr(os, "getuid") or about.st_uid == os.getuid()
            if folder.is_symlink() or not is_own or time.time() - about.st_mtime < _NEW_S:
                continue
            lock = filelock.FileLock(folder / _LOCK, mode=0o600, thread_local=False)
            with lock.acquire(timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
