"""The match of the current finding: its cycle error and its alternatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.web.attributes import raw

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer


class MatchCard:
    """The state's `match`, below the list of findings.

    Parameters
    ----------
    viewer : Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def build(self) -> None:
        """Create position, cycle error, reason, maps and alternatives."""
        with html.Div(v_if=("match.label",), **raw(data_match=("match.label",))):
            html.H2("Match of {{ match.label }} in the follow-up")
            html.Div("{{ match.place }}", classes="quiet")
            html.Div("Trust: {{ match.trust }}", v_if=("match.trust",), classes="quiet")
            html.Div("{{ match.reason }}", v_if=("match.reason",))
            with html.Div(classes="d-flex flex-wrap my-1", style="gap: 6px;"):
                v.VBtn(
                    "Look again",
                    size="small",
                    variant="tonal",
                    prepend_icon="mdi-refresh",
                    click=(self._viewer.run, "['again']"),
                )
                v.VBtn(
                    "Anatomy map (M)",
                    size="small",
                    prepend_icon="mdi-blur",
                    variant="tonal",
                    color=("is_map_shown ? 'amber-lighten-2' : undefined",),
                    click=(self._viewer.run, "['map']"),
                )
                v.VBtn(
                    "Probability (B)",
                    size="small",
                    prepend_icon="mdi-chart-bell-curve",
                    variant="tonal",
                    title="Where the method takes the lesion to be",
                    color=("is_probability_shown ? 'amber-lighten-2' : undefined",),
                    disabled=("!is_probability_shown && !possible.includes('map_probability')",),
                    click=(self._viewer.run, "['probability']"),
                    **raw(data_probability="yes"),
                )
            html.H2("Alternatives", v_if=("match.alternatives.length",))
            with html.Div(v_for="(each, index) in match.alternatives", key="index", classes="d-flex align-center mb-1"):
                html.Span(
                    "{{ each.letter }}: {{ each.away }}, score {{ each.score }}, {{ each.trust }}",
                    classes="quiet",
                    style="flex: 1;",
                )
                v.VBtn(
                    "Take",
                    size="small",
                    variant="tonal",
                    click=(self._viewer.run, "['take', index]"),
                    **raw(data_take=("each.letter",)),
                )
