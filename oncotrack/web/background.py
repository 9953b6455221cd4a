"""Work without a hurry: it runs beside the tasks of the reader, and pauses while these run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from oncotrack.background.jobs import Progress, Worker, stop_if_cancelled
from oncotrack.scene.nodes.tasks import Task

_LOOK_S = 0.1  # between two looks whether the reader's tasks have ended


class Background:
    """Runs tasks one after another without showing them; one that fails is dropped.

    Parameters
    ----------
    post : callable
        Runs a function on the page's thread.
    is_busy : callable
        Whether a task of the reader runs or waits.
    """

    def __init__(self, post: Callable[[Callable[[], None]], None], is_busy: Callable[[], bool]) -> None:
        self._worker, self._is_busy = Worker(post), is_busy

    def submit(self, task: Task, done: Callable[[], object]) -> None:
        """Queue a task; `done` is called on the page's thread after it was applied."""

        def work(progress: Progress) -> Any:
            def report(fraction: float, text: str) -> None:
                progress(fraction, text)
                while self._is_busy():
                    stop_if_cancelled()
                    time.sleep(_LOOK_S)

            return task.work(report)

        replace(task, work=work).submit(self._worker, lambda _error: None, done=lambda _result: done())

    def stop(self) -> None:
        """Cancel all tasks and end the thread."""
        self._worker.stop()
