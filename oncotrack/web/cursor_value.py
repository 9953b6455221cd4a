"""The value under the mouse in the corner of its view: text on the page, so that nothing is drawn again."""

from __future__ import annotations

import asyncio

from trame_server.state import State
from trame_slicer.views import SliceView

from oncotrack.errors import OncoTrackError
from oncotrack.scene.measuring.values import value_at
from oncotrack.web.mouse import BEFORE_SLICER
from oncotrack.web.views import Views

_PAUSE_S = 0.08


class CursorValue:
    """Follows the mouse over the slice views.

    Parameters
    ----------
    views : Views
    state : State
        Gets `cursor`: the name of the `view` under the mouse, and the `text` of `value_at` there.
    """

    def __init__(self, views: Views, state: State) -> None:
        self._state = state
        self._state.cursor = {"view": "", "text": ""}
        self._at: tuple[SliceView, int, int] | None = None
        self._is_scheduled = False
        for view in views.slices():
            self._watch(view)
        views.added.connect(self._watch)
        views.drawn.connect(self._on_drawn)

    def _watch(self, view: SliceView) -> None:
        view.interactor().AddObserver("MouseMoveEvent", lambda *_: self._on_move(view), BEFORE_SLICER)

    def _on_move(self, view: SliceView) -> None:
        self._at = view, *view.interactor().GetEventPosition()
        self._schedule()

    def _on_drawn(self, name: str) -> None:
        if self._at is not None and self._at[0].get_singleton_tag() == name:
            self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_event_loop().call_later(_PAUSE_S, self._show)

    def _show(self) -> None:
        self._is_scheduled = False
        view, x, y = self._at
        try:
            text = value_at(view.get_view_node(), x, y)
        except OncoTrackError:  # said where the scan was chosen
            text = ""
        shown = {"view": view.get_singleton_tag(), "text": text}
        if shown != self._state.cursor:
            with self._state:
                self._state.cursor = shown
