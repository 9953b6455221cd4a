"""A helper process: functions run in it with their arrays in shared memory, and nothing that happens there harms the program.

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
import socket
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
from oncotrack.background.helper_channel import Channel, Message
from oncotrack.background.jobs import Progress
from oncotrack.background.shared_blocks import Arena, Block, unpack
from oncotrack.errors import OncoTrackError

_POLL_S = 0.05
_MARK = "ONCOTRACK_HELPER"
_KEPT_S = 30.0
_LARGEST = 2**29  # bytes
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
        self._inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._lent = _Lent(lambda: self._channel.send(Message("forget")))
        ours, theirs = socket.socketpair() if os.name != "nt" else (None, None)
        script, root = Path(helper_main.__file__), Path(helper_main.__file__).parents[2]
        blocks = str(theirs.fileno()) if theirs else ""
        level = str(logging.getLogger().getEffectiveLevel())
        try:
            self._process = subprocess.Popen(
                [python(), str(script), str(root), self._folder.name, blocks, level, ",".join(preload)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._printed,
                pass_fds=[theirs.fileno()] if theirs else (),
                env=os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), self._folder.name) | {_MARK: "1"},
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        finally:
            if theirs is not None:
                theirs.close()
        assert self._process.stdin is not None and self._process.stdout is not None
        self._channel = Channel(self._process.stdout, self._process.stdin, ours)  # type: ignore[arg-type]
        self._sockets = ours
        threading.Thread(target=_receive, args=(self._channel, self._inbox, self._lent), daemon=True).start()
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
        **named: Any,
    ) -> Any:
        """Return what a function returns in the helper process.

        Parameters
        ----------
        function : callable
            A function of a module, which is imported there.
        *args, **named
            Its arguments; arrays travel in shared memory, as in the result.
        poll : callable
            Called every 0.05 s; when it raises, the process is ended at once.
        progress : Progress, optional
            Given to the function as ``progress``; called here. When it raises, the process is ended at once.
        seconds : float
            The process is ended after this time.
        memory : int
            Bytes that it may take for this call; 0 for no limit.

        Raises
        ------
        HelperEnded
            The process crashed or took too long or, outside Linux, too much memory.
        MemoryError
            It took too much memory.
        """
        arena = Arena()
        details = (function.__module__, function.__qualname__, memory, progress is not None, self._lent.take())
        call = Message("call", details, arena.pack((args, named)))
        deadline = time.monotonic() + seconds
        try:
            try:
                self._channel.send(call)
            except OSError:
                raise self._ended() from None
            del call, arena
            while True:
                try:
                    message = self._inbox.get(timeout=_POLL_S)
                except queue.Empty:
                    if time.monotonic() > deadline:
                        what = f"{function.__name__} took more than {seconds:g} s and was stopped."
                        raise HelperEnded("time", what) from None
                    poll()
                    continue
                if message is None:
                    raise self._ended()
                if message.kind == "result":
                    assert message.packed is not None
                    self._channel.send(Message("taken"))
                    return unpack(message.packed, self._lent.lend(message.packed.blocks))
                if message.kind == "error":
                    raise self._failure(*message.details)
                if message.kind == "progress" and progress is not None:
                    progress(*message.details)
                elif message.kind == "log":
                    record = logging.makeLogRecord(message.details)
                    logging.getLogger(record.name).handle(record)
        except BaseException as error:
            if not getattr(error, "_from_helper", False):
                self.close()
            raise

    def close(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._sockets):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._lent.take()

    def _failure(self, content: bytes, text: str) -> Exception:
        """Return the error of a function; the helper goes on."""
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


class _Lent:
    """The first block of the last result: once its arrays are gone it is kept for the next result for a while.

    Memory that was used before is several times as fast as new memory.
    """

    def __init__(self, forget: Callable[[], object]) -> None:
        self.block: Block | None = None
        self._is_free, self._timer, self._forget = False, threading.Timer(0, forget), forget

    def lend(self, blocks: Sequence[Block]) -> Callable[[Block], None]:
        """Remember the first block of a result; returns what is called with each block when its arrays are gone."""
        self.block, self._is_free = next(iter(blocks), None), False
        return self._released

    def take(self) -> bool:
        """Return whether the block can be used again now."""
        self._timer.cancel()
        is_free, self._is_free = self._is_free, False
        if not is_free:
            self.block = None
        return is_free

    def _released(self, block: Block) -> None:
        if block is not self.block:
            return
        self._is_free = True
        self._timer = threading.Timer(0.0 if block.size > _LARGEST else _KEPT_S, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def _expire(self) -> None:
        if self.take():
            self.block = None
            with contextlib.suppress(OSError, ValueError):  # the process has ended
                self._forget()


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


def _receive(channel: Channel, inbox: queue.SimpleQueue[Message | None], lent: _Lent) -> None:
    try:
        while True:
            inbox.put(channel.receive(lambda: lent.block))
    except EOFError:
        inbox.put(None)


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
