"""Background work for a user interface: one worker thread, progress reports, and cancelling.

It depends on no toolkit: the interface provides `post`, which runs a function on its own thread (a zero-delay timer in
Qt, ``call_soon_threadsafe`` in asyncio).
"""

from __future__ import annotations

import ctypes
import functools
import logging
import queue
import threading
import time
from collections.abc import Callable, Collection
from typing import Any, Literal

from oncotrack.errors import UNEXPECTED, Cancelled, OncoTrackError

Progress = Callable[[float, str], None]
"""Called with the completed fraction (0 to 1) and the present step; raises `Cancelled` when the reader stopped the work."""

_PATIENCE_S = 3.0  # how long a cancelled job may take to its next progress report
_LONG_S = 2.0  # a job that took longer may have freed much memory
_log = logging.getLogger(__name__)
_current = threading.local()


def silent(_fraction: float, _text: str) -> None:
    """Discard a progress report.

    Parameters
    ----------
    _fraction : float
        Ignored.
    _text : str
        Ignored.
    """


def stop_if_cancelled() -> None:
    """Raise `Cancelled` when the job that runs on this thread was cancelled; for work that waits without reporting progress.

    Raises
    ------
    Cancelled
        The job was cancelled.
    """
    job = getattr(_current, "job", None)
    if job is not None and job.is_cancelled:
        raise Cancelled


def part_of(progress: Progress, start: float, stop: float) -> Progress:
    """Return a progress for one part of the work.

    Parameters
    ----------
    progress : Progress
        Progress of the whole work.
    start, stop : float
        The fractions of the whole that correspond to 0 and 1 of the part.
    """
    return lambda fraction, text: progress(start + fraction * (stop - start), text)


class Job:
    """One piece of work in the queue.

    Parameters
    ----------
    work : callable
        Takes a `Progress` and returns the result; called on the worker's thread.
    done : callable
        Takes the result.
    failed : callable
        Takes an `OncoTrackError`.
    progress : Progress
        Called between the steps; like `done` and `failed`, on the interface's thread.
    """

    def __init__(
        self,
        work: Callable[[Progress], Any],
        done: Callable[[Any], None],
        failed: Callable[[OncoTrackError], None],
        progress: Progress,
    ) -> None:
        self._work, self._done, self._failed, self._progress = work, done, failed, progress
        self._cancelled = threading.Event()
        self._is_ended = False

    def cancel(self) -> None:
        """Stop the job at its next progress report; a queued job never starts. Its result is not delivered.

        `Worker.cancel` also ends a job that reports no progress for long.
        """
        self._cancelled.set()

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled.is_set()

    def _run(self, post: Callable[[Callable[[], None]], None]) -> None:
        def report(fraction: float, text: str) -> None:
            if self.is_cancelled:
                raise Cancelled
            post(lambda: None if self.is_cancelled else self._progress(fraction, text))

        _current.job = self
        try:
            report(0.0, "")
            result = self._work(report)
        except OncoTrackError as error:
            problem = error
            post(lambda: self._end(self._failed, problem))
        except Exception:
            _log.exception("A job failed unexpectedly")
            problem = OncoTrackError(UNEXPECTED)
            post(lambda: self._end(self._failed, problem))
        else:
            # the job may be cancelled between its last report and this delivery
            post(lambda: self._end(self._failed, Cancelled()) if self.is_cancelled else self._end(self._done, result))
        finally:
            _current.job = None

    def _end(self, deliver: Callable[[Any], None], outcome: Any) -> None:
        """Deliver the outcome, on the interface's thread, unless the job was given up before."""
        if not self._is_ended:
            self._is_ended = True
            deliver(outcome)


class Worker:
    """Runs jobs one after the other on one thread, which stays alive between them.

    Parameters
    ----------
    post : callable
        Runs a function without arguments on the interface's thread.
    """

    def __init__(self, post: Callable[[Callable[[], None]], None]) -> None:
        self._post = post
        self._queue: queue.SimpleQueue[Job | Literal["tidy"] | None] = queue.SimpleQueue()
        self._pending: list[Job] = []
        self._running: Job | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(
        self,
        work: Callable[[Progress], Any],
        done: Callable[[Any], None],
        failed: Callable[[OncoTrackError], None],
        progress: Progress = silent,
    ) -> Job:
        """Queue a job and return it; see `Job`.

        Parameters
        ----------
        work : callable
            Takes a `Progress` and returns the result; called on the worker's thread.
        done, failed : callable
            Called with the result or with an `OncoTrackError`, on the interface's thread.
        progress : Progress
            Called on the interface's thread.
        """
        if self._thread is None or not self._thread.is_alive():
            self._start()
        job = Job(work, done, failed, progress)
        self._pending.append(job)
        self._queue.put(job)
        return job

    @property
    def is_busy(self) -> bool:
        """Whether a job is running or queued."""
        return bool(self._pending)

    def cancel_all(self) -> None:
        """Cancel the running job and all queued ones."""
        self.cancel(list(self._pending))

    def cancel(self, jobs: Collection[Job]) -> None:
        """Cancel jobs of this worker, whether they run or wait.

        A running one that does not stop within seconds, because it computes in a library, is given up: it fails as
        cancelled, the next jobs run on another thread, and what it returns later is dropped.

        Parameters
        ----------
        jobs : collection of Job
            The jobs; those that have ended stay as they are.
        """
        for job in jobs:
            job.cancel()
        if (running := self._running) is not None and running.is_cancelled:
            timer = threading.Timer(_PATIENCE_S, self._give_up, (running,))
            timer.daemon = True
            timer.start()

    def stop(self) -> None:
        """Cancel all jobs and end the thread."""
        self.cancel_all()
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout=10)
            self._thread = None

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="oncotrack-worker", daemon=True)
        self._thread.start()

    def _loop(self) -> None:
        while (job := self._queue.get()) is not None:
            if job == "tidy":
                give_memory_back()
                continue
            self._running, started = job, time.monotonic()
            job._run(self._post)
            if time.monotonic() - started > _LONG_S:
                self._post(lambda: self._queue.put("tidy"))  # once the result was applied, which also frees memory
            with self._lock:
                if self._running is not job:  # given up; another thread runs the queue
                    return
                self._running = None
                self._pending.remove(job)
            del job  # with the scans that it worked on; the next one may come much later

    def _give_up(self, job: Job) -> None:
        with self._lock:
            if self._running is not job:
                return
            self._running = None
            self._post(lambda: job._end(job._failed, Cancelled()))  # while the worker is busy, see `TimerDispatcher`
            self._pending.remove(job)
            self._start()


def give_memory_back() -> bool:
    """Give free memory back to the system: the C library of Linux would keep hundreds of MB that a network has used.

    Returns
    -------
    bool
        Whether the C library can do it.
    """
    if (trim := _trim()) is not None:
        trim(0)
    return trim is not None


@functools.cache
def _trim() -> Callable[[int], int] | None:
    """Return the function of the C library for it; None where it has none."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # macOS, other C libraries, Windows
        return None
