"""The report of a response as a page and as a PDF: table, plots, pictures of every lesion, and the sentences that explain it."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oncotrack import __version__
from oncotrack.atomic import replacing, write_text
from oncotrack.errors import InputError
from oncotrack.findings.csv_text import csv_text
from oncotrack.findings.finding import Finding, TimePoint
from oncotrack.images.volume import Volume
from oncotrack.report.lesion_pictures import origin_text, picture_of
from oncotrack.report.page import labels_as_written, png, write_page
from oncotrack.report.response_plots import plot_course
from oncotrack.response.result import CRITERIA, CourseResponse
from oncotrack.response.table import plain_text, sentences, table

NOTICE = "Research use only; not a medical device."
_KEY = (
    "Diameters in mm: long axes, short axes of lymph nodes. NE: not evaluable. Dash: not assessed. In the pictures the long "
    "axis is yellow, the short axis blue; the patient's right is on the left, and all visits of a lesion have one scale."
)
_LINES_PER_PAGE, _LINE_LENGTH = 44, 150
_PICTURES_PER_PAGE, _USED, _PICTURE_DPI = 2, 0.88, 200


@dataclass(frozen=True)
class Scans:
    """The findings with their scans, in the order of the visits, for the pictures.

    Raises
    ------
    InputError
        There is not one scan for each visit.
    """

    time_points: Sequence[TimePoint]
    findings: Sequence[Finding]
    volumes: Sequence[Volume]

    def __post_init__(self) -> None:
        if len(self.volumes) != len(self.time_points):
            raise InputError(
                f"The findings have {len(self.time_points)} visits, but {len(self.volumes)} scans were given. Give one "
                "scan for each visit, in their order."
            )

    def of(self, uid: str) -> tuple[Any, str]:
        """Return the picture of a lesion, or None, and its provenance."""
        finding = next(each for each in self.findings if each.uid == uid)
        return picture_of(finding, self.time_points, self.volumes), origin_text(finding, self.time_points)


def write_response(folder: Path, stem: str, result: CourseResponse, scans: Scans | None = None) -> list[Path]:
    """Write the response as table (CSV), text, page and PDF, and return their paths.

    Parameters
    ----------
    folder : Path
        Where the files go.
    stem : str
        Their name without suffix.
    result : CourseResponse
        Of one patient.
    scans : Scans, optional
        For pictures of the lesions.
    """
    return [
        write_text(folder / f"{stem}.csv", csv_text(table(result), "\n")),
        write_text(folder / f"{stem}.txt", plain_text(result)),
        write_response_page(folder / f"{stem}.html", result, scans),
        write_response_pdf(folder / f"{stem}.pdf", result, scans),
    ]


@labels_as_written()
def write_response_page(path: str | Path, result: CourseResponse, scans: Scans | None = None) -> Path:
    """Write the report as a page that needs no other file and no network, and return its path.

    Parameters
    ----------
    path : path
        The HTML file.
    result : CourseResponse
        Of one patient.
    scans : Scans, optional
        For pictures of the lesions.
    """
    head, *rows = table(result)
    cells = "".join(f"<tr><td>{'<td>'.join(map(html.escape, row))}</tr>" for row in rows)
    why = "".join(f"<li>{html.escape(sentence)}" for sentence in sentences(result))
    return write_page(
        path,
        _title(result),
        f"Best overall response: {result.best.response.value}",
        f"<tr><th>{'<th>'.join(map(html.escape, head))}</tr>{cells}",
        _KEY,
        [
            *(
                [_section("Sum of diameters", _image(plot_course(result), "Diameters over time"))]
                if result.is_measured
                else []
            ),
            _section("How each response was reached", f"<ul>{why}</ul>"),
            *(_lesion_section(result, scans) if scans else []),
        ],
    )


@labels_as_written()
def write_response_pdf(path: str | Path, result: CourseResponse, scans: Scans | None = None) -> Path:
    """Write the report as a PDF, and return its path.

    Parameters
    ----------
    path : path
        The PDF file.
    result : CourseResponse
        Of one patient.
    scans : Scans, optional
        For pictures of the lesions.
    """
    from matplotlib.backends.backend_pdf import PdfPages

    with replacing(path) as temporary, PdfPages(temporary) as pages:
        for figure in (
            _table_page(result),
            *([_picture_page([(plot_course(result), "")])] if result.is_measured else []),
            *_text_pages(result),
            *(_lesion_pages(result, scans) if scans else []),
        ):
            pages.savefig(figure)
        pages.infodict()["Title"] = _title(result)
        pages.infodict()["Creator"] = f"OncoTrack {__version__}"
    return Path(path)


def _lesion_pages(result: CourseResponse, scans: Scans) -> list[Any]:
    shown = [(picture, f"{lesion.label}. {origin}") for lesion in result.course.lesions
             for picture, origin in [scans.of(lesion.id)] if picture is not None]  # fmt: skip
    return [_picture_page(shown[n : n + _PICTURES_PER_PAGE]) for n in range(0, len(shown), _PICTURES_PER_PAGE)]


def _picture_page(pictures: Sequence[tuple[Any, str]]) -> Any:
    """Return a page with figures below each other, each with lines of text above it."""
    page = _page()
    height = _USED / _PICTURES_PER_PAGE
    for number, (picture, words) in enumerate(pictures):
        lines = textwrap.wrap(words, _LINE_LENGTH)
        top, text = 0.96 - number * height, 0.022 * len(lines)
        page.text(0.05, top, "\n".join(lines), fontsize=8, va="top")
        picture.set_dpi(_PICTURE_DPI)
        picture.canvas.draw()
        axes = page.add_axes((0.05, top - height + 0.02, 0.9, height - text - 0.03), anchor="NW")
        axes.imshow(picture.canvas.buffer_rgba())
        axes.axis("off")
    return page


def _page() -> Any:
    """Return an empty page, A4 across, with what stands at the foot of every page."""
    from matplotlib.figure import Figure

    page = Figure(figsize=(11.7, 8.3))
    page.text(0.05, 0.03, f"OncoTrack {__version__}. {NOTICE}", fontsize=7)
    return page


def _lesion_section(result: CourseResponse, scans: Scans) -> list[str]:
    sections = []
    for lesion in result.course.lesions:
        picture, origin = scans.of(lesion.id)
        image = "" if picture is None else _image(picture, f"{lesion.label} at each visit")
        sections.append(_section(lesion.label, f"<p>{html.escape(origin)}</p>{image}"))
    return sections


def _section(title: str, content: str) -> str:
    return f"<section><h2>{html.escape(title)}</h2>{content}</section>"


def _image(figure: Any, words: str) -> str:
    return f'<img alt="{html.escape(words)}" src="data:image/png;base64,{png(figure)}">'


def _title(result: CourseResponse) -> str:
    name = f": {result.course.name}" if result.course.name else ""
    return f"Response by {CRITERIA[result.criteria]}{name}"


def _table_page(result: CourseResponse) -> Any:
    head, *rows = table(result)
    figure = _page()
    axes = figure.add_axes((0.04, 0.1, 0.92, 0.78))
    axes.axis("off")
    axes.set_title(f"{_title(result)}\nBest overall response: {result.best.response.value}", fontsize=13)
    widths = [0.34, *[0.66 / (len(head) - 1)] * (len(head) - 1)]
    drawn = axes.table(rows, colLabels=head, colWidths=widths, loc="upper center", cellLoc="left")
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(max(5, 9 - len(head) / 3))
    drawn.scale(1, 1.4)
    key = "\n".join(textwrap.wrap(_KEY, _LINE_LENGTH))
    figure.text(0.05, 0.05, key, fontsize=7)
    return figure


def _text_pages(result: CourseResponse) -> list[Any]:
    lines = [line for sentence in sentences(result) for line in (*textwrap.wrap(sentence, _LINE_LENGTH), "")]
    pages = []
    for start in range(0, len(lines), _LINES_PER_PAGE):
        figure = _page()
        figure.text(0.05, 0.95, "\n".join(lines[start : start + _LINES_PER_PAGE]), fontsize=8.5, va="top")
        pages.append(figure)
    return pages
