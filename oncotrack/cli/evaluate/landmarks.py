"""``oncotrack evaluate landmarks``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.options import BaselineSeries, FollowupSeries, Image, Json, Method, NoCache, Radius, Resample
from oncotrack.cli.output import print_message, print_result, progress_bar
from oncotrack.cli.scans import read_visits
from oncotrack.followup import DEFAULT_METHOD


def landmarks(
    baseline: Image,
    followup: Image,
    baseline_points: Annotated[Path, typer.Argument(help="elastix point file (index or point).")],
    followup_points: Annotated[Path, typer.Argument(help="The same landmarks in the follow-up.")],
    series: BaselineSeries = None,
    followup_series: FollowupSeries = None,
    resample: Resample = False,
    method: Method = DEFAULT_METHOD,
    radius: Radius = 10.0,
    json: Json = None,
    no_cache: NoCache = False,
) -> None:
    """Measure the distance between matched and annotated landmarks."""
    from oncotrack.evaluation.landmarks import evaluate_landmarks, read_points
    from oncotrack.followup.methods import tracker
    from oncotrack.followup.tracker import ScanPair

    chosen = tracker(method)
    before, after = read_visits((baseline, followup), series, followup_series, resample=resample)
    pair = ScanPair(before, after, cache=not no_cache)
    points = read_points(baseline_points, pair.baseline), read_points(followup_points, pair.followup)
    with progress_bar() as progress:
        result = evaluate_landmarks(pair, *points, chosen, radius_mm=radius, progress=progress)
    if result["outside"]:
        print_message(
            f"{len(result['outside'])} landmarks lie outside a scan and are not counted: {result['outside']}."
        )
    lines = {
        "Method": method,
        "Landmarks": f"{len(result['per_point_mm'])}, {sum(result['found'])} found",
        "Error": "mean {mean_mm:.2f}, median {median_mm:.2f}, largest {max_mm:.2f} mm".format(**result),
        "Each": " ".join(f"{value:.1f}" for value in result["per_point_mm"]),
        "Seconds": "registration {seconds_register:.2f}, per landmark {seconds_per_point:.3f} (median)".format(
            **result
        ),
    }
    print_result(result, json, lines)
