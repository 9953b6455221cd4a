"""``oncotrack bench follow``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from oncotrack.cli.options import Json
from oncotrack.cli.output import print_result, progress_bar


def follow(
    lung: Annotated[
        Path | None, typer.Option("--lung", help="Folder of the lung pair; the sample when missing.")
    ] = None,
    large: Annotated[
        Path | None, typer.Option("--large", help="A large CT to warp; a synthetic one when missing.")
    ] = None,
    json: Json = None,
) -> None:
    """Time follow-up methods next to affine and B-spline registration.

    Also their accuracy, on the landmarks of a real lung pair and on a CT warped by a known motion.
    """
    from oncotrack.bench.follow import bench_follow

    with progress_bar() as progress:
        result = bench_follow(lung, large, progress)
    lines = {"oncotrack --help": f"{result['help_seconds_over_python']:.2f} s more than python -c pass"}
    for name, title in (("lung_pair", "Lung pair"), ("warped", "Warped pair")):
        if (rows := result.get(name)) is None:
            lines[title] = "not on this computer: oncotrack samples --fetch lung-pair"
            continue
        for method, row in rows.items():
            if isinstance(row, dict):
                lines |= _lines(f"{title}, {method}", row)
        if "clicks_per_bspline" in rows:
            lines[f"{title}, one B-spline registration"] = f"takes as long as {rows['clicks_per_bspline']:.0f} clicks"
    print_result(result, json, lines)


def _lines(title: str, row: Mapping[str, Any]) -> dict[str, str]:
    """Return the results of one method on one pair."""
    accuracy = (
        "mean {mean_mm:.2f}, median {median_mm:.2f}, largest {max_mm:.1f} mm; {seconds_per_point:.3f} s per click"
    )
    lines = {title: accuracy.format(**row)}
    if "seconds_register" in row:
        lines[title] += ", registration {seconds_register:.1f} s".format(**row)
    if "seconds_20_clicks" in row:
        lines[title] += (
            ", 20 clicks together {seconds_20_clicks:.2f} s: {times_one_click:.1f} times one, "
            "with loading and registration {times_first_click:.1f} times".format(**row)
        )
    if "measured" in row:
        lines[f"{title}, with mask and diameters"] = (
            "{match_and_measure:.2f} s per click, {times_match:.2f} times the match alone; 20 together {together:.1f} s, one "
            "by one {one_by_one:.1f} s: ratio {ratio:.2f}".format(**row["measured"])
        )
    if "trust" in row:
        lines[f"{title}, cycle error"] = (
            "small: {trusted} points, {trusted_and_near} of them within 5 mm; "
            "large: {doubted}, {doubted_but_near} within 5 mm".format(**row["trust"])
        )
    if "first_click" in row:
        lines[f"{title}, first click"] = (
            "{seconds:.1f} s load + register + match, {process_seconds:.1f} s with start-up, {peak_mib} MiB".format(
                **row["first_click"]
            )
        )
    return lines
