"""Moving through slices: by wheel and keys of the page, and as a cine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import slicer
from trame_server import Server

from oncotrack.errors import OncoTrackError
from oncotrack.scene.views.cine import SLOWEST, USUAL, CineOrder
from oncotrack.scene.views.slice_steps import SlicePlace, show_slice, step
from oncotrack.scene.views.view_rows import BASELINE_VIEWS, FOLLOWUP_VIEWS, THIRD_VIEWS
from oncotrack.web.drag_order import DragOrder
from oncotrack.web.views import Views

_NAMES = BASELINE_VIEWS + FOLLOWUP_VIEWS + THIRD_VIEWS

_STEPS = 20
_DRAWN_S = 1.0  # longest time that the next slice of a cine waits for the picture of the last one


class Navigation:
    """Moves slice views as the page asks, and says when they are drawn, so that the page adds up what is turned meanwhile.

    Parameters
    ----------
    server : Server
        Its state gets `used_view` (the slice view that the mouse is or was over), `scrolled` (the number of the page's
        last request whose picture was drawn), `cine` (the name of the view that plays, "" for none), `cine_speed`
        (slices per second) and `cine_bounces`.
    scene : vtkMRMLScene
    views : Views
    order : DragOrder
    show_message : callable
        Called with (sentence, kind).
    """

    def __init__(
        self,
        server: Server,
        scene: slicer.vtkMRMLScene,
        views: Views,
        order: DragOrder,
        show_message: Callable[[str, str], None],
    ) -> None:
        self._state, self._scene, self._views, self._order = server.state, scene, views, order
        self._show_message = show_message
        self._state.update(
            {"used_view": BASELINE_VIEWS[0], "scrolled": 0, "cine": "", "cine_speed": USUAL, "cine_bounces": False}
        )
        self._requests: dict[str, int] = {}
        self._drawn = asyncio.Event()
        self._task: asyncio.Task | None = None
        views.drawn.connect(self._on_drawn)
        server.trigger("oncotrack.scroll")(self.scroll)
        server.trigger("oncotrack.stop_cine")(self.stop_cine)
        server.trigger("oncotrack.pan")(self.pan)

    def use(self, view: str) -> None:
        """Note which slice view the reader uses."""
        if view in _NAMES:
            self._state.used_view = view

    def pan(self, view: str, right: int, up: int) -> None:
        """Move what a view shows in its middle by so many steps to the right and up, each a twentieth of its width."""
        if (node := self._node(view)) is not None:
            width, height = node.GetDimensions()[:2]
            place = (width / 2 + right * width / _STEPS, height / 2 + up * width / _STEPS, 0.0, 1.0)
            node.JumpSliceByCentering(*node.GetXYToRAS().MultiplyPoint(place)[:3])

    # slices

    def scroll(self, view: str, slices: int, number: int, mouse_releases: int) -> None:
        """Move a view by so many slices.

        Parameters
        ----------
        view : str
            Its name.
        slices : int
            As for `slice_steps.step`.
        number : int
            Of this request; the state's `scrolled` becomes this number when the slice is drawn.
        mouse_releases : int
            As for `Viewer.press`.
        """
        self.use(view)
        self._order.after(mouse_releases, lambda: self._scroll(view, slices, number))

    def move(self, slices: int) -> None:
        """Move the view that the reader uses by so many slices."""
        if (node := self._node(self._state.used_view)) is not None:
            step(node, slices)

    def _scroll(self, view: str, slices: int, number: int) -> None:
        node = self._node(view)
        self._requests[view] = number
        try:
            is_moved = node is not None and step(node, slices)
        except OncoTrackError as error:
            is_moved = False
            self._show_message(str(error), "error")
        if not is_moved:
            self._on_drawn(view)

    def _on_drawn(self, view: str) -> None:
        if view == self._state.cine:
            self._drawn.set()
        if (number := self._requests.pop(view, None)) is not None:
            with self._state:
                self._state.scrolled = number

    # one view

    def maximise(self) -> None:
        """Show the view that the reader uses alone, or all views again."""
        self._views.toggle_maximised(self._state.used_view)

    # cine

    def toggle_cine(self) -> None:
        """Play the slices of the view that the reader uses, or stop."""
        if self._state.cine:
            self.stop_cine()
        elif self._node(self._state.used_view) is not None:
            self._state.cine = self._state.used_view
            self._task = asyncio.get_running_loop().create_task(self._play(self._state.used_view))

    def stop_cine(self) -> None:
        """Stop playing."""
        self._state.cine = ""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _play(self, view: str) -> None:
        order, task = CineOrder(), asyncio.current_task()
        try:
            # before Python 3.12 `wait_for` can lose the cancellation, so a cine that was stopped is recognised here
            while self._task is task and await self._show_next(view, order):
                pass
        except OncoTrackError as error:
            self._show_message(str(error), "error")
        if self._task is task:
            with self._state:
                self._state.cine = ""

    async def _show_next(self, view: str, order: CineOrder) -> bool:
        """Show the next slice and wait until it is drawn and its time is over; return whether there was one."""
        started, node = time.monotonic(), self._node(view)
        place = SlicePlace.of(node) if node is not None else None
        if place is None:
            return False
        order.bounces = self._state.cine_bounces
        self._drawn.clear()
        with self._state:
            if not show_slice(node, order.after(place.number, place.count)):
                return False
        with suppress(asyncio.TimeoutError):  # when the view is not on the page now
            await asyncio.wait_for(self._drawn.wait(), _DRAWN_S)
        await asyncio.sleep(max(0.0, 1 / max(self._state.cine_speed, SLOWEST) - (time.monotonic() - started)))
        return True

    def _node(self, view: str) -> slicer.vtkMRMLSliceNode | None:
        return self._scene.GetSingletonNode(view, "vtkMRMLSliceNode") if view in _NAMES else None
