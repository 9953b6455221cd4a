"""Composition of the viewer: controller, display, files, tools and page. Importing it loads Slicer, which takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trame.ui.vuetify3 import VAppLayout
from trame_client.ui.core import AbstractLayout
from trame_client.widgets.core import HTML_CTX, AbstractElement
from trame_server import Server

from oncotrack.settings import Settings, settings_file
from oncotrack.web.access import Folders
from oncotrack.web.cursor_value import CursorValue
from oncotrack.web.display import Display
from oncotrack.web.files import Files
from oncotrack.web.panels import tools_of
from oncotrack.web.panels.study_drawer import study_drawer
from oncotrack.web.preferences import Preferences
from oncotrack.web.read_ahead import ReadAhead
from oncotrack.web.record import Record
from oncotrack.web.results import Results
from oncotrack.web.shell import build
from oncotrack.web.study_browser import StudyBrowser
from oncotrack.web.viewer import Viewer


@contextmanager
def _each_element_once() -> Iterator[None]:
    """Turn the elements of the page into HTML once, at the end.

    trame does it at the end of every `with` block as well, so that an element is turned into HTML as often as it is deep in
    the page: nine times on average.
    """
    block_ends, flush = AbstractElement.__exit__, AbstractLayout.flush_content
    unsent: set[AbstractLayout] = set()
    AbstractElement.__exit__ = lambda element, *_error: HTML_CTX.exit(element)
    AbstractLayout.flush_content = lambda layout: unsent.add(layout)
    try:
        yield
    finally:
        AbstractElement.__exit__, AbstractLayout.flush_content = block_ends, flush
    for layout in unsent:
        layout.flush_content()


@_each_element_once()
def compose(
    server: Server,
    page: VAppLayout,
    folders: Folders,
    results: Results,
    record: Record,
    reader: ReadAhead,
    worklist: Path | None = None,
) -> tuple[Viewer, Files, StudyBrowser]:
    """Create the viewer on the running event loop and fill the page.

    Parameters
    ----------
    server : Server
        A running server.
    page : VAppLayout
        Its content is replaced.
    folders : Folders
        Where the page may open files from.
    results : Results
        Where results and the autosave are written.
    record : Record
        The log.
    reader : ReadAhead
        Reads scans.
    worklist : Path, optional
        Results of an archive, whose patients a tab lists.
    """
    with _each_element_once():
        return _compose(server, page, folders, results, record, reader, worklist)


def _compose(
    server: Server,
    page: VAppLayout,
    folders: Folders,
    results: Results,
    record: Record,
    reader: ReadAhead,
    worklist: Path | None = None,
) -> tuple[Viewer, Files, StudyBrowser]:
    viewer = Viewer(server, results, record)
    display = Display(viewer)
    files = Files(viewer, display, folders, reader)
    browser = StudyBrowser(viewer, files)
    viewer.add(*tools_of(viewer, display, files, browser, worklist))
    viewer.cursor_value = CursorValue(viewer.views, viewer.state)
    preferences = Preferences(viewer, display, Settings(settings_file()))
    viewer.closed.connect(lambda: preferences.close())
    build(viewer, page)
    with page:
        study_drawer(viewer)
        files.opener.dialog.build()
    return viewer, files, browser
