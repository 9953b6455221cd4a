"""Speed of the viewer in a real browser, as measured by `oncotrack bench view`."""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from oncotrack.background.jobs import Progress, silent
from oncotrack.bench.warped import warped_copy
from oncotrack.errors import MissingPackageError, OncoTrackError
from oncotrack.images.files import save
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

SIZE = (512, 512, 64)
_SCROLLS, _CLICKS, _ACTIONS, _LIMIT_MS = 15, 5, 9, 120_000
_COUNTS = (8, 80, 1000)  # findings in the list
_BROWSER = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
_SERVE = "import sys; from oncotrack.web import serve; serve(sys.argv[1], sys.argv[2], out=sys.argv[3])"
# Usable: all seven views have pictures, those of both axial views have their final size and show a scan (not black), and
# the buttons of the page can be clicked.
_USABLE = """() => {
  const views = [...document.querySelectorAll('.layout-grid-item')].filter(e => e.querySelector('img')?.naturalWidth);
  if (views.length < 7 || !window.trame?.state?.get('has_scans')) return false;
  const button = document.querySelector('[data-command="help"]');
  if (!button || button.disabled) return false;
  return ['BaselineAxial', 'FollowUpAxial'].every(name => {
    const view = views.find(each => each.querySelector(`[data-view='${name}']`));
    const picture = view?.querySelector('img');
    if (!picture || Math.abs(picture.naturalWidth - picture.getBoundingClientRect().width) > 3) return false;
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 32;
    const context = canvas.getContext('2d');
    context.drawImage(picture, 0, 0, 32, 32);
    const pixels = context.getImageData(8, 8, 16, 16).data;
    return pixels.reduce((sum, value, index) => sum + (index % 4 < 3 ? value : 0), 0) / (3 * 256) > 40;
  });
}"""
_WATCH = """document.querySelectorAll('.layout-grid-item').forEach(view => {
  const name = view.querySelector('[data-view]').dataset.view;
  window.pictures = window.pictures || {};
  view.addEventListener('load', () => { window.pictures[name] = (window.pictures[name] || 0) + 1; }, true);
});"""
_WATCH_KEY = """done => {
  const isDone = new Function(`return ${done}`);
  window.took = null;
  window.addEventListener('keydown', () => {
    const started = performance.now();
    const look = () => { if (isDone()) window.took = performance.now() - started; else setTimeout(look, 2); };
    look();
  }, {once: true, capture: true});
}"""
_CURRENT = "trame.state.get('findings').find(row => row.is_current)"


def find_browser() -> str | None:
    """Return the path of an installed Chromium, or None; the one without windows is preferred because it costs less."""
    found = map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser"))
    return next(filter(None, found), None)


