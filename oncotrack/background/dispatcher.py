"""A worker for an interface that only a timer can call on its own thread, such as Qt."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from typing import Protocol

from oncotrack.background.jobs import Worker


class Timer(Protocol):
    """A timer of the interface: calls `TimerDispatcher.tick` every `TimerDispatcher.TICK_MS` between `start` and `stop`."""

    def start(self) -> None:
        """Start the timer, or let it continue."""

    def stop(self) -> None:
        """Stop the timer."""


class TimerDispatcher:
    """Runs the worker's callbacks on the interface's thread from a timer, as long as there is work.

    Slicer's event loop keeps Python's global lock while no Python code runs: each tick also sleeps for a moment, in which
    the worker continues.

    Parameters
    ----------
    timer : Timer
        Calls `tick`.
    finished : callable
        Called after the last job has been delivered.
    """

    TICK_MS = 1
    _YIELD_S = 0.005

    def __init__(self, timer: Timer, finished: Callable[[], None]) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.worker = Worker(self._calls.put)
        self._timer, self._finished = timer, finished

    def start(self) -> None:
        """Start the timer; call this after a job was submitted to `worker`."""
        self._timer.start()

    def tick(self) -> None:
        """Run the posted callbacks; after the last job, stop the timer."""
        was_busy = self.worker.is_busy  # before the queue is read: the worker posts its last call while it is busy
        while True:
            try:
                call = self._calls.get_nowait()
            except queue.Empty:
                break
            call()
        if was_busy:
            time.sleep(self._YIELD_S)
        elif not self.worker.is_busy:
            self._timer.stop()
            self._finished()

    def close(self) -> None:
        """Stop the timer, cancel all jobs and end the worker's thread."""
        self._timer.stop()
        self.worker.stop()
