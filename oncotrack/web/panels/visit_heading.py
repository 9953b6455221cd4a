"""The heading of a visit's column in a table: a button that shows the visit; its lines break between words only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trame.widgets import html

from oncotrack.scene.commands import FINDINGS, commands_of
from oncotrack.web.attributes import raw

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_TIP = commands_of(FINDINGS)["show_visit"].tip


def visit_heading(viewer: Viewer, **attributes: object) -> None:
    """Create the button inside a loop over ``(head, visit)``; a date or "follow-up" is not broken at its hyphen.

    Parameters
    ----------
    viewer : Viewer
    **attributes
        As in `raw`.
    """
    with html.Button(type="button", title=_TIP, click=(viewer.run, "['show_visit', visit, '']"), **raw(**attributes)):
        html.Span("{{ word + ' ' }}", v_for="(word, n) in head.split(' ')", key="n", classes="unbroken")