def bench_view(progress: Progress = silent) -> dict[str, Any]:
    """Measure the viewer in chromium with a pair of 512 x 512 x 64 scans.

    Parameters
    ----------
    progress : Progress
        Called before each part.

    Returns
    -------
    dict
        `usable_seconds` (from the command until the page can be clicked and shows both scans), `registered_seconds`,
        `scroll_seconds` and `click_seconds` (medians, with all values), `open_seconds_8`, `next_seconds_8`,
        `accept_seconds_80` and so on (opening, and medians of going on, accepting and filtering in lists of 8, 80 and 1,000
        findings, the keys timed on the page), `scroll_seconds_three` (as `scroll_seconds`, with three visits side by side), `server_mib` (its largest
        memory with two scans).

    Raises
    ------
    MissingPackageError
        playwright or chromium is not installed.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise MissingPackageError(
            "This benchmark needs playwright, which is not installed. Install it with: pip install playwright"
        ) from error
    chromium = find_browser()
    if chromium is None:
        raise MissingPackageError(
            "This benchmark needs the browser chromium, which is not installed. Install it and run it again."
        )
    with tempfile.TemporaryDirectory(prefix="oncotrack-bench-") as name, sync_playwright() as driver:
        folder = Path(name)
        progress(0.1, "Making two scans")
        scans = _pair(folder)
        browser = driver.chromium.launch(executable_path=chromium, args=_BROWSER)
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.set_default_timeout(_LIMIT_MS)
        progress(0.4, "Starting the viewer")
        started = time.perf_counter()
        log = folder / "log"
        with log.open("w") as out:
            server = subprocess.Popen(
                [sys.executable, "-c", _SERVE, *map(str, scans), str(folder / "out")],
                stdout=out,
                stderr=out,
                env={
                    **os.environ,
                    "ONCOTRACK_CACHE": str(folder / "cache"),
                    "ONCOTRACK_CONFIG": str(folder / "config"),
                },
            )
        try:
            page.goto(_address(log, server))
            page.wait_for_function(_USABLE)
            result: dict[str, Any] = {"size": list(SIZE), "usable_seconds": time.perf_counter() - started}
            page.wait_for_function("trame.state.get('has_registration') && !trame.state.get('job').text")
            result["registered_seconds"] = time.perf_counter() - started
            page.evaluate(_WATCH)
            page.wait_for_timeout(1500)
            progress(0.7, "Scrolling and clicking")
            result |= _series("scroll_seconds", [_scroll(page) for _ in range(_SCROLLS)])
            result |= _series("click_seconds", [_click(page, number) for number in range(_CLICKS)])
            for count in _COUNTS:
                progress(0.9, f"Working in a list of {count} findings")
                result[f"open_seconds_{count}"] = _open_findings(page, folder / "out", count)
                for action in ("next", "accept", "filter"):
                    seconds = [_act(page, action) for _ in range(_ACTIONS)]
                    result[f"{action}_seconds_{count}"] = statistics.median(seconds)
            status = Path(f"/proc/{server.pid}/status")
            if status.exists() and (peak := re.search(r"VmHWM:\s+(\d+)", status.read_text())):
                result["server_mib"] = int(peak.group(1)) // 1024
            progress(0.95, "Scrolling three visits")
            _show_third(page, scans[1], folder / "out")
            result |= _series("scroll_seconds_three", [_scroll(page) for _ in range(_SCROLLS)])
        finally:
            server.terminate()
            server.wait(20)
            browser.close()
    progress(1.0, "Measured")
    return result


def _pair(folder: Path) -> tuple[Path, Path]:
    """Write a synthetic baseline and follow-up."""
    rng = np.random.default_rng(3)
    geometry = Geometry(SIZE, (0.7, 0.7, 2.5), (-179.0, -179.0, -79.0))
    coarse = geometry.with_spacing((4.0, 4.0, 4.0))
    k, j, i = np.meshgrid(*(np.arange(n) for n in coarse.shape), indexing="ij")
    ras = coarse.to_ras(np.stack([i, j, k], -1))
    across = np.hypot(ras[..., 0] / 165, ras[..., 1] / 130)
    array = np.where(across < 1, 40.0, -1000.0)
    for _ in range(120):
        at, size = rng.uniform((-130, -100, -75), (130, 100, 75)), rng.uniform(4, 12)
        array += np.where(across < 0.92, rng.uniform(-160, 140) * np.exp(-((ras - at) ** 2).sum(-1) / (2 * size**2)), 0)
    before = Volume(array.astype(np.float32), coarse, "baseline", "CT").resampled(geometry)
    noisy = np.round(before.array + rng.normal(0, 12, before.array.shape)).astype(np.int16)
    before = Volume(noisy, geometry, "baseline", "CT")
    after, _motion = warped_copy(before, rng, largest_mm=12.0, spacing=(0.7, 0.7, 2.5), noise_hu=12.0)
    return save(before, folder / "baseline.nii.gz"), save(after, folder / "followup.nii.gz")


def _address(log: Path, server: subprocess.Popen) -> str:
    """Wait for the server's address in its log.

    Raises
    ------
    OncoTrackError
        The server did not start.
    """
    for _ in range(6000):
        if found := re.search(r"http://\S+", log.read_text()):
            return found.group(0)
        if server.poll() is not None:
            break
        time.sleep(0.02)
    raise OncoTrackError(f"The viewer did not start: {log.read_text()[-300:]}")


def _scroll(page: Any) -> float:
    """Measure the seconds from a turn of the mouse wheel to the new picture."""
    box = page.locator(".layout-grid-item:has([data-view='BaselineAxial'])").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    page.wait_for_timeout(700)
    state = "JSON.stringify([window.pictures.BaselineAxial, trame.state.get('views').BaselineAxial.place])"
    count, position = json.loads(page.evaluate(state))
    started = time.perf_counter()
    page.mouse.wheel(0, -100)
    page.wait_for_function(
        f"window.pictures.BaselineAxial > {count or 0} && trame.state.get('views').BaselineAxial.place !== {json.dumps(position)}"
    )
    return time.perf_counter() - started


def _click(page: Any, number: int) -> float:
    """Measure the seconds from a click to the match drawn in the follow-up."""
    box = page.locator(".layout-grid-item:has([data-view='BaselineAxial'])").bounding_box()
    known, pictures = page.evaluate("[trame.state.get('findings').length, window.pictures.FollowUpAxial || 0]")
    page.wait_for_timeout(700)
    started = time.perf_counter()
    page.mouse.click(box["x"] + (0.40 + 0.04 * number) * box["width"], box["y"] + 0.42 * box["height"])
    page.wait_for_function(
        f"trame.state.get('findings').length > {known} && !!trame.state.get('match').label "
        f"&& window.pictures.FollowUpAxial > {pictures}"
    )
    return time.perf_counter() - started


def _show_third(page: Any, scan: Path, out: Path) -> None:
    """Open a copy of a scan as an additional visit, and show it beside baseline and follow-up, linked."""
    path = out / "third.nii.gz"
    shutil.copyfile(scan, path)
    page.evaluate("path => trame.trigger('oncotrack.command', ['open', path, 'visit'])", str(path))
    page.wait_for_function("trame.state.get('visits').heads.length === 3 && !trame.state.get('job').text")
    page.evaluate("trame.trigger('oncotrack.command', ['show_visit', 1, ''])")
    page.wait_for_function("trame.state.get('visits').shown === 1 && !trame.state.get('job').text")
    page.evaluate("trame.trigger('oncotrack.command', ['third_visit'])")
    page.wait_for_function("!!trame.state.get('views').ThirdVisitAxial && !trame.state.get('job').text")
    page.evaluate(_WATCH)
    page.wait_for_timeout(2500)


def _open_findings(page: Any, out: Path, count: int) -> float:
    """Open a list of so many findings, copies of the first one at positions of their own; return the seconds it took."""
    page.evaluate("trame.trigger('oncotrack.command', ['save_findings'])")
    page.wait_for_function("!trame.state.get('unsaved')")
    document = json.loads((out / "findings.json").read_text())
    first = document["findings"][0]
    document["findings"] = [_moved(first, number) for number in range(count)]
    path = out / f"{count}.json"
    path.write_text(json.dumps(document))
    started = time.perf_counter()
    page.evaluate("path => trame.trigger('oncotrack.command', ['open', path, 'baseline'])", str(path))
    page.wait_for_function(
        f"document.querySelectorAll('[data-finding]').length === {count} && !trame.state.get('job').text"
    )
    seconds = time.perf_counter() - started
    page.wait_for_timeout(1500)
    return seconds


def _moved(finding: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a copy of a finding with a label and a position of its own."""
    copy = json.loads(json.dumps(finding)) | {"uid": f"2.25.{number + 1}", "label": f"L {number + 1}"}
    for seen in copy["observations"].values():
        seen["state"] = "proposed"
        seen["position_ras"] = [
            value + 3.0 * (number % side) for value, side in zip(seen["position_ras"], (9, 7, 3), strict=True)
        ]
    return copy


