"""The report of a response: the table, the plot, and the sentences that explain them; without pictures of the scans."""

from __future__ import annotations

import html
from pathlib import Path

from oncotrack.report.page import png, write_page
from oncotrack.report.response_plots import plot_course
from oncotrack.response.result import CRITERIA, CourseResponse
from oncotrack.response.table import sentences, table

_KEY = "Diameters in mm: long axes, short axes of lymph nodes. NE: not evaluable. Dash: not assessed."


def write_response_report(path: str | Path, result: CourseResponse) -> Path:
    """Write the report, which needs no other file and no network, and return its path.

    Parameters
    ----------
    path : path
        The HTML file.
    result : CourseResponse
        Of one patient.
    """
    head, *rows = table(result)
    cells = "".join(f"<tr><td>{'<td>'.join(map(html.escape, row))}</tr>" for row in rows)
    plot = f'<section><img alt="Diameters over time" src="data:image/png;base64,{png(plot_course(result))}"></section>'
    why = "".join(f"<li>{html.escape(sentence)}" for sentence in sentences(result))
    title = f"Response by {CRITERIA[result.criteria]}" + (f": {result.course.name}" if result.course.name else "")
    return write_page(
        path,
        title,
        f"Best overall response: {result.best.response.value}",
        f"<tr><th>{'<th>'.join(map(html.escape, head))}</tr>{cells}",
        _KEY,
        [plot, f"<section><h2>How each response was reached</h2><ul>{why}</ul></section>"],
    )
