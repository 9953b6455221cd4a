"""The table of findings in the scene, one row per finding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import slicer
import vtk

from oncotrack.findings.csv_text import csv_text
from oncotrack.findings.finding import Finding, Observation, State, TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.sizes import change_text, length_text
from oncotrack.findings.visit_table import state

_COLUMNS = (
    "state", "position (R A S)", "long axis (mm)", "short axis (mm)", "axes from", "volume (ml)", "reverse check (mm)",
    "doubtful",
)  # fmt: skip


class FindingsTable:
    """Draws the table, and computes and changes the rows of changed findings only."""

    def __init__(self) -> None:
        self._heading: list[str] = []
        self._rows: dict[str, tuple[Finding, list[str]]] = {}

    def draw(self, node: slicer.vtkMRMLTableNode, findings: FindingList) -> None:
        """Write the rows into a table node, which is locked because it cannot be edited: it is a view of the list."""
        heading, time_points, before = _heading(findings.time_points), findings.time_points, self._rows
        is_same = heading == self._heading and list(before) == [finding.uid for finding in findings]
        kept = before if heading == self._heading else {}
        self._heading = heading
        self._rows = {
            finding.uid: kept[finding.uid]
            if finding.uid in kept and kept[finding.uid][0] is finding
            else (finding, _row(finding, time_points))
            for finding in findings
        }
        table = node.GetTable()
        if is_same and table is not None and table.GetNumberOfRows() == len(self._rows):
            for number, (uid, entry) in enumerate(self._rows.items()):
                if entry is not before[uid]:
                    for index, cell in enumerate(entry[1]):
                        table.GetColumn(index).SetValue(number, cell)
            table.Modified()
            return
        self._build(node)

    def _build(self, node: slicer.vtkMRMLTableNode) -> None:
        table = vtk.vtkTable()
        for index, title in enumerate(self._heading):
            column = vtk.vtkStringArray()
            column.SetName(title)
            for _finding, row in self._rows.values():
                column.InsertNextValue(row[index])
            table.AddColumn(column)
        node.SetUseColumnTitleAsColumnHeader(True)
        node.SetAndObserveTable(table)
        node.SetLocked(True)


def rows(findings: FindingList) -> list[list[str]]:
    """Return the headings and one row per finding, as text: lengths in mm, positions in RAS mm, "" where unknown."""
    time_points = findings.time_points
    return [_heading(time_points), *(_row(finding, time_points) for finding in findings)]


def _heading(time_points: Sequence[TimePoint]) -> list[str]:
    heading = ["Label", "Kind", "Role", "Side", "Organ or station", "Comment", "Reader"]
    for time_point in time_points:
        heading += [f"{time_point.label}: {what}" for what in _COLUMNS]
    return heading + [f"{later.label}: change since {earlier.label}" for earlier, later in pairwise(time_points)]


def _row(finding: Finding, time_points: Sequence[TimePoint]) -> list[str]:
    row = [finding.label, finding.kind.value, finding.role.value, finding.side.value, finding.site]
    row += [finding.comment, finding.reader]
    for time_point in time_points:
        row += _cells(finding.at(time_point.id))
    seen = [finding.at(time_point.id) for time_point in time_points]
    return row + [change_text(earlier, later) for earlier, later in pairwise(seen)]


def to_csv(findings: FindingList) -> str:
    """Return the rows as comma-separated text (RFC 4180)."""
    return csv_text(rows(findings))


def _cells(observation: Observation | None) -> list[str]:
    if observation is None:
        return [""] * len(_COLUMNS)
    has_match = observation.evidence is not None and observation.state is not State.ABSENT
    error = observation.evidence.cycle_error_mm if has_match else None
    volume = observation.volume_mm3
    is_sized = observation.is_there and (observation.long_axis or observation.short_axis)
    return [
        state(observation),
        " ".join(f"{value:.1f}" for value in observation.centre),
        length_text(observation.long_axis) if observation.is_there else "",
        length_text(observation.short_axis) if observation.is_there else "",
        ("slice box" if observation.has_box_axes else "measured") if is_sized else "",
        "" if volume is None or not observation.is_there else f"{volume / 1000:.3f}",
        f"{error:.1f}" if error is not None and math.isfinite(error) else "",
        " ".join(observation.doubts),
    ]
