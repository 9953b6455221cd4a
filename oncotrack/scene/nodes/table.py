"""The table of findings in the scene, one row per finding."""

from __future__ import annotations

import csv
import io
import math
from itertools import pairwise

import slicer
import vtk

from oncotrack.findings.finding import Observation, State
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.sizes import change_text, length_text
from oncotrack.findings.visit_table import state

_COLUMNS = (
    "state", "position (R A S)", "long axis (mm)", "short axis (mm)", "axes from", "volume (ml)", "reverse check (mm)",
    "doubtful",
)  # fmt: skip


def rows(findings: FindingList) -> list[list[str]]:
    """Return the headings and one row per finding, as text: lengths in mm, positions in RAS mm, "" where unknown."""
    heading = ["Label", "Kind", "Role", "Side", "Organ or station", "Comment", "Reader"]
    for time_point in findings.time_points:
        heading += [f"{time_point.label}: {what}" for what in _COLUMNS]
    pairs = list(pairwise(findings.time_points))
    heading += [f"{later.label}: change since {earlier.label}" for earlier, later in pairs]
    table = [heading]
    for finding in findings:
        row = [finding.label, finding.kind.value, finding.role.value, finding.side.value, finding.site]
        row += [finding.comment, finding.reader]
        for time_point in findings.time_points:
            row += _cells(finding.at(time_point.id))
        row += [change_text(finding.at(earlier.id), finding.at(later.id)) for earlier, later in pairs]
        table.append(row)
    return table


def draw_table(node: slicer.vtkMRMLTableNode, findings: FindingList) -> None:
    """Write the rows into a table node, which is locked because it cannot be edited: it is a view of the list."""
    table = vtk.vtkTable()
    heading, *body = rows(findings)
    for index, title in enumerate(heading):
        column = vtk.vtkStringArray()
        column.SetName(title)
        for row in body:
            column.InsertNextValue(row[index])
        table.AddColumn(column)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetAndObserveTable(table)
    node.SetLocked(True)


def to_csv(findings: FindingList) -> str:
    """Return the rows as comma-separated text (RFC 4180)."""
    text = io.StringIO()
    csv.writer(text).writerows(rows(findings))
    return text.getvalue()


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
