"""An evaluation's result as tables (CSV, Markdown) and a plot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from oncotrack.atomic import replacing, write_text
from oncotrack.findings.csv_text import csv_text
from oncotrack.report.page import labels_as_written


@labels_as_written()
def write_report(result: dict, out_dir: str | Path) -> list[Path]:
    """Write the result of an ``evaluate_...`` function: metrics.json, metrics.csv, metrics.md and a plot.

    The plot is the FROC curve of a detection (froc.png), the histogram of distances of a DLS evaluation (errors.png), or
    Dice against ASD of masks (masks.png). If the result holds ``per_case``, per_case.csv is written, too.

    Parameters
    ----------
    result : dict
        The result, with its ``task``.
    out_dir : path
        The folder; it is created if necessary.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    folder = Path(out_dir)
    rows = list(_rows(result))
    cells = [(name, _text(value), _interval(result, name)) for name, value in rows]
    files = [
        write_text(folder / "metrics.json", json.dumps(result, indent=1, allow_nan=False)),
        write_text(folder / "metrics.csv", _csv(["metric", "value"], rows)),
        write_text(folder / "metrics.md", _markdown(result["task"], cells)),
    ]
    if result.get("per_case"):
        header = list(result["per_case"][0])
        table = [[case[key] for key in header] for case in result["per_case"]]
        files.append(write_text(folder / "per_case.csv", _csv(header, table)))
    plot = {
        "dls": ("errors.png", _plot_errors),
        "detection": ("froc.png", _plot_froc),
        "masks": ("masks.png", _plot_masks),
    }
    if result["task"] not in plot:
        return files
    name, draw = plot[result["task"]]
    with replacing(folder / name) as temporary:
        figure = draw(result)
        figure.savefig(temporary, dpi=150)
    return [*files, folder / name]


def _rows(result: dict, prefix: str = "") -> Iterator[tuple[str, float | int | None]]:
    """Yield name and value of every number in a result."""
    for name, value in result.items():
        if isinstance(value, dict) and name not in ("confidence_95", "froc"):
            yield from _rows(value, f"{prefix}{name}: ")
        elif value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            yield prefix + name, value


def _interval(result: dict, name: str) -> str:
    """Return a metric's confidence interval as text; empty without one."""
    interval = result.get("confidence_95", {}).get(name)
    return f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else ""


def _text(value: float | int | None) -> str:
    """Return a value as text."""
    return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def _csv(header: list[str], rows: list) -> str:
    """Return a table as CSV."""
    return csv_text([header, *rows], "\n")


def _markdown(task: str, cells: list[tuple[str, str, str]]) -> str:
    """Return the table of metrics as Markdown."""
    lines = [f"# Evaluation: {task}", "", "| metric | value | 95 % interval |", "|---|---:|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(cell)} |" for cell in cells), ""])


def _axes(title: str, x: str, y: str):
    """Create a figure with one plot; return both."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    return figure, axes


def _plot_errors(result: dict):
    """Draw the histogram of distances."""
    figure, axes = _axes(
        f"Distance to the true centre, {result['pairs']} pairs",
        "distance (mm); the last bar includes larger ones",
        "pairs",
    )
    errors = np.minimum(result.get("errors_mm", []), 50)
    axes.hist(errors, bins=list(range(0, 52, 2)), color="#4477aa", edgecolor="white")
    axes.axvline(10, color="#cc6677", linestyle="--", label="10 mm")
    if result["MED"] is not None:
        axes.axvline(result["MED"], color="black", label=f"MED {result['MED']:.2f} mm")
    axes.legend()
    return figure


def _plot_froc(result: dict):
    """Draw the FROC curve."""
    figure, axes = _axes(
        f"FROC, {result['objects']} objects in {result['cases']} images", "false positives per image", "sensitivity (%)"
    )
    fps, sensitivity = result["froc"]["false_positives"], result["froc"]["sensitivity"]
    if sensitivity:
        end = max(8.0, fps[-1])
        axes.step(
            [*fps, end], [*sensitivity, sensitivity[-1]], where="post", color="#4477aa", label=f"AS {result['AS']:.1f}"
        )
        points = (1, 2, 4, 8)
        axes.plot(points, [result[f"Sensitivity@{n}FP"] for n in points], "o", color="#cc6677")
        axes.legend(loc="lower right")
    axes.set(xlim=(0, 10), ylim=(0, 102))
    return figure


def _plot_masks(result: dict):
    """Draw Dice against ASD of every case."""
    figure, axes = _axes(f"Masks, {result['cases']} cases", "ASD (mm)", "Dice (%)")
    known = [case for case in result["per_case"] if case["ASD"] is not None]
    axes.plot([case["ASD"] for case in known], [case["Dice"] for case in known], "o", color="#4477aa", alpha=0.7)
    axes.set(ylim=(0, 102), xlim=(0, None))
    return figure
