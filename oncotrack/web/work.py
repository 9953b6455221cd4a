"""Long-running work of the page: a queue of tasks on a worker thread, and the state of the progress bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oncotrack.background.jobs import Job, Worker
from oncotrack.errors import OncoTrackError
from oncotrack.scene.nodes.tasks import Task


class Work:
    """Runs tasks one after another.

    Parameters
    ----------
    post : callable
        Runs a function on the page's thread.
    show : callable
        Called with the state of the progress bar after each change: text, percent, number of waiting tasks, stopping, and
        `last`, the number of the newest task.
    show_failure : callable
        Called with the error when a task failed or was cancelled.
    """

    def __init__(
        self,
        post: Callable[[Callable[[], None]], None],
        show: Callable[[dict[str, Any]], None],
        show_failure: Callable[[OncoTrackError], None],
    ) -> None:
        self._worker = Worker(post)
        self._show, self._show_failure = show, show_failure
        self._jobs: list[tuple[Job, Task, int]] = []
        self._last = 0
        self._fraction, self._text = 0.0, ""

    @property
    def is_busy(self) -> bool:
        """Whether a task runs or waits."""
        return bool(self._jobs)

    def submit(self, task: Task, done: Callable[[Any], None] = lambda _result: None) -> Callable[[], None]:
        """Queue a task; then `done` is called with the result of its `apply`, on the page's thread.

        Returns
        -------
        callable
            Cancels this task alone, without a message.
        """
        entry: list[tuple[Job, Task, int]] = []
        is_withdrawn = False

        def finished(result: Any) -> None:
            self._remove(entry)
            done(result)

        def failed(error: OncoTrackError) -> None:
            self._remove(entry)
            if not is_withdrawn:
                self._show_failure(error)

        def progress(fraction: float, text: str) -> None:
            if entry and self._jobs and entry[0] is self._jobs[0]:
                self._fraction, self._text = fraction, text
                self.show()

        def withdraw() -> None:
            nonlocal is_withdrawn
            is_withdrawn = True
            job.cancel()

        job = task.submit(self._worker, failed, progress, finished)
        self._last += 1
        entry.append((job, task, self._last))
        self._jobs.append(entry[0])
        self.show()
        return withdraw

    def cancel(self, last: int | None = None) -> None:
        """Cancel the running task and those that wait.

        Parameters
        ----------
        last : int, optional
            The newest task that the page showed when the reader pressed Cancel; tasks that came later go on.
        """
        jobs = [job for job, _task, number in self._jobs if last is None or number <= last]
        if jobs:
            self._worker.cancel(jobs)
            self._text = "Stopping"
            self.show()

    def stop(self) -> None:
        """End the thread, after a short wait for a running task."""
        self._worker.stop()

    def _remove(self, entry: list[tuple[Job, Task]]) -> None:
        if entry and entry[0] in self._jobs:
            self._jobs.remove(entry[0])
        self._fraction, self._text = 0.0, ""
        self.show()

    def show(self) -> None:
        """Show the running task on the page, or nothing."""
        if not self._jobs:
            self._show({})
            return
        stage = f": {self._text}" if self._text else ""
        self._show(
            {
                "text": self._jobs[0][1].text + stage,
                "percent": round(100 * self._fraction),
                "waiting": len(self._jobs) - 1,
                "stopping": self._jobs[0][0].is_cancelled,
                "last": self._last,
            }
        )
