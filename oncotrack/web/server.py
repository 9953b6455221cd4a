"""The web server: one viewer behind one token, on one address."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from oncotrack.errors import InputError, MissingPackageError, OutputError
from oncotrack.scene.views.application import check_drawing
from oncotrack.web.access import Access, Folders
from oncotrack.web.files import BASELINE, FOLLOWUP, VISIT
from oncotrack.web.routes import Routes

OUT = "oncotrack-results"
_PAGE = Path(__file__).parent / "page"
_MODULE = {
    "serve": {"__oncotrack": str(_PAGE)},
    "scripts": ["__oncotrack/oncotrack.js"],
    "styles": ["__oncotrack/oncotrack.css"],
}


def run(
    baseline: Path | None,
    followup: Path | None,
    *more: Path,
    folders: Sequence[Path] = (),
    host: str = "127.0.0.1",
    port: int = 0,
    open_browser: bool = False,
    out: Path | None = None,
) -> None:
    """See `oncotrack.web.serve`."""
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")
    check_drawing()
    visits = ((f"{VISIT} {number}", path) for number, path in enumerate(more, 3))
    scans = ((BASELINE, baseline), (FOLLOWUP, followup), *visits)
    given = {role: Path(path).expanduser() for role, path in scans if path}
    for path in given.values():
        if not path.exists():
            raise InputError(f"{path} does not exist. Check the path.")
    out = Path(out or OUT).expanduser().absolute()
    if out.exists() and not os.access(out, os.W_OK):
        raise OutputError(f"{out} cannot be written to. Choose another folder for the results.")
    allowed = Folders([*folders, *given.values(), out])
    _check_address(host, port)
    try:
        from trame.app import get_server

        from oncotrack.web.shell import build
        from oncotrack.web.viewer import Viewer
    except ImportError as error:
        raise MissingPackageError(
            "The viewer needs trame-slicer, which is not installed. Install it with: pip install 'oncotrack[web]'"
        ) from error
    os.environ["WSLINK_READY_MSG"] = ""
    os.environ.setdefault("TRAME_ARGS", "--server")
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    server = get_server(client_type="vue3")
    server.enable_module(_MODULE)
    access = Access(host)
    viewer = Viewer(server, allowed, out)
    viewer.files.first = given
    routes = Routes(viewer)

    def bind(web_server: object) -> None:
        web_server.app.middlewares.append(access.guard)
        routes.add_to(web_server.app)

    def tell(**_state: object) -> None:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{server.port}/?token={access.token}"
        print(f"OncoTrack is open at {address}\nThe address works once, in one browser. Stop with Ctrl+C.", flush=True)
        if open_browser:
            webbrowser.open(address)

    server.controller.on_server_bind.add(bind)
    server.controller.on_server_ready.add(tell)
    build(viewer)
    try:
        server.start(
            port=port, host=host, open_browser=False, show_connection_info=False, disable_logging=True, timeout=0
        )
    finally:
        viewer.close()


def _check_address(host: str, port: int) -> None:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except (OSError, OverflowError) as error:
        raise InputError(
            f"The address {host}:{port} cannot be used: it is taken or not this computer's. Choose another port."
        ) from error
