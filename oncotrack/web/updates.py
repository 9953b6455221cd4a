"""What brings the page up to date after an action, each part once however often the scene has changed meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from undo_stack import Signal


class Updates:
    """Functions that update the page's state; during an action they wait until its end."""

    def __init__(self) -> None:
        self._waiting: dict[Callable[[], None], None] | None = None

    def ask(self, update: Callable[[], None]) -> None:
        """Call a function, during an action once at its end.

        Parameters
        ----------
        update : callable
            Asked for again, the same function or method of the same object is still called once.
        """
        if self._waiting is None:
            update()
        else:
            self._waiting[update] = None

    def on(self, signal: Signal, update: Callable[[], None]) -> None:
        """Ask for an update whenever a signal without arguments is emitted."""
        signal.connect(lambda: self.ask(update))

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Return the context of an action; within another one it changes nothing.

        An error of an update withholds no other update, and is raised when all are done and the action has not failed itself.
        """
        if self._waiting is not None:
            yield
            return
        waiting = self._waiting = {}
        errors: list[Exception] = []
        try:
            yield
        finally:
            while waiting:
                update = next(iter(waiting))
                del waiting[update]
                try:
                    update()
                except Exception as error:
                    errors.append(error)
            self._waiting = None
        if errors:
            raise errors[0]
