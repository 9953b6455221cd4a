"""Commands of the panel of nodes: what makes them possible, and their buttons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trame.widgets import vuetify3 as v

from oncotrack.web.attributes import raw
from oncotrack.web.tools import Command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

PREFIX = "nodes."
"""The names of these commands begin with it, so that they stand beside those of following."""


def can(action: str) -> str:
    """Whether a method of `DetectionScene` ("accept", "editor.split") is possible now, as the page's expression."""
    return f"node_possible.includes('{action}')"


def button(viewer: Viewer, command: Command, title: str = "") -> None:
    """A button that runs a command; its icon alone without a title."""
    v.VBtn(
        title,
        **({"prepend_icon": command.icon} if title else {"icon": command.icon}),
        size="small",
        variant="tonal" if title else "text",
        disabled=(f"!({command.enabled})",),
        click=(viewer.run, f"['{command.name}']"),
        **raw(title=command.tooltip, aria_label=command.tooltip, data_node_command=command.name.removeprefix(PREFIX)),
    )
