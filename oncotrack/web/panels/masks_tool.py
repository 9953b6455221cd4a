"""Measuring lesions: two drawn diameters become a mask that follows them, in one slice and through the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import slicer
from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.findings import Kind, Point
from oncotrack.masks.axes import RecistAxes
from oncotrack.scene import recist_panel as panel
from oncotrack.scene.recist import RecistScene
from oncotrack.scene.tasks import Task
from oncotrack.web.attributes import raw
from oncotrack.web.files import BASELINE, FOLLOWUP
from oncotrack.web.panels.mask_buttons import PREFIX, button, can
from oncotrack.web.panels.mask_card import MaskCard
from oncotrack.web.panels.mask_files import MaskFiles
from oncotrack.web.panels.mask_list import MaskList
from oncotrack.web.tools import Command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_ACTIONS = (
    ("previous", "Previous finding", "mdi-chevron-left", "p"),
    ("next", "Next finding", "mdi-chevron-right", "n"),
    ("accept", "Accept the finding", "mdi-check-circle", "a"),
    ("reject", "Reject the finding: its mask is hidden and not exported", "mdi-close-circle-outline", "r"),
    ("delete", "Delete the finding", "mdi-delete", "Delete"),
)
_PAUSE_S = 0.03  # drags come faster than masks are made


class MasksTool:
    """The masks of one scan; while its tab is open, a click on a finding proposes its mask and follows no lesion.

    Parameters
    ----------
    viewer : Viewer
    """

    name, title, icon = "masks", "Masks", "mdi-ruler"

    def __init__(self, viewer: Viewer) -> None:
        self._viewer, self._session = viewer, None
        self._session = RecistScene(viewer.app.scene, slice_nodes=self._slice_nodes, later=self._later)
        self._list = MaskList(viewer, self._session)
        self._card = MaskCard(viewer, self._session, self._do)
        self._files = MaskFiles(viewer, self._session, self._tell)
        viewer.state.update({"mask_scan": BASELINE, "mask_possible": [], "mask_hint": "",
                             "mask_kind": self._session.kind.value, "is_mask_square": self._session.is_square})  # fmt: skip
        viewer.takes_click[self.name] = self._on_click
        self._session.changed.connect(self._refresh)
        self._session.refused.connect(lambda error: viewer.say(str(error), "error"))
        self._session.told.connect(viewer.say)
        self._session.seeded.connect(partial(self._carry, "carry"))
        self._session.reshaped.connect(partial(self._carry, "recarry"))
        viewer.session.changed.connect(self._refresh)
        viewer.state.change("tab")(self._on_tab)
        viewer.state.change("mask_kind", "is_mask_square")(self._on_option)
        viewer.server.controller.on_server_exited.add(self._on_exit)
        self._refresh()

    @property
    def commands(self) -> Sequence[Command]:
        """Drawing, deciding, moving about; edits of a mask and files come from their own parts of the panel."""
        do = self._do
        return (
            Command(f"{PREFIX}draw", "Draw the two axes of a lesion: four clicks in a slice", self.icon, self._draw, "d",
                    can("draw_axes")),
            Command(f"{PREFIX}cancel", "Drop the lines", "mdi-close", partial(do, "cancel_drawing"), "Escape",
                    can("cancel_drawing"), is_in_bar=False),
            *(Command(PREFIX + action, title, icon, partial(do, action), key, can(action), is_in_bar=False)
              for action, title, icon, key in _ACTIONS),
            *self._card.commands,
            *self._files.commands,
            Command(f"{PREFIX}go", "Go to the finding", "mdi-target", partial(do, "go_to"), is_in_bar=False),
            Command(f"{PREFIX}rename", "Rename the finding", "mdi-pencil", self._rename, is_in_bar=False),
            Command(f"{PREFIX}scan", "Choose the scan", "mdi-image", self._choose_scan, is_in_bar=False),
        )  # fmt: skip

    def build(self) -> None:
        """The scan, drawing, the list, the current mask, files."""
        commands, run = {command.name: command for command in self.commands}, self._viewer.run
        with v.VBtnToggle(
            model_value=("mask_scan",), density="compact", variant="outlined", divided=True, mandatory=True,
            v_if=("has_scans",), classes="mb-2",
        ):  # fmt: skip
            for role, title in ((BASELINE, "Baseline"), (FOLLOWUP, "Follow-up")):
                v.VBtn(title, value=role, size="small", click=(run, f"['{PREFIX}scan', '{role}']"),
                       **raw(data_mask_scan=role))  # fmt: skip
        html.P("Open a scan in the tab Files.", v_if=(f"!{can('draw_axes')} && !job.text",))
        with html.Div(classes="d-flex align-center", style="gap: 6px;"):
            button(self._viewer, commands[f"{PREFIX}draw"], "Draw axes")
            v.VSelect(
                v_model=("mask_kind",), items=("mask_kinds", [kind.value for kind in Kind]), density="compact",
                variant="outlined", hide_details=True, label="of a", **raw(data_mask_kind="yes"),
            )  # fmt: skip
        v.VCheckbox(
            v_model=("is_mask_square",), label="Keep the short axis upright on the long one", density="compact",
            hide_details=True, **raw(data_mask_square="yes"),
        )  # fmt: skip
        with html.Div(v_if=("mask_hint",), classes="d-flex align-center", **raw(role="status", data_mask_hint="yes")):
            html.Span("{{ mask_hint }}", classes="finding-text")
            button(self._viewer, commands[f"{PREFIX}cancel"])
        with html.Div(v_if=("mask_summary",)):
            self._list.build()
            with html.Div(classes="d-flex my-1"):
                for action, *_rest in _ACTIONS:
                    button(self._viewer, commands[PREFIX + action])
        self._card.build()
        self._files.build()

    # what a reader does

    def _do(self, name: str, *arguments: Any) -> None:
        outcome = getattr(self._session, name)(*arguments)
        if isinstance(outcome, Task):
            self._viewer.submit(outcome, self._tell)

    def _draw(self) -> None:
        self._viewer.state.tab = self.name
        self._viewer.display.set_windowing(False)
        self._session.draw_axes()

    def _rename(self, uid: str, label: str) -> None:
        self._session.rename(label, uid)
        self._viewer.state.renaming = ""

    def _choose_scan(self, role: str) -> None:
        self._session.cancel_drawing()
        self._session.set_scan(getattr(self._viewer.session, role))

    # what happens

    def _refresh(self) -> None:
        state, follow = self._viewer.state, self._viewer.session
        if self._session.scan not in (follow.baseline, follow.followup):
            self._session.set_scan(follow.baseline or follow.followup)
        state.mask_possible = sorted(panel.possible(self._session))
        state.mask_scan = FOLLOWUP if self._is_followup else BASELINE
        state.mask_hint = self._session.hint
        self._list.refresh()
        self._card.refresh()

    def _tell(self, outcome: object) -> None:
        self._viewer.say(panel.done(self._session, outcome))

    def _on_option(self, mask_kind: str, is_mask_square: bool, **_state: object) -> None:
        self._session.kind, self._session.is_square = Kind(mask_kind), bool(is_mask_square)

    def _on_tab(self, tab: str, **_state: object) -> None:
        self._session.is_entered = tab == self.name
        if not self._session.is_entered:
            self._session.cancel_drawing()

    def _on_click(self, node: slicer.vtkMRMLSliceNode, at: Point) -> bool:
        if node not in self._slice_nodes():
            return False
        finding = self._session.at(at)
        if finding is not None:
            has_mask = finding.at(self._session.time_point).mask is not None
            self._viewer.attempt(self._session.nodes.select if has_mask else self._session.propose, finding.uid)
        return True

    def _carry(self, name: str, uid: str, axes: RecistAxes) -> None:
        self._viewer.attempt(self._do, name, uid, axes)

    def _on_exit(self, **_state: object) -> None:
        self._session.close()

    def _later(self, function: Callable[[], None]) -> None:
        asyncio.get_event_loop().call_later(_PAUSE_S, partial(self._viewer.attempt, function))

    @property
    def _is_followup(self) -> bool:
        follow = self._viewer.session
        return follow.followup is not None and self._session.scan is follow.followup is not follow.baseline

    def _slice_nodes(self) -> list[slicer.vtkMRMLSliceNode]:
        follow = self._viewer.session
        is_followup = self._session is not None and self._is_followup
        return (follow.followup_row if is_followup else follow.baseline_row).slices()
