"""Room for tools: each brings commands (button, key, tooltip) and a panel; the shell knows none of them by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer


@dataclass(frozen=True)
class Command:
    """Something a reader can do.

    `key` is a key as browsers name it, with "Ctrl+" before it where wanted ("n", "Ctrl+z"). `enabled` and `active`
    are expressions over the page's state. `is_in_bar` puts its button into the bar above the views.
    """

    name: str
    title: str
    icon: str
    run: Callable[..., object]
    key: str = ""
    enabled: str = "true"
    active: str = ""
    is_in_bar: bool = True

    @property
    def tooltip(self) -> str:
        """What the button does, with its key."""
        return f"{self.title} ({self.key.upper() if len(self.key) == 1 else self.key})" if self.key else self.title


class Tool(Protocol):
    """A tab of the side panel with its commands."""

    name: str
    title: str
    icon: str

    @property
    def commands(self) -> Sequence[Command]:
        """What it adds to the bar and the keyboard."""
        ...

    def build(self) -> None:
        """Make its panel's elements; called once, inside the panel's container."""
        ...


ToolFactory = Callable[["Viewer"], Tool]
_factories: list[ToolFactory] = []


def add_tool(factory: ToolFactory) -> ToolFactory:
    """Say, before the viewer starts, that it shall have this tool; tabs come in the order of these calls."""
    if factory not in _factories:
        _factories.append(factory)
    return factory


def tools_for(viewer: Viewer, first: Sequence[ToolFactory]) -> list[Tool]:
    """The viewer's tools: those it always has, then those that were added."""
    return [factory(viewer) for factory in (*first, *_factories)]
