"""When the views of the page are rendered, and from what their pictures are encoded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar
from weakref import WeakSet

import numpy as np
from trame_rca.rca import RemoteControlledAreaProtocol
from trame_rca.schedulers.image_scheduler import RcaImageRenderScheduler
from trame_slicer.views.render_scheduler import ScheduledRenderStrategy

PAUSE_S = 0.2
"""Pause before a rendering that may wait."""
_SENT_S = 0.001  # until what was made is on its way to the page


class RenderingWhenSized(ScheduledRenderStrategy):
    """Rendering that is skipped until the page has given the view its size; a change of size renders by itself."""

    def __init__(self, draw: Callable[[], None], is_sized: Callable[[], bool]) -> None:
        super().__init__()
        self._draw, self._is_sized = draw, is_sized

    def schedule_render(self) -> None:
        if self._is_sized():
            self._draw()


class DelayedRendering(ScheduledRenderStrategy):
    """Rendering that starts a little later than requested, and not while long work runs."""

    def __init__(self, draw: Callable[[], None], must_wait: Callable[[], bool]) -> None:
        super().__init__()
        self._draw, self._must_wait = draw, must_wait
        self._is_scheduled = False

    def schedule_render(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_event_loop().call_later(PAUSE_S, self._due)

    def _due(self) -> None:
        self._is_scheduled = False
        if self._must_wait():
            self.schedule_render()
        else:
            self._draw()


class _Turn(asyncio.Event):
    """The request of one view to be rendered, which waits for the view under the pointer and for the picture before it.

    Rendering blocks the event loop. A linked view that were rendered at once would delay the picture of the view that the
    reader scrolls, although that one is ready.
    """

    def __init__(self, is_pointed: Callable[[], bool]) -> None:
        super().__init__()
        self._is_pointed = is_pointed

    async def wait(self) -> bool:
        await super().wait()
        # texts and lists that changed are to be sent first; then the view under the pointer is drawn
        await asyncio.sleep(_SENT_S)
        if not self._is_pointed():
            await asyncio.sleep(_SENT_S)
            while (encoded := RenderingOnce.encoded) is not None and not encoded.done():
                await asyncio.wait([encoded])
                await asyncio.sleep(_SENT_S)
        return True


class _NoWindow(RemoteControlledAreaProtocol):
    """Stands for a window whose type is checked by reading all its properties, one of which renders it."""


class RenderingOnce(RcaImageRenderScheduler):
    """Scheduler of one view's pictures.

    It sends each picture together with the text on it, the picture at rest, once nothing is to be drawn any more, from the pixels of the last one instead of rendering
    the view again, and the picture of the view under the pointer before those of other views.

    Attributes
    ----------
    pointed : vtkRenderWindow or None
        The window of the view under the pointer, of all views.
    encoded : Future or None
        The picture that was rendered last, of all views, as it is being encoded.
    captions : mapping of vtkRenderWindow to callable
        Called when a view was rendered: describes what it shows, and returns a function that writes this on the page, which
        is called when the picture is sent.
    """

    pointed: ClassVar[Any] = None
    encoded: ClassVar[asyncio.Future | None] = None
    _all: ClassVar[WeakSet[RenderingOnce]] = WeakSet()
    captions: ClassVar[dict[Any, Callable[[], Callable[[], None]]]] = {}
    _pixels: tuple[np.ndarray, int, int] | None = None
    _own: asyncio.Future | None = None  # the picture of this view that was rendered last
    _is_still = True

    @classmethod
    def are_at_rest(cls) -> bool:
        """Return whether no view is to be rendered, and the picture at rest of each has been encoded."""
        return all(each._is_closing or each._is_at_rest for each in cls._all)

    def __init__(self, window: Any, **options: Any) -> None:
        super().__init__(_NoWindow(), **options)
        # the tasks of the scheduler have not begun yet
        self._rca = window
        self._request_event = _Turn(lambda: RenderingOnce.pointed is self._rca._vtk_render_window)
        self._all.add(self)

    @property
    def _is_at_rest(self) -> bool:
        is_encoded = self._own is None or self._own.done()
        return self._is_still and is_encoded and not self._request_event.is_set()

    def _render_frame(self, quality: int) -> None:
        self._is_still = quality == self._still_quality
        if not self._is_still or quality == self._interactive_quality or self._pixels is None:
            self._pixels = self._rca.img_cols_rows
        self._own = RenderingOnce.encoded = asyncio.get_running_loop().run_in_executor(
            self._encode_pool, self._rca_encoder.encode, *self._pixels, quality
        )
        describe = self.captions.get(self._rca._vtk_render_window)
        self._push_queue.put_nowait((RenderingOnce.encoded, describe() if describe else None))

    async def _push(self) -> None:
        while not self._is_closing:
            encoded, write_caption = await self._push_queue.get()
            image, meta, made_ms = await encoded
            if made_ms < self._last_push_time_ms or self._push_callback is None:
                continue
            self._last_push_time_ms = made_ms
            if write_caption is not None:
                write_caption()
            self._push_callback(image, meta)
