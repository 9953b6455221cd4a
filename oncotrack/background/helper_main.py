"""The helper process: it receives calls of importable functions, runs them one after another, and sends their results.

`oncotrack.background.helper_process` starts this file as a script, so that neither the main module of the program nor its
current folder is imported. The process ends when the program ends, however that happens.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":  # this folder has modules with names that others have too
    sys.path[0] = sys.argv[1]

import faulthandler
import importlib
import logging
import os
import pickle
import queue
import shutil
import signal
import threading
import time
import traceback
from contextlib import nullcontext
from functools import partial, reduce
from typing import Any

from oncotrack.background import arrays
from oncotrack.background.helper_channel import Channel
from oncotrack.background.shared_ring import Incoming, Outgoing, Ring

OUT_OF_MEMORY = 77
"""Exit code of a helper that used more memory than allowed, where the system does not refuse it."""
_POLL_S = 0.1


def main(folder: str, ring: str, level: str, preload: str) -> None:
    """Run until the program closes the channel.

    Parameters
    ----------
    folder : str
        Folder for temporary files.
    ring : str
        Handle of the memory for arrays.
    level : str
        Level from which log messages are sent.
    preload : str
        Modules to import before the first call, with commas.
    """
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the program, which ends this process
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print stays out of the messages
    channel = Channel(incoming, outgoing)
    logging.basicConfig(level=int(level), handlers=[_Sending(channel)])
    memory = Ring(ring)
    arrived, sent = Incoming(memory, channel.send), Outgoing(memory, channel.send)
    calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(channel, calls, arrived, sent, folder), daemon=True).start()
    for name in filter(None, preload.split(",")):
        importlib.import_module(name)
    while True:
        channel.send(*_answer(calls.get(), channel, sent))


def _receive(channel: Channel, calls: queue.SimpleQueue, arrived: Incoming, sent: Outgoing, folder: str) -> None:
    """Receive messages; end this process at once when the program has ended, whatever it is doing."""
    try:
        while True:
            kind, details = channel.receive()
            if kind == "free":
                sent.release(details)
            elif not arrived.take(kind, details):
                function, content, numbers = details
                calls.put((function, partial(arrived.unpack, content, numbers)))
    except EOFError:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)


def _answer(call: tuple[Any, Any], channel: Channel, sent: Outgoing) -> tuple[str, Any]:
    """Run a call; return the kind and the details of the message with its result or its error."""
    (module, name, allowed, reports, streams), arguments = call
    try:
        with _MemoryLimit(allowed), arrays.stacking(sent.stacked) if streams else nullcontext():
            args, named = arguments()
            if reports:
                named["progress"] = lambda fraction, text: channel.send("progress", (fraction, text))
            function: Any = reduce(getattr, name.split("."), importlib.import_module(module))
            return "result", sent.pack(function(*args, **named))
    except Exception as error:
        sent.clear()
        return "error", (_portable(error), traceback.format_exc())


def _portable(error: Exception) -> bytes:
    """Return a pickled error; one that cannot be sent is described."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    try:
        content = pickle.dumps(error)
        pickle.loads(content)
    except Exception:
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    return content


class _Sending(logging.Handler):
    """Sends log messages to the program, whose handlers deal with them."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info))
        record.msg, record.args, record.exc_info = record.getMessage(), None, None
        self._channel.send("log", record.__dict__)


class _MemoryLimit:
    """Limits the memory that this process may take inside the block, beyond what it has; 0 for no limit."""

    def __init__(self, allowed: int) -> None:
        self._allowed, self._done = allowed, threading.Event()

    def __enter__(self) -> None:
        if not self._allowed:
            return
        if sys.platform == "linux":
            import resource

            with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
                mapped = int(file.read().split()[0]) * resource.getpagesize()
            self._before = resource.getrlimit(resource.RLIMIT_AS)
            hard = self._before[1]
            limit = mapped + self._allowed
            resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))
        else:  # pragma: no cover
            threading.Thread(target=self._watch, args=(_peak(),), daemon=True).start()

    def __exit__(self, *_error: object) -> None:
        self._done.set()
        if self._allowed and sys.platform == "linux":
            import resource

            resource.setrlimit(resource.RLIMIT_AS, self._before)

    def _watch(self, before: int) -> None:  # pragma: no cover
        while not self._done.is_set():
            if _peak() > before + self._allowed:
                os._exit(OUT_OF_MEMORY)
            time.sleep(_POLL_S)


def _peak() -> int:  # pragma: no cover
    """Return the most memory that this process has used, bytes; on macOS and Windows."""
    if sys.platform != "win32":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    import ctypes
    from ctypes import wintypes

    class Counters(ctypes.Structure):
        _fields_ = (
            ("size", wintypes.DWORD),
            ("faults", wintypes.DWORD),
            *((name, ctypes.c_size_t) for name in ("peak_set", "set", "a", "b", "c", "d", "used", "peak_used")),
        )

    counters = Counters(size=ctypes.sizeof(Counters))
    process = ctypes.windll.kernel32.GetCurrentProcess
    process.restype = wintypes.HANDLE
    ctypes.windll.psapi.GetProcessMemoryInfo.argtypes = wintypes.HANDLE, ctypes.c_void_p, wintypes.DWORD
    ctypes.windll.psapi.GetProcessMemoryInfo(process(), ctypes.byref(counters), counters.size)
    return int(counters.peak_used)


if __name__ == "__main__":
    main(*sys.argv[2:])
