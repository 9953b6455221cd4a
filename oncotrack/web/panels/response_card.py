"""The contents of the Response tab, drawn from the page's state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.findings.assessment import Judgement
from oncotrack.findings.finding import Role
from oncotrack.response.result import CRITERIA
from oncotrack.scene.response.panel import JUDGEMENTS, ROLES
from oncotrack.web.attributes import raw
from oncotrack.web.panels.command_button import command_button
from oncotrack.web.panels.visit_heading import visit_heading
from oncotrack.web.tools import Command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_FIELD = {"density": "compact", "variant": "outlined", "hide_details": True, "classes": "mb-2"}
_SITES = "oncotrack-response-sites"
_WORDS = {Role.TARGET: "Target", Role.NON_TARGET: "Non-target", Role.NEW: "New", Role.NONE: "None"}


class ResponseCard:
    """Creates the elements of the tab.

    Parameters
    ----------
    viewer : Viewer
        Its state has `response` and `judged`; see `ResponseTool`.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def build(self, commands: Mapping[str, Command]) -> None:
        """Create choosing, the table, the report, the judgements, warnings, plot and sentences."""
        with html.Div(v_if=("has_scans",)):
            with html.Div(style="min-height: 56px;"):  # the rows below stay where they are when the response appears
                html.H2("{{ response.headline }}", v_if=("response.headline",), **raw(data_response="headline"))
            v.VSelect(
                model_value=("response.criteria",),
                items=("response_criteria", [{"title": words, "value": name} for name, words in CRITERIA.items()]),
                label="Criteria",
                update_modelValue=(self._viewer.run, "['response_criteria', $event]"),
                **_FIELD,
                **raw(data_response="criteria"),
            )
            self._choosing(commands)
            self._table()
            self._report(commands)
            self._judgement(commands)
            self._texts()

    def _choosing(self, commands: Mapping[str, Command]) -> None:
        roles = [{"title": _WORDS[role], "value": role.value} for role in ROLES]
        with html.Div(classes="d-flex", style="gap: 6px;"):
            v.VSelect(v_model=("response_as",), items=("response_roles", roles), label="Role", **_FIELD,
                      **raw(data_response="role"))  # fmt: skip
            v.VTextField(v_model=("response_organ",), label="Organ", clearable=True, **_FIELD,
                         **raw(data_response="organ", list=_SITES))  # fmt: skip
        with html.Datalist(id=_SITES):
            html.Option(v_for="site in response_sites", key="site", value=("site",))
        with html.Div(classes="d-flex flex-wrap mb-2", style="gap: 6px;"):
            for name in ("response_click", "response_target", "response_new"):
                command = commands[name]
                pressed = {"aria_pressed": (f"!!({command.active})",)} if command.active else {}
                v.VBtn(
                    command.title,
                    prepend_icon=command.icon,
                    size="small",
                    variant="tonal",
                    color=(f"({command.active or 'false'}) ? 'accent' : undefined",),
                    title=command.tooltip,
                    disabled=(f"!({command.enabled})",),
                    click=(self._viewer.run, f"['{name}']"),
                    **raw(data_do=name, **pressed),
                )
        html.P("Click lesions in the scans now: each becomes {{ response_as }}{{ response_organ ? ', ' + response_organ : '' }}.",
               v_if=("response_picks",), **raw(role="status"))  # fmt: skip
        with html.Div(v_if=("(response.others || []).length",), **raw(data_response="others")):
            html.H3("Without a role")
            with html.Div(v_for="each in response.others", key="each.uid", classes="response-other"):
                html.Button(
                    "{{ each.label }}{{ each.about ? ' · ' + each.about : '' }}",
                    type="button",
                    click=(self._viewer.run, "['go_to', each.uid]"),
                )
                with html.Span(classes="response-roles"):
                    for role in ROLES:
                        html.Button(
                            _WORDS[role],
                            type="button",
                            click=(self._viewer.run, f"['response_role', '{role.value}', each.uid]"),
                            **raw(
                                aria_label=(f"'{_WORDS[role]}: ' + each.label",),
                                data_make=(f"'{role.value} ' + each.label",),
                            ),
                        )

    def _table(self) -> None:
        with (
            html.Div(style="overflow-x: auto;", v_if=("(response.lines || []).length",), tabindex="0",
                     **raw(role="region", aria_label="Table of the response")),
            html.Table(classes="visits response", **raw(data_response="table")),
        ):  # fmt: skip
            with html.Thead(), html.Tr():
                html.Th("Lesion")
                with html.Th(v_for="(head, visit) in response.heads", key="visit",
                             classes=("visit === response.shown ? 'shown' : ''",)):  # fmt: skip
                    visit_heading(self._viewer, data_response_visit=("visit",))
            with (
                html.Tbody(),
                html.Tr(v_for="line in response.lines", key="line.head",
                        classes=("(line.is_current ? 'current' : '') + (line.uid ? '' : ' total')",)),
            ):  # fmt: skip
                with html.Th(scope="row"):
                    html.Button(
                        "{{ line.head }}",
                        type="button",
                        v_if=("line.uid",),
                        click=(self._viewer.run, "['go_to', line.uid]"),
                        **raw(aria_current=("line.is_current ? 'true' : undefined",), data_lesion=("line.head",)),
                    )
                    html.Span("{{ line.head }}", v_else=True)
                with html.Td(v_for="(cell, visit) in line.cells", key="visit", title=("line.tips[visit]",),
                             classes=("visit === response.shown ? 'shown' : ''",)):  # fmt: skip
                    html.Button(
                        "{{ cell }}",
                        type="button",
                        v_if=("line.uid",),
                        click=(self._viewer.run, "['show_visit', visit, line.uid]"),
                        **raw(data_response_cell=("line.head.split(',')[0] + ' ' + visit",)),
                    )
                    html.Span("{{ cell }}", v_else=True, classes="value")

    def _judgement(self, commands: Mapping[str, Command]) -> None:
        names = [{"title": words, "value": judgement.value} for judgement, words in JUDGEMENTS.items()]
        roles = [{"title": _WORDS[role], "value": role.value} for role in (*ROLES, Role.NONE)]
        merged = Judgement.MERGED.value
        with html.Div(v_if=("judged.uid",), key="judged.uid", **raw(data_response="judged")):
            v.VDivider(classes="my-2")
            html.H2("{{ judged.label }} at {{ judged.visit }}")
            html.P("{{ judged.size }}", v_if=("judged.size",), classes="quiet mb-3")
            html.P("Absent at this visit.", v_if=("judged.is_absent",))
            v.VSelect(
                model_value=("judged.role",), items=("response_all_roles", roles), label="Role", **_FIELD,
                update_modelValue=(self._viewer.run, "['response_role', $event, judged.uid]"),
                **raw(data_response="judged-role"),
            )  # fmt: skip
            v.VTextField(
                model_value=("judged.site",), label="Organ or station", **_FIELD,
                **raw("@change=\"trigger('oncotrack.command', ['response_site', $event.target.value, judged.uid])\"",
                      data_response="judged-site", list=_SITES),
            )  # fmt: skip
            with html.Div(classes="d-flex", style="gap: 6px;", v_if=("judged.long_mm",)):
                for part, key in (("long axis", "long_mm"), ("short axis", "short_mm")):
                    send = f"['response_resize', '{part}', $event.target.value, judged.uid, response.shown]"
                    v.VTextField(
                        model_value=(f"judged.{key}",), label=f"{part.capitalize()} (mm)", inputmode="decimal", **_FIELD,
                        **raw(f"@change=\"trigger('oncotrack.command', {send})\"", data_response=key),
                    )  # fmt: skip
            v.VSelect(
                model_value=("judged.judgement",), items=("response_judgements", names), label="Judgement", **_FIELD,
                update_modelValue=(
                    self._viewer.run,
                    f"['response_judge', $event, judged.uid, response.shown, "
                    f"$event === '{merged}' ? (judged.others[0] || {{}}).value || '' : '']",
                ),
                **raw(data_response="judgement"),
            )  # fmt: skip
            v.VSelect(
                model_value=("judged.merged_with",), items=("judged.others",), label="Measured with", **_FIELD,
                v_if=(f"judged.judgement === '{merged}'",),
                update_modelValue=(
                    self._viewer.run, f"['response_judge', '{merged}', judged.uid, response.shown, $event]"
                ),
                **raw(data_response="merged"),
            )  # fmt: skip
            v.VSelect(
                model_value=("judged.split_from",), label="Fragment of",
                items=("[{title: 'no other lesion', value: ''}].concat(judged.others || [])",), **_FIELD,
                v_if=("(judged.others || []).length",),
                update_modelValue=(self._viewer.run, "['response_split', $event, judged.uid]"),
                **raw(data_response="split"),
            )  # fmt: skip
            for name, key, label in (
                ("response_equivocal", "is_equivocal", "Suspected only (equivocal)"),
                ("response_larger", "is_larger", "Larger than at the visit before"),
            ):
                v.VCheckbox(
                    model_value=(f"judged.{key}",), label=label, density="compact", hide_details=True,
                    update_modelValue=(self._viewer.run, f"['{name}', $event, judged.uid, response.shown]"),
                    **raw(data_response=name),
                )  # fmt: skip
            command_button(self._viewer, commands["response_gone"], commands["response_gone"].title,
                           data_do="response_gone")  # fmt: skip

    @staticmethod
    def _texts() -> None:
        with html.Div(v_if=("(response.warnings || []).length",), **raw(data_response="warnings")):
            html.H3("Check")
            with html.Ul(classes="sentences"), html.Li(v_for="(text, n) in response.warnings", key="n"):
                v.VIcon("mdi-alert-outline", size="x-small", classes="mr-1", **raw(aria_hidden="true"))
                html.Span("{{ text }}")
        html.P(
            "{{ response.plot_words }}",
            v_if=("response.plot_words && !response.plot",),
            classes="quiet my-2",
            **raw(data_response="no-plot"),
        )
        html.Img(
            v_if=("response.plot",), src=("response.plot",), alt=("response.plot_words",), classes="plot",
            **raw(data_response="plot"),
        )  # fmt: skip
        html.H3("How each response was reached", v_if=("response.headline",))
        with html.Ul(classes="sentences", **raw(data_response="why")):
            html.Li("{{ text }}", v_for="(text, n) in response.why", key="n")

    def _report(self, commands: Mapping[str, Command]) -> None:
        with html.Div(v_if=("response.headline",)):
            v.VTextField(v_model=("response_name",), label="Name on the report (optional)", **_FIELD,
                         **raw(data_response="name"))  # fmt: skip
            with html.Div(classes="d-flex flex-wrap", style="gap: 6px;"):
                command_button(self._viewer, commands["response_report"], commands["response_report"].title,
                               data_do="response_report")  # fmt: skip
                for key, title in (("text", "Copy text"), ("csv", "Copy table (CSV)")):
                    v.VBtn(title, prepend_icon="mdi-content-copy", size="small", variant="tonal", **raw(data_copy=key))
