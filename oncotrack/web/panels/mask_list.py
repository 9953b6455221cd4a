"""The list of one scan's findings with their measurements; a mask can be suggested for those without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trame.widgets import html

from oncotrack.scene.masks import panel
from oncotrack.scene.masks.recist import RecistScene
from oncotrack.web.attributes import raw
from oncotrack.web.panels.scan_tool import ICONS, MASKS
from oncotrack.web.table_rows import Known, kept_rows

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer


class MaskList:
    """Rows of the state's `masks`; a click on a row goes to its finding.

    Parameters
    ----------
    viewer : Viewer
    session : RecistScene
    """

    def __init__(self, viewer: Viewer, session: RecistScene) -> None:
        self._viewer, self._session = viewer, session
        self._known: Known = {}
        viewer.state.update({"masks": [], "mask_summary": ""})

    def refresh(self) -> None:
        """Update the rows from the session."""
        state, current = self._viewer.state, self._session.current
        state.mask_summary = panel.summary(self._session)
        time_point, uid = self._session.time_point, current.uid if current is not None else ""
        rows = kept_rows(
            self._known, self._session.shown, time_point, lambda each: _row(panel.line(each, each.at(time_point)))
        )
        state.masks = [row | {"is_current": row["uid"] == uid} for row in rows.values()]

    def build(self) -> None:
        """Create the summary and the rows."""
        html.P("{{ mask_summary }}", **raw(data_mask_summary="yes"))
        with html.Div(style="max-height: 26vh; overflow-y: auto;"):
            MASKS.rows(
                self._viewer,
                "{{ ' · ' + row.state + ' in the ' + visit_names[mask_scan === 'followup' ? 1 : 0] }}",
                self._details,
                self._suggest_button,
            )

    def _details(self) -> None:
        html.Div(
            "{{ row.long ? row.long + ' mm x ' + row.short + ' mm · ' : '' }}"
            "{{ row.volume ? row.volume + ' ml · ' : '' }}{{ row.mask === 'none' ? 'no mask' : row.mask }}",
            classes="more",
        )

    def _suggest_button(self) -> None:
        MASKS.row_button(MASKS.table["suggest"].title, "mdi-auto-fix", "suggest",
                         click=(self._viewer.run, f"['{MASKS.prefix}suggest', row.uid]"),
                         v_if=(f"row.mask === '{panel.NO_MASK}'",))  # fmt: skip


def _row(line: panel.MaskLine) -> dict[str, Any]:
    cells = dict(zip(("label", "state", "long", "short", "volume", "mask"), line.cells, strict=True))
    return {"uid": line.uid, "tip": line.tip, "icon": ICONS[line.cells[1]], **cells}
