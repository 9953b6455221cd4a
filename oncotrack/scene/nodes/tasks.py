"""Long-running work in two parts: computation on a worker thread, then a change of the scene on the GUI thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oncotrack.background.jobs import Job, Progress, Worker, silent
from oncotrack.errors import UNEXPECTED, OncoTrackError


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Task:
    """Long-running work: `work` computes a result, `apply` changes the scene by it.

    Attributes
    ----------
    text : str
        What the task does, for the progress bar.
    work : callable
        Called with the progress function on any thread; must not use the scene.
    apply : callable
        Called with the result of `work` on the GUI thread.
    abandon : callable
        Called on the GUI thread instead of `apply` when `work` failed or was cancelled, and after `apply` failed.
    """

    text: str
    work: Callable[[Progress], Any]
    apply: Callable[[Any], Any]
    abandon: Callable[[], None] = _nothing

    def run(self, progress: Progress = silent) -> Any:
        """Run both parts now, on this thread; returns what `apply` returns."""
        try:
            return self.apply(self.work(progress))
        except BaseException:
            self.abandon()
            raise

    def submit(
        self,
        worker: Worker,
        failed: Callable[[OncoTrackError], None],
        progress: Progress = silent,
        done: Callable[[Any], None] = lambda _result: None,
    ) -> Job:
        """Queue the task on a worker.

        Parameters
        ----------
        worker : Worker
        failed : callable
            Called with the error on the GUI thread, also with `Cancelled`.
        progress : Progress
        done : callable
            Called with what `apply` returned, on the GUI thread.
        """

        def give_up(error: OncoTrackError) -> None:
            self.abandon()
            failed(error)

        def finish(result: Any) -> None:
            try:
                applied = self.apply(result)
            except OncoTrackError as error:
                give_up(error)
            except Exception:
                give_up(OncoTrackError(UNEXPECTED))
                raise
            else:
                done(applied)

        return worker.submit(self.work, finish, give_up, progress)
