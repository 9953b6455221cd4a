"""The rows of a list of findings: a button that goes to the finding, the field for a new name, and small buttons."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from trame.widgets import html

from oncotrack.web.attributes import raw
from oncotrack.web.panels.rename_field import rename_field

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

RENAME = "renaming = row.uid; new_label = row.label"
"""JavaScript that opens the field for a row's new name."""


def finding_rows(
    viewer: Viewer,
    rows: str,
    *,
    title: str,
    details: Callable[[], None],
    buttons: Callable[[], None],
    prefix: str = "",
    before: Callable[[], None] = lambda: None,
    rename: dict[str, str],
    tip: tuple[str] | None = None,
    depends_on: str = "",
    **attributes: str | tuple[str],
) -> None:
    """Create a list with one row for each finding; a click on a row goes to its finding.

    Parameters
    ----------
    viewer : Viewer
    rows : str
        JavaScript expression of the rows; each has ``uid``, ``label``, ``icon`` and ``is_current``, and may have ``stamp``, a
        text that changes with everything but ``is_current``, so that the page need not compare the rest.
    title : str
        What follows the name, as a template of the page.
    details, buttons, before : callable
        Create the elements below the name, at the right end and at the left end of a row.
    prefix : str
        Prefix of the tool's commands ``go_to`` and ``rename``.
    rename : mapping
        Attributes of the field for a new name, as in `raw`.
    tip : tuple of str, optional
        JavaScript expression of each row's tooltip.
    depends_on : str, optional
        JavaScript expression of all that a row shows beside its own values. With it only rows that have changed are drawn
        again, which lists of hundreds of findings need.
    **attributes
        Attributes of each row, as in `raw`.
    """
    content = "row.stamp || JSON.stringify(row), row.is_current"
    memo = f"[{content}, renaming === row.uid && new_label, {depends_on}]"
    with (
        html.Ul(classes="findings"),
        html.Li(
            v_for=(f"row in {rows}",),
            key="row.uid",
            classes=("row.is_current ? 'finding current' : 'finding'",),
            click=(viewer.run, f"['{prefix}go_to', row.uid]"),
            **({"title": tip} if tip else {}),
            **raw(**attributes, **({"v_memo": memo} if depends_on else {})),
        ),
    ):
        before()
        html.I(classes=("['mdi', 'row-icon', row.icon]",), **raw(aria_hidden="true"))
        with html.Div(classes="finding-text"):
            with html.Button(
                type="button",
                classes="finding-title",
                v_if=("renaming !== row.uid",),
                **raw(aria_current=("row.is_current ? 'true' : undefined",)),
            ):
                html.Span("{{ row.label }}", classes="name")
                html.Span(title)
            rename_field(f"{prefix}rename", **rename)
            details()
        with html.Span(classes="finding-buttons", **raw('@click.stop=""')):
            buttons()


def row_button(title: str, icon: str, attribute: dict[str, str], **how: object) -> None:
    """Create a small button in a row; its name for screen readers says to which finding it belongs.

    It is no component of Vuetify, of which thousands would take seconds to create.
    """
    with html.Button(
        type="button",
        classes="row-button",
        title=title,
        **how,
        **raw(aria_label=(f"'{title}: ' + row.label",), **attribute),
    ):
        html.I(classes=f"mdi {icon}", **raw(aria_hidden="true"))
