"""``oncotrack bench``."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from oncotrack.atomic import write_text
from oncotrack.cli.output import give, progress_bar


def follow(lung: Path | None, large: Path | None, json: str | None) -> None:
    """Accuracy and speed of a click."""
    from oncotrack.bench.follow import bench_follow

    with progress_bar() as progress:
        result = bench_follow(lung, large, progress)
    lines = {"oncotrack --help": f"{result['help_seconds_over_python']:.2f} s more than python -c pass"}
    for name, title in (("lung_pair", "Lung pair"), ("warped", "Warped pair")):
        if (rows := result.get(name)) is None:
            lines[title] = "not at hand: oncotrack samples --fetch lung-pair"
            continue
        for method, row in rows.items():
            if isinstance(row, dict):
                lines |= _follow_lines(f"{title}, {method}", row)
        if "clicks_per_bspline" in rows:
            lines[f"{title}, one B-spline registration"] = f"takes as long as {rows['clicks_per_bspline']:.0f} clicks"
    give(result, json, lines)


def _follow_lines(title: str, row: Mapping[str, Any]) -> dict[str, str]:
    """What is said of one method on one pair."""
    lines = {
        title: "mean {mean_mm:.2f}, median {median_mm:.2f}, largest {max_mm:.1f} mm; a click {seconds_per_point:.3f} s".format(
            **row
        )
    }
    if "seconds_register" in row:
        lines[title] += ", registering {seconds_register:.1f} s".format(**row)
    if "seconds_20_clicks" in row:
        lines[title] += (
            ", 20 clicks together {seconds_20_clicks:.2f} s: {times_one_click:.1f} times one, "
            "with loading and registration {times_first_click:.1f} times".format(**row)
        )
    if "trust" in row:
        lines[f"{title}, trust"] = (
            "cycle error small: {trusted} points, {trusted_and_near} of them within 5 mm; "
            "large: {doubted}, {doubted_but_near} within 5 mm".format(**row["trust"])
        )
    if "first_click" in row:
        lines[f"{title}, first click"] = (
            "{seconds:.1f} s load + register + match, {process_seconds:.1f} s with start-up, {peak_mib} MiB".format(
                **row["first_click"]
            )
        )
    return lines


def detect(image: Path | None, device: str, unet: Path | None, json: str | None) -> None:
    """Cost of finding nodes."""
    from oncotrack.bench.detect import bench_detect

    with progress_bar() as progress:
        result = bench_detect(image, device, progress, unet=unet)
    lines = {"Scan": f"{result['scan']}, {result['slices']} slices, on {result['device']}"}
    for name, title in {"tracking": "Tracking", "stacking": "Stacking", "unet": "U-Net"}.items():
        if name not in result:
            continue
        lines[title] = "{seconds:.1f} s, {seconds_per_slice:.2f} s a slice, {nodes} nodes".format(**result[name])
    if result["peak_mib"] is not None:
        lines["Memory"] = f"{result['peak_mib']:.0f} MiB at most"
    for name in ("compact", "paper"):
        lines[f"Config {name}"] = "{parameters:,} parameters, {gflops:.1f} GFLOPs a slice of 512x512".format(
            **result[name]
        )
    give(result, json, lines)


def view(json: str | None) -> None:
    """Time to a usable page, a new slice and a shown match."""
    from oncotrack.bench.view import bench_view

    with progress_bar() as progress:
        result = bench_view(progress)
    lines = {
        "Page usable": f"{result['usable_seconds']:.1f} s after the command",
        "A new slice": f"{result['scroll_seconds']:.2f} s (median)",
        "A click to its match": f"{result['click_seconds']:.2f} s (median), once the pair is registered",
        "Server": f"{result['server_mib']:.0f} MiB",
    }
    give(result, json, lines)


def mask(json: str | None) -> None:
    """Cost of a mask from two diameters."""
    from oncotrack.bench.mask import bench_mask

    with progress_bar() as progress:
        result = bench_mask(progress=progress)
    names = {
        "pseudo_mask": "Pseudo-mask", "paper": "The paper's GrabCut", "threshold": "Threshold, -30 to 200 HU",
        "region_growing": "Region growing", "carried": "Carried through 3D",
    }  # fmt: skip
    lines = {"Lesions": f"{result['nodes']} nodes of synthetic CTs"}
    lines |= {
        title: "{milliseconds:.0f} ms a lesion, Dice {Dice:.1f} %".format(**result[n]) for n, title in names.items()
    }
    lines["Measuring a 512x512 slice"] = ", ".join(
        f"{n}: {ms:.0f} ms" for n, ms in result["measuring_milliseconds"].items()
    )
    give(result, json, lines)


def phantom(out: Path, real: Sequence[Path], patients: int, json: str | None) -> None:
    """Synthetic patients beside real ones: tables, ``phantom.png`` and one CSV a table."""
    from oncotrack.bench.phantom import bench
    from oncotrack.images.files import load

    with progress_bar() as progress:
        volumes = [load(path) for path in real]
        result = bench(patients, picture=out / "phantom.png", real=volumes, progress=progress)
    lines = {}
    for name, rows in result.items():
        lines[f"{name}.csv"] = str(_write_csv(out / f"{name}.csv", rows))
        if json != "-":
            _show(_PHANTOM_TITLES[name], rows)
    lines["phantom.png"] = str(out / "phantom.png")
    give(result, json, lines)


_PHANTOM_TITLES = {
    "hu": "Attenuation, median (HU)",
    "noise": "Noise of homogeneous soft tissue: standard deviation (HU), mean frequency of its spectrum (1/mm)",
    "nodes": "Enlarged lymph nodes, percentiles (mm, mm3, nodes a patient)",
    "seconds": "Time to draw (s)",
}


def _show(title: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Rows as a table on standard output."""
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
    """Rows as a CSV file; columns in the order in which rows bring them."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return write_text(path, text.getvalue())
