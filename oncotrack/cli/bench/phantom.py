"""``oncotrack bench phantom``."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.options import Json, out_folder
from oncotrack.cli.output import print_result, progress_bar

_TITLES = {
    "hu": "Attenuation, median (HU)",
    "noise": "Noise of homogeneous soft tissue: standard deviation (HU), mean frequency of its spectrum (1/mm)",
    "nodes": "Enlarged lymph nodes, percentiles (mm, mm3, nodes per patient)",
    "seconds": "Time to draw (s)",
}


def phantom(
    out: Annotated[Path, out_folder("Where to write.")] = Path("out/phantom"),
    real: Annotated[
        list[Path] | None, typer.Option("--real", metavar="CT", help="A real CT to compare with; repeatable.")
    ] = None,
    patients: Annotated[int, typer.Option("--patients", min=1, help="Bodies in which nodes are measured.")] = 16,
    json: Json = None,
) -> None:
    """Compare synthetic patients with real ones: HU, noise, node sizes.

    Prints the tables and writes each as CSV, with phantom.png.
    """
    from oncotrack.bench.phantom import bench
    from oncotrack.datasets.real_cts import read_cts

    with progress_bar() as progress:
        volumes = read_cts(real or ())
        result = bench(patients, picture=out / "phantom.png", real=volumes, progress=progress)
    lines = {}
    for name, rows in result.items():
        lines[f"{name}.csv"] = str(_write_csv(out / f"{name}.csv", rows))
        if json != "-":
            _print_table(_TITLES[name], rows)
    lines["phantom.png"] = str(out / "phantom.png")
    print_result(result, json, lines)


def _print_table(title: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Print rows as a table on standard output."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        table.add_column(name.replace("_", " "), justify="right" if isinstance(rows[0].get(name), float) else "left")
    for row in rows:
        table.add_row(*(str(row.get(name, "")).replace("_", " ") for name in names))
    console = Console()
    console.print(table, highlight=False)
    console.print()


def _write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Write rows as CSV, columns in the order in which they first occur."""
    from oncotrack.atomic import write_text

    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return write_text(path, text.getvalue())
