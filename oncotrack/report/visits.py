"""The report of lesions followed through several visits: a table with one column per visit, and pictures."""

from __future__ import annotations

import html
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from oncotrack.findings.finding import Finding, Observation, TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.sizes import change_text
from oncotrack.findings.visit_table import cell, description, headings, lines, tip
from oncotrack.images.volume import Volume
from oncotrack.report.measurements import measurements_section
from oncotrack.report.page import (
    BACKGROUND,
    MARKS,
    choose_window,
    draw_slice,
    labels_as_written,
    mark_finding,
    png,
    write_page,
)
from oncotrack.report.scans import scans_text

_KEY = f"{MARKS} Dash in the table: the lesion was not searched for. The patient's right is on the left."
_HALF_MM = 50.0
_ACROSS = 4


@labels_as_written()
def write_visits_report(
    path: str | Path,
    volumes: Sequence[Volume],
    findings: FindingList,
    *,
    title: str = "Lesions through the visits",
    note: str = "",
) -> Path:
    """Write the report, which needs no other file and no network.

    Parameters
    ----------
    path : path
        The HTML file.
    volumes : sequence of Volume
        One for each of the list's time points, in their order.
    findings : FindingList
        The lesions.
    title : str
        Title of the page.
    note : str
        Remarks on the images.
    """
    visits = findings.time_points
    heads = headings(visits)
    table = "<tr><th>Lesion<th>" + "<th>".join(map(html.escape, heads)) + "</tr>"
    for line in lines(visits, findings.findings):
        cells = (
            f'<td title="{html.escape(tip)}">{html.escape(text)}'
            for text, tip in zip(line.cells, line.tips, strict=True)
        )
        table += f"<tr><td>{html.escape(line.label)}{''.join(cells)}</tr>"
    sections = [_section(finding, visits, heads, volumes) for finding in findings]
    sections.append(measurements_section(findings))
    names = (visit.label for visit in visits)
    scans = scans_text(list(zip(names, volumes, strict=True)), findings.notes)
    return write_page(path, title, f"{note}\n{scans}".strip(), table, _KEY, sections)


def _section(finding: Finding, visits: Sequence[TimePoint], heads: Sequence[str], volumes: Sequence[Volume]) -> str:
    shown = [
        (head, volume, observation)
        for visit, head, volume in zip(visits, heads, volumes, strict=True)
        if (observation := finding.at(visit.id)) is not None
    ]
    remarks = [f"{head}: {tip(observation)}" for head, _volume, observation in shown if tip(observation)]
    remarks += [
        f"{head}: {change} since {earlier}."
        for (earlier, _before, seen), (head, _after, observation) in pairwise(shown)
        if (change := change_text(seen, observation))
    ]
    remarks[:0] = filter(None, (description(finding), finding.comment))
    return (
        f"<section><h2>{html.escape(finding.label)}</h2><p>{'<br>'.join(map(html.escape, remarks))}</p>"
        f'<img alt="{html.escape(finding.label)} at each visit" src="data:image/png;base64,{_picture(shown)}"></section>'
    )


def _picture(shown: Sequence[tuple[str, Volume, Observation]]) -> str:
    from matplotlib.figure import Figure

    across = min(len(shown), _ACROSS)
    down = -(-len(shown) // across)
    figure = Figure(figsize=(3.4 * across, 3.7 * down), facecolor=BACKGROUND)
    grid = figure.subplots(down, across, squeeze=False).ravel()
    for axes, (head, volume, observation) in zip(grid, shown, strict=False):
        draw_slice(
            axes,
            volume,
            observation.centre,
            choose_window(volume, observation.centre),
            f"{head}\n{cell(observation)}",
            _HALF_MM,
        )
        mark_finding(axes, "", observation)
    for axes in grid[len(shown) :]:
        axes.axis("off")
    figure.subplots_adjust(0.01, 0.01, 0.99, 1 - 0.45 / (3.7 * down), wspace=0.03, hspace=0.16)
    return png(figure)
