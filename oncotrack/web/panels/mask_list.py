"""The list of one scan's findings with what they measure; those without a mask can have one proposed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.scene import recist_panel as panel
from oncotrack.scene.recist import RecistScene
from oncotrack.web.attributes import raw
from oncotrack.web.panels.mask_buttons import PREFIX
from oncotrack.web.rows import STATES

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_ICONS = {state.value: icon for state, (_words, icon) in STATES.items()}


class MaskList:
    """Shows the state's `masks`; a click goes there.

    Parameters
    ----------
    viewer : Viewer
    session : RecistScene
    """

    def __init__(self, viewer: Viewer, session: RecistScene) -> None:
        self._viewer, self._session = viewer, session
        viewer.state.update({"masks": [], "mask_summary": ""})

    def refresh(self) -> None:
        """Bring the rows up to the scene."""
        state, current = self._viewer.state, self._session.current
        state.mask_summary = panel.summary(self._session)
        state.masks = [
            {
                "uid": line.uid,
                "tip": line.tip,
                "is_current": current is not None and line.uid == current.uid,
                "icon": _ICONS[line.cells[1]],
                **dict(zip(("label", "state", "long", "short", "volume", "mask"), line.cells, strict=True)),
            }
            for line in panel.lines(self._session)
        ]

    def build(self) -> None:
        """Summary and rows."""
        html.P("{{ mask_summary }}", **raw(data_mask_summary="yes"))
        with html.Div(style="max-height: 26vh; overflow-y: auto;"):
            self._rows()

    def _rows(self) -> None:
        with html.Div(
            v_for=("row in masks",),
            key="row.uid",
            classes=("row.is_current ? 'finding current' : 'finding'",),
            tabindex="0",
            click=(self._viewer.run, f"['{PREFIX}go', row.uid]"),
            **raw(
                f"@keydown.enter.self=\"trigger('oncotrack.command', ['{PREFIX}go', row.uid])\"",
                role="button",
                title=("row.tip",),
                data_mask=("row.label",),
                data_state=("row.state",),
            ),
        ):
            v.VIcon(icon=("row.icon",), size="small", classes="mt-1")
            with html.Div(classes="finding-text"):
                with html.Div(v_if=("renaming !== row.uid",)):
                    html.Span("{{ row.label }}", classes="name")
                    html.Span("{{ ' · ' + row.state }}")
                v.VTextField(
                    v_if=("renaming === row.uid",), v_model=("new_label",), density="compact", hide_details=True,
                    autofocus=True, variant="outlined",
                    **raw(
                        f"@keydown.enter.stop=\"trigger('oncotrack.command', "
                        f"['{PREFIX}rename', row.uid, $event.target.value])\"",
                        "@keydown.esc.stop=\"renaming = ''\"",
                        '@click.stop=""',
                        data_mask_rename="yes",
                    ),
                )  # fmt: skip
                html.Div(
                    "{{ row.long ? row.long + ' × ' + row.short + ' mm · ' : '' }}"
                    "{{ row.volume ? row.volume + ' ml · ' : '' }}{{ row.mask === 'none' ? 'no mask' : row.mask }}",
                    classes="more",
                )
            with html.Span(**raw('@click.stop=""')):
                self._row_button("Propose its axes and mask", "mdi-auto-fix", "propose",
                                 click=(self._viewer.run, f"['{PREFIX}propose', row.uid]"),
                                 v_if=(f"row.mask === '{panel.NO_MASK}'",))  # fmt: skip
                self._row_button("Rename", "mdi-pencil", "rename", click="renaming = row.uid; new_label = row.label")

    def _row_button(self, title: str, icon: str, action: str, **how: object) -> None:
        v.VBtn(icon=icon, size="x-small", variant="text", title=title, **how,
               **raw(aria_label=title, data_mask_action=action))  # fmt: skip
