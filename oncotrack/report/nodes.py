"""The report of a scan's detected lymph nodes: a table, and each node on its largest slice."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oncotrack.findings.finding import Finding, Observation, Point
from oncotrack.findings.sizes import axes_text, size_class
from oncotrack.findings.tracklet import Tracklet
from oncotrack.images.volume import Volume
from oncotrack.report.page import BACKGROUND, choose_window, draw_slice, labels_as_written, png, write_page
from oncotrack.report.scans import scans_text

_HALF_MM = 35.0
_COLUMNS, _ROWS = 5, 4
_KEY = (
    'Each node on the slice where its box is largest, 7 x 7 cm; the patient\'s right is on the left. Sizes after "box" are '
    "the sides of that box, no measured diameters. Enlarged: measured short axis of 10 mm or more; measurable: 15 mm or "
    "more (RECIST 1.1)."
)


@labels_as_written()
def write_node_report(
    path: str | Path, volume: Volume, findings: Sequence[Finding], time_point: str, *, note: str = ""
) -> Path:
    """Write the report.

    Parameters
    ----------
    path : path
        The HTML file.
    volume : Volume
        The scan.
    findings : sequence of Finding
        As a detector returns them, with tracklet and score at `time_point`; others are left out.
    time_point : str
        The scan's time point.
    note : str
        Remarks on the scan or on the detector.
    """
    head = "<tr><th>Node<th>R A S (mm)<th>Long x short<th>RECIST size<th>Side<th>Slices<th>Score</tr>"
    nodes = [node for finding in findings if (node := _Node.of(finding, time_point)) is not None]
    sheets = []
    for n in range(0, len(nodes), _COLUMNS * _ROWS):
        shown = nodes[n : n + _COLUMNS * _ROWS]
        sheets.append(
            f'<section><img alt="Nodes {n + 1} to {n + len(shown)}" src="data:image/png;base64,'
            f'{_sheet(volume, shown)}"></section>'
        )
    summary = f"{note} {len(nodes)} unchecked proposals in {volume.name}.\n{scans_text([('scan', volume)])}".strip()
    return write_page(path, "Lymph nodes", summary, head + "".join(map(_row, nodes)), _KEY, sheets)


@dataclass(frozen=True)
class _Node:
    """A finding with the values that the report shows."""

    finding: Finding
    centre: Point
    tracklet: Tracklet
    found: Observation
    score: float

    @classmethod
    def of(cls, finding: Finding, time_point: str) -> _Node | None:
        """Create from a finding; None if tracklet or score are missing."""
        found = finding.at(time_point)
        if found is None or found.tracklet is None or found.score is None:
            return None
        return cls(finding, found.centre, found.tracklet, found, found.score)


def _row(node: _Node) -> str:
    """Return a node's row of the table, HTML."""
    cells = [
        node.finding.label,
        "{:.1f}, {:.1f}, {:.1f}".format(*node.centre),
        axes_text(node.found),
        size_class(node.found),
        node.finding.place,
        str(len(node.tracklet.boxes)),
        f"{node.score:.2f}",
    ]
    return "<tr><td>" + "<td>".join(html.escape(cell) for cell in cells) + "</tr>"


def _sheet(volume: Volume, nodes: Sequence[_Node]) -> str:
    """Draw the nodes with their boxes; PNG in base64."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    rows = -(-len(nodes) // _COLUMNS)
    figure = Figure(figsize=(11, 2.35 * rows), facecolor=BACKGROUND)
    cells = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axes in cells[len(nodes) :]:
        axes.axis("off")
    for axes, node in zip(cells, nodes, strict=False):
        box = max(node.tracklet.boxes, key=lambda b: (b.high[0] - b.low[0]) * (b.high[1] - b.low[1]))
        corners = np.array(node.tracklet.corners(box))
        centre = corners.mean(0)
        title = f"{node.finding.label}  {node.score:.2f}"
        draw_slice(axes, volume, centre, choose_window(volume, centre), title, _HALF_MM)
        low, high = corners.min(0) - centre, corners.max(0) - centre
        for colour, width in (("black", 2.6), ("#ffd24d", 1.2)):
            axes.add_patch(Rectangle(low[:2], *(high - low)[:2], fill=False, edgecolor=colour, linewidth=width))
    figure.subplots_adjust(0.005, 0.005, 0.995, 0.96, wspace=0.02, hspace=0.13)
    return png(figure)
