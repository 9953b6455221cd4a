"""Long-running work: a part for a worker thread and a part that then changes the scene."""

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
    """Work in two halves. `work(progress)` touches no scene and runs on any thread; `apply(result)` and `abandon()`
    run on the GUI thread. When the work fails or is cancelled, the scene is as it was before.
    """

    text: str
    work: Callable[[Progress], Any]
    apply: Callable[[Any], Any]
    abandon: Callable[[], None] = _nothing

    def run(self, progress: Progress = silent) -> Any:
        """Run both halves now, on this thread; returns what `apply` returns."""
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
        """Queue the task; `done(what apply returned)` or `failed(error)`, `Cancelled` too, follows on the GUI thread."""

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
