"""Commands of the panel of nodes: what makes them possible, and their buttons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oncotrack.web.panels.command_button import command_button
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
    command_button(viewer, command, title, data_node_command=command.name.removeprefix(PREFIX))
