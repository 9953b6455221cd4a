"""The Measure tab: distance, diameters, angle and region on any slice, and the list of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from trame.widgets import html

from oncotrack.findings.measurement import Measurement, Tool, area_text, value_text
from oncotrack.scene.commands import MEASURE, commands_of
from oncotrack.scene.measuring.measuring import Measuring
from oncotrack.web.attributes import raw
from oncotrack.web.panels.command_button import command_button
from oncotrack.web.panels.finding_rows import RENAME, finding_rows, row_button
from oncotrack.web.tools import Command, page_command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_TABLE = commands_of(MEASURE)
_ICONS = {
    Tool.RULER: "mdi-ruler",
    Tool.BIDIRECTIONAL: "mdi-arrow-expand-all",
    Tool.ANGLE: "mdi-angle-acute",
    Tool.ELLIPSE: "mdi-ellipse-outline",
}


class MeasureTool:
    """The tab of the measurements; a click on a row shows the measurement in the views.

    Parameters
    ----------
    viewer : Viewer
        Its state gets `measurements` (one row each), `measure_tool` (what is being placed) and `measure_hint`.
    """

    name, title, icon = "measure", "Measure", "mdi-ruler"

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._measuring = Measuring(viewer.session.scene, viewer.session.name_time_points)
        viewer.state.update({"measurements": [], "measure_tool": "", "measure_hint": ""})
        viewer.updates.on(self._measuring.changed, self._show)
        self._measuring.refused.connect(lambda error: viewer.show_message(str(error), "error"))
        viewer.click_handlers[self.name] = lambda _node, _at: False  # clicks on this tab follow no lesion
        viewer.state.change("tab")(self._on_tab)
        viewer.closed.connect(lambda: self._measuring.close())

    @property
    def commands(self) -> Sequence[Command]:
        """The tools, and the commands of a row."""
        return (
            *(page_command(_TABLE[f"measure_{tool.value}"], icon, partial(self._begin, tool), self._has_scan,
                           active=f"measure_tool === '{tool.value}'") for tool, icon in _ICONS.items()),
            page_command(_TABLE["measure_go_to"], "mdi-target", self._go_to),
            page_command(_TABLE["measure_rename"], "mdi-pencil", lambda uid, label: self._measuring.rename(uid, label)),
            page_command(_TABLE["measure_remove"], "mdi-delete-outline", self._measuring.remove),
            page_command(_TABLE["measure_make_lesion"], "mdi-plus-circle-outline", self._make_lesion),
        )  # fmt: skip

    def build(self) -> None:
        """Create the tools' buttons and the rows."""
        commands = {command.name: command for command in self.commands}
        with html.Div(style="display: flex; gap: 6px; flex-wrap: wrap;"):
            for tool in Tool:
                name = f"measure_{tool.value}"
                command_button(self._viewer, commands[name], _TABLE[name].title, data_measure=tool.value)
        html.P(
            "{{ measure_hint }}", classes="my-2", v_if=("measure_hint",), **raw(role="status", data_measure_hint="yes")
        )
        html.P(
            "Nothing is measured yet. Choose a tool, then click its points on any slice. To measure a lesion in both scans, use "
            "Measure in the tab Findings.",
            classes="quiet my-2",
            v_if=("!measurements.length && !measure_hint",),
        )
        finding_rows(
            self._viewer,
            "measurements",
            title="{{ ' · ' + row.text }}",
            details=self._details,
            buttons=self._buttons,
            prefix="measure_",
            rename={"rows": "measurements", "data_rename": "yes"},
            data_measurement=("row.label",),
        )

    @staticmethod
    def _details() -> None:
        html.Div("{{ line }}", classes="more", v_for=("line in row.more",), key="line")

    def _buttons(self) -> None:
        icons = {"measure_rename": "mdi-pencil", "measure_make_lesion": "mdi-plus-circle-outline",
                 "measure_remove": "mdi-delete-outline"}  # fmt: skip
        for name, icon in icons.items():
            how = (
                {"click": RENAME} if name == "measure_rename" else {"click": (self._viewer.run, f"['{name}', row.uid]")}
            )
            if name == "measure_make_lesion":
                how["v_if"] = ("row.is_bidirectional",)
            row_button(_TABLE[name].title, icon, {"data_measure_action": name}, **how)

    def _begin(self, tool: Tool) -> None:
        self._measuring.begin(tool)

    def _go_to(self, uid: str) -> None:
        session, measurement = self._viewer.session, self._measuring.measurements[uid]
        rows = {
            session.baseline_id: session.baseline_row,
            session.followup_id: session.followup_row,
            session.third.time_point: session.third.row,
        }
        row = rows.get(measurement.time_point)
        if row is None:
            self._viewer.show_message(f"{measurement.label} was measured on a scan that is not shown.")
            return
        with session.linking.paused():
            row.jump(measurement.centre)

    def _make_lesion(self, uid: str) -> None:
        finding = self._measuring.make_finding(uid)
        self._viewer.show_message(f"{finding.label} is in the list of findings now.")

    def _on_tab(self, tab: str, **_state: object) -> None:
        if tab != self.name:
            self._measuring.cancel()

    def _show(self) -> None:
        state, session = self._viewer.state, self._viewer.session
        labels = {time_point.id: time_point.label for time_point in session.findings.time_points}
        state.measurements = [_row(each, labels.get(each.time_point, "")) for each in self._measuring.measurements]
        state.measure_tool = self._measuring.tool.value if self._measuring.tool else ""
        state.measure_hint = self._measuring.hint

    def _has_scan(self) -> bool:
        return self._viewer.session.baseline is not None or self._viewer.session.followup is not None


def _row(measurement: Measurement, scan: str) -> dict[str, Any]:
    more, seen = [scan], measurement.statistics
    if seen is not None:
        more.append(f"minimum {value_text(seen.lowest, seen.unit)}, maximum {value_text(seen.highest, seen.unit)}")
        more.append(f"{area_text(measurement.area_mm2)}, {seen.voxels} voxel{'s' * (seen.voxels != 1)}")
    elif measurement.tool is Tool.ELLIPSE:
        more.append("outside the scan")
    return {
        "uid": measurement.uid,
        "label": measurement.label,
        "tool": measurement.tool.value,
        "text": measurement.text,
        "more": more,
        "icon": _ICONS[measurement.tool],
        "is_current": False,
        "is_bidirectional": measurement.tool is Tool.BIDIRECTIONAL,
        "points": [[round(value, 3) for value in each] for each in measurement.points_ras],
    }
