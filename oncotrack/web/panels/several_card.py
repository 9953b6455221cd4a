"""Decisions on several findings at once: a check box in each row, and the buttons for the chosen ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.findings.finding import State
from oncotrack.scene.commands import PAGE, commands_of
from oncotrack.web.attributes import raw
from oncotrack.web.tools import Command, page_command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_TABLE = commands_of(PAGE)
_DECISIONS = (
    ("accept_several", "mdi-check-circle", State.ACCEPTED),
    ("reject_several", "mdi-close-circle-outline", State.REJECTED),
)


class SeveralCard:
    """The findings that the reader has chosen by their check boxes, and the commands on them.

    Parameters
    ----------
    viewer : Viewer
        Its state gets `chosen`, the uids.
    shown : str
        JavaScript expression of the rows that are shown.
    """

    def __init__(self, viewer: Viewer, shown: str) -> None:
        self._viewer, self._session, self._shown = viewer, viewer.session, shown
        viewer.state.chosen = []
        viewer.updates.on(viewer.session.changed, self._forget_removed)

    @property
    def commands(self) -> Sequence[Command]:
        """Accepting, rejecting and removing the chosen findings."""
        return (
            *(page_command(_TABLE[name], icon, lambda state=state: self._decide(state)) for name, icon, state in _DECISIONS),
            page_command(_TABLE["remove_several"], "mdi-delete", self._remove),
        )  # fmt: skip

    def checkbox(self) -> None:
        """Create the check box of a row."""
        html.Input(
            type="checkbox",
            v_model=("chosen",),
            value=("row.uid",),
            classes="choose",
            **raw('@click.stop=""', aria_label=("'Choose ' + row.label",), data_choose=("row.label",)),
        )

    def build(self) -> None:
        """Create the buttons, shown while findings are chosen."""
        with html.Div(classes="several", v_if=("chosen.length",), **raw(role="group", aria_label="Chosen findings")):
            html.Span("{{ chosen.length }} chosen", **raw(data_chosen="yes"))
            for command in self.commands:
                v.VBtn(
                    command.title.split()[0],
                    prepend_icon=command.icon,
                    size="small",
                    variant="tonal",
                    title=command.tooltip,
                    click=(self._viewer.run, f"['{command.name}']"),
                    **raw(data_several=command.name),
                )
            v.VBtn("All shown", size="small", variant="text", click=f"chosen = ({self._shown}).map(each => each.uid)",
                   **raw(data_several="all"))  # fmt: skip
            v.VBtn("None", size="small", variant="text", click="chosen = []")

    def _decide(self, state: State) -> None:
        chosen = self._viewer.state.chosen
        count = self._session.decide_several(chosen, state)
        rest = len(chosen) - count
        has = "has" if rest == 1 else "have"
        unmatched = f" {rest} {has} no match in the follow-up." if rest else ""
        self._viewer.show_message(f"{count} marked {state.value}.{unmatched}")
        self._viewer.state.chosen = []

    def _remove(self) -> None:
        count = self._session.remove_several(self._viewer.state.chosen)
        self._viewer.show_message(f"{count} removed. Undo brings {'it' if count == 1 else 'them'} back.")

    def _forget_removed(self) -> None:
        kept = [uid for uid in self._viewer.state.chosen if uid in self._session.findings]
        if kept != self._viewer.state.chosen:
            self._viewer.state.chosen = kept
