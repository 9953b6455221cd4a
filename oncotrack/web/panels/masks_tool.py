"""The Masks tab: two drawn diameters become a mask, in one slice and extended to 3D."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import slicer
from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.findings.finding import Kind, Point
from oncotrack.scene.masks import panel
from oncotrack.scene.masks.recist import RecistScene
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.views.mouse_mode import SELECT
from oncotrack.web.attributes import raw
from oncotrack.web.brush import Brush
from oncotrack.web.display import Display
from oncotrack.web.files import Files
from oncotrack.web.panels.brush_card import BrushCard
from oncotrack.web.panels.mask_card import MaskCard
from oncotrack.web.panels.mask_files import MaskFiles
from oncotrack.web.panels.mask_list import MaskList
from oncotrack.web.panels.scan_tool import MASKS, ScanTool
from oncotrack.web.tools import Command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_ACTIONS = (
    ("previous", "mdi-chevron-left"),
    ("next", "mdi-chevron-right"),
    ("accept", "mdi-check-circle"),
    ("reject", "mdi-close-circle-outline"),
    ("remove_from_scan", "mdi-delete"),
)
_PAUSE_S = 0.03  # between previews of the mask: drag events arrive faster than masks are computed


class MasksTool(ScanTool):
    """The tab of one scan's masks; while it is open, a click on a finding suggests its mask and does not follow a lesion.

    Parameters
    ----------
    viewer : Viewer
    display : Display
    files : Files
    """

    names, name, title, icon = MASKS, "masks", "Masks", "mdi-ruler"

    def __init__(self, viewer: Viewer, display: Display, files: Files) -> None:
        super().__init__(viewer)
        self._display = display
        session = RecistScene(viewer.app.scene, slice_nodes=self._slice_nodes, submit=self._submit, later=self._later)
        self._list = MaskList(viewer, session)
        self._card = MaskCard(viewer, session, self.make_command)
        self._brush = Brush(viewer, session, self._slice_nodes)
        self._brush_card = BrushCard(viewer, self._brush, self.make_command)
        self._files = MaskFiles(viewer, files, session, self._show_outcome, self.make_command)
        viewer.state.update({"mask_hint": "", "mask_kind": session.kind.value, "is_mask_square": session.is_square})
        self._connect_session(session)
        viewer.click_handlers[self.name] = self._on_click
        self._session.refused.connect(lambda error: viewer.show_message(str(error), "error"))
        self._session.warned.connect(viewer.show_message)
        viewer.state.change("tab")(self._on_tab)
        viewer.state.change("mask_kind", "is_mask_square")(self._on_option)
        self._refresh()

    @property
    def commands(self) -> Sequence[Command]:
        """Drawing, deciding, moving between findings, the edits of a mask, import and export."""
        return (
            self.make_command("draw_axes", self.icon, self._draw, is_in_bar=True),
            self.make_command("cancel_drawing", "mdi-close"),
            *(self.make_command(name, icon) for name, icon in _ACTIONS),
            *self._card.commands,
            *self._brush_card.commands,
            *self._files.commands,
            self.make_command("go_to", "mdi-target", is_always_possible=True),
            self.make_command("rename", "mdi-pencil", self._rename, is_always_possible=True),
            self.make_command("choose_scan", "mdi-image", self._choose_scan, is_always_possible=True),
        )

    def build(self) -> None:
        """Create the choice of the scan, drawing, the list, the current mask, import and export."""
        commands = {command.name: command for command in self.commands}
        self._build_scan_choice()
        html.P("Open a scan in the tab Files.", v_if=("!mask_possible.includes('draw_axes') && !job.text",))
        with html.Div(classes="d-flex align-center", style="gap: 6px;"):
            MASKS.button(self._viewer, commands[f"{MASKS.prefix}draw_axes"], has_title=True)
            v.VSelect(
                v_model=("mask_kind",), items=("mask_kinds", [kind.value for kind in Kind]), density="compact",
                variant="outlined", hide_details=True, label="Kind", **raw(data_mask_kind="yes"),
            )  # fmt: skip
        v.VCheckbox(
            v_model=("is_mask_square",), label="Keep the short diameter perpendicular to the long one", density="compact",
            hide_details=True, **raw(data_mask_square="yes"),
        )  # fmt: skip
        with html.Div(v_if=("mask_hint",), classes="d-flex align-center", **raw(role="status", data_mask_hint="yes")):
            html.Span("{{ mask_hint }}", classes="finding-text")
            MASKS.button(self._viewer, commands[f"{MASKS.prefix}cancel_drawing"], has_title=True)
        with html.Div(v_if=("mask_summary",)):
            self._list.build()
            with html.Div(classes="d-flex flex-wrap my-1", style="gap: 6px;"):
                for name, _icon in _ACTIONS:
                    MASKS.button(self._viewer, commands[MASKS.prefix + name], has_title=True)
        self._card.build()
        self._brush_card.build()
        self._files.build()

    # commands

    def _draw(self) -> None:
        self._viewer.state.tab = self.name
        self._brush.stop()
        self._display.choose_mouse(SELECT)
        self._session.draw_axes()

    def _choose_scan(self, role: str) -> None:
        self._session.cancel_drawing()
        super()._choose_scan(role)

    # events

    def _refresh(self) -> None:
        super()._refresh()
        self._viewer.state.mask_hint = self._session.hint
        if self._is_open:
            self._list.refresh()
        self._card.refresh()

    def _possible_methods(self) -> frozenset[str]:
        return panel.possible_methods(self._session)

    def _show_outcome(self, outcome: object) -> None:
        self._viewer.show_message(panel.outcome_text(self._session, outcome))

    def _on_option(self, mask_kind: str, is_mask_square: bool, **_state: object) -> None:
        self._session.kind, self._session.is_square = Kind(mask_kind), bool(is_mask_square)

    def _on_tab(self, tab: str, **_state: object) -> None:
        self._session.is_entered = tab == self.name
        self._refresh()
        if not self._session.is_entered:
            self._session.cancel_drawing()
            self._brush.stop()

    def _on_click(self, node: slicer.vtkMRMLSliceNode, at: Point) -> bool:
        if node not in self._slice_nodes():
            return False
        finding = None if self._brush.is_on else self._session.at(at)
        if finding is not None:
            has_mask = finding.at(self._session.time_point).mask is not None
            self._viewer.attempt(self._session.nodes.select if has_mask else self._session.suggest, finding.uid)
        return True

    def _submit(self, task: Task) -> None:
        self._viewer.submit(task, self._show_outcome)

    def _later(self, function: Callable[[], None]) -> None:
        asyncio.get_event_loop().call_later(_PAUSE_S, partial(self._viewer.attempt, function))
