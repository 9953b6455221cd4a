"""How both scans are shown: one window for both, the 3D rendering that goes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oncotrack.scene.windows import WINDOWS, is_ct, own_window, set_window

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer


class Display:
    """Keeps the two scans at the same window and level.

    Parameters
    ----------
    viewer : Viewer
        Its state gets `window_name`, `window_width` and `window_level`.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        viewer.state.update({"window_name": "", "window_width": 400.0, "window_level": 40.0})
        viewer.state.change("window_width", "window_level")(self._on_slider)
        self._shown = (400.0, 40.0)

    def start(self) -> None:
        """Show newly chosen scans: CT in soft tissue, others by their own grey values."""
        scans = self._scans()
        if not scans:
            return
        if all(map(is_ct, scans)):
            self.take(WINDOWS[0].name)
            return
        for scan in scans:
            set_window([scan], *own_window(scan))
        self._tell("", *own_window(scans[0]))
        self._viewer.views.show_3d(scans[-1], "MR-Default")

    def take(self, name: str) -> None:
        """Use a preset."""
        window = next(each for each in WINDOWS if each.name == name)
        set_window(self._scans(), window.width, window.level)
        self._tell(name, window.width, window.level)
        self._viewer.views.show_3d(self._viewer.session.followup or self._viewer.session.baseline, window.rendering)

    def _scans(self) -> list:
        return [scan for scan in (self._viewer.session.baseline, self._viewer.session.followup) if scan]

    def _tell(self, name: str, width: float, level: float) -> None:
        self._shown = (round(width, 1), round(level, 1))
        state = self._viewer.state
        state.window_name, (state.window_width, state.window_level) = name, self._shown

    def _on_slider(self, window_width: float, window_level: float, **_state: object) -> None:
        if (window_width, window_level) == self._shown:
            return
        self._shown = (window_width, window_level)
        self._viewer.state.window_name = ""
        with self._viewer.views.blocked():
            set_window(self._scans(), window_width, window_level)
