"""Fixtures of the browser tests: a real viewer in its own process, driven by a real browser on the same machine."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from three_visits import scan
from viewer_process import ViewerProcess

from oncotrack.bench.view import find_browser
from oncotrack.bench.warped import warped_copy
from oncotrack.findings.finding_list import FindingList
from oncotrack.followup import DEFAULT_METHOD
from oncotrack.images.files import save
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

CHROMIUM = find_browser()
_POLL_MS = 50  # polling in every frame would make the browser draw without end
_WAIT_MS = 60_000  # a shared machine may be slow; no test measures time
LESIONS = np.array([(35.0, 20.0, 5.0), (-42.0, 12.0, 20.0), (10.0, -28.0, -20.0), (-20.0, 35.0, -8.0)])
_WITHOUT_MOUSE = ".view-value { display: none !important; } .is-used { border-color: #222 !important; }"
_LISTEN = """(() => {
    const Socket = window.WebSocket;
    window.sockets = [];
    window.WebSocket = class extends Socket { constructor(...how) { super(...how); window.sockets.push(this); } };
    let shown = "";
    window.messages = [];
    window.picture_of = view => document.querySelector(`.layout-grid-item:has([data-view='${view}']) img`);
    new MutationObserver(() => {
        const now = document.querySelector("[role=alert][data-message]")?.innerText ?? "";
        if (now && now !== shown) window.messages.push(now);
        shown = now;
    }).observe(document, {subtree: true, childList: true, characterData: true});
})()"""
_AT_REST = """async view => {
    // the page sends the movements of the mouse up to 20 ms later
    await new Promise(done => setTimeout(done, 30));
    const is_at_rest = () => trame.trigger("oncotrack.are_views_at_rest");
    // the second answer follows the last picture that was encoded before the first
    while (!(await is_at_rest() && await is_at_rest())) await new Promise(done => setTimeout(done, 20));
    await picture_of(view).decode();
    return picture_of(view).src;
}"""
TESTING = Path(__file__).resolve().parents[1]
RADIUS = 9.0
"""Radius of the lymph nodes that the known detector finds, mm."""
_KNOWN_NODES = """
import os, sys, time
sys.path.insert(0, {testing!r})
from stand_in_detector import KnownNodes
from oncotrack.scene.detection import detection
places = [(tuple(at), {radius}) for at in {places}]
slowly = os.path.join(os.environ["TMPDIR"], "slowly")
detection.FACTORIES = {{"known": lambda: KnownNodes(places, lambda _index: os.path.exists(slowly) and time.sleep(0.1))}}
"""
_FAILED = pytest.StashKey[bool]()
_PAGES: dict[Any, Reader] = {}


def body(rng: np.random.Generator) -> Volume:
    """Return a CT-like trunk (HU) of 192 x 192 x 141 mm with vessels, a spine and round lesions at `LESIONS`."""
    geometry = Geometry((96, 96, 48), (2.0, 2.0, 3.0), (-95.0, -95.0, -70.5))
    k, j, i = np.meshgrid(*(np.arange(n) for n in geometry.shape), indexing="ij")
    place = geometry.to_ras(np.stack([i, j, k], -1))
    across = np.hypot(place[..., 0] / 86, place[..., 1] / 72)
    array = np.where(across < 1, 40.0, -1000.0)
    array[(across < 1) & (across > 0.88)] = -100.0
    array[np.hypot(place[..., 0], place[..., 1] + 50) < 12] = 500.0
    for _ in range(60):
        at, size = rng.uniform((-65, -50, -65), (65, 55, 65)), rng.uniform(4, 9)
        blob = np.exp(-((place - at) ** 2).sum(-1) / (2 * size**2))
        array += np.where(across < 0.88, rng.uniform(-160, 120) * blob, 0)
    for at in LESIONS:
        array += 120 * np.exp(-((place - at) ** 2).sum(-1) / (2 * 4.5**2))
    array += rng.normal(0, 12, array.shape)
    return Volume(np.round(array).astype(np.int16), geometry, "baseline", "CT")


@dataclass(frozen=True)
class Pair:
    """Two scans on disk, with the position of each baseline lesion in both (RAS mm)."""

    baseline: Path
    followup: Path
    lesions: np.ndarray
    truth: np.ndarray


@pytest.fixture(scope="session")
def pair(tmp_path_factory) -> Pair:
    """Write two scans of a synthetic patient, deformed by up to 9 mm."""
    folder, rng = tmp_path_factory.mktemp("scans"), np.random.default_rng(7)
    before = body(rng)
    after, motion = warped_copy(before, rng, largest_mm=9.0, spacing=(2.0, 2.0, 3.0), noise_hu=10.0)
    paths = save(before, folder / "baseline.nii.gz"), save(after, folder / "followup.nii.gz")
    return Pair(*paths, LESIONS, motion.to_followup(LESIONS))


class Server:
    """A viewer in its own process, after a `prelude` of Python; its address, output and results."""

    def __init__(self, scans: list[Path], out: Path, cache: Path, prelude: str = "", **options: Any) -> None:
        self.out, self._log = out, out.with_suffix(".log")
        environment = {
            "VTK_DEFAULT_OPENGL_WINDOW": "vtkOSOpenGLRenderWindow",
            "ONCOTRACK_CACHE": str(cache),
            "ONCOTRACK_CONFIG": str(out.with_suffix(".config")),
            "TMPDIR": str(out.parent),  # killed servers leave their temporary files there
        }
        scans = [str(scan) for scan in scans]
        self.process = ViewerProcess(scans, self._log, prelude, environment, out=str(out), **options)
        self.url = self._wait_for_url()

    @property
    def log(self) -> str:
        """Its output."""
        return self._log.read_text()

    @contextmanager
    def slow_detection(self) -> Iterator[None]:
        """Return a context in which the known detector pauses at every slice."""
        mark = self.out.parent / "slowly"
        mark.touch()
        yield
        mark.unlink()

    @property
    def faults(self) -> str:
        """Its output, without pages that were closed while the server wrote to them: these are no errors."""
        closed = r"Traceback \(most recent call last\):(?:(?!Traceback).)*?ConnectionResetError: Cannot write to closing transport"
        return re.sub(closed, "", self.log, flags=re.DOTALL)

    @property
    def autosaved(self) -> dict:
        """The autosaved findings, read from disk and not from the page."""
        return json.loads((self.out / "findings.autosave.json").read_text())

    def stop(self, how: int = signal.SIGINT) -> int:
        """Stop the process, by default as Ctrl+C does, and return its exit code."""
        self.process.send_signal(how)
        return self.process.wait(20)

    def _wait_for_url(self) -> str:
        for _ in range(2400):
            if found := re.search(r"http://\S+", self.log):
                return found.group(0)
            if self.process.exit_code is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"the viewer did not start: {self.log}")


class Reader:
    """Simulated reader: reads the state of the page, and clicks at positions of the patient."""

    def __init__(self, page) -> None:
        self.page = page
        self.is_reusable = True
        self.requests: list[str] = []
        page.set_default_timeout(_WAIT_MS)
        page.add_init_script(_LISTEN)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("dialog", lambda dialog: dialog.accept())

    def state(self, name: str) -> Any:
        """Return a value of the page's state."""
        return self.page.evaluate(f"JSON.parse(JSON.stringify(trame.state.get('{name}') ?? null))")

    def until(self, condition: str, timeout: int = _WAIT_MS) -> None:
        """Wait for a condition on the page; `s(name)` reads its state."""
        self.page.wait_for_function(
            f"(() => {{ if (!window.trame?.state?.get) return false; const s = n => trame.state.get(n); "
            f"return s('findings') && s('job') && ({condition}); }})()",
            timeout=timeout,
            polling=_POLL_MS,
        )

    def open(self, url: str) -> None:
        """Open the page and wait until both scans are shown, linked and at rest."""
        self.page.goto(url)
        self.until("s('has_registration') && !s('job').text")
        self.until_shown(7)

    def open_one_scan(self, url: str) -> None:
        """Open the page and wait until the baseline alone is shown and at rest."""
        self.page.goto(url)
        self.until("s('scan_names')[0] && !s('job').text && s('views').BaselineAxial")
        self.until_shown(4)

    def until_shown(self, count: int) -> None:
        """Wait until so many views show pictures of their own size."""
        self.page.wait_for_function(
            """count => [...document.querySelectorAll('.layout-grid-item')].filter(view => {
                const picture = view.querySelector('img'), width = picture?.naturalWidth;
                return width && Math.abs(width - picture.getBoundingClientRect().width) < 4;
            }).length >= count""",
            arg=count,
            polling=_POLL_MS,
        )

    def tab_to(self, selector: str, limit: int) -> None:
        """Press Tab until an element has the focus, so many times at most."""
        for _ in range(limit):
            if self.page.evaluate("selector => !!document.activeElement?.closest(selector)", selector):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab never reaches {selector}")

    def command(self, name: str) -> None:
        """Click a command's button in the bar."""
        self.page.locator(f"[data-command='{name}']").click()

    def tab(self, title: str) -> None:
        """Open a tool's tab."""
        self.page.get_by_role("tab", name=title).click()

    def tabs_in_sight(self) -> list[str]:
        """Return the titles of the tabs that lie whole within the panel; scroll arrows beside them fail."""
        assert not self.page.locator(".tool-tabs .v-slide-group__prev, .tool-tabs .v-slide-group__next").count()
        panel = self.page.locator(".tool-tabs").bounding_box()
        boxes = [(tab.inner_text(), tab.bounding_box()) for tab in self.page.get_by_role("tab").all()]
        left, right = panel["x"] - 1, panel["x"] + panel["width"] + 1
        return [title for title, box in boxes if left <= box["x"] and box["x"] + box["width"] <= right]

    def pixel(self, view: str, ras) -> tuple[float, float]:
        """Return the position on the page where a view shows a position of the patient (RAS mm)."""
        shown = self.state("views")[view]
        box = self.page.locator(f".layout-grid-item:has([data-view='{view}'])").bounding_box()
        matrix = np.reshape(shown["ras_to_xy"], (4, 4))
        x, y = (matrix @ [*ras, 1.0])[:2]
        height = shown["size"][1]
        frame = (box["height"] - height) / 2, (box["width"] - shown["size"][0]) / 2
        return box["x"] + frame[1] + x, box["y"] + frame[0] + height - y

    def slice_of(self, view: str, axis: int = 2) -> float:
        """Return where the slice that a view shows lies along an axis of the patient, RAS mm."""
        return float(np.linalg.inv(np.reshape(self.state("views")[view]["ras_to_xy"], (4, 4)))[axis, 3])

    def scroll_to(self, view: str, ras, axis: int = 2) -> None:
        """Turn the wheel over a view until it shows the slice of a position, once the views are at rest."""
        self.rest()
        notches, at = 1, self.slice_of(view, axis)
        for _ in range(120):
            if abs(ras[axis] - at) < 1.6:
                self.rest()  # the linked view has followed
                return
            self.page.mouse.move(*self._middle(view))
            before = self.state("views")[view]["place"]
            self.page.mouse.wheel(0, (-120 if ras[axis] > at else 120) * notches)
            self.until(f"s('views').{view}.place !== {json.dumps(before)}", 5000)
            started, at = at, self.slice_of(view, axis)
            notches = max(1, int(abs(ras[axis] - at) * notches / max(abs(at - started), 0.1)))
        raise AssertionError(f"{view} never showed {ras}")

    def picture(self, view: str, other_than: bytes | None = None) -> bytes:
        """Return a screenshot of a view at rest; waits until it differs from `other_than`."""
        place = self.page.locator(f".layout-grid-item:has([data-view='{view}'])")
        deadline = time.monotonic() + _WAIT_MS / 1000
        while time.monotonic() < deadline:
            source = self.page.evaluate(_AT_REST, view)
            shown = place.screenshot(style=_WITHOUT_MOUSE)
            if shown != other_than:
                return shown
            self.page.wait_for_function(
                "([view, source]) => picture_of(view).src !== source", arg=[view, source], polling=_POLL_MS
            )
        raise AssertionError(f"{view} still shows what it showed")

    def click(self, view: str, ras) -> None:
        """Click at a position of the patient, once the views are at rest; then move the mouse on, so that the click acts at once."""
        self.rest()
        x, y = self.pixel(view, ras)
        self.page.mouse.click(x, y)
        self.page.mouse.move(x + 8, y)

    def drag(self, view: str, start, stop) -> None:
        """Drag from one position of the patient to another, once the views are at rest."""
        self.rest()
        self.drag_pixels(self.pixel(view, start), self.pixel(view, stop))

    def drag_pixels(self, start: tuple[float, float], stop: tuple[float, float]) -> None:
        """Drag from one position on the page to another, in steps."""
        (x0, y0), (x1, y1) = start, stop
        self.page.mouse.move(x0 - 3, y0)
        self.page.mouse.move(x0, y0)
        self.page.mouse.down()
        for part in (0.3, 0.6, 1.0):
            self.page.mouse.move(x0 + part * (x1 - x0), y0 + part * (y1 - y0))
        self.page.mouse.up()

    def cancel(self, words: str) -> None:
        """Click Cancel as soon as the work of that name has started; from within the page, for short work."""
        self.page.evaluate(
            """words => new Promise((done, fail) => {
                const started = Date.now();
                const timer = setInterval(() => {
                    const button = document.querySelector("[data-cancel]");
                    if (button && (trame.state.get("job")?.text ?? "").startsWith(words)) {
                        clearInterval(timer); button.click(); done();
                    } else if (Date.now() - started > 60000) { clearInterval(timer); fail(`no ${words} to cancel`); }
                }, 10);
            })""",
            words,
        )

    def follow(self, pair: Pair, number: int) -> dict:
        """Click a baseline lesion, wait for its match and return its row."""
        count = len(self.state("findings"))
        self.scroll_to("BaselineAxial", pair.lesions[number])
        self.click("BaselineAxial", pair.lesions[number])
        self.until(f"s('findings').length === {count + 1} && s('match').label && !s('job').text")
        self.rest()
        return self.state("findings")[-1]

    def choose_method(self, method: str) -> None:
        """Choose the method by which lesions are followed."""
        if self.state("method") != method:
            self.page.evaluate("method => trame.state.set('method', method)", method)
            self.until(f"s('method') === '{method}' && s('method_tip') && !s('job').text")

    def rest(self) -> None:
        """Wait until every view has sent its picture with the text on it."""
        self.page.evaluate(
            """async () => {
                const is_at_rest = () => trame.trigger("oncotrack.are_views_at_rest");
                while (!(await is_at_rest() && await is_at_rest())) await new Promise(done => setTimeout(done, 20));
            }"""
        )

    def open_findings(self, text: str) -> None:
        """Open a list of findings, as JSON, in place of the one that is shown."""
        self.page.evaluate(
            """async text => {
                const form = new FormData();
                form.append("file", new File([text], "findings.json"));
                await fetch("upload?role=baseline", { method: "POST", body: form });
            }""",
            text,
        )

    def clear(self) -> None:
        """Open an empty list, in which names are given from "L 1" again, close messages, and return to the list."""
        self.open_findings(FindingList().to_json())
        self.until("s('findings').length === 0")
        self.close_message()
        self.tab("Findings")

    def faults(self) -> list[str]:
        """Return the serious and critical faults that axe-core finds on the page as it is shown."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page, options={"resultTypes": ["violations"]}).response["violations"]
        severe = [each for each in found if each["impact"] in ("serious", "critical")]
        return [f"{each['id']}: {node['html'][:150]}" for each in severe for node in each["nodes"]]

    def use_theme(self, theme: str) -> None:
        """Make the page dark or light."""
        if self.state("theme") != theme:
            self.page.evaluate("trame.trigger('oncotrack.command', ['change_theme'])")
        self.page.locator(f".v-application.v-theme--{theme}").wait_for()

    def delete(self, uid: str) -> None:
        """Delete a finding."""
        self.page.evaluate("uid => trame.trigger('oncotrack.command', ['remove_everywhere', uid])", uid)

    def close_message(self) -> None:
        """Close the message that is shown."""
        self.page.evaluate("trame.state.set('message_closed', trame.state.get('message').number)")

    def message(self, part: str) -> str:
        """Return the next message that contains `part`; one that was shown and has closed meanwhile counts."""
        message = self.page.wait_for_function(
            "part => { const n = messages.findIndex(text => text.includes(part)); return n >= 0 && messages.splice(0, n + 1).pop(); }",
            arg=part,
            polling=_POLL_MS,
        )
        return message.json_value()

    def _middle(self, view: str) -> tuple[float, float]:
        box = self.page.locator(f".layout-grid-item:has([data-view='{view}'])").bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.fixture(scope="session")
def browser():
    """Start the installed Chromium, or skip."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    pytest.importorskip("trame_slicer", reason="trame-slicer is not installed: pip install 'oncotrack[web]'")
    if CHROMIUM is None:
        pytest.skip("no browser here: chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def make_reader():
    """Return the class `Reader`, for tests with a page of their own."""
    return Reader


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """Return the cache folder of registrations, shared by the servers of the tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def start(cache, browser):
    """Yield a function that starts a server; servers still running are killed at the end of the session."""
    servers = []

    def start_server(scans, out: Path, **options) -> Server:
        servers.append(Server(scans, out, options.pop("cache", cache), **options))
        return servers[-1]

    yield start_server
    for server in servers:
        if server.process.exit_code is None:
            server.stop(signal.SIGKILL)


@pytest.fixture(scope="session")
def known_nodes() -> str:
    """Return the prelude of a server whose detector finds the lesions of the baseline."""
    return _KNOWN_NODES.format(testing=str(TESTING), radius=RADIUS, places=LESIONS.tolist())


@pytest.fixture(scope="session")
def server(start, pair, known_nodes, tmp_path_factory) -> Server:
    """Start the viewer of the synthetic pair, shared by the tests; in the end its log must be free of errors."""
    server = start([pair.baseline, pair.followup], tmp_path_factory.mktemp("results") / "out", prelude=known_nodes)
    yield server
    assert server.stop() == 0
    assert not re.search(r'File ".*oncotrack/|\bERR\|', server.faults), server.faults


@pytest.fixture(scope="session")
def context(browser, server):
    """Open the one browser that the shared server admits."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    assert context.request.get(server.url).ok
    yield context
    context.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Mark tests that failed, so that their page is not used again."""
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.fixture
def page_of(request):
    """Yield a function that returns the page of a context, loaded by `load(reader)` the first time and after failures."""
    used = []

    def get(context, load) -> Reader:
        reader = _PAGES.get(context)
        if reader is None or not reader.is_reusable:
            if reader is not None:
                reader.page.close()
            reader = _PAGES[context] = Reader(context.new_page())
            load(reader)
        reader.page.evaluate("window.messages.length = 0")
        used.append(reader)
        return reader

    yield get
    for reader in used:
        reader.is_reusable = not request.node.stash.get(_FAILED, False)


@pytest.fixture
def reader(context, server, page_of) -> Reader:
    """Return a reader at the shared server's page, with an empty list of findings; lesions are followed by the registration."""
    reader = page_of(context, lambda reader: reader.open(server.url.split("?")[0]))
    reader.clear()
    reader.choose_method("affine")
    return reader


@pytest.fixture
def searching(reader) -> Reader:
    """Return a reader who follows lesions by the default method, which searches and offers alternatives."""
    reader.choose_method(DEFAULT_METHOD)
    return reader


@pytest.fixture(scope="module")
def three_visit_page(start, browser, make_reader, tmp_path_factory):
    """Open a page with three visits, followed by registration alone; gives the reader and the server."""
    folder = tmp_path_factory.mktemp("visits")
    scans = [save(scan(visit), folder / f"visit{visit + 1}.nii.gz") for visit in range(3)]
    server = start(scans, folder / "out")
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    reader = make_reader(context.new_page())
    reader.open(server.url)
    reader.choose_method("affine")
    yield reader, server
    context.close()
    assert server.stop() == 0
