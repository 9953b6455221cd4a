"""Registration and networks in a helper process that is kept: cancelling ends them at once, and a crash there harms nothing.

Functions that compute long are marked with `in_work_process`. They run in the process that calls them until `use_work_process`
is called, which Slicer's modules do: there the libraries of the packages and Slicer's own do not meet. Images and pairs of scans
(`Kept`) are handed over once, in shared memory; objects like loaded networks (`Remote`) exist in the work process only.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import itertools
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from oncotrack.background.isolation import SWITCH
from oncotrack.background.jobs import Progress, silent, stop_if_cancelled
from oncotrack.errors import OncoTrackError

if TYPE_CHECKING:
    from oncotrack.background.helper_process import Helper

Work = TypeVar("Work", bound=Callable[..., Any])
_ENDED = {
    "crash": "The computation stopped unexpectedly, so nothing was changed. Try again; if it happens again, the log has the details.",
    "start": "The computation runs in a process of its own, because Slicer's libraries and those of the packages do not agree, and "
    "that process cannot be started: {}. Nothing was changed. Reinstall Slicer if its program PythonSlicer is missing.",
    "memory": "The computation needs more memory than this computer can give, so nothing was changed. Close other programs and try again.",
}


class Kept:
    """The base of objects that travel to the work process once, and are the same objects there in later calls."""


@dataclass(frozen=True)
class _Token:
    """Stands for an object that the work process keeps."""

    number: int


class _WorkProcess:
    """The process, and what it keeps."""

    def __init__(self) -> None:
        self.is_used, self._modules = False, ()
        self._helper: Helper | None = None
        self._numbers: dict[int, int] = {}  # by the id of an object, while it exists
        self._sent: set[int] = set()
        self._gone: list[int] = []
        self._count, self._lock = itertools.count(), threading.Lock()

    def use(self, modules: tuple[str, ...]) -> None:
        """Run marked functions in the process from now on."""
        self.is_used, self._modules = not os.environ.get(SWITCH), modules

    def call(self, function: Callable[..., Any], args: dict[str, Any], progress: Progress | None) -> Any:
        """Return what a function returns there.

        Raises
        ------
        OncoTrackError
            The process cannot be started, or ended unexpectedly.
        """
        from oncotrack.background.helper_process import HelperEnded

        with self._lock:
            helper = self._running()
            gone, self._gone = self._gone, []
            new: dict[int, Kept] = {}
            tokens = {name: self._with_tokens(value, new) for name, value in args.items()}
            details = function.__module__, function.__qualname__, tokens, new, gone, progress is not None
            try:
                result = helper.call(_run, *details, poll=stop_if_cancelled, progress=progress or silent)
            except MemoryError as error:  # the objects may not have arrived
                raise OncoTrackError(_ENDED["memory"]) from error
            except HelperEnded as error:
                raise OncoTrackError(_ENDED.get(error.reason, _ENDED["crash"])) from error
            except Exception:
                self._sent |= set(new)
                raise
            finally:
                if not helper.is_alive:  # be ready for the next call, without keeping the reader waiting
                    threading.Thread(target=self._restart, daemon=True).start()
            self._sent |= set(new)
            return result

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._helper is not None:
                self._helper.close()
            self._helper = None

    def _restart(self) -> None:
        with self._lock, contextlib.suppress(OncoTrackError):
            if self.is_used:
                self._running()

    def _running(self) -> Helper:
        from oncotrack.background.helper_process import Helper

        if self._helper is None or not self._helper.is_alive:
            try:
                self._helper, self._sent, self._gone = Helper(self._modules), set(), []
            except OSError as error:
                raise OncoTrackError(_ENDED["start"].format(error)) from error
        return self._helper

    def _with_tokens(self, value: Any, new: dict[int, Kept]) -> Any:
        if isinstance(value, tuple) and not hasattr(value, "_fields"):
            return tuple(self._with_tokens(each, new) for each in value)
        return self._token(value, new) if isinstance(value, Kept) else value

    def _token(self, value: Kept, new: dict[int, Kept]) -> _Token:
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = next(self._count)
            weakref.finalize(value, self._forget, id(value), number).atexit = False
        if number not in self._sent:
            new[number] = value
        return _Token(number)

    def _forget(self, key: int, number: int) -> None:
        self._numbers.pop(key, None)
        self._gone.append(number)


_process = _WorkProcess()
_kept: dict[int, Any] = {}
"""In the work process: the objects that it was given, by number."""


def use_work_process(*modules: str) -> None:
    """Run the functions that are marked with `in_work_process` in a process of their own from now on; the first call starts it.

    Parameters
    ----------
    *modules : str
        Modules that it imports when it starts.
    """
    _process.use(modules)


def is_work_process_used() -> bool:
    """Return whether marked functions run in the work process."""
    return _process.is_used


def close_work_process() -> None:
    """End the work process, and run marked functions in this process from now on."""
    _process.is_used = False
    _process.close()


@contextlib.contextmanager
def computing_here() -> Iterator[None]:
    """Run marked functions in this process inside the block."""
    before, _process.is_used = _process.is_used, False
    try:
        yield
    finally:
        _process.is_used = before


def in_work_process(function: Work) -> Work:
    """Mark a function of a module that computes long.

    Its arguments and its result can be pickled, or are `Kept` or `Remote`. An argument ``progress`` is called in this process;
    the job of `oncotrack.background.jobs` that calls the function can be cancelled at any time.

    Parameters
    ----------
    function : callable
        The function.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def _call(*args: Any, **named: Any) -> Any:
        if not _process.is_used:
            return function(*args, **named)
        given = signature.bind(*args, **named)
        progress = given.arguments.pop("progress", None)
        return _process.call(function, dict(given.arguments), progress)

    return _call  # type: ignore[return-value]


class Remote:
    """Stands for an object that is made, and used, in the work process only.

    Parameters
    ----------
    make : callable
        A function of a module that makes it, called once.
    *args : hashable
        Its arguments.
    """

    def __init__(self, make: Callable[..., Any], *args: Any) -> None:
        self._recipe = make, *args

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Become the object itself in the work process."""
        return _made, self._recipe


@in_work_process
def call_method(remote: Any, name: str, *args: Any, progress: Progress | None = None, **named: Any) -> Any:
    """Return what a method of a `Remote` returns, which takes `progress` by name where it is given.

    Parameters
    ----------
    remote : Remote
        The object.
    name : str
        Its method.
    *args, **named
        Arguments of the method.
    progress : Progress, optional
        Called in this process.
    """
    return getattr(remote, name)(*args, **named, **({} if progress is None else {"progress": progress}))


@functools.cache
def _made(make: Callable[..., Any], *args: Any) -> Any:
    return make(*args)


def _run(
    module: str,
    name: str,
    args: dict[str, Any],
    new: dict[int, Any],
    gone: list[int],
    reports: bool,
    progress: Progress,
) -> Any:
    """Run a function in the work process."""
    for number in gone:
        _kept.pop(number, None)
    _kept.update(new)
    function: Any = functools.reduce(getattr, name.split("."), importlib.import_module(module))
    signature = inspect.signature(function)
    values = {key: _with_objects(value) for key, value in args.items()}
    if reports:
        values["progress"] = progress
    given = inspect.BoundArguments(signature, {key: values[key] for key in signature.parameters if key in values})
    return function(*given.args, **given.kwargs)


def _with_objects(value: Any) -> Any:
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(map(_with_objects, value))
    return _kept[value.number] if isinstance(value, _Token) else value
