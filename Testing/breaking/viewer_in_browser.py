"""A viewer in its own process and a browser that shows it, started and killed again and again."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from kept_memory import Kept
from viewer_process import ViewerProcess

from oncotrack.bench.view import find_browser
from oncotrack.images.files import save
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

_BROWSER = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
_WAIT_MS = 300_000  # a machine that does other work may be slow; nothing here measures time
_AT_REST = "window.trame?.state?.get('scan_names')?.[0] && !trame.state.get('job').text"
IDLE = "!trame.state.get('job').text"
REGISTERED = f"trame.state.get('has_registration') && {IDLE}"


def small_scan(folder: Path) -> Path:
    """Write a scan that opens quickly."""
    values = np.random.default_rng(5).normal(0, 50, (12, 24, 24)).astype(np.int16)
    return save(Volume(values, Geometry((24, 24, 12), (3.0, 3.0, 4.5)), "baseline", "CT"), folder / "baseline.nii.gz")


def scans(folder: Path) -> list[Path]:
    """Write two small scans of a body with a few lesions."""
    rng = np.random.default_rng(5)
    geometry = Geometry((64, 64, 32), (3.0, 3.0, 4.5), (-95.0, -95.0, -70.0))
    k, j, i = np.meshgrid(*(np.arange(n) for n in geometry.shape), indexing="ij")
    place = geometry.to_ras(np.stack([i, j, k], -1))
    array = np.where(np.hypot(place[..., 0] / 86, place[..., 1] / 72) < 1, 40.0, -1000.0)
    for _ in range(25):
        at = rng.uniform((-60, -45, -55), (60, 45, 55))
        array += rng.uniform(-120, 160) * np.exp(-((place - at) ** 2).sum(-1) / 60)
    noise = rng.normal(0, 10, (2, *array.shape))
    return [
        save(Volume(np.round(array + each).astype(np.int16), geometry, name, "CT"), folder / f"{name}.nii.gz")
        for name, each in zip(("baseline", "followup"), noise, strict=True)
    ]


class Session:
    """Starts and ends viewers of the same scans and results; a context manager.

    Parameters
    ----------
    folder : Path
        For the results (``out``), logs and caches.
    scans : list of Path
        The scans.
    """

    def __init__(self, folder: Path, scans: list[Path]) -> None:
        self._folder, self._scans = folder, scans
        self.viewer: ViewerProcess | None = None
        self._context = None
        self.log, self._kept = folder / "log", folder / "kept"

    def __enter__(self) -> Session:
        from playwright.sync_api import sync_playwright

        self._driver = sync_playwright().start()
        self._browser = self._driver.chromium.launch(executable_path=find_browser(), args=_BROWSER)
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()
        self._browser.close()
        self._driver.stop()

    def start(self) -> Any:
        """Start a viewer and return its page, at rest."""
        environment = {
            "VTK_DEFAULT_OPENGL_WINDOW": "vtkOSOpenGLRenderWindow",
            "ONCOTRACK_CACHE": str(self._folder / "cache"),
            "ONCOTRACK_CONFIG": str(self._folder / "config"),
            "TMPDIR": str(self._folder),
        }
        prelude = (
            f"import pathlib, sys; sys.path[:0] = {[str(Path(__file__).parents[n]) for n in (0, 1)]!r}; "
            f"import kept_memory, quick_detector; kept_memory.write_on_signal(pathlib.Path({str(self._kept)!r})); "
            "quick_detector.use_quick_detector()"
        )
        scans = [str(scan) for scan in self._scans]
        self.viewer = ViewerProcess(scans, self.log, prelude, environment, out=str(self._folder / "out"))
        self._context = self._browser.new_context(viewport={"width": 1366, "height": 768})
        page = self._context.new_page()
        page.set_default_timeout(_WAIT_MS)
        page.goto(self._address())
        page.wait_for_function(_AT_REST)
        return page

    def kept(self) -> Kept:
        """Return the memory that the viewer keeps, once garbage and free pages were given back."""
        self._kept.unlink(missing_ok=True)
        os.kill(self.viewer.pid, signal.SIGUSR1)
        while not self._kept.exists() and self.viewer.exit_code is None:
            time.sleep(0.05)
        return Kept(*json.loads(self._kept.read_text())) if self._kept.exists() else Kept(0.0, 0.0)

    def kill(self) -> None:
        """Kill the viewer, then close its page."""
        if self.viewer is not None:
            if self.viewer.exit_code is None:
                self.viewer.send_signal(signal.SIGKILL)
            self.viewer.wait(20)
            self.viewer = None
        if self._context is not None:
            self._context.close()
            self._context = None

    def _address(self) -> str:
        for _ in range(2400):
            if found := re.search(r"http://\S+", self.log.read_text()):
                return found[0]
            if self.viewer.exit_code is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"the viewer did not start: {self.log.read_text()}")
