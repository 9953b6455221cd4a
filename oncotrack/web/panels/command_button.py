"""The button of a command in a panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trame.widgets import vuetify3 as v

from oncotrack.web.attributes import raw
from oncotrack.web.tools import Command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer


def command_button(viewer: Viewer, command: Command, title: str, **attributes: str) -> None:
    """Create a button that runs a command; without a title it shows the icon alone. `attributes` as in `raw`."""
    v.VBtn(
        title,
        **({"prepend_icon": command.icon} if title else {"icon": command.icon}),
        size="small",
        variant="tonal" if title else "text",
        disabled=(f"!({command.enabled})",),
        click=(viewer.run, f"['{command.name}']"),
        # the name for screen readers is what is seen; an icon has none of its own
        **raw(title=command.tooltip, **({} if title else {"aria_label": command.title}), **attributes),
    )
