"""The table of findings in the scene, one row per finding."""

from __future__ import annotations

import csv
import io
import math

import slicer
import vtk

from oncotrack.findings.finding import Observation
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.sizes import length_text
from oncotrack.findings.visit_table import state


def rows(findings: FindingList) -> list[list[str]]:
    """Return the headings and one row per finding, as text: lengths in mm, positions in RAS mm, "" where unknown."""
    heading = ["Label", "Kind", "Site", "Role"]
    for time_point in findings.time_points:
        heading += [
            f"{time_point.label}: {what}"
            for what in ("state", "position (R A S)", "long axis (mm)", "short axis (mm)", "trust: cycle error (mm)")
        ]
    table = [heading]
    for finding in findings:
        row = [finding.label, finding.kind.value, finding.site, finding.role.value]
        for time_point in findings.time_points:
            row += _cells(finding.at(time_point.id))
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
        return [""] * 5
    error = observation.evidence.cycle_error_mm if observation.evidence else None
    return [
        state(observation),
        " ".join(f"{value:.1f}" for value in observation.centre),
        length_text(observation.long_axis),
        length_text(observation.short_axis),
        f"{error:.1f}" if error is not None and math.isfinite(error) else "",
    ]
