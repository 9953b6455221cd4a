"""The Nodes tab: the detect button, the list of nodes with score threshold and filters, the edits of slice boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import slicer
from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.detection.detector import CAUTION
from oncotrack.findings.finding import Finding, Point
from oncotrack.findings.tracklet_edits import Rerun
from oncotrack.scene.detection import panel
from oncotrack.scene.detection.detection import DetectionScene
from oncotrack.scene.views.mouse_mode import SELECT, is_placing
from oncotrack.web.attributes import raw
from oncotrack.web.display import Display
from oncotrack.web.files import Files
from oncotrack.web.panels.node_list import NodeList
from oncotrack.web.panels.pet_card import PETCard
from oncotrack.web.panels.scan_tool import NODES, ScanTool
from oncotrack.web.panels.tracklet_card import TrackletCard
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
_RERUNS = ((Rerun.KEEP, "Keep decisions"), (Rerun.REPLACE, "Replace all"))


class DetectionTool(ScanTool):
    """The tab of one scan's lymph nodes; while it is open, a click in a slice selects a node and does not follow a lesion.

    Parameters
    ----------
    viewer : Viewer
    display : Display
    files : Files
    """

    names, name, title, icon = NODES, "nodes", "Nodes", "mdi-line-scan"

    def __init__(self, viewer: Viewer, display: Display, files: Files) -> None:
        super().__init__(viewer)
        self._display, self._files = display, files
        session = DetectionScene(viewer.app.scene, slice_nodes=self._slice_nodes)
        self._list = NodeList(viewer, session)
        self._card = TrackletCard(viewer, session, self._call_session, self.make_command)
        self._pet = PETCard(viewer, display, files, session, self._call_session)
        viewer.state.is_rerun_question_open = False
        self._connect_session(session)
        viewer.click_handlers[self.name] = self._on_click
        self._session.placed.connect(self._on_placed)
        self._session.refused.connect(self._on_refused)
        viewer.state.change("tab")(self._on_tab)
        self._refresh()

    @property
    def commands(self) -> Sequence[Command]:
        """Detecting, deciding, moving between nodes, the edits of slice boxes."""
        return (
            self.make_command("detect", self.icon, self._detect, is_in_bar=True),
            self.make_command("add_node", "mdi-plus-circle-outline", self._add),
            *(self.make_command(name, icon) for name, icon in _ACTIONS),
            *self._card.commands,
            *self._list.commands,
            *self._pet.commands,
            self.make_command("go_to", "mdi-target", is_always_possible=True),
            self.make_command("rename", "mdi-pencil", self._rename, is_always_possible=True),
            self.make_command("choose_scan", "mdi-image", self._choose_scan, is_always_possible=True),
            self.make_command("export_nodes", "mdi-export", self._export),
            Command(f"{NODES.prefix}rerun", "Find again", "Search for lymph nodes again.", "mdi-refresh", self._rerun,
                    is_in_bar=False),
        )  # fmt: skip

    def build(self) -> None:
        """Create the choice of the scan, the buttons, the list, the slice boxes and the question before a new run."""
        commands = {command.name: command for command in self.commands}
        self._build_scan_choice()
        with html.Div(classes="d-flex flex-wrap mb-2", style="gap: 6px;"):
            for name in ("detect", "add_node", "export_nodes"):
                NODES.button(self._viewer, commands[NODES.prefix + name], has_title=True)
        html.P("Open a scan in the tab Files.", v_if=("!node_possible.includes('detect') && !job.text",))
        html.P(CAUTION, classes="more", v_if=("has_scans",), **raw(data_caution="yes"))
        with html.Div(v_if=("node_summary",)):
            self._list.build()
            with html.Div(classes="d-flex flex-wrap my-1", style="gap: 6px;"):
                for name, _icon in _ACTIONS:
                    NODES.button(self._viewer, commands[NODES.prefix + name], has_title=True)
        self._card.build()
        self._pet.build()
        self._question()

    def _question(self) -> None:
        with (
            v.VDialog(v_model=("is_rerun_question_open",), max_width=480, **raw(aria_label="Nodes were corrected")),
            v.VCard(title="Nodes were corrected", **raw(data_rerun_question="yes")),
        ):
            v.VCardText(
                "Nodes of this scan were accepted, edited or rejected. Keep these decisions and propose nothing at "
                "their positions, or replace all nodes? Undo restores the list."
            )
            with v.VCardActions():
                v.VBtn("Cancel", click="is_rerun_question_open = false")
                v.VSpacer()
                for rerun, title in _RERUNS:
                    v.VBtn(title, click=(self._viewer.run, f"['{NODES.prefix}rerun', '{rerun.value}']"),
                           **raw(data_rerun=rerun.value))  # fmt: skip

    # commands

    def _detect(self) -> None:
        if self._session.has_decisions:
            self._viewer.state.is_rerun_question_open = True
        else:
            self._viewer.submit(self._session.detect(), self._on_found)

    def _rerun(self, rerun: str) -> None:
        self._viewer.state.is_rerun_question_open = False
        self._viewer.submit(self._session.detect(Rerun(rerun)), self._on_found)

    def _add(self) -> None:
        was_placing = is_placing(self._session.scene)
        self._display.choose_mouse(SELECT)
        if not was_placing:
            self._session.begin_placing()
            self._viewer.show_message("Click the middle of the node in a slice.")

    def _export(self) -> None:
        self._viewer.submit(
            self._session.export(self._viewer.results.folder), lambda paths: self._files.saving.show(*paths)
        )

    # events

    def _refresh(self) -> None:
        if self._is_open:
            self._list.refresh()
        super()._refresh()
        self._card.refresh()
        self._pet.refresh()

    def _possible_methods(self) -> frozenset[str]:
        return panel.possible_methods(self._session)

    def _show_outcome(self, outcome: Finding | tuple[Finding, ...]) -> None:
        self._viewer.show_message(panel.outcome_text(self._session, outcome))

    def _on_found(self, found: tuple[Finding, ...]) -> None:
        self._viewer.state.tab = self.name
        self._show_outcome(found)

    def _on_tab(self, tab: str, **_state: object) -> None:
        """Show the handles of boxes on this tab and on tabs whose tool does not handle clicks."""
        self._session.editor.is_enabled = tab == self.name or tab not in self._viewer.click_handlers
        self._refresh()

    def _on_click(self, node: slicer.vtkMRMLSliceNode, at: Point) -> bool:
        if node not in self._slice_nodes():
            return False
        finding = self._session.at(at)
        if finding is not None:
            self._viewer.attempt(self._session.nodes.select, finding.uid)
        return finding is not None

    def _on_placed(self, finding: Finding) -> None:
        self._viewer.attempt(self._call_session, "follow_new", finding.uid)

    def _on_refused(self, error: Exception) -> None:
        self._viewer.show_message(str(error), "error")
