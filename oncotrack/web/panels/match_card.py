"""The card of the current finding's match: position, reverse check, doubts and alternatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.scene.commands import FINDINGS, PAGE, VIEW, commands_of
from oncotrack.web.attributes import raw

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_TABLE, _PAGE, _VIEW = commands_of(FINDINGS), commands_of(PAGE), commands_of(VIEW)


class MatchCard:
    """Shows the state's `match` below the list of findings.

    Parameters
    ----------
    viewer : Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def build(self) -> None:
        """Create position, reverse check, reason, maps and alternatives."""
        with html.Div(v_if=("match.label",), **raw(data_match=("match.label",))):
            html.H2("{{ match.title }}")
            html.Div("{{ match.state_text }}", **raw(data_match_state="yes"))
            html.Div("{{ match.change }}", v_if=("match.change",), **raw(data_match_change="yes"))
            html.Div("{{ match.place }}", classes="quiet")
            html.Div("Reverse check: {{ match.trust }}", v_if=("match.trust",), classes="quiet")
            html.Div("{{ match.reason }}", v_if=("match.reason",))
            html.Div(
                "⚠ {{ doubt }}", v_for="doubt in match.doubts", key="doubt", classes="doubt", **raw(data_doubt="yes")
            )
            with html.Div(classes="d-flex flex-wrap my-1", style="gap: 6px;"):
                v.VBtn(
                    _TABLE["search_again"].title,
                    size="small",
                    variant="tonal",
                    prepend_icon="mdi-refresh",
                    click=(self._viewer.run, "['search_again']"),
                )
                v.VBtn(
                    f"{_PAGE['move_match'].title} ({_PAGE['move_match'].key})",
                    size="small",
                    variant="tonal",
                    prepend_icon="mdi-map-marker-check",
                    title=_PAGE["move_match"].tooltip,
                    click=(self._viewer.run, "['move_match']"),
                    **raw(data_do="move_match"),
                )
                for name, icon in (("measure_match", "mdi-ruler"), ("measure_matches", "mdi-ruler-square")):
                    v.VBtn(
                        _TABLE[name].title,
                        size="small",
                        variant="tonal",
                        prepend_icon=icon,
                        title=_TABLE[name].tooltip,
                        disabled=(f"!enabled.includes('{name}') || !!job.text",),
                        click=(self._viewer.run, f"['{name}']"),
                        **raw(data_do=name),
                    )
                v.VBtn(
                    f"{_VIEW['show_anatomy_map'].title} ({_VIEW['show_anatomy_map'].key})",
                    size="small",
                    prepend_icon="mdi-blur",
                    variant="tonal",
                    color=("is_map_shown ? 'accent' : undefined",),
                    click=(self._viewer.run, "['show_anatomy_map']"),
                )
                v.VBtn(
                    f"{_VIEW['show_probability'].title} ({_VIEW['show_probability'].key})",
                    size="small",
                    prepend_icon="mdi-chart-bell-curve",
                    variant="tonal",
                    title=_VIEW["show_probability"].tooltip,
                    color=("is_probability_shown ? 'accent' : undefined",),
                    disabled=("!enabled.includes('show_probability')",),
                    click=(self._viewer.run, "['show_probability']"),
                    **raw(data_probability="yes"),
                )
            html.H2("Alternatives", v_if=("match.alternatives.length",))
            with html.Div(v_for="(each, index) in match.alternatives", key="index", classes="d-flex align-center mb-1"):
                html.Span(
                    "{{ each.letter }}: {{ each.away }}, score {{ each.score }}{{ each.trust ? ', ' + each.trust : '' }}",
                    classes="quiet",
                    style="flex: 1;",
                )
                v.VBtn(
                    _TABLE["take_alternative"].title,
                    size="small",
                    variant="tonal",
                    click=(self._viewer.run, "['take_alternative', index]"),
                    **raw(data_take=("each.letter",)),
                )
