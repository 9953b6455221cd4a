"""Reading of files in a helper process: a damaged or hostile file can stop that process, but not the program.

Functions that read files are marked with `isolated`. They run in the process that calls them until `use_helper` is called,
which the command line, the browser viewer and the Slicer modules do when they start; scripts and tests choose themselves.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from oncotrack.background.jobs import stop_if_cancelled
from oncotrack.errors import InputError, long_names_refused

if TYPE_CHECKING:
    from oncotrack.background.helper_process import Helper, HelperEnded

Reader = TypeVar("Reader", bound=Callable[..., Any])
SECONDS = 900.0
"""Longest time that one file, folder or archive may take; a study of 10 GB comes through a network of 100 Mbit/s in this time."""
SWITCH = "ONCOTRACK_UNSAFE_IN_PROCESS"
"""Environment variable; when it is set, `use_helper` does nothing."""
_SHARE = 0.8  # of the computer's memory
PRELOADED = "oncotrack.images.files", "oncotrack.images.dicom"
"""Modules that a helper process imports when it starts."""
_MOST_IDLE = 2
_log = logging.getLogger(__name__)
_thread = threading.local()


class _Helpers:
    """The helper processes that wait for a call; each call has one to itself."""

    def __init__(self) -> None:
        self.are_used = False
        self.preloaded: tuple[str, ...] = PRELOADED
        self._idle: list[Helper] = []
        self._lock = threading.Lock()

    def take(self) -> Helper | None:
        """Return a helper; None where it cannot be started or is not wanted."""
        if not self.are_used or getattr(_thread, "is_in_process", False):
            return None
        from oncotrack.background.helper_process import Helper

        with self._lock:
            while self._idle:
                helper = self._idle.pop()
                if helper.is_alive:
                    return helper
        try:
            return Helper(self.preloaded)
        except OSError as error:
            _log.warning("Files are read without a helper process, because it cannot be started: %s", error)
            return None

    def put(self, helper: Helper) -> None:
        """Keep a helper for the next call."""
        with self._lock:
            if helper.is_alive and len(self._idle) < _MOST_IDLE:
                self._idle.append(helper)
                return
        helper.close()


_helpers = _Helpers()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _helpers._idle.clear())  # they belong to the other process


def use_helper(*modules: str, now: bool = False) -> None:
    """Run the functions that are marked with `isolated` in a helper process from now on.

    Parameters
    ----------
    *modules : str
        Modules that it imports when it starts, beside `PRELOADED`.
    now : bool
        Start it now, so that it is ready when it is needed; otherwise the first call starts it.
    """
    _helpers.are_used, _helpers.preloaded = not os.environ.get(SWITCH), (*PRELOADED, *modules)
    if now and (helper := _helpers.take()):
        _helpers.put(helper)


@contextmanager
def in_this_process() -> Iterator[None]:
    """Run them in this process inside the block, on this thread."""
    before, _thread.is_in_process = getattr(_thread, "is_in_process", False), True
    try:
        yield
    finally:
        _thread.is_in_process = before


def is_isolated() -> bool:
    """Return whether the functions that are marked with `isolated` run in a helper process."""
    return _helpers.are_used


def isolated(function: Reader) -> Reader:
    """Mark a function that reads files: its first argument names what is read. See `use_helper`.

    The file may take `SECONDS` and most of the computer's memory. The job of `oncotrack.background.jobs` that calls it can be
    cancelled at any time.

    Parameters
    ----------
    function : callable
        A function of a module; arguments and result can be pickled.
    """
    return _isolated(function, streams=False)


def isolated_stack(function: Reader) -> Reader:
    """Mark a function as `isolated` does; what `arrays.stacked` makes in it travels while it is read.

    The function must return that array, or drop it, without looking at its values.

    Parameters
    ----------
    function : callable
        As in `isolated`.
    """
    return _isolated(function, streams=True)


def _isolated(function: Reader, *, streams: bool) -> Reader:
    @functools.wraps(function)
    def _call(*args: Any, **named: Any) -> Any:
        helper = _helpers.take()
        if helper is None:
            with in_this_process(), long_names_refused():
                return function(*args, **named)
        from oncotrack.background.helper_process import HelperEnded

        limits = {"seconds": SECONDS, "memory": int(_SHARE * _physical_memory())}
        try:
            with long_names_refused():
                return helper.call(_call, *args, poll=stop_if_cancelled, streams=streams, **limits, **named)
        except HelperEnded as error:
            raise InputError(_sentence(error, _name(args, named))) from error
        except MemoryError as error:
            raise InputError(too_large(_name(args, named))) from error
        finally:
            _helpers.put(helper)

    return _call  # type: ignore[return-value]


def too_large(name: str) -> str:
    """Return that a file needs too much memory, in sentences.

    Parameters
    ----------
    name : str
        The file.
    """
    return (
        f"{name} needs more memory than this computer can give. Close other programs, or check whether the file is damaged: "
        "its header may state a wrong size."
    )


def _sentence(error: HelperEnded, name: str) -> str:
    if error.reason == "memory":
        return too_large(name)
    if error.reason == "time":
        return (
            f"{name} could not be read within {SECONDS / 60:g} minutes, so reading it was stopped. Copy it to a disk of this "
            "computer and open it there, or export it again."
        )
    return (
        f"{name} could not be read: it stopped the process that reads files, so it is probably damaged. Nothing else was "
        "affected. Copy or export it again."
    )


def _name(args: tuple[Any, ...], named: dict[str, Any]) -> str:
    """Return what was to be read: a path, an object with a path, or the first of several paths."""
    first = next(iter((*args, *named.values())), "The file")
    if isinstance(first, list | tuple) and first:
        first = first[0]
    path = first if isinstance(first, str | Path) else getattr(first, "path", None)
    return str(path or "The file")


def _physical_memory() -> int:
    """Return the bytes of memory of this computer; 16 GiB where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 2**34
