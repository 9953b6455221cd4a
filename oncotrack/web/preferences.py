"""The reader's settings on the page: loaded at the start, and written a moment after a change."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

from oncotrack.errors import OncoTrackError
from oncotrack.scene.views.mouse_mode import SUV_WINDOW
from oncotrack.settings import Settings

if TYPE_CHECKING:
    from oncotrack.web.display import Display
    from oncotrack.web.viewer import Viewer

_KEPT = ("mouse_mode", "cine_speed", "cine_bounces", "slab_mode", "slab_mm", "image_text", "theme", "text_size",
         "third_visit")  # fmt: skip
"""Names of the page's state, and of the fields of `Choices`."""
_WRITE_S = 0.5  # a slider changes many times in a second


class Preferences:
    """Keeps what the reader chooses on the page in a settings file.

    Parameters
    ----------
    viewer : Viewer
        With all tools; its state gets the stored choices.
    display : Display
    settings : Settings
    """

    def __init__(self, viewer: Viewer, display: Display, settings: Settings) -> None:
        self._viewer, self._settings = viewer, settings
        self._timer: asyncio.TimerHandle | None = None
        stored = asdict(settings.choices)
        if settings.choices.third_visit:
            viewer.session.third.show_when_possible()
        viewer.state.update({name: stored[name] for name in _KEPT})
        display.choose_mouse(settings.choices.mouse_mode)
        viewer.state.change(*_KEPT)(self._on_change)
        if settings.problem:
            viewer.show_message(settings.problem, "error")

    def close(self) -> None:
        """Write what is not written yet."""
        if self._timer is not None:
            self._write()

    def _on_change(self, **_state: object) -> None:
        if self._timer is None and self._chosen() != {name: getattr(self._settings.choices, name) for name in _KEPT}:
            self._timer = asyncio.get_event_loop().call_later(_WRITE_S, self._write)

    def _chosen(self) -> dict[str, object]:
        chosen = {name: self._viewer.state[name] for name in _KEPT}
        if chosen["mouse_mode"] == SUV_WINDOW:  # the next session may have no PET
            chosen["mouse_mode"] = self._settings.choices.mouse_mode
        return chosen

    def _write(self) -> None:
        self._timer.cancel()
        self._timer = None
        try:
            self._settings.change(**self._chosen())
        except OncoTrackError as error:
            with self._viewer.state:
                self._viewer.show_message(str(error), "error")
