"""What the page reaches beside trame: an upload, and the results to download."""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from aiohttp import BodyPartReader, web

from oncotrack.errors import InputError, OncoTrackError
from oncotrack.web.files import BASELINE, FOLLOWUP, VISIT

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_LARGEST_BYTES = 8 * 2**30
_PART_BYTES = 2**20
_HEADERS = (".mhd", ".nhdr")


class Routes:
    """Upload and download of one viewer; both pass the same guard as the page.

    Parameters
    ----------
    viewer : Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def add_to(self, app: web.Application) -> None:
        """Answer `POST /upload?role=baseline` and `GET /saved/{name}`."""
        app.router.add_post("/upload", self._upload)
        app.router.add_get("/saved/{name}", self._saved)

    async def _upload(self, request: web.Request) -> web.Response:
        asked = request.query.get("role")
        role = asked if asked in (FOLLOWUP, VISIT) else BASELINE
        folder = tempfile.TemporaryDirectory(prefix="oncotrack-upload-")
        try:
            files = await _received(request, Path(folder.name))
            path = _main_file(files, Path(folder.name))
        except OncoTrackError as error:
            folder.cleanup()
            return self._refused(str(error))
        except (OSError, ValueError):
            folder.cleanup()
            return self._refused("The upload was cut off or the disk is full. Upload it again.")
        with self._viewer.state:
            self._viewer.attempt(lambda: self._viewer.files.open_path(path, role, finished=folder.cleanup))
        return web.json_response({"files": len(files)})

    def _refused(self, sentence: str) -> web.Response:
        with self._viewer.state:
            self._viewer.say(sentence, "error")
        return web.json_response({"error": sentence}, status=400)

    async def _saved(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        path = self._viewer.files.out / name
        if name not in self._viewer.state.saved or not path.is_file():
            raise web.HTTPNotFound(text="There is no such result.")
        kind = "inline" if path.suffix == ".html" else "attachment"
        return web.FileResponse(path, headers={"Content-Disposition": f'{kind}; filename="{name}"'})


async def _received(request: web.Request, folder: Path) -> list[Path]:
    """Every file of the form, below `folder` under its own name; names never lead out of it."""
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
