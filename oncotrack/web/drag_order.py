"""Keeps keys and wheel behind the drag before them: a view sends the events of a drag one by one, and they can overtake it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trame_server.state import State

_DRAG_S = 10.0  # longest time to wait for the end of a drag


class DragOrder:
    """Calls functions, in order, once the drags that the page had seen before them have ended here too.

    Parameters
    ----------
    state : State
        Its `mouse_releases` counts the drags and clicks with the left button that have ended.
    loop : AbstractEventLoop
        The page's event loop.
    """

    def __init__(self, state: State, loop: asyncio.AbstractEventLoop) -> None:
        self._state, self._loop = state, loop
        self._waiting: list[tuple[Callable[[], None], int]] = []

    def after(self, mouse_releases: int, action: Callable[[], None]) -> None:
        """Call a function when so many drags have ended, and the functions before it were called."""
        self._waiting.append((action, mouse_releases))
        if mouse_releases > self._state.mouse_releases:
            self._loop.call_later(_DRAG_S, self._give_up, mouse_releases)
        self._call()

    def on_release(self) -> None:
        """Note that a drag is about to end."""
        self._loop.call_soon(self._call)

    def _call(self) -> None:
        while self._waiting and self._waiting[0][1] <= self._state.mouse_releases:
            action = self._waiting.pop(0)[0]
            with self._state:
                action()

    def _give_up(self, mouse_releases: int) -> None:
        """Stop waiting for releases that did not arrive."""
        if any(releases <= mouse_releases for _action, releases in self._waiting):
            with self._state:
                self._state.mouse_releases = max(mouse_releases, self._state.mouse_releases)
            self._call()
