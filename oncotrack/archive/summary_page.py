"""The summary page of an archive's results: counts, waterfall plot, failures by reason, seconds a stage."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from oncotrack.archive.plan import EXPORT, JOBS, REGISTER
from oncotrack.archive.tables import read_table
from oncotrack.report.page import labels_as_written, png, write_page
from oncotrack.report.response_plots import plot_changes

SUMMARY = "summary.html"
_NOTE = (
    "All findings, roles and responses are proposals of the program that no reader has checked. Lesions that are first seen "
    "at a later visit count as equivocal, so that they alone are no progression."
)
_KEY = (
    "Waterfall plot: best change of the sum of target diameters from baseline, coloured by the best overall response."
)
_LISTED = 20


@labels_as_written()
def write_summary(folder: Path) -> Path:
    """Write the page from the tables, and return its path; it needs no other file and no network.

    Parameters
    ----------
    folder : Path
        Folder of the results, with the tables.
    """
    wanted = ["patient", "visits", "findings", "new_findings", "best_response", "best_change_percent", "progression"]
    times = [f"{stage}_seconds" for stage in ("read", *JOBS, EXPORT)]
    patients = read_table(folder, "patients", [*wanted, *times])
    failures = read_table(folder, "failures", ["patient", "stage", "reason"])
    incomplete = {row["patient"] for row in failures if row["stage"] == REGISTER}
    counts = {
        "Patients computed": len(patients),
        "Patients that failed": sum(row["stage"] != REGISTER for row in failures),
        "Patients with visits that could not be compared": len(incomplete),
        "Visits": sum(row["visits"] for row in patients),
        "Findings": sum(row["findings"] for row in patients),
        "Patients with findings that may be new": sum(row["new_findings"] > 0 for row in patients),
        "Patients with progression": sum(row["progression"] for row in patients),
    }
    sections = []
    changes = [(row["patient"], row["best_change_percent"], row["best_response"]) for row in patients]
    if any(change is not None for _name, change, _response in changes):
        sections.append(_plot("Response", plot_changes(changes), "Waterfall plot"))
    responses = Counter(row["best_response"] for row in patients if row["best_response"])
    sections.append(_section("Best overall response", _table(("response", "patients"), responses.most_common())))
    reasons = Counter((row["stage"], row["reason"]) for row in failures).most_common(_LISTED)
    if reasons:
        rows = [(count, stage, reason) for (stage, reason), count in reasons]
        sections.append(_section("Failures by reason", _table(("patients", "stage", "reason"), rows)))
    seconds = {name: [row[name] for row in patients if row[name]] for name in times}
    rows = [
        (name.removesuffix("_seconds"), len(values), f"{sum(values) / len(values):.2f}", f"{max(values):.2f}")
        for name, values in seconds.items()
        if values
    ]
    sections.append(_section("Seconds a stage", _table(("stage", "patients", "mean", "longest"), rows)))
    if rows:
        sections.append(_plot("Where the time went", _times({name: values for name, values in seconds.items() if values}),
                              "Share of each stage"))  # fmt: skip
    table = "".join(f"<tr><th>{html.escape(name)}<td>{count}</tr>" for name, count in counts.items())
    return write_page(folder / SUMMARY, "Results of an archive", _NOTE, table, _KEY, sections)


def _times(seconds: dict[str, list[float]]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.2), layout="constrained")
    axes = figure.add_subplot(xlabel="seconds of all workers")
    start = 0.0
    for name, values in seconds.items():
        axes.barh(0, sum(values), left=start, label=f"{name.removesuffix('_seconds')} ({sum(values):.0f} s)")
        start += sum(values)
    axes.set_yticks([])
    axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.5), frameon=False)
    return figure


def _plot(title: str, figure: Any, about: str) -> str:
    return _section(title, f'<img alt="{about}" src="data:image/png;base64,{png(figure)}">')


def _section(title: str, content: str) -> str:
    return f"<section><h2>{html.escape(title)}</h2>{content}</section>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"<tr>{''.join(f'<th>{html.escape(head)}' for head in heads)}</tr>"]
    lines += [f"<tr>{''.join(f'<td>{html.escape(str(cell))}' for cell in row)}</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"
