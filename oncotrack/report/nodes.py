"""A self-contained page of a scan's detected lymph nodes: a table, and each node on its largest slice."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from oncotrack.findings.finding import Finding, Observation
from oncotrack.images.volume import Volume
from oncotrack.report.page import BACKGROUND, choose_window, draw_slice, png, write_page

_HALF_MM = 35.0
_COLUMNS, _ROWS = 5, 4
_KEY = (
    "Each node on the slice where its box is largest, 7 x 7 cm; the patient's right is on the left. Axes are the edges of "
    "that box. Enlarged: short axis of 10 mm or more; measurable: 15 mm or more (RECIST 1.1)."
)


def size_word(short_mm: float) -> str:
    """RECIST 1.1: a node of 10 mm short axis is enlarged, of 15 mm measurable; else nothing is said."""
    return "measurable" if short_mm >= 15 else "enlarged" if short_mm >= 10 else ""


def write_node_report(
    path: str | Path, volume: Volume, findings: Sequence[Finding], time_point: str, *, note: str = ""
) -> Path:
    """Write the page.

    Parameters
    ----------
    findings : sequence of Finding
        As a detector gives them; each has a tracklet and axes at `time_point`.
    note : str
        What the reader must know of the scan or of the detector.
    """
    head = "<tr><th>Node<th>R A S (mm)<th>Axes (mm)<th>Size<th>Side<th>Slices<th>Score</tr>"
    rows = [_row(finding, finding.at(time_point)) for finding in findings]
    page = _COLUMNS * _ROWS
    sheets = [
        f'<section><img alt="Nodes {n + 1} to {min(n + page, len(findings))}" src="data:image/png;base64,'
        f'{_sheet(volume, findings[n : n + page], time_point)}"></section>'
        for n in range(0, len(findings), page)
    ]
    told = f"{note} {len(findings)} nodes were proposed in {volume.name}.".strip()
    return write_page(path, "Lymph nodes", told, head + "".join(rows), _KEY, sheets)


def _row(finding: Finding, seen: Observation) -> str:
    cells = [
        finding.label,
        "{:.1f}, {:.1f}, {:.1f}".format(*seen.centre),
        f"{seen.long_axis.length_mm:.1f} x {seen.short_axis.length_mm:.1f}",
        size_word(seen.short_axis.length_mm),
        finding.site,
        str(len(seen.tracklet.boxes)),
        f"{seen.score:.2f}",
    ]
    return "<tr><td>" + "<td>".join(html.escape(cell) for cell in cells) + "</tr>"


def _sheet(volume: Volume, findings: Sequence[Finding], time_point: str) -> str:
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    rows = -(-len(findings) // _COLUMNS)
    figure = Figure(figsize=(11, 2.35 * rows), facecolor=BACKGROUND)
    cells = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axes in cells[len(findings) :]:
        axes.axis("off")
    for axes, finding in zip(cells, findings, strict=False):
        tracklet = finding.at(time_point).tracklet
        box = max(tracklet.boxes, key=lambda b: (b.high[0] - b.low[0]) * (b.high[1] - b.low[1]))
        corners = np.array(tracklet.corners(box))
        centre = corners.mean(0)
        title = f"{finding.label}  {finding.at(time_point).score:.2f}"
        draw_slice(axes, volume, centre, choose_window(volume, centre), title, _HALF_MM)
        low, high = corners.min(0) - centre, corners.max(0) - centre
        for colour, width in (("black", 2.6), ("#ffd24d", 1.2)):
            axes.add_patch(Rectangle(low[:2], *(high - low)[:2], fill=False, edgecolor=colour, linewidth=width))
    figure.subplots_adjust(0.005, 0.005, 0.995, 0.96, wspace=0.02, hspace=0.13)
    return png(figure)
