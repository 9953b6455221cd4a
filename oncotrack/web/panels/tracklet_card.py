"""The card of the current node's slice boxes: a description of the box in the slice shown, and its edits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.scene.detection import panel
from oncotrack.scene.detection.detection import DetectionScene
from oncotrack.web.attributes import raw
from oncotrack.web.panels.scan_tool import NODES
from oncotrack.web.tools import Command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_EDITS = (
    ("add_box", "mdi-plus-box-outline"),
    ("delete_box", "mdi-minus-box-outline"),
    ("extend_up", "mdi-arrow-expand-up"),
    ("extend_down", "mdi-arrow-expand-down"),
    ("trim_above", "mdi-border-top-variant"),
    ("trim_below", "mdi-border-bottom-variant"),
    ("split", "mdi-call-split"),
)
"""Command and icon."""


class TrackletCard:
    """A button for each edit; boxes are moved and resized by dragging them in the slice.

    Parameters
    ----------
    viewer : Viewer
    session : DetectionScene
    call_session : callable
        Calls a method of the session by its name; long work is queued.
    make_command : callable
        `ScanTool.make_command` of the tool.
    """

    def __init__(
        self,
        viewer: Viewer,
        session: DetectionScene,
        call_session: Callable[..., None],
        make_command: Callable[..., Command],
    ) -> None:
        self._viewer, self._session, self._call_session, self._make_command = (
            viewer,
            session,
            call_session,
            make_command,
        )
        viewer.state.update({"node_slice": "", "mergeable": [], "merge_with": None})
        viewer.state.change("merge_with")(lambda **_state: viewer.refresh_commands())

    @property
    def commands(self) -> Sequence[Command]:
        """One for each edit, and merging."""
        edits = (self._make_command(name, icon) for name, icon in _EDITS)
        return (
            *edits,
            self._make_command("merge", "mdi-call-merge", self._merge, lambda: bool(self._viewer.state.merge_with)),
        )

    def build(self) -> None:
        """Create the description of the slice, the edits and the choice of the node to merge with."""
        commands = {command.name: command for command in self.commands}
        with html.Div(v_if=("node_slice",), **raw(data_node_slice="yes")):
            html.H2("Boxes in the slices")
            html.P("{{ node_slice }}", classes="quiet")
            html.P("Drag its corners and edges to resize the box, its middle to move it.", classes="quiet")
            with html.Div(classes="d-flex flex-wrap my-2", style="gap: 6px;"):
                for name, _icon in _EDITS:
                    NODES.button(self._viewer, commands[NODES.prefix + name], has_title=True)
            with html.Div(classes="d-flex align-center", style="gap: 6px;", v_if=("mergeable.length",)):
                v.VSelect(
                    v_model=("merge_with",), items=("mergeable",), label="Merge with", density="compact",
                    variant="outlined", hide_details=True, **raw(data_merge_with="yes"),
                )  # fmt: skip
                NODES.button(self._viewer, commands[f"{NODES.prefix}merge"], has_title=True)

    def refresh(self) -> None:
        """Update the page's state from the session."""
        state = self._viewer.state
        state.node_slice = panel.slice_text(self._session)
        choices = [{"title": words, "value": uid} for uid, words in panel.mergeable(self._session)]
        if choices != state.mergeable:
            state.mergeable, state.merge_with = choices, choices[0]["value"] if choices else None

    def _merge(self) -> None:
        self._call_session("editor.merge", self._viewer.state.merge_with)
