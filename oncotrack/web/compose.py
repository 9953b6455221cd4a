"""Composition of the viewer: controller, display, files, tools and page. Importing it loads Slicer, which takes seconds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trame.ui.vuetify3 import VAppLayout
from trame_server import Server

from oncotrack.web.access import Folders
from oncotrack.web.display import Display
from oncotrack.web.files import Files
from oncotrack.web.panels import tools_of
from oncotrack.web.read_ahead import ReadAhead
from oncotrack.web.shell import build
from oncotrack.web.viewer import Viewer


def compose(
    server: Server, page: VAppLayout, folders: Folders, out: Path, given: Mapping[str, Path], reader: ReadAhead
) -> tuple[Viewer, Files]:
    """Create the viewer on the running event loop, fill the page and open what the viewer was started with.

    Parameters
    ----------
    server : Server
        Running already.
    page : VAppLayout
        Its content is replaced.
    folders : Folders
        Where the page may open files from.
    out : Path
        Where results and the autosave are written.
    given : mapping of role to Path
        Scans to open.
    reader : ReadAhead
        Reads scans.
    """
    viewer = Viewer(server, out)
    display = Display(viewer)
    files = Files(viewer, display, folders, out, reader)
    viewer.add(*tools_of(viewer, display, files))
    build(viewer, page)
    viewer.attempt(files.open_first, given)
    return viewer, files
