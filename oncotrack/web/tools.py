"""The interface between the frame of the page and its tools: a tool has commands (button, key, tooltip) and a panel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from oncotrack.scene.commands import ReaderCommand

_KEY_TEXTS = {
    " ": "Space",
    "ArrowUp": "Arrow up, arrow left, Page Up",
    "ArrowDown": "Arrow down, arrow right, Page Down",
}


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Command:
    """A command on the page.

    Attributes
    ----------
    name : str
        Unique among all tools; the page sends it to the server.
    title : str
        Text of its button.
    tooltip : str
        Tooltip of its button, with the key.
    icon : str
        Name of a Material Design icon.
    run : callable
        Called with the arguments that the page sent.
    key : str
        A key as browsers name it, with modifiers ("n", "Ctrl+z", "Ctrl+Shift+z"); empty for none.
    is_possible : callable
        Returns whether the command can be used now; called again when its key was pressed.
    active : str
        JavaScript expression over the page's state: whether the button is highlighted.
    is_in_bar : bool
        Whether its button is in the bar above the views.
    """

    name: str
    title: str
    tooltip: str
    icon: str
    run: Callable[..., object]
    key: str = ""
    is_possible: Callable[[], bool] = _always
    active: str = ""
    is_in_bar: bool = True

    @property
    def key_text(self) -> str:
        """The key as it stands on a keyboard."""
        parts = (_KEY_TEXTS.get(part, part) for part in self.key.split("+"))
        return "+".join(part.upper() if len(part) == 1 else part for part in parts)

    @property
    def enabled(self) -> str:
        """JavaScript expression over the page's state: whether the command is possible."""
        return f"enabled.includes('{self.name}')"


def page_command(
    entry: ReaderCommand,
    icon: str,
    run: Callable[..., object],
    is_possible: Callable[[], bool] = _always,
    *,
    prefix: str = "",
    active: str = "",
    is_in_bar: bool = False,
) -> Command:
    """Create the page's command for an entry of the table that desktop and browser share.

    Parameters
    ----------
    entry : ReaderCommand
        Gives name, title, tooltip and key.
    icon, run, is_possible, active, is_in_bar
        As in `Command`.
    prefix : str
        Before the name, where several tools have a command of that name.
    """
    return Command(
        prefix + entry.name, entry.title, entry.tooltip, icon, run, entry.browser_key, is_possible, active, is_in_bar
    )


class Tool(Protocol):
    """A tab of the side panel with its commands."""

    name: str
    title: str
    icon: str

    @property
    def commands(self) -> Sequence[Command]:
        """Commands of its buttons and keys."""
        ...

    def build(self) -> None:
        """Create its panel's elements; called once, inside the panel's container."""
        ...
