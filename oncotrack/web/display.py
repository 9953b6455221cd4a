"""Window and level of both scans, the 3D rendering that matches them, and what the left mouse button does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oncotrack.errors import InputError
from oncotrack.images.windows import CT_WINDOWS, SOFT_TISSUE
from oncotrack.scene.nodes.observers import Observers
from oncotrack.scene.views.mouse_mode import (
    LEFT_DRAGS,
    SELECT,
    SUV_WINDOW,
    WINDOW,
    adjust_window,
    is_placing,
    stop_placing,
)
from oncotrack.scene.views.windows import WindowLink, is_ct, own_window, rendering_of, set_window

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer


_MR = "MR-Default"


class Display:
    """Window and level of the two scans, the same for both unless the reader separates them.

    Parameters
    ----------
    viewer : Viewer
        Its state gets `window_name`, `window_width`, `window_level`, `is_same_window` and `mouse_mode` (what the left
        mouse button does, a key of `LEFT_DRAGS`).
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer, self._link = viewer, WindowLink()
        viewer.state.update(
            {
                "window_name": "",
                "window_width": 400.0,
                "window_level": 40.0,
                "is_same_window": True,
                "mouse_mode": SELECT,
            }
        )
        viewer.state.change("window_width", "window_level")(self._on_slider)
        self._shown = (400.0, 40.0)
        self._link.changed.connect(self._on_window)
        viewer.hung.connect(self.apply_last)
        self._observers = Observers()
        interaction = viewer.session.scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
        self._observers.add(interaction, interaction.InteractionModeChangedEvent, lambda *_: self._keep_windowing())

    def start(self, *, is_saved: bool = False) -> None:
        """Set the display of newly opened scans: CT in the soft tissue window, others each by its own grey values.

        Scans of a saved scene keep the windows they were saved with.
        """
        scans = self._scans()
        self._link.close()
        self.choose_mouse(self._viewer.state.mouse_mode)
        if not scans:
            return
        is_same = all(map(is_ct, scans))
        saved = {(display.GetWindow(), display.GetLevel()) for display in (scan.GetDisplayNode() for scan in scans)}
        if is_saved and not any(scan.GetDisplayNode().GetAutoWindowLevel() for scan in scans):
            is_same = len(saved) == 1
            self._show_window(_name_of(*min(saved)), *min(saved))
            self._show_solid(rendering_of(SOFT_TISSUE))
        elif is_same:
            self.use_preset(SOFT_TISSUE.name)
        else:
            for scan in scans:
                set_window([scan], *own_window(scan))
            self._show_window("", *own_window(scans[0]))
            self._show_solid(_MR)
        self._viewer.state.is_same_window = self._link.is_enabled = is_same
        self._link.watch(scans)

    def apply_last(self) -> None:
        """Apply the last display to other scans of the same patient."""
        scans = self._scans()
        self._link.close()
        if self._link.is_enabled:
            set_window(scans, *self._shown)
        name = self._viewer.state.window_name
        window = next((each for each in CT_WINDOWS if each.name == name), SOFT_TISSUE)
        self._show_solid(rendering_of(window))
        self._link.watch(scans)

    def use_preset(self, name: str) -> None:
        """Apply a preset to both scans."""
        window = next(each for each in CT_WINDOWS if each.name == name)
        set_window(self._scans(), window.width, window.level)
        self._show_window(name, window.width, window.level)
        self._show_solid(rendering_of(window))

    def toggle_same(self) -> None:
        """Switch between one window for both scans and one for each."""
        self._link.is_enabled = self._viewer.state.is_same_window = not self._link.is_enabled
        if self._link.is_enabled:
            set_window(self._scans(), *self._shown)

    def choose_mouse(self, mode: str) -> None:
        """Choose what the left mouse button does in slice views: a key of `LEFT_DRAGS`."""
        if mode not in LEFT_DRAGS:
            raise InputError(f"The left mouse button cannot do {mode!r}. Choose one of: {', '.join(LEFT_DRAGS)}.")
        self._viewer.state.mouse_mode = mode
        self._viewer.views.set_window_of_pet(mode == SUV_WINDOW)
        (adjust_window if mode in (WINDOW, SUV_WINDOW) else stop_placing)(self._viewer.session.scene)

    def toggle_windowing(self) -> None:
        """Make the left mouse button set the window, or select and mark again."""
        self.choose_mouse(SELECT if self._viewer.state.mouse_mode == WINDOW else WINDOW)

    def _keep_windowing(self) -> None:
        """Return to setting the window after a point was placed."""
        scene = self._viewer.session.scene
        if self._viewer.state.mouse_mode in (WINDOW, SUV_WINDOW) and not is_placing(scene):
            adjust_window(scene)

    def _scans(self) -> list:
        session = self._viewer.session
        return [scan for scan in (session.baseline, session.followup, session.third.volume) if scan]

    def _show_solid(self, rendering: str) -> None:
        """Render the follow-up, or the baseline where it is alone, in 3D; what is no CT has a preset of its own."""
        scan = self._viewer.session.followup or self._viewer.session.baseline
        self._viewer.views.show_3d(scan, rendering if is_ct(scan) else _MR)

    def _show_window(self, name: str, width: float, level: float) -> None:
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

    def _on_window(self, width: float, level: float) -> None:
        if (round(width, 1), round(level, 1)) != self._shown:
            self._show_window("", width, level)


def _name_of(width: float, level: float) -> str:
    return next((each.name for each in CT_WINDOWS if (each.width, each.level) == (width, level)), "")
