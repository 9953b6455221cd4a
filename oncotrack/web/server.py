"""The web server: it serves one viewer at one address, protected by one token."""

from __future__ import annotations

import asyncio
import gc
import importlib
import importlib.util
import os
import socket
import sys
from collections.abc import Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING

from oncotrack.background.isolation import use_helper
from oncotrack.errors import InputError, MissingPackageError
from oncotrack.scene.files.series_list import ScanSource
from oncotrack.scene.views.opengl import check_drawing
from oncotrack.web.read_ahead import ReadAhead
from oncotrack.web.roles import BASELINE, FOLLOWUP, PET, VISIT

if TYPE_CHECKING:
    from oncotrack.web.access import Access
    from oncotrack.web.record import Record
    from oncotrack.web.results import Results

_FLUSH_S = 0.02  # the browser receives the page before its scans are added to the scene
_PAGE = Path(__file__).parent / "page"
_MODULE = {
    "serve": {"__oncotrack": str(_PAGE)},
    "scripts": [f"__oncotrack/{name}.js" for name in ("mouse", "oncotrack", "connection", "drag")],
    "styles": ["__oncotrack/oncotrack.css"],
}


def run(
    baseline: Path | None,
    followup: Path | None,
    *more: Path,
    series: Sequence[str] = (),
    resample: bool = False,
    folders: Sequence[Path] = (),
    host: str = "127.0.0.1",
    port: int = 0,
    open_browser: bool = False,
    out: Path | None = None,
    pet: Path | None = None,
    allow_other_computers: bool = False,
    public_address: str = "",
    worklist: Path | None = None,
) -> None:
    """Serve as described in `oncotrack.web.serve`.

    The page is served at once and shows that OncoTrack is starting; meanwhile one thread loads Slicer's libraries and
    another reads the scans.
    """
    if hasattr(sys, "setdlopenflags"):
        sys.setdlopenflags(os.RTLD_LAZY)  # Slicer's libraries have many functions; each is looked up when it is used
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")
    check_drawing()
    visits = ((f"{VISIT} {number}", path) for number, path in enumerate(more, 3))
    scans = ((BASELINE, baseline), (FOLLOWUP, followup), *visits)
    wanted = chain(series, repeat(""))
    given = {
        role: ScanSource(Path(path).expanduser(), wanted, resample)
        for (role, path), wanted in zip(scans, wanted, strict=False)
        if path
    }
    if pet:
        given[PET] = ScanSource(Path(pet).expanduser(), suv=True)
    for source in given.values():
        if not source.path.exists():
            raise InputError(f"{source.path} does not exist. Check the path.")
    if any(importlib.util.find_spec(name) is None for name in ("slicer", "trame", "trame_slicer")):
        raise MissingPackageError(
            "The viewer needs trame-slicer, which is not installed. Install it with: pip install 'oncotrack[web]'"
        )
    if worklist is not None:
        from oncotrack.archive.worklist import Worklist

        worklist = worklist.expanduser().absolute()
        Worklist(worklist)  # a folder without results is refused before the page opens
    from oncotrack.web.access import Access, check_consent
    from oncotrack.web.private_files import scratch_folder
    from oncotrack.web.record import Record
    from oncotrack.web.results import Results

    check_consent(host, public_address, allow_other_computers)
    _check_address(host, port)
    os.umask(0o077)  # what this process writes is for this user only
    with scratch_folder():
        has_scene = any(source.path.suffix.lower() == ".mrb" for source in given.values())
        use_helper(*(["oncotrack.scene.files.trial"] if has_scene else []), now=True)
        reader = ReadAhead(source for source in given.values() if source.path.suffix.lower() != ".mrb")
        record = Record()
        results = Results(out)
        if record.problem:
            print(record.problem, flush=True)
        allowed = [*folders, *(source.path for source in given.values()), results.base]
        try:
            access = Access(host, public_address)
            _Service(access, host, allowed, results, record, given, reader, open_browser, worklist).run(port)
        finally:
            results.close()
            record.close()


