"""The Findings tab: the list of followed lesions, the match of the current one, and their commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.findings.finding import Point
from oncotrack.scene.commands import FINDINGS, PAGE, commands_of
from oncotrack.scene.views.mouse_mode import SELECT
from oncotrack.scene.views.view_rows import ViewRow, middle
from oncotrack.web.attributes import raw
from oncotrack.web.display import Display
from oncotrack.web.panels.description_card import DescriptionCard
from oncotrack.web.panels.finding_rows import RENAME, finding_rows, row_button
from oncotrack.web.panels.match_card import MatchCard
from oncotrack.web.panels.method_card import MethodCard
from oncotrack.web.panels.several_card import SeveralCard
from oncotrack.web.panels.visit_card import VisitCard
from oncotrack.web.table_rows import STATES, UNMATCHED
from oncotrack.web.tools import Command, page_command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_TABLE, _PAGE = commands_of(FINDINGS), commands_of(PAGE)
_SHOWN = (
    "(shown_state === 'all' && !finding_search ? findings : "
    "findings.filter(each => (shown_state === 'all' || each.state === shown_state) && (!finding_search || "
    "[each.label, each.state_text, each.about].join(' ').toLowerCase().includes(finding_search.trim().toLowerCase()))))"
)


class FindingsTool:
    """The tab of the findings with state, reverse check and sizes; a click on a row goes to its finding.

    Parameters
    ----------
    viewer : Viewer
    display : Display
    """

    name, title, icon = "findings", "Findings", "mdi-format-list-bulleted"

    def __init__(self, viewer: Viewer, display: Display) -> None:
        self._viewer, self._display, self._session = viewer, display, viewer.session
        self._method, self._card, self._visits = MethodCard(viewer), MatchCard(viewer), VisitCard(viewer)
        self._about = DescriptionCard(viewer)
        self._several = SeveralCard(viewer, _SHOWN)
        viewer.state.update({"shown_state": "all", "finding_search": "", "renaming": "", "new_label": ""})

    @property
    def commands(self) -> Sequence[Command]:
        """Following, deciding, moving between findings, undo and redo."""
        session = self._session
        can = self._viewer.can
        simple = (
            ("previous", "mdi-chevron-left", session.previous),
            ("next", "mdi-chevron-right", session.next),
            ("accept", "mdi-check-circle", session.accept),
            ("reject", "mdi-close-circle-outline", session.reject),
            ("mark_absent", "mdi-minus-circle-outline", session.mark_absent),
            ("swap", "mdi-swap-horizontal", self._swap),
            ("undo", "mdi-undo", session.undo),
            ("redo", "mdi-redo", session.redo),
        )
        redo = _TABLE["redo"]
        return (
            page_command(_TABLE["place_lesion"], "mdi-crosshairs-gps", self._toggle,
                         active="is_following && mouse_mode === 'select'", is_in_bar=True),
            *(page_command(_TABLE[name], icon, run, can(_TABLE[name].action), is_in_bar=True)
              for name, icon, run in simple),
            Command("redo_alias", redo.title, redo.tooltip, "mdi-redo", session.redo, "Ctrl+Shift+z", can("redo"),
                    is_in_bar=False),
            page_command(_TABLE["remove_everywhere"], "mdi-delete", session.remove_everywhere, can("remove_everywhere")),
            page_command(_TABLE["go_to"], "mdi-target", session.go_to),
            page_command(_TABLE["rename"], "mdi-pencil", self._rename),
            page_command(_TABLE["take_alternative"], "mdi-swap-horizontal", session.take_alternative),
            page_command(_TABLE["search_again"], "mdi-refresh", self._again, can("follow_again")),
            page_command(_TABLE["measure_match"], "mdi-ruler", lambda: self._viewer.submit(session.measure()),
                         can("measure")),
            page_command(_TABLE["measure_matches"], "mdi-ruler-square",
                         lambda: self._viewer.submit(session.measure_all()), can("measure_all")),
            page_command(_PAGE["follow_middle"], "mdi-image-filter-center-focus", self._follow_middle,
                         can("begin_placing")),
            page_command(_PAGE["move_match"], "mdi-map-marker-check", self._move_match, can("accept")),
            *self._several.commands,
            *self._about.commands,
            *self._method.commands,
            *self._visits.commands,
        )  # fmt: skip

    def build(self) -> None:
        """Create the method, the filter, the rows, the match, the description and the visits."""
        self._method.build()
        html.P(
            "No findings yet. Click a lesion in the baseline: its match appears in the follow-up.",
            v_if=("!findings.length && has_scans",),
        )
        html.P("Open a baseline and a follow-up in the tab Files.", v_if=("!has_scans && !job.text",))
        options = [{"title": "All findings", "value": "all"}]
        options += [{"title": words, "value": state.value} for state, (words, _icon) in STATES.items()]
        options += [{"title": UNMATCHED[1], "value": UNMATCHED[0]}]
        with html.Div(classes="d-flex mb-2", style="gap: 6px;", v_if=("findings.length",)):
            v.VTextField(
                v_model=("finding_search",), label="Search", density="compact", variant="outlined", hide_details=True,
                clearable=True, prepend_inner_icon="mdi-magnify", **raw(data_search="yes"),
            )  # fmt: skip
            v.VSelect(
                v_model=("shown_state",), items=("state_options", options), label="Show", density="compact",
                variant="outlined", hide_details=True, **raw(data_filter="yes"),
            )  # fmt: skip
        self._several.build()
        with html.Div(style="max-height: 42vh; overflow-y: auto;"):
            self._rows()
        html.P("No finding passes the search and the filter.", v_if=(f"findings.length && !({_SHOWN}).length",))
        v.VDivider(classes="my-2", v_if=("match.label",))
        self._card.build()
        self._about.build()
        self._visits.build()

    def _rows(self) -> None:
        finding_rows(
            self._viewer,
            _SHOWN,
            title="{{ ' · ' + row.state_text }}",
            details=self._details,
            buttons=self._buttons,
            before=self._several.checkbox,
            rename={"data_rename": "yes"},
            depends_on="chosen.join()",
            data_finding=("row.label",),
            data_state=("row.state",),
        )

    def _details(self) -> None:
        for name in ("trust", "axes", "change"):
            html.Div(f"{{{{ row.{name} }}}}", classes="more", v_if=(f"row.{name}",))
        html.Div("{{ row.about }}", classes="more", v_if=("row.about",), **raw(data_described=("row.label",)))

    def _buttons(self) -> None:
        row_button("Rename", "mdi-pencil", {"data_row_action": "rename"}, click=RENAME)
        row_button(_TABLE["remove_everywhere"].title, "mdi-delete-outline", {"data_row_action": "remove"},
                   click=(self._viewer.run, "['remove_everywhere', row.uid]"))  # fmt: skip

    def _toggle(self) -> None:
        state = self._viewer.state
        state.is_following = state.mouse_mode != SELECT or not state.is_following
        self._display.choose_mouse(SELECT)

    def _follow_middle(self) -> None:
        self._viewer.submit(self._session.place(self._middle_of(self._session.baseline_row)))

    def _move_match(self) -> None:
        self._session.move_match(self._middle_of(self._session.followup_row))

    def _middle_of(self, row: ViewRow) -> Point:
        """Return the position (RAS mm) in the middle of the row's view that was used last, else of its first one."""
        name = self._viewer.state.used_view
        return middle(row.slice_at(row.names.index(name if name in row.names else row.names[0])))

    def _swap(self) -> None:
        self._session.take_alternative(0)

    def _again(self) -> None:
        self._viewer.submit(self._session.follow_again())

    def _rename(self, uid: str, label: str) -> None:
        self._session.rename(label, uid)
