"""HTTP routes besides those of trame: uploads, downloads of results, and a sign of life."""

from __future__ import annotations

import asyncio
import tempfile
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from aiohttp import BodyPartReader, web

from oncotrack.errors import InputError, OncoTrackError
from oncotrack.web.roles import BASELINE, FOLLOWUP, PET, TUMOUR, VISIT

if TYPE_CHECKING:
    from oncotrack.web.files import Files
    from oncotrack.web.study_browser import StudyBrowser
    from oncotrack.web.viewer import Viewer

_LARGEST_BYTES = 8 * 2**30
_PART_BYTES = 2**20
_HEADERS = (".mhd", ".nhdr")


class Routes:
    """Upload and download; both are protected by `Access.guard`, and answer 503 until `open` is called."""

    def __init__(self) -> None:
        self._open: tuple[Viewer, Files, StudyBrowser] | None = None

    def open(self, viewer: Viewer, files: Files, browser: StudyBrowser) -> None:
        """Serve the files of a viewer, and the pictures of its lists of series, from now on."""
        self._open = viewer, files, browser

    def add_to(self, app: web.Application) -> None:
        """Add `POST /upload?role=baseline`, `GET /saved/{name}`, `GET /alive`, and pictures of series,
        `GET /series/{dialog}/{row}.png` and `GET /folder/{folder}/{row}.png`.
        """
        app.router.add_post("/upload", self._upload)
        app.router.add_get("/saved/{name}", self._saved)
        app.router.add_get("/alive", self._alive)
        app.router.add_get(r"/series/{list:\d+}/{row:\d+}.png", partial(self._picture, is_in_browser=False))
        app.router.add_get(r"/folder/{list:\d+}/{row:\d+}.png", partial(self._picture, is_in_browser=True))

    async def _upload(self, request: web.Request) -> web.Response:
        viewer, files, _browser = self._opened()
        role = request.query.get("role")
        role = role if role in (FOLLOWUP, VISIT, PET, TUMOUR) else BASELINE
        folder = tempfile.TemporaryDirectory(prefix="oncotrack-upload-")
        target = Path(folder.name) / "upload"  # the name of a scan of several files
        try:
            target.mkdir()
            received = await _receive(request, target)
            path = _main_file(received, target)
        except OncoTrackError as error:
            folder.cleanup()
            return _refuse(viewer, str(error))
        except (OSError, ValueError):
            folder.cleanup()
            return _refuse(viewer, "The upload was cut off or the disk is full. Upload it again.")
        with viewer.state:
            viewer.attempt(lambda: files.open_path(path, role, finished=folder.cleanup))
        return web.json_response({"files": len(received)})

    async def _saved(self, request: web.Request) -> web.StreamResponse:
        viewer, _files, _browser = self._opened()
        name = request.match_info["name"]
        path = viewer.results.saved.get(name)  # what the page can change decides nothing here
        if path is None or not path.is_file():
            raise web.HTTPNotFound(text="There is no such result.")
        kind = "inline" if path.suffix == ".html" else "attachment"
        return web.FileResponse(path, headers={"Content-Disposition": f'{kind}; filename="{name}"'})

    async def _alive(self, _request: web.Request) -> web.Response:
        """Answer a page that has lost its connection."""
        return web.Response(status=204)

    async def _picture(self, request: web.Request, is_in_browser: bool) -> web.Response:
        _viewer, files, browser = self._opened()
        number, row = int(request.match_info["list"]), int(request.match_info["row"])
        source = browser if is_in_browser else files.opener.dialog
        picture = await asyncio.get_running_loop().run_in_executor(None, source.picture, number, row)
        if picture is None:
            raise web.HTTPNotFound(text="This series has no picture.")
        return web.Response(body=picture, content_type="image/png")

    def _opened(self) -> tuple[Viewer, Files, StudyBrowser]:
        if self._open is None:
            raise web.HTTPServiceUnavailable(text="OncoTrack is still starting. Try again in a few seconds.")
        return self._open


def _refuse(viewer: Viewer, message: str) -> web.Response:
    with viewer.state:
        viewer.show_message(message, "error")
    return web.json_response({"error": message}, status=400)


async def _receive(request: web.Request, folder: Path) -> list[Path]:
    """Write every file of the form into `folder` under its own name; a name cannot lead out of the folder."""
    files, size = [], 0
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader) or not part.filename:
            continue
        name = PurePosixPath(part.filename.replace("\\", "/")).name
        if name in ("", ".", ".."):
            raise InputError("A file without a usable name was uploaded. Rename it and upload it again.")
        target = folder / name
        if target.exists():
            target = folder / f"{len(files):06d}-{name}"
        with target.open("wb") as out:
            while chunk := await part.read_chunk(_PART_BYTES):
                size += len(chunk)
                if size > _LARGEST_BYTES:
                    raise InputError("More than 8 GiB were uploaded. Start OncoTrack with the folder instead.")
                out.write(chunk)
        files.append(target)
    if not files:
        raise InputError("Nothing was uploaded. Choose a file or a DICOM folder.")
    return files


def _main_file(files: list[Path], folder: Path) -> Path:
    if len(files) == 1:
        return files[0]
    headers = [file for file in files if file.suffix.lower() in _HEADERS]
    return headers[0] if len(headers) == 1 else folder
