"""The Worklist tab: the patients of an archive's results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.scene.commands import PAGE, commands_of
from oncotrack.web.attributes import raw
from oncotrack.web.tools import Command, page_command
from oncotrack.web.worklist import WorklistPage

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_PAGE = commands_of(PAGE)
_FILTER = "['filter_worklist', worklist_filter, worklist_order, worklist_words]"


class WorklistTool:
    """The tab with the patients, their filters and their order.

    Parameters
    ----------
    viewer : Viewer
    worklist : WorklistPage
    """

    name, title, icon = "worklist", "Patients", "mdi-format-list-checks"

    def __init__(self, viewer: Viewer, worklist: WorklistPage) -> None:
        self._viewer, self._worklist = viewer, worklist

    @property
    def commands(self) -> Sequence[Command]:
        """Opening, stepping, marking as read."""
        worklist = self._worklist
        return (
            page_command(_PAGE["open_patient"], "mdi-folder-open", worklist.open),
            page_command(_PAGE["filter_worklist"], "mdi-filter", worklist.filter),
            page_command(_PAGE["previous_patient"], "mdi-account-arrow-left", worklist.previous,
                         lambda: worklist.can_step(-1)),
            page_command(_PAGE["mark_read"], "mdi-check-all", worklist.mark_read, lambda: worklist.is_open,
                         active="worklist_is_read"),
            page_command(_PAGE["next_patient"], "mdi-account-arrow-right", worklist.next,
                         lambda: worklist.can_step(1)),
        )  # fmt: skip

    def build(self) -> None:
        """Create the filters, the buttons and the list."""
        run = self._viewer.run
        with html.Div(classes="d-flex flex-wrap mb-2", style="gap: 6px;"):
            for name, active in (("previous_patient", ""), ("mark_read", "worklist_is_read"), ("next_patient", "")):
                command = self._viewer.commands[name]
                v.VBtn(
                    command.title,
                    size="small",
                    variant=(f"{active} ? 'flat' : 'tonal'",) if active else "tonal",
                    title=command.tooltip,
                    disabled=(f"!enabled.includes('{name}')",),
                    click=(run, f"['{name}']"),
                    **raw(data_worklist=name, **({"aria_pressed": (f"!!({active})",)} if active else {})),
                )
        for model, items, label in (
            ("worklist_filter", "worklist_filters", "Show"),
            ("worklist_order", "worklist_orders", "Order"),
        ):
            chosen = _FILTER.replace(f"{model},", "$event,")
            v.VSelect(
                model_value=(model,), items=(items,), label=label, density="compact", variant="outlined",
                hide_details=True, classes="mb-2", update_modelValue=(run, chosen), **raw(data_choice=model),
            )  # fmt: skip
        v.VTextField(
            model_value=("worklist_words",), label="Patient ID contains", density="compact", variant="outlined",
            hide_details=True, classes="mb-2", update_modelValue=(run, _FILTER.replace("worklist_words", "$event")),
            **raw(data_field="worklist_words"),
        )  # fmt: skip
        html.Div("{{ worklist_text }}", classes="quiet mb-1", **raw(data_worklist_text="yes"))
        with (
            html.Ul(classes="series-list", **raw(aria_label="Patients")),
            html.Li(v_for="row in worklist", key="row.folder", classes="browser-row"),
        ):
            v.VBtn(
                "{{ row.is_read ? '✓ ' : '' }}{{ row.patient }}",
                size="small",
                block=True,
                variant=("row.folder === worklist_patient ? 'flat' : 'text'",),
                style="justify-content: flex-start;",
                click=(run, "['open_patient', row.folder]"),
                **raw(
                    data_patient=("row.folder",),
                    aria_current=("row.folder === worklist_patient ? 'true' : undefined",),
                    aria_label=("row.patient + (row.is_read ? ', read' : ', not read')",),
                ),
            )
            html.Div("{{ row.details }}", classes="quiet")