class _Service:
    """The running server, and the viewer as soon as it is created."""

    def __init__(
        self,
        access: Access,
        host: str,
        folders: Sequence[Path],
        results: Results,
        record: Record,
        given: dict[str, ScanSource],
        reader: ReadAhead,
        open_browser: bool,
        worklist: Path | None,
    ) -> None:
        if access.is_loopback:  # nothing is gained by compressing pictures again on the way to the same computer
            os.environ.setdefault("WSLINK_WS_COMPRESS", "0")
        from trame.app import get_server
        from trame.ui.vuetify3 import VAppLayout
        from trame.widgets import html
        from trame_rca import module as remote_views

        from oncotrack.web.access import Folders
        from oncotrack.web.appearance import DARK, VUETIFY
        from oncotrack.web.connection import LOST
        from oncotrack.web.private_files import BrowserLauncher
        from oncotrack.web.routes import Routes

        os.environ["WSLINK_READY_MSG"] = ""
        os.environ.setdefault("TRAME_ARGS", "--server")
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._record = record
        self._host, self._results, self._given, self._reader = host, results, given, reader
        self._worklist = worklist
        self._launcher = BrowserLauncher(results.base) if open_browser else None
        self._folders, self._access, self._routes = Folders(folders), access, Routes()
        self._viewer = self._failure = self._start = None
        self._server = get_server(client_type="vue3")
        self._server.enable_module(_MODULE)
        self._server.enable_module(remote_views)  # now, because a module cannot be added to a running server
        self._server.state.update({"trame__title": "OncoTrack", "trame__favicon": None, "trame__template_error": LOST})
        with VAppLayout(self._server, theme=("theme", DARK), vuetify_config=VUETIFY) as self._page:
            html.Div("OncoTrack is starting", classes="starting", role="status")

    def run(self, port: int) -> None:
        """Serve until stopped."""
        self._server.controller.on_server_bind.add(self._on_bind)
        self._server.controller.on_server_ready.add(self._on_ready)
        try:
            self._server.start(
                port=port,
                host=self._host,
                open_browser=False,
                show_connection_info=False,
                disable_logging=True,
                timeout=0,
            )
        finally:
            if self._launcher is not None:
                self._launcher.close()
            if self._viewer is not None:
                self._viewer.close()
        if self._failure is not None:
            raise self._failure

    def _on_bind(self, web_server: object) -> None:
        web_server.app.middlewares.append(self._access.guard)
        self._routes.add_to(web_server.app)

    def _on_ready(self, **_state: object) -> None:
        address = self._access.address(self._server.port)
        print(f"OncoTrack is open at {address}\nThe address works once, in one browser. Stop with Ctrl+C.", flush=True)
        if not self._access.is_loopback:
            print("Other computers can connect, and the connection is not encrypted; see docs/viewer.md.", flush=True)
        if news := self._results.news(keep=True):
            print(news, flush=True)
        if self._launcher is not None:
            self._launcher.open(address)
        self._start = self._loop.create_task(self._open_viewer())

    async def _open_viewer(self) -> None:
        gc.disable()  # imports create many objects that stay; searching them for garbage would slow the start down
        try:
            composition = await self._loop.run_in_executor(None, importlib.import_module, "oncotrack.web.compose")
            with self._server.state:
                self._viewer, files, browser = composition.compose(
                    self._server, self._page, self._folders, self._results, self._record, self._reader, self._worklist
                )
            self._routes.open(self._viewer, files, browser)
            await asyncio.sleep(_FLUSH_S)
            with self._server.state:
                self._viewer.attempt(files.open_first, self._given)
        except Exception as error:
            self._failure = error
            await self._server.stop()
        finally:
            gc.freeze()
            gc.enable()


def _check_address(host: str, port: int) -> None:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except (OSError, OverflowError) as error:
        raise InputError(
            f"The address {host}:{port} cannot be used: it is taken, or it is not this computer's. Choose another port."
        ) from error
