"""Undo and redo of a value that is replaced as a whole by every command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from undo_stack import Signal, UndoCommand, UndoStack

Content = TypeVar("Content")


class EditHistory(Generic[Content]):
    """An immutable value with undo and redo of every change.

    Listeners connect to `changed` (no arguments); it is emitted once after each command, undo and redo.

    Parameters
    ----------
    content : immutable value
        The value to begin with.
    """

    changed = Signal()

    def __init__(self, content: Content) -> None:
        self._content = content
        self._stack = UndoStack()
        self._group_depth = 0

    @contextmanager
    def group(self, text: str) -> Iterator[None]:
        """Make everything inside one step of undo; an exception inside restores the value from before.

        Parameters
        ----------
        text : str
            Name of the step, for the tooltips of undo and redo.
        """
        before = self._content
        self._group_depth += 1
        try:
            yield
        except BaseException:
            self._content = before
            raise
        finally:
            self._group_depth -= 1
        if self._content is not before:
            after, self._content = self._content, before
            self._commit(text, after)

    def undo(self) -> None:
        """Undo the last command."""
        if self.can_undo:
            self._stack.undo()
            self.changed.emit()  # only after undo() has returned are can_undo and can_redo up to date

    def redo(self) -> None:
        """Redo the last undone command."""
        if self.can_redo:
            self._stack.redo()
            self.changed.emit()  # only after redo() has returned are can_undo and can_redo up to date

    @property
    def can_undo(self) -> bool:
        """Whether there is a command to undo."""
        return self._stack.can_undo()

    @property
    def can_redo(self) -> bool:
        """Whether there is a command to redo."""
        return self._stack.can_redo()

    @property
    def undo_text(self) -> str:
        """Name of the command that `undo` would undo."""
        return self._stack.undo_text()

    @property
    def redo_text(self) -> str:
        """Name of the command that `redo` would redo."""
        return self._stack.redo_text()

    @property
    def is_saved(self) -> bool:
        """Whether nothing has changed since the last `mark_saved`."""
        return self._stack.is_clean()

    def mark_saved(self) -> None:
        """Remember that the present value has been saved."""
        self._stack.set_clean()

    def _commit(self, text: str, after: Content) -> None:
        """Replace the value by `after`, as one command named `text`."""
        if self._group_depth:
            self._content = after
            return
        before = self._content
        self._content = after
        self._stack.push(_Replacement(self._set, text, before, after))
        self.changed.emit()

    def _set(self, content: Content) -> None:
        self._content = content


class _Replacement(UndoCommand, Generic[Content]):
    """Replaces one immutable value by another; undo restores the old one."""

    def __init__(self, set_content: Callable[[Content], None], text: str, before: Content, after: Content) -> None:
        super().__init__()
        self._text, self._set_content, self._before, self._after = text, set_content, before, after

    def undo(self) -> None:
        self._set_content(self._before)

    def redo(self) -> None:
        self._set_content(self._after)
