"""A helper process: functions run in it, arrays travel through shared memory, and nothing that happens there harms the program.

It is a new interpreter, not a copy of the program, so that threads, Slicer and user interfaces do not matter; it works on
Linux, macOS and Windows. It stays alive between calls.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import pickle
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from oncotrack.background import helper_main
from oncotrack.background.helper_channel import Channel
from oncotrack.background.jobs import Progress
from oncotrack.background.shared_ring import Incoming, Outgoing, Ring
from oncotrack.errors import OncoTrackError

_POLL_S = 0.05
_MARK = "ONCOTRACK_HELPER"
_LAST = 2000  # characters of what the process printed, for the log
_log = logging.getLogger(__name__)
_folders: weakref.WeakValueDictionary[str, tempfile.TemporaryDirectory] = weakref.WeakValueDictionary()
_helpers: weakref.WeakSet[Helper] = weakref.WeakSet()


class HelperEnded(OncoTrackError):
    """The helper process ended before it returned a result.

    Parameters
    ----------
    reason : str
        "crash", "time" or "memory".
    message : str
        A sentence.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Helper:
    """A helper process, which is started now; calls come one after another, from any one thread.

    Parameters
    ----------
    preload : sequence of str
        Modules that it imports meanwhile.

    Raises
    ------
    OSError
        There is no Python to start, or it cannot be started.
    """

    def __init__(self, preload: Sequence[str] = ()) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="oncotrack-helper-", ignore_cleanup_errors=True)
        _folders[self._folder.name] = self._folder
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115
        self._inbox: queue.SimpleQueue[tuple[str, Any] | None] = queue.SimpleQueue()
        script, root, ring = Path(helper_main.__file__), Path(helper_main.__file__).parents[2], Ring()
        level = str(logging.getLogger().getEffectiveLevel())
        try:
            self._process = subprocess.Popen(
                [python(), str(script), str(root), self._folder.name, ring.handle, level, ",".join(preload)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._printed,
                pass_fds=[ring.descriptor] if ring.descriptor >= 0 else (),
                env=os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), self._folder.name) | {_MARK: "1"},
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        finally:
            ring.close()
        assert self._process.stdin is not None and self._process.stdout is not None
        self._channel = Channel(self._process.stdout, self._process.stdin)  # type: ignore[arg-type]
        self._arrived, self._sent = Incoming(ring, self._channel.send), Outgoing(ring, self._channel.send)
        parts = self._channel, self._inbox, self._arrived, self._sent
        threading.Thread(target=_receive, args=parts, daemon=True).start()
        _helpers.add(self)

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def call(
        self,
        function: Callable[..., Any],
        *args: Any,
        poll: Callable[[], object] = lambda: None,
        progress: Progress | None = None,
        seconds: float = float("inf"),
        memory: int = 0,
        streams: bool = False,
        **named: Any,
    ) -> Any:
        """Return what a function returns in the helper process.

        Parameters
        ----------
        function : callable
            A function of a module, which is imported there.
        *args, **named
            Its arguments; arrays travel through shared memory, as in the result.
        poll : callable
            Called every 0.05 s; when it raises, the process is ended at once.
        progress : Progress, optional
            Given to the function as ``progress``; called here. When it raises, the process is ended at once.
        seconds : float
            The process is ended after this time.
        memory : int
            Bytes that it may take for this call; 0 for no limit.
        streams : bool
            Whether what the function makes with `arrays.stacked` travels while it is made.

        Raises
        ------
        HelperEnded
            The process crashed or took too long or, outside Linux, too much memory.
        MemoryError
            It took too much memory.
        """
        details = (function.__module__, function.__qualname__, memory, progress is not None, streams)
        deadline = time.monotonic() + seconds
        try:
            try:
                self._channel.send("call", (details, *self._sent.pack((args, named))))
            except OSError:
                raise self._ended() from None
            while True:
                if time.monotonic() > deadline:
                    raise HelperEnded("time", f"{function.__name__} took more than {seconds:g} s and was stopped.")
                poll()
                try:
                    message = self._inbox.get(timeout=_POLL_S)
                except queue.Empty:
                    continue
                if message is None:
                    raise self._ended()
                kind, about = message
                if kind == "result":
                    return self._arrived.unpack(*about)
                if kind == "error":
                    raise self._failure(*about)
                if kind == "problem":
                    raise about
                if kind == "progress" and progress is not None:
                    progress(*about)
                elif kind == "log":
                    record = logging.makeLogRecord(about)
                    logging.getLogger(record.name).handle(record)
        except BaseException as error:
            if not getattr(error, "_from_helper", False):
                self.close()
            raise

    def close(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _failure(self, content: bytes, text: str) -> Exception:
        """Return the error of a function; the helper goes on."""
        self._arrived.clear()
        error: Exception = pickle.loads(content)
        if not isinstance(error, OncoTrackError | MemoryError):
            _log.error("In the helper process:\n%s", text)
        error._from_helper = True  # type: ignore[attr-defined]
        return error

    def _ended(self) -> HelperEnded:
        """Return why the process ended."""
        code = self._process.wait()
        self._printed.seek(0)
        printed = self._printed.read()[-_LAST:].decode("utf-8", "replace")
        _log.warning("The helper process ended with code %d. %s", code, printed)
        if code == helper_main.OUT_OF_MEMORY:
            return HelperEnded("memory", "The helper process needed more memory than it is allowed.")
        return HelperEnded("crash", f"The helper process stopped ({_why(code)}).")


def python() -> str:
    """Return the Python interpreter; in Slicer it is a program of its own.

    Raises
    ------
    FileNotFoundError
        There is none.
    """
    if Path(sys.executable or "").stem.lower().startswith("python"):
        return sys.executable
    found = shutil.which("PythonSlicer") or shutil.which("PythonSlicer", path=str(Path(sys.executable or "").parent))
    if found is None:
        raise FileNotFoundError("PythonSlicer")
    return found


def is_helper() -> bool:
    """Return whether this process is a helper process."""
    return _MARK in os.environ


def folder_of(path: Path) -> object:
    """Return what keeps the temporary folder of a helper process from being removed, where a path lies in one.

    Parameters
    ----------
    path : Path
        The path.
    """
    return next((kept for name, kept in _folders.items() if Path(name) in path.parents), None)


def _receive(
    channel: Channel, inbox: queue.SimpleQueue[tuple[str, Any] | None], arrived: Incoming, sent: Outgoing
) -> None:
    """Receive arrays, on a thread of its own; pass on all other messages, and at last that the process has ended."""
    try:
        while True:
            kind, details = channel.receive()
            if kind == "free":
                sent.release(details)
            elif not arrived.take(kind, details):
                inbox.put((kind, details))
    except (EOFError, OSError):
        inbox.put(None)
    except Exception as error:  # too little memory for an array
        inbox.put(("problem", error))


def _why(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.strsignal(-code) or f"signal {-code}"
    except ValueError:
        return f"signal {-code}"


@atexit.register
def _close_all() -> None:
    for helper in list(_helpers):
        helper.close()
