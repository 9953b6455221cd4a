"""The application controller: one scene, its views, what the page shows of it, and the commands of the tools."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import slicer
from trame_server import Server
from trame_slicer.core import SlicerApp
from trame_slicer.views import SliceView
from undo_stack import Signal

from oncotrack.errors import UNEXPECTED, Cancelled, OncoTrackError
from oncotrack.findings.finding import Point
from oncotrack.scene.commands import PAGE, commands_of
from oncotrack.scene.followup import panel
from oncotrack.scene.followup.follow_up import FollowUpScene
from oncotrack.scene.views.application import add_module_logics
from oncotrack.scene.views.finding_labels import FindingLabels
from oncotrack.scene.views.mouse_mode import SELECT
from oncotrack.web import table_rows
from oncotrack.web.background import Background
from oncotrack.web.drag_order import DragOrder
from oncotrack.web.mouse import Mouse
from oncotrack.web.navigation import Navigation
from oncotrack.web.questions import Questions
from oncotrack.web.record import Record
from oncotrack.web.results import Results
from oncotrack.web.sent_rows import SentRows
from oncotrack.web.tools import Command, Tool
from oncotrack.web.updates import Updates
from oncotrack.web.views import VIEW_3D, Views
from oncotrack.web.work import Work

_log = logging.getLogger(__name__)
_SENT_S = 0.15  # time until the page shows what was sent to it
_PAGE_S = 2.0  # longest time that the first registration waits for the page
_CLICK_S = 5.0  # longest time that the page may take to say that a click was a single one
_NOT_KNOWN = "The page sent a command that OncoTrack does not have in this form. Load the page again."
_MATCH_IS_HERE = commands_of(PAGE)["move_match"]
_NOT_BASELINE = (
    "A click in the baseline follows a lesion. To correct a match, drag its mark, or centre the lesion in the follow-up and press "
    f"{_MATCH_IS_HERE.title} ({_MATCH_IS_HERE.key})."
)
_KEPT = 8  # clicks of which the page has not said that yet


class Viewer:
    """Application controller passed to every tool; created on the server's running event loop.

    Parameters
    ----------
    server : Server
        trame's server, of client type vue3.
    results : Results
        Where results and the autosave are written.
    record : Record
        The log of what was opened, saved and failed.

    Attributes
    ----------
    session : FollowUpScene
        The follow-up session.
    possible : frozenset of str
        Names of the session's methods that can be used now.
    click_handlers : mapping of tool name to callable
        While a tool's tab is open, its callable receives each click in a slice, (slice node, RAS mm), and returns whether
        it has handled the click. On such a tab no click follows a lesion.
    views, work, questions, results
        The page's views, the queue of long work, the questions to the reader, and the folder of results and autosave.
    updates : Updates
        What is updated at the end of an action.
    tools, commands
        The tools given to `add`, and their commands by name.
    """

    hung = Signal()
    """Other scans of the same patient are shown."""
    closed = Signal()
    """The viewer is about to end."""

    def __init__(self, server: Server, results: Results, record: Record) -> None:
        self.server, self.state, self.updates = server, server.state, Updates()
        self._loop = asyncio.get_running_loop()
        self._defaults()
        self.app = SlicerApp()
        self._logics = add_module_logics(self.app.scene, self.app.app_logic)
        self.session = FollowUpScene(self.app.scene, followup_3d_views=(VIEW_3D,))
        self.possible: frozenset[str] = frozenset()
        self.tools: Sequence[Tool] = ()
        self.commands: dict[str, Command] = {}
        self.views = Views(self.app, server, lambda: self.work.is_busy)
        self.work = Work(self.post, self._show_job, self._show_failure)
        self.background = Background(self.post, lambda: self.work.is_busy)
        self.questions = Questions(self.state)
        self.results, self.record = results, record
        self.click_handlers: dict[str, Callable[[slicer.vtkMRMLSliceNode, Point], bool]] = {}
        self._was_following: bool | None = None
        self._rows: table_rows.Known = {}
        self._sent = SentRows(self.state, "findings")
        self._kept: deque[tuple[int, Callable[[], None]]] = deque(maxlen=_KEPT)
        self._begun: deque[tuple[int, Callable[[], None], threading.Event]] = deque(maxlen=_KEPT)
        self.order = DragOrder(self.state, self._loop)
        self.navigation = Navigation(server, self.app.scene, self.views, self.order, self.show_message)
        self.session.submit = self.submit
        self.labels, self.mice = FindingLabels(self.session.nodes), {}
        for view in self.views.slices():
            self._prepare(view)
        self.views.added.connect(self._prepare)
        self.session.changed.connect(self._arrange)
        self.session.changed.connect(self.refresh)
        self.session.refused.connect(lambda error: self.show_message(str(error), "error"))
        self.state.change("tab")(self._on_tab)
        server.trigger("oncotrack.command")(self.run)
        server.trigger("oncotrack.key")(self.press)
        server.trigger("oncotrack.click")(self.click)
        server.trigger("oncotrack.double_click")(self.double_click)
        self.refresh()

    def add(self, *tools: Tool) -> None:
        """Add the tools, in the order of their tabs."""
        self.tools = tools
        self.commands = {each.name: each for tool in tools for each in tool.commands}
        self.refresh_commands()

    # commands

    def run(self, name: str, *arguments: Any) -> None:
        """Run a command by its name; an error, or a command or arguments that are not known, is shown as a message on the page."""
        command = self.commands.get(str(name))
        if command is None or not _takes(command.run, arguments):
            self.show_message(_NOT_KNOWN, "error")
            return
        self.attempt(command.run, *arguments)

    def press(self, name: str, mouse_releases: int = 0, view: str = "") -> None:
        """Run the command of a key that was pressed on the page, if it is possible; it does nothing while a question is open.

        Parameters
        ----------
        name : str
            The command.
        mouse_releases : int
            The drags and clicks that the page had counted; the key waits for their end, see `DragOrder`.
        view : str
            The slice view that the key is for.
        """
        self.order.after(mouse_releases, lambda: self._press(name, view))

    def can(self, name: str) -> Callable[[], bool]:
        """Return a function that returns whether a method of the session can be called now."""
        return lambda: name in self.possible

    def refresh_commands(self) -> None:
        """Show on the page which commands are possible, at the end of an action."""
        self.updates.ask(self._show_possible)

    def _show_possible(self) -> None:
        self.state.enabled = [name for name, command in self.commands.items() if command.is_possible()]

    def attempt(self, action: Callable[..., object], *arguments: Any) -> None:
        """Call a function and draw the views once afterwards; an error is shown as a message on the page."""
        try:
            with self.views.blocked(), self.updates.gathered():
                action(*arguments)
        except OncoTrackError as error:
            self._show_failure(error)
        except Exception as error:
            _log.exception("A command failed unexpectedly")
            self.record.add("failed", error=type(error).__name__)
            self.show_message(UNEXPECTED, "error")

    def show_message(self, sentence: str, kind: str = "info") -> None:
        """Show a message on the page until the next one: an info closes after some seconds, an error stays until closed."""
        self.state.message = {"text": sentence, "kind": kind, "number": self.state.message["number"] + 1}

    def post(self, function: Callable[[], None]) -> None:
        """Run a function on the event loop's thread; may be called from any thread."""

        def call() -> None:
            with self.state:
                self.attempt(function)

        self._loop.call_soon_threadsafe(call)

    def announce(self, text: str, function: Callable[[], None]) -> None:
        """Show `text` on the page, without a cancel button, then run a function that blocks the event loop."""
        self.state.job = {"text": text, "percent": 0, "waiting": 0, "stopping": True}

        def call() -> None:
            with self.state:
                self.attempt(function)
                self.work.show()

        self._loop.call_later(_SENT_S, call)

    def submit(self, task: Any, done: Callable[[Any], None] = lambda _result: None) -> Callable[[], None]:
        """Queue a task; `done` is called with the result of its `apply`. Returns a function that withdraws the task."""
        return self.work.submit(task, done)

    def register(self, *, when_drawn: bool = False) -> None:
        """Register the two scans, which links their views; with `when_drawn` not before the page shows them."""
        task = self.session.register()
        if when_drawn:
            work = task.work
            task = replace(task, work=lambda progress: (self.views.wait_until_shown(_PAGE_S), work(progress))[1])

        def registered(_registration: object) -> None:
            self.refresh()
            self._link_third()

        self.submit(task, registered)

    def hang(self, change: Callable[[], object], uid: str = "") -> None:
        """Show other scans of the patient, move the views to a finding, and link the views, with those of a third visit.

        Parameters
        ----------
        change : callable
            Chooses the scans or the third visit.
        uid : str
            The finding; the current one when empty.
        """
        session = self.session
        if uid:
            session.nodes.select(uid)
        change()
        self.hung.emit()
        if session.current:
            session.go_to()
        if session.baseline and session.followup and session.registration is None:
            self.register()
        self._link_third()

    def refresh(self) -> None:
        """Update the page's state from the scene, at the end of an action."""
        self.updates.ask(self._refresh)

    def _refresh(self) -> None:
        self._arrange()
        session, findings, state = self.session, self.session.findings, self.state
        self.possible = panel.possible_methods(session)
        state.possible = sorted(self.possible)
        self._sent.show(table_rows.rows(session, self._rows))
        state.match = table_rows.match(session)
        state.has_scans = session.baseline is not None and session.followup is not None
        state.has_registration = session.registration is not None
        state.can_undo, state.can_redo = findings.can_undo, findings.can_redo
        state.undo_text = f"Undo {findings.undo_text}" if findings.can_undo else "Nothing to undo"
        state.redo_text = f"Redo {findings.redo_text}" if findings.can_redo else "Nothing to redo"
        state.unsaved = not findings.is_saved
        state.is_map_shown = session.overlays.is_map_shown
        state.is_probability_shown = session.overlays.is_probability_shown
        state.is_linked, state.is_link_held = session.linking.is_enabled, session.linking.is_held
        state.link_text = panel.link_text(session)
        scans = session.baseline, session.followup
        state.scan_names = [scan.GetName() if scan else "" for scan in scans]
        visits = panel.visit_names(session)
        state.visit_names = [visits.get(scan, "") for scan in scans]
        state.third_visit = session.third.is_shown
        if self.results.is_entered or not findings.is_saved:
            self._save_automatically()
        self.refresh_commands()

    def _arrange(self) -> None:
        """Arrange and name the views of the scans; at once, because an action that opens scans goes on with their views."""
        session, views = self.session, self.views
        views.text.name_visits(panel.visit_names(session))
        is_one, was_three = session.baseline is not None and session.followup is None, views.is_three
        views.arrange(1 if is_one else 3 if session.third.volume else 2, session.third.place)
        if views.is_three and not was_three:
            session.third.draw()
            views.fit()

    def _save_automatically(self) -> None:
        try:
            autosave = self.results.autosave
            autosave.keep(self.session.findings)
        except OncoTrackError as error:
            self.show_message(str(error), "error")
        else:
            is_open = any(self.state.scan_names)
            self.state.autosaved = autosave.offer(self.session.unmatched_time_points) if is_open else {}

    def click(self, number: int) -> None:
        """Do what a click does, now that it is known not to be part of a double click.

        Parameters
        ----------
        number : int
            The click, as counted by `mouse_releases`; see `press`.
        """
        self.order.after(number, lambda: self._click(number))

    def double_click(self, view: str, number: int) -> None:
        """Show a view alone, or all views again; its two clicks, the last of which has this number, do nothing."""
        self.order.after(number, lambda: self._double_click(view, number))

    def close(self) -> None:
        """Stop the work and release the scene."""
        self.closed.emit()
        self.work.stop()
        self.background.stop()
        self.session.close()
        self.results.close()

    # private

    def _link_third(self) -> None:
        third = self.session.third
        if third.volume is not None and not third.is_linked:
            self.submit(third.register())

    def _defaults(self) -> None:
        self.state.update(
            {
                "trame__title": "OncoTrack",
                "trame__favicon": None,
                "job": {},
                "message": {"text": "", "kind": "info", "number": 0},
                "message_closed": 0,
                "is_following": True,
                "mouse_releases": 0,
                "enabled": [],
                "autosaved": {},
            }
        )

    def _press(self, name: str, view: str) -> None:
        command = self.commands.get(str(name))
        self.navigation.use(view)
        if command is not None and not self._is_question_open and command.is_possible():
            self.attempt(command.run)

    def _keep(self, act: Callable[[], None]) -> None:
        """Keep what a click does until the page has said that it was a single one."""
        self._kept.append((self.state.mouse_releases, act))

    def _click(self, number: int) -> None:
        for click, act in [each for each in self._kept if each[0] == number]:
            self._kept.remove((click, act))
            self.attempt(act)
        for click, _withdraw, is_single in self._begun:
            if click == number:
                is_single.set()

    def _double_click(self, view: str, number: int) -> None:
        self._kept = deque((each for each in self._kept if each[0] < number - 1), maxlen=_KEPT)
        for click, withdraw, is_single in self._begun:
            if click >= number - 1:
                withdraw()
                is_single.set()
        if not self.state.brush:  # a double click with it is two strokes
            self.views.toggle_maximised(view)

    def _on_release(self) -> None:
        self.state.mouse_releases += 1
        self.order.on_release()

    @property
    def _is_question_open(self) -> bool:
        return bool(self.state.ask or self.state.series or self.state.is_rerun_question_open)

    def _prepare(self, view: SliceView) -> None:
        self.labels.attach(view.get_view_node(), view.renderer())
        self.mice[view.get_singleton_tag()] = Mouse(
            view,
            self.session,
            lambda: SELECT if self.state.brush else self.state.mouse_mode,
            self._on_finding,
            self._on_alternative,
            self._on_tissue,
            lambda: self.click_handlers.get(self.state.tab),
            self._keep,
            self._on_release,
            self.post,
        )

    def _show_job(self, job: dict[str, Any]) -> None:
        self.state.job = job

    def _show_failure(self, error: OncoTrackError) -> None:
        is_cancelled = isinstance(error, Cancelled)
        self.record.add("cancelled" if is_cancelled else "failed", error=type(error).__name__)
        self.show_message(str(error), "info" if is_cancelled else "error")

    def _on_finding(self, uid: str) -> None:
        self.attempt(self.session.go_to, uid)

    def _on_alternative(self, index: int) -> None:
        self.attempt(self.session.take_alternative, index)

    def _on_tab(self, tab: str, **_state: object) -> None:
        """Switch following by click off on tabs whose tool handles clicks; restore the reader's choice on other tabs."""
        if tab in self.click_handlers and self._was_following is None:
            self._was_following, self.state.is_following = self.state.is_following, False
        elif tab not in self.click_handlers and self._was_following is not None:
            self.state.is_following, self._was_following = self._was_following, None

    def _on_tissue(self, time_point: str, at: Point) -> None:
        if not self.state.is_following or not self.state.has_scans:
            return
        if time_point == self.session.baseline_id:
            self.attempt(self._follow, at)
        else:
            self.show_message(_NOT_BASELINE, "info")

    def _follow(self, at: Point) -> None:
        """Follow a lesion; the search begins at once, and its match is shown when the click was a single one."""
        task, is_single = self.session.place(at), threading.Event()

        def work(progress: Callable[[float, str], None]) -> Any:
            result = task.work(progress)
            is_single.wait(_CLICK_S)
            return result

        self._begun.append((self.state.mouse_releases, self.submit(replace(task, work=work)), is_single))


def _takes(function: Callable[..., object], arguments: tuple[Any, ...]) -> bool:
    """Return whether a function can be called with so many arguments; what the page sends decides nothing unchecked."""
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    return True
