"""The viewer: one scene, its views, what the page shows of it, and the tools."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import slicer
from trame_server import Server
from trame_slicer.core import SlicerApp

from oncotrack.errors import UNEXPECTED, OncoTrackError
from oncotrack.findings.finding import Point
from oncotrack.scene.followup.follow_up import FollowUpScene
from oncotrack.scene.views.application import complete
from oncotrack.web import table_rows
from oncotrack.web.access import Folders
from oncotrack.web.autosave import Autosave
from oncotrack.web.display import Display
from oncotrack.web.files import Files
from oncotrack.web.mouse import Mouse
from oncotrack.web.panels import TOOLS
from oncotrack.web.tools import Command, Tool, tools_for
from oncotrack.web.views import VIEW_3D, Views
from oncotrack.web.work import Work

_log = logging.getLogger(__name__)
_SENT_S = 0.15  # by then the page shows what it was sent


class Viewer:
    """What every tool gets.

    Parameters
    ----------
    server : Server
        trame's server, of client type vue3, not started yet.
    folders : Folders
        Where the page may open files from.
    out : Path
        Where results and the autosave go.

    Attributes
    ----------
    session : FollowUpScene
        State and commands.
    takes_click : mapping of tool name to callable
        A tool may put here what it does with a click in a slice while its tab is open: (slice node, RAS mm) to whether
        it took it. No click on that tab follows a lesion.
    views, display, files, work, autosave
        What this floor adds: each says in its own file what it does.
    """

    def __init__(self, server: Server, folders: Folders, out: Path) -> None:
        self.server, self.state = server, server.state
        self._loop: asyncio.AbstractEventLoop | None = None
        self._defaults()
        self.app = SlicerApp()
        self._kept = complete(self.app.scene, self.app.app_logic)
        self.session = FollowUpScene(self.app.scene, followup_3d_views=(VIEW_3D,))
        self.views = Views(self.app, server, lambda: self.work.is_busy)
        self.work = Work(self.post, self._show_job, self.say)
        self.autosave = Autosave(out)
        self.display = Display(self)
        self.files = Files(self, folders, out)
        self.takes_click: dict[str, Callable[[slicer.vtkMRMLSliceNode, Point], bool]] = {}
        self._was_following: bool | None = None
        self._mice = [
            Mouse(view, self.session, self._on_finding, self._on_alternative, self._on_tissue, self._is_click_taken)
            for view in self.views.slices()
        ]
        self.session.changed.connect(self.refresh)
        self.session.refused.connect(lambda error: self.say(str(error), "error"))
        self.tools: Sequence[Tool] = tools_for(self, TOOLS)
        self.commands: dict[str, Command] = {each.name: each for tool in self.tools for each in tool.commands}
        self.state.change("tab")(self._on_tab)
        server.trigger("oncotrack.command")(self.run)
        server.controller.on_server_ready.add(self._on_ready)
        self.refresh()

    # what anything on the page goes through

    def run(self, name: str, *arguments: Any) -> None:
        """Run a command by its name; what is wrong is said in one sentence and nothing else happens."""
        self.attempt(self.commands[name].run, *arguments)

    def attempt(self, action: Callable[..., object], *arguments: Any) -> None:
        """Call it, drawing once; an error becomes a sentence on the page."""
        try:
            with self.views.blocked():
                action(*arguments)
        except OncoTrackError as error:
            self.say(str(error), "error")
        except Exception:
            _log.exception("A command failed unexpectedly")
            self.say(UNEXPECTED, "error")

    def say(self, sentence: str, kind: str = "info") -> None:
        """Show a sentence on the page: an info for some seconds, or an error; until it is closed or the next is said."""
        self.state.message = {"text": sentence, "kind": kind, "number": self.state.message["number"] + 1}

    def post(self, function: Callable[[], None]) -> None:
        """Run a function on the page's thread; from any thread."""

        def call() -> None:
            with self.state:
                self.attempt(function)

        (self._loop or asyncio.get_event_loop()).call_soon_threadsafe(call)

    def announce(self, text: str, function: Callable[[], None]) -> None:
        """Run what only the page's own loop can do; the page first shows `text`, and no cancel."""
        self.state.job = {"text": text, "percent": 0, "waiting": 0, "stopping": True}

        def call() -> None:
            with self.state:
                self.attempt(function)
                self.work.tell()

        self._loop.call_later(_SENT_S, call)

    def attempt_answer(self, is_yes: bool) -> None:
        """The reader answered the question on the page."""
        self.attempt(self.files.answer, is_yes)

    def submit(self, task: Any, done: Callable[[Any], None] = lambda _result: None) -> None:
        """Queue long work."""
        self.work.submit(task, done)

    def refresh(self) -> None:
        """Bring the page up to the scene."""
        session, findings, state = self.session, self.session.findings, self.state
        state.findings = table_rows.rows(session)
        state.match = table_rows.match(session)
        state.has_scans = session.baseline is not None and session.followup is not None
        state.has_registration = session.registration is not None
        state.can_undo, state.can_redo = findings.can_undo, findings.can_redo
        state.undo_text = f"Undo {findings.undo_text}" if findings.can_undo else "Nothing to undo"
        state.redo_text = f"Redo {findings.redo_text}" if findings.can_redo else "Nothing to redo"
        state.unsaved = not findings.is_saved
        state.is_map_shown = session.layers.is_map_shown
        state.is_probability_shown = session.layers.is_probability_shown
        state.is_linked = session.linking.is_enabled
        scans = session.baseline, session.followup
        state.scan_names = [scan.GetName() if scan else "" for scan in scans]
        self.views.arrange(is_one_scan=scans[0] is not None and scans[1] is None)
        try:
            self.autosave.keep(findings)
        except OncoTrackError as error:
            self.say(str(error), "error")
        state.autosaved = self.autosave.offer(session.unmatched_time_points) if any(state.scan_names) else {}

    def close(self) -> None:
        """Stop the work; the scene is let go."""
        self.work.stop()
        self.session.close()

    # inside

    def _defaults(self) -> None:
        self.state.update(
            {
                "trame__title": "OncoTrack",
                "trame__favicon": None,
                "job": {},
                "message": {"text": "", "kind": "info", "number": 0},
                "message_closed": 0,
                "is_following": True,
                "is_ready": False,
            }
        )

    def _on_ready(self, **_state: Any) -> None:
        self._loop = asyncio.get_running_loop()
        with self.state:
            self.state.is_ready = True
            self.attempt(self.files.open_first)

    def _show_job(self, job: dict[str, Any]) -> None:
        self.state.job = job

    def _on_finding(self, uid: str) -> None:
        self.attempt(self.session.go_to, uid)

    def _on_alternative(self, index: int) -> None:
        self.attempt(self.session.take_alternative, index)

    def _is_click_taken(self, node: slicer.vtkMRMLSliceNode, at: Point) -> bool:
        take = self.takes_click.get(self.state.tab)
        return take is not None and take(node, at)

    def _on_tab(self, tab: str, **_state: object) -> None:
        """Where a tool takes the clicks none of them follows a lesion; on other tabs it is as it was before."""
        if tab in self.takes_click and self._was_following is None:
            self._was_following, self.state.is_following = self.state.is_following, False
        elif tab not in self.takes_click and self._was_following is not None:
            self.state.is_following, self._was_following = self._was_following, None

    def _on_tissue(self, at: Point) -> None:
        if self.state.is_following and self.state.has_scans:
            self.attempt(lambda: self.submit(self.session.place(at)))
