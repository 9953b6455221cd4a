"""Long work beside a user interface: one warm worker thread, progress, and a cancel that works.

It knows no toolkit: the interface hands in `post`, which runs a function on its own thread
(a zero-delay timer in Qt, ``call_soon_threadsafe`` in asyncio).
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

from oncotrack.errors import UNEXPECTED, Cancelled, OncoTrackError

Progress = Callable[[float, str], None]
"""Called with the fraction done (0 to 1) and what is being done; raises `Cancelled` when the reader stopped it."""

_log = logging.getLogger(__name__)


def silent(_fraction: float, _text: str) -> None:
    """Progress that nobody watches."""


def part_of(progress: Progress, start: float, stop: float) -> Progress:
    """A progress whose 0 to 1 fills `start` to `stop` of another one."""
    return lambda fraction, text: progress(start + fraction * (stop - start), text)


class Job:
    """One piece of work in the queue."""

    def __init__(self, work: Callable[[Progress], Any], done, failed, progress) -> None:
        self._work, self._done, self._failed, self._progress = work, done, failed, progress
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Stop it at its next progress report; a queued job never starts. Its result is not delivered."""
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

        try:
            report(0.0, "")
            result = self._work(report)
        except OncoTrackError as error:
            problem = error
            post(lambda: self._failed(problem))
        except Exception:
            _log.exception("A job failed unexpectedly")
            problem = OncoTrackError(UNEXPECTED)
            post(lambda: self._failed(problem))
        else:
            # a cancel between the last report and here still counts
            post(lambda: self._failed(Cancelled()) if self.is_cancelled else self._done(result))


class Worker:
    """Runs jobs one after another on one thread that stays warm.

    Parameters
    ----------
    post : callable
        Runs a function without arguments on the interface's thread.
    """

    def __init__(self, post: Callable[[Callable[[], None]], None]) -> None:
        self._post = post
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._pending: list[Job] = []
        self._thread: threading.Thread | None = None

    def submit(
        self,
        work: Callable[[Progress], Any],
        done: Callable[[Any], None],
        failed: Callable[[OncoTrackError], None],
        progress: Progress = silent,
    ) -> Job:
        """Queue `work(progress)`; `done(result)`, `failed(error)` and `progress` come on the interface's thread."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._loop, name="oncotrack-worker", daemon=True)
            self._thread.start()
        job = Job(work, done, failed, progress)
        self._pending.append(job)
        self._queue.put(job)
        return job

    @property
    def is_busy(self) -> bool:
        """Whether a job runs or waits."""
        return bool(self._pending)

    def cancel_all(self) -> None:
        """Cancel the running job and everything that waits."""
        for job in list(self._pending):
            job.cancel()

    def stop(self) -> None:
        """Cancel everything and end the thread."""
        self.cancel_all()
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout=10)
            self._thread = None

    def _loop(self) -> None:
        while (job := self._queue.get()) is not None:
            try:
                job._run(self._post)
            finally:
                self._pending.remove(job)
