"""The card of the follow-up method: its choice, its description, and the commands that match many findings at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.scene.commands import FINDINGS, commands_of
from oncotrack.scene.followup import panel
from oncotrack.web.attributes import raw
from oncotrack.web.tools import Command, page_command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_TABLE = commands_of(FINDINGS)


class MethodCard:
    """Choice of the method with its description, and the commands that match many findings.

    Parameters
    ----------
    viewer : Viewer
        Its state gets `method` and `method_tip`.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer, self._session = viewer, viewer.session
        viewer.state.change("method")(self._on_method)
        viewer.updates.on(viewer.session.changed, self.refresh)
        self.refresh()

    @property
    def commands(self) -> Sequence[Command]:
        """Matching all findings, for the first time or again."""
        session = self._session
        can, submit = self._viewer.can, self._viewer.submit
        return (
            page_command(_TABLE["find_all"], "mdi-magnify-expand", lambda: submit(session.follow_missing()),
                         can("follow_missing")),
            page_command(_TABLE["search_all_again"], "mdi-refresh", lambda: submit(session.rematch()), can("rematch")),
        )  # fmt: skip

    def build(self) -> None:
        """Create the selector, two buttons, and the description, which is the tooltip of the selector once there are findings."""
        session = self._session
        items = [{"title": session.method.about(name).title, "value": name} for name in session.method.names]
        v.VSelect(
            v_model=("method",),
            items=("methods", items),
            label="Method",
            density="compact",
            variant="outlined",
            hide_details=True,
            classes="mb-1",
            **raw(data_method="yes", title=("method_tip",)),
        )
        html.Div("{{ method_tip }}", classes="quiet mb-1", v_if=("!findings.length",))
        with html.Div(classes="d-flex flex-wrap mb-2", style="gap: 6px;"):
            for command in self.commands:
                v.VBtn(
                    command.title,
                    size="small",
                    variant="tonal",
                    title=command.tooltip,
                    prepend_icon=command.icon,
                    disabled=(f"!({command.enabled}) || !!job.text",),
                    click=(self._viewer.run, f"['{command.name}']"),
                    **raw(data_do=command.name),
                )

    def refresh(self) -> None:
        """Update the page's state from the session."""
        state = self._viewer.state
        state.method = self._session.method.name
        state.method_tip = panel.method_tip(self._session)

    def _on_method(self, method: str, **_state: object) -> None:
        if method != self._session.method.name:
            self._viewer.attempt(lambda: self._viewer.submit(self._session.choose_method(method)))
