"""A worker for an interface that has a timer and no other way to be called from another thread, such as Qt's."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from typing import Protocol

from oncotrack.background.jobs import Worker


class Timer(Protocol):
    """Calls `TimerDispatcher.tick` on the interface's thread every `TimerDispatcher.TICK_MS` between `start` and `stop`."""

    def start(self) -> None:
        """Begin, or go on."""

    def stop(self) -> None:
        """No more ticks."""


class TimerDispatcher:
    """Takes what a worker posts to the interface's thread, tick by tick, for as long as there is work.

    Slicer's event loop keeps Python's lock while no Python code runs: each tick also sleeps for a moment, in which
    the worker goes on.

    Parameters
    ----------
    timer : Timer
    finished : callable
        Called when the last job has been delivered.
    """

    TICK_MS = 1
    _YIELD_S = 0.005

    def __init__(self, timer: Timer, finished: Callable[[], None]) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.worker = Worker(self._calls.put)
        self._timer, self._finished = timer, finished

    def start(self) -> None:
        """To be called after a job was submitted to `worker`."""
        self._timer.start()

    def tick(self) -> None:
        """Call what was posted; the timer stops after the last job."""
        was_busy = self.worker.is_busy  # asked first: the last call is posted before the worker is idle
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
        """Cancel everything and end the worker's thread."""
        self._timer.stop()
        self.worker.stop()
