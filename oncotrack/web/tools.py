"""The interface between the page's frame and its tools: a tool brings commands (button, key, tooltip) and a panel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Command:
    """Something a reader can do.

    Attributes
    ----------
    name : str
        Unique among all tools; the page sends it to the server.
    title : str
        What the command does, for the tooltip.
    icon : str
        Name of a Material Design icon.
    run : callable
        Called with the arguments that the page sent.
    key : str
        A key as browsers name it, after "Ctrl+" where needed ("n", "Ctrl+z"); empty for none.
    is_possible : callable
        Whether the command can be used now; asked again when its key arrives.
    active : str
        Expression over the page's state: whether the button is highlighted.
    is_in_bar : bool
        Whether its button is in the bar above the views.
    """

    name: str
    title: str
    icon: str
    run: Callable[..., object]
    key: str = ""
    is_possible: Callable[[], bool] = _always
    active: str = ""
    is_in_bar: bool = True

    @property
    def tooltip(self) -> str:
        """The title, with its key."""
        return f"{self.title} ({self.key.upper() if len(self.key) == 1 else self.key})" if self.key else self.title

    @property
    def enabled(self) -> str:
        """The page's expression for `is_possible`."""
        return f"enabled.includes('{self.name}')"


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
