"""When the views of the page are rendered, and from what their pictures are encoded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
from trame_rca.schedulers.image_scheduler import RcaImageRenderScheduler
from trame_slicer.views.render_scheduler import ScheduledRenderStrategy

PAUSE_S = 0.2
"""Pause before a rendering that may wait."""


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


class RenderingOnce(RcaImageRenderScheduler):
    """Scheduler that sends the picture at rest from the pixels of the last one, instead of rendering the view again.

    It sends the picture at rest only when nothing was to be drawn since.
    """

    _pixels: tuple[np.ndarray, int, int] | None = None

    def _render_frame(self, quality: int) -> None:
        is_at_rest = quality == self._still_quality != self._interactive_quality
        if not is_at_rest or self._pixels is None:
            self._pixels = self._rca.img_cols_rows
        encoded = asyncio.get_running_loop().run_in_executor(
            self._encode_pool, self._rca_encoder.encode, *self._pixels, quality
        )
        self._push_queue.put_nowait(encoded)
