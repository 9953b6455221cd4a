"""The slice boxes of the current node: a description of the box in the slice shown, and its edits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
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
    ("add_box", "Add box", "Copy the nearest box to this slice", "mdi-plus-box-outline", "b"),
    ("delete_box", "Delete box", "Delete the box of this slice", "mdi-minus-box-outline", "Backspace"),
    ("extend_up", "Follow up", "Follow this slice's box towards the head anew", "mdi-arrow-expand-up", "u"),
    ("extend_down", "Follow down", "Follow this slice's box towards the feet anew", "mdi-arrow-expand-down", "j"),
    ("trim_above", "Cut above", "Delete the boxes nearer to the head than this slice", "mdi-border-top-variant", ""),
    ("trim_below", "Cut below", "Delete the boxes nearer to the feet than this slice", "mdi-border-bottom-variant", ""),
    ("split", "Split here", "Two nodes: the slices before this one, and from it on", "mdi-call-split", "c"),
)
"""Method of the editor, button, tooltip, icon, key."""


class TrackletCard:
    """Buttons for the edits; boxes are moved and resized by dragging them in the slice.

    Parameters
    ----------
    viewer : Viewer
    session : DetectionScene
    do : callable
        Runs a method of the session by its name; long work is queued.
    can : callable
        Returns a function that tells whether a method of the session can be used now.
    """

    def __init__(
        self,
        viewer: Viewer,
        session: DetectionScene,
        do: Callable[..., None],
        can: Callable[[str], Callable[[], bool]],
    ) -> None:
        self._viewer, self._session, self._do, self._can = viewer, session, do, can
        viewer.state.update({"node_slice": "", "mergeable": [], "merge_with": None})
        viewer.state.change("merge_with")(lambda **_state: viewer.refresh_commands())

    @property
    def commands(self) -> Sequence[Command]:
        """One for each edit, and merging."""
        edits = (
            Command(f"{NODES.prefix}{name}", tip, icon, partial(self._do, f"editor.{name}"), key, self._can(f"editor.{name}"),
                    is_in_bar=False)
            for name, _title, tip, icon, key in _EDITS
        )  # fmt: skip
        can_merge = self._can("editor.merge")
        merge = Command(f"{NODES.prefix}merge", "Make both the same node", "mdi-call-merge", self._merge,
                        is_possible=lambda: can_merge() and bool(self._viewer.state.merge_with), is_in_bar=False)  # fmt: skip
        return (*edits, merge)

    def build(self) -> None:
        """Create the description of the slice, the edits and the choice of the node to merge with."""
        commands = {command.name: command for command in self.commands}
        with html.Div(v_if=("node_slice",), **raw(data_node_slice="yes")):
            html.H2("Boxes in the slices")
            html.P("{{ node_slice }}", classes="quiet")
            html.P("Drag its corners and edges to resize the box, its middle to move it.", classes="quiet")
            with html.Div(classes="d-flex flex-wrap my-2", style="gap: 6px;"):
                for name, title, *_rest in _EDITS:
                    NODES.button(self._viewer, commands[NODES.prefix + name], title)
            with html.Div(classes="d-flex align-center", style="gap: 6px;", v_if=("mergeable.length",)):
                v.VSelect(
                    v_model=("merge_with",), items=("mergeable",), label="Merge with", density="compact",
                    variant="outlined", hide_details=True, **raw(data_merge_with="yes"),
                )  # fmt: skip
                NODES.button(self._viewer, commands[f"{NODES.prefix}merge"], "Merge")

    def refresh(self) -> None:
        """Update the page's state from the session."""
        state = self._viewer.state
        state.node_slice = panel.slice_words(self._session)
        choices = [{"title": words, "value": uid} for uid, words in panel.mergeable(self._session)]
        if choices != state.mergeable:
            state.mergeable, state.merge_with = choices, choices[0]["value"] if choices else None

    def _merge(self) -> None:
        self._do("editor.merge", self._viewer.state.merge_with)
