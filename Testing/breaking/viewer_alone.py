"""The viewer's server without a browser, in this process: commands and clicks one after the other."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

_SIZE = {"w": 380, "h": 330, "p": 1}  # of a view on a page of 1366 x 768 pixels
_POLL_S = 0.02
_LONGEST_S = 300.0  # of a command


class ViewerAlone:
    """The running viewer, used from a thread beside it.

    Parameters
    ----------
    viewer : Viewer
    """

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer

    def call(self, function: Callable[[], Any]) -> Any:
        """Run a function on the page's thread and return its result."""
        result: Future = Future()

        def run() -> None:
            try:
                with self.viewer.state:
                    result.set_result(function())
            except BaseException as error:
                result.set_exception(error)

        self.viewer._loop.call_soon_threadsafe(run)
        return result.result()

    def give_sizes(self) -> None:
        """Give every view its size, as the page does; without it nothing is drawn."""
        manager = self.viewer.app.view_manager
        for factory in manager._factories:
            for view in [*self.viewer.views.slices(), self.viewer.views.view_3d]:
                if factory.has_view(view.get_singleton_tag()):
                    factory.get_factory_view(view.get_singleton_tag()).view_adapter.update_size("", _SIZE)

    def click(self, view: Any, x: int, y: int) -> None:
        """Click in a view, once."""
        interactor = view.interactor()
        interactor.SetEventInformation(x, y)
        for event in ("MouseMoveEvent", "LeftButtonPressEvent", "LeftButtonReleaseEvent"):
            interactor.InvokeEvent(event)
        self.viewer.click(self.viewer.state.mouse_releases)

    def follow(self, at: tuple[float, float, float]) -> None:
        """Follow the lesion at a position of the baseline, RAS mm."""
        self.call(lambda: self.viewer.attempt(self.viewer._follow, at))
        for _click, _withdraw, is_single in list(self.viewer._begun):
            is_single.set()
        self.rest()

    def run(self, name: str) -> None:
        """Run a command and wait for its end."""
        self.call(lambda: self.viewer.run(name))
        if self.viewer.state.cine:  # it would go on without end
            self.call(lambda: self.viewer.run("play_cine"))
        self.rest()

    def enabled(self) -> list[str]:
        """Return the commands that are possible now."""
        return self.call(lambda: list(self.viewer.state.enabled))

    def forget(self) -> None:
        """Empty the list of findings."""
        findings = self.viewer.session.findings
        self.call(lambda: findings.load_json(type(findings)(findings.time_points).to_json()))
        self.rest()

    def rest(self) -> None:
        """Wait until no work runs and every view is drawn.

        Raises
        ------
        TimeoutError
            That takes too long.
        """
        latest = time.monotonic() + _LONGEST_S
        while not (self.call(self._is_at_rest) and self.call(self._is_at_rest)):
            if time.monotonic() > latest:
                raise TimeoutError(f"the viewer is still busy: {self.viewer.state.job}")
            time.sleep(_POLL_S)

    def _is_at_rest(self) -> bool:
        viewer = self.viewer
        return not (viewer.work.is_busy or viewer.background._worker.is_busy) and viewer.views.are_at_rest()


def beside_viewer(scans: list[Path], folder: Path, work: Callable[[ViewerAlone], Any]) -> Any:
    """Serve the viewer on this thread until a function, which is called on another one, has returned; return its result.

    Parameters
    ----------
    scans : list of Path
    folder : Path
        For results, settings and caches.
    work : callable
        Called with the viewer once it has registered its scans.
    """
    for name in ("CACHE", "CONFIG", "LOG"):
        os.environ[f"ONCOTRACK_{name}"] = str(folder / name.lower())
    from quick_detector import use_quick_detector

    from oncotrack.web import compose, serve

    use_quick_detector()

    made: Future = Future()
    result: Future = Future()
    original = compose._compose

    def composed(*arguments: Any) -> Any:
        parts = original(*arguments)
        made.set_result(parts[0])
        return parts

    def run() -> None:
        try:
            alone = ViewerAlone(made.result())
            while not alone.call(lambda: alone.viewer.session.baseline):
                time.sleep(_POLL_S)
            alone.call(alone.give_sizes)
            while not alone.call(lambda: alone.viewer.session.registration):
                time.sleep(_POLL_S)
            alone.rest()
            result.set_result(work(alone))
        except BaseException as error:
            result.set_exception(error)
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    compose._compose = composed
    threading.Thread(target=run, daemon=True).start()
    try:
        serve(*scans, out=folder / "out")
    except KeyboardInterrupt:
        pass
    finally:
        compose._compose = original
    if not result.done():
        raise RuntimeError("the viewer ended before the work beside it")
    return result.result()
