"""The measurements in a report: a table below the findings."""

from __future__ import annotations

import html

from oncotrack.findings.finding_list import FindingList


def measurements_section(findings: FindingList) -> str:
    """Return the table of the measurements as HTML; "" without measurements."""
    if not findings.measurements:
        return ""
    labels = {time_point.id: time_point.label for time_point in findings.time_points}
    body = "".join(
        "<tr><td>"
        + "<td>".join(map(html.escape, (each.label, each.tool.value, labels.get(each.time_point, ""), each.text)))
        for each in findings.measurements
    )
    return f"<section><h2>Measurements</h2><table><tr><th>Label<th>Tool<th>Scan<th>Value</tr>{body}</table></section>"
