"""A list of rows on the page, of which an edit sends only the rows that have changed."""

from __future__ import annotations

from typing import Any

from trame_server.state import State

_LIMIT = 50  # changed rows, from which on the whole list is sent again


class SentRows:
    """A list in the page's state that is too long to be sent at every edit.

    The server sends the whole list when rows come, go or move. After other changes it sends, under the list's name with
    ``_changed`` after it, all rows that have changed since; the page puts them in their places (``oncotrack.js``). A page that is
    loaded later receives both.

    Parameters
    ----------
    state : State
        The page's state.
    name : str
        The list's name there.
    """

    def __init__(self, state: State, name: str) -> None:
        self._state, self._name, self._changes = state, name, f"{name}_changed"
        self._rows: list[dict[str, Any]] = []
        self._changed: dict[str, dict[str, Any]] = {}
        state.client_only(name)  # the page puts rows into its own copy
        state.update({name: [], self._changes: []})

    def show(self, rows: list[dict[str, Any]]) -> None:
        """Show rows on the page.

        Parameters
        ----------
        rows : list of dict
            Each with its own ``uid``.
        """
        before = {row["uid"]: row for row in self._rows}
        now = {row["uid"]: row for row in rows}
        changed = {uid: row for uid, row in now.items() if uid in self._changed or row != before.get(uid)}
        if list(now) == list(before) and (len(changed) <= _LIMIT or rows == self._rows):
            self._changed = changed
        else:
            self._rows, self._changed = rows, {}
            self._state[self._name] = rows
        self._state[self._changes] = list(self._changed.values())