def _act(page: Any, action: str) -> float:
    """Measure the seconds from a key, or from the choice of a filter, to the changed list on the page."""
    page.wait_for_timeout(400)
    if action == "next":
        return _go_on(page)
    if action == "accept":
        _go_on(page)
        page.wait_for_timeout(600)
        label = page.evaluate(f"{_CURRENT}.label")
        return _press(page, "a", f"""document.querySelector("[data-finding='{label}']").dataset.state === 'accepted'""")
    rows = "document.querySelectorAll('[data-finding]')"
    accepted = "trame.state.get('findings').filter(row => row.state === 'accepted')"
    started = time.perf_counter()
    page.evaluate("trame.state.set('shown_state', 'accepted')")
    page.wait_for_function(f"{rows}.length === {accepted}.length")
    seconds = time.perf_counter() - started
    page.evaluate("trame.state.set('shown_state', 'all')")
    page.wait_for_function(f"{rows}.length === trame.state.get('findings').length")
    return seconds


def _go_on(page: Any) -> float:
    """Measure the seconds from the key of the next finding to its row on the page."""
    shown = "(document.querySelector('.finding.current')?.dataset.finding ?? '')"
    return _press(page, "n", f"{shown} && {shown} !== {json.dumps(page.evaluate(shown))}")


def _press(page: Any, key: str, done: str) -> float:
    """Measure on the page the seconds from a key to when a JavaScript expression is true."""
    page.evaluate(_WATCH_KEY, done)
    page.keyboard.press(key)
    page.wait_for_function("window.took !== null")
    return page.evaluate("window.took") / 1000


def _series(name: str, values: list[float]) -> dict[str, Any]:
    """Return the median of measurements, and all of them."""
    return {name: statistics.median(values), f"{name}_all": [round(value, 3) for value in values]}
