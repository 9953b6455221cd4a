"""The base of the tools that work on one scan: names on the page, choice of the scan, rows of its findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import slicer
from trame.widgets import vuetify3 as v

from oncotrack.findings.visit_table import SIZE_PROPOSED
from oncotrack.scene.commands import PAGE, ReaderCommand, commands_of
from oncotrack.scene.nodes.tasks import Task
from oncotrack.web.attributes import raw
from oncotrack.web.panels.command_button import command_button
from oncotrack.web.panels.finding_rows import RENAME, finding_rows, row_button
from oncotrack.web.roles import BASELINE, FOLLOWUP
from oncotrack.web.table_rows import SIZE_PROPOSED_ICON, STATES
from oncotrack.web.tools import Command, page_command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

ICONS = {words.lower(): icon for words, icon in STATES.values()}
ICONS |= {f"{words.lower()}{SIZE_PROPOSED}": SIZE_PROPOSED_ICON for words, _icon in STATES.values()}


@dataclass(frozen=True)
class PageNames:
    """Names of a tool's commands and page elements, derived from what the tool lists ("node" or "mask")."""

    what: str

    @property
    def table(self) -> dict[str, ReaderCommand]:
        """Its commands and those of the page, by name."""
        return commands_of(f"{self.what}s", PAGE)

    @property
    def prefix(self) -> str:
        """Prefix of the names of its commands on the page ("nodes."), which makes them unique among all tools."""
        return f"{self.what}s."

    def button(self, viewer: Viewer, command: Command, *, has_title: bool = False) -> None:
        """Create a button that runs a command, with icon and title or with the icon alone."""
        named = {f"data_{self.what}_command": command.name.removeprefix(self.prefix)}
        command_button(viewer, command, command.title if has_title else "", **named)

    def rows(self, viewer: Viewer, title: str, details: Callable[[], None], buttons: Callable[[], None]) -> None:
        """Create one row for each of the state's ``nodes`` or ``masks``; a click goes to the finding, the pencil renames it.

        Parameters
        ----------
        viewer : Viewer
        title : str
            What follows the name, as a template of the page.
        details, buttons : callable
            Create the elements below the name and the buttons before the pencil.
        """

        def all_buttons() -> None:
            buttons()
            self.row_button("Rename", "mdi-pencil", "rename", click=RENAME)

        finding_rows(
            viewer,
            f"{self.what}s",
            title=title,
            details=details,
            buttons=all_buttons,
            prefix=self.prefix,
            rename={f"data_{self.what}_rename": "yes"},
            tip=("row.tip",),
            data_state=("row.state",),
            **{f"data_{self.what}": ("row.label",)},
        )

    def row_button(self, title: str, icon: str, action: str, **how: object) -> None:
        """Create a small button in a row."""
        row_button(title, icon, {f"data_{self.what}_action": action}, **how)


NODES, MASKS = PageNames("node"), PageNames("mask")


class ScanTool:
    """Base of a tool whose session works on one of the two scans, which the reader chooses.

    Attributes
    ----------
    names : PageNames
        Names of the tool's commands and page elements.
    """

    names: PageNames
    name: str

    def __init__(self, viewer: Viewer) -> None:
        self._viewer: Viewer = viewer
        self._session: Any = None
        self._possible_now: frozenset[str] = frozenset()

    def _connect_session(self, session: Any) -> None:
        """Keep the session, and update the panel when it or the choice of the scans changes."""
        self._session = session
        self._viewer.state.update({f"{self.names.what}_scan": BASELINE, f"{self.names.what}_possible": []})
        self._viewer.session.changed.connect(self._keep_scan)
        for each in (session, self._viewer.session):
            self._viewer.updates.on(each.changed, self._refresh)
        self._viewer.server.controller.on_server_exited.add(self._on_exit)

    def _build_scan_choice(self) -> None:
        """Create the choice between the two scans."""
        what, prefix = self.names.what, self.names.prefix
        with v.VBtnToggle(
            model_value=(f"{what}_scan",), density="compact", variant="outlined", divided=True, mandatory=True,
            v_if=("has_scans",), classes="mb-2",
        ):  # fmt: skip
            for number, role in enumerate((BASELINE, FOLLOWUP)):
                v.VBtn(f"{{{{ visit_names[{number}] }}}}", value=role, size="small", click=(self._viewer.run, f"['{prefix}choose_scan', '{role}']"),
                       **raw(**{f"data_{what}_scan": role}))  # fmt: skip

    def _keep_scan(self) -> None:
        """Choose the baseline, or else the follow-up, when the chosen scan is no longer shown."""
        follow_up = self._viewer.session
        if self._session.scan not in (follow_up.baseline, follow_up.followup):
            self._session.set_scan(follow_up.baseline or follow_up.followup)

    def _refresh(self) -> None:
        state = self._viewer.state
        self._possible_now = self._possible_methods()
        state[f"{self.names.what}_possible"] = sorted(self._possible_now)
        state[f"{self.names.what}_scan"] = FOLLOWUP if self._is_followup else BASELINE
        self._viewer.refresh_commands()

    @property
    def _is_open(self) -> bool:
        """Whether the tab is open; the lists of other tabs are not kept up to date."""
        return self._viewer.state.tab == self.name

    def _possible_methods(self) -> frozenset[str]:
        """Return the names of the session's methods that can be used now."""
        raise NotImplementedError

    def make_command(
        self,
        name: str,
        icon: str,
        run: Callable[..., object] | None = None,
        condition: Callable[[], bool] | None = None,
        *,
        is_in_bar: bool = False,
        is_always_possible: bool = False,
    ) -> Command:
        """Create the page's command for an entry of the shared table.

        Parameters
        ----------
        name, icon : str
            Name in the table, and Material Design icon.
        run : callable, optional
            Runs the command; by default the session's method is called.
        condition : callable, optional
            Returns whether the command is possible, in addition to the session's own condition.
        is_in_bar : bool
            Whether its button is in the bar above the views.
        is_always_possible : bool
            Whether the command is possible regardless of the session.
        """
        entry = self.names.table[name]

        def is_possible() -> bool:
            return is_always_possible or (entry.action in self._possible_now and (condition is None or condition()))

        run = run or partial(self._call_session, entry.action)
        return page_command(entry, icon, run, is_possible, prefix=self.names.prefix, is_in_bar=is_in_bar)

    def _call_session(self, name: str, *arguments: Any) -> None:
        """Call a method of the session ("accept", "editor.split"); long work is queued."""
        outcome = attrgetter(name)(self._session)(*arguments)
        if isinstance(outcome, Task):
            self._viewer.submit(outcome, self._show_outcome)

    def _show_outcome(self, outcome: Any) -> None:
        """Show the result of a task as a message."""
        raise NotImplementedError

    def _choose_scan(self, role: str) -> None:
        self._session.set_scan(getattr(self._viewer.session, role))

    def _rename(self, uid: str, label: str) -> None:
        self._session.rename(label, uid)

    def _on_exit(self, **_state: object) -> None:
        self._session.close()

    @property
    def _is_followup(self) -> bool:
        follow_up = self._viewer.session
        return follow_up.followup is not None and self._session.scan is follow_up.followup is not follow_up.baseline

    def _slice_nodes(self) -> list[slicer.vtkMRMLSliceNode]:
        follow_up = self._viewer.session
        is_followup = self._session is not None and self._is_followup
        return (follow_up.followup_row if is_followup else follow_up.baseline_row).slices()
