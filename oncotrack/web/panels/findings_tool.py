"""Following lesions: the list of findings, the match of the current one, and their commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.web.attributes import raw
from oncotrack.web.display import Display
from oncotrack.web.panels.match_card import MatchCard
from oncotrack.web.panels.method_card import MethodCard
from oncotrack.web.panels.rename_field import rename_field
from oncotrack.web.panels.visit_card import VisitCard
from oncotrack.web.table_rows import STATES, UNMATCHED
from oncotrack.web.tools import Command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_SHOWN = "findings.filter(each => shown_state === 'all' || each.state === shown_state)"


class FindingsTool:
    """Tab of the findings with state, cycle error and axes; a click on a row goes to its finding.

    Parameters
    ----------
    viewer : Viewer
    display : Display
    """

    name, title, icon = "findings", "Findings", "mdi-format-list-bulleted"

    def __init__(self, viewer: Viewer, display: Display) -> None:
        self._viewer, self._display, self._session = viewer, display, viewer.session
        self._method, self._card, self._visits = MethodCard(viewer), MatchCard(viewer), VisitCard(viewer, display)
        viewer.state.update({"shown_state": "all", "renaming": "", "new_label": ""})

    @property
    def commands(self) -> Sequence[Command]:
        """Following, deciding, moving between findings, undo and redo."""
        session = self._session
        can = self._viewer.can
        return (
            Command("follow", "Follow: click a lesion in the baseline", "mdi-crosshairs-gps", self._toggle, "f",
                    active="is_following && !is_windowing"),
            Command("previous", "Previous finding", "mdi-chevron-left", session.previous, "p", can("previous")),
            Command("next", "Next finding", "mdi-chevron-right", session.next, "n", can("next")),
            Command("accept", "Accept the match", "mdi-check-circle", session.accept, "a", can("accept")),
            Command("reject", "Reject the match", "mdi-close-circle-outline", session.reject, "r", can("reject")),
            Command("absent", "Lesion is absent in the follow-up", "mdi-minus-circle-outline", session.mark_absent, "x",
                    can("mark_absent")),
            Command("swap", "Swap the match with its best alternative", "mdi-swap-horizontal", self._swap, "s",
                    can("take_alternative")),
            Command("undo", "Undo", "mdi-undo", session.undo, "Ctrl+z", can("undo")),
            Command("redo", "Redo", "mdi-redo", session.redo, "Ctrl+y", can("redo")),
            Command("redo too", "Redo", "mdi-redo", session.redo, "Ctrl+Shift+z", can("redo"), is_in_bar=False),
            Command("delete", "Delete the finding", "mdi-delete", session.delete, "Delete", can("delete"), is_in_bar=False),
            Command("go", "Go to the finding", "mdi-target", session.go_to, is_in_bar=False),
            Command("rename", "Rename the finding", "mdi-pencil", self._rename, is_in_bar=False),
            Command("take", "Take an alternative", "mdi-swap-horizontal", session.take_alternative, is_in_bar=False),
            Command("again", "Look for the finding again", "mdi-refresh", self._again, is_in_bar=False),
            *self._method.commands,
            *self._visits.commands,
        )  # fmt: skip

    def build(self) -> None:
        """The method, the filter, the rows, the match and the visits below."""
        self._method.build()
        html.P(
            "No findings yet. Click a lesion in the baseline: its match appears in the follow-up.",
            v_if=("!findings.length && has_scans",),
        )
        html.P("Open a baseline and a follow-up in the tab Files.", v_if=("!has_scans && !job.text",))
        options = [{"title": "All findings", "value": "all"}]
        options += [{"title": words, "value": state.value} for state, (words, _icon) in STATES.items()]
        options += [{"title": UNMATCHED[1], "value": UNMATCHED[0]}]
        v.VSelect(
            v_model=("shown_state",),
            items=("state_options", options),
            label="Show",
            density="compact",
            variant="outlined",
            hide_details=True,
            v_if=("findings.length",),
            classes="mb-2",
            **raw(data_filter="yes"),
        )
        with html.Div(style="max-height: 42vh; overflow-y: auto;"):
            self._rows()
        html.P("No finding is in this state.", v_if=(f"findings.length && !({_SHOWN}).length",))
        v.VDivider(classes="my-2", v_if=("match.label",))
        self._card.build()
        self._visits.build()

    def _rows(self) -> None:
        with html.Div(
            v_for=(f"row in {_SHOWN}",),
            key="row.uid",
            classes=("row.is_current ? 'finding current' : 'finding'",),
            tabindex="0",
            click=(self._viewer.run, "['go', row.uid]"),
            **raw(
                "@keydown.enter.self=\"trigger('oncotrack.command', ['go', row.uid])\"",
                role="button",
                data_finding=("row.label",),
                data_state=("row.state",),
            ),
        ):
            v.VIcon(icon=("row.icon",), size="small", classes="mt-1")
            with html.Div(classes="finding-text"):
                with html.Div(v_if=("renaming !== row.uid",)):
                    html.Span("{{ row.label }}", classes="name")
                    html.Span("{{ ' · ' + row.state_text }}")
                rename_field("rename", data_rename="yes")
                html.Div("{{ row.trust }}", classes="more", v_if=("row.trust",))
                html.Div("{{ row.axes }}", classes="more", v_if=("row.axes",))
            for action, icon, title in (
                ("renaming = row.uid; new_label = row.label", "mdi-pencil", "Rename"),
                (None, "mdi-delete-outline", "Delete; undo brings it back"),
            ):
                with html.Span(**raw('@click.stop=""')):
                    v.VBtn(
                        icon=icon,
                        size="x-small",
                        variant="text",
                        title=title,
                        click=action or (self._viewer.run, "['delete', row.uid]"),
                        **raw(aria_label=title, data_row_action=title.split(";")[0].lower()),
                    )

    def _toggle(self) -> None:
        state = self._viewer.state
        state.is_following = state.is_windowing or not state.is_following
        self._display.set_windowing(False)

    def _swap(self) -> None:
        self._session.take_alternative(0)

    def _again(self) -> None:
        self._viewer.submit(self._session.follow_again())

    def _rename(self, uid: str, label: str) -> None:
        self._session.rename(label, uid)
