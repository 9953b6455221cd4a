"""``oncotrack evaluate``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oncotrack.cli.output import give, progress_bar, say


def landmarks(
    baseline: Path,
    followup: Path,
    baseline_points: Path,
    followup_points: Path,
    method: str,
    radius: float,
    json: str | None,
    cache: bool,
) -> None:
    """Landmark error of a follow-up method on one pair."""
    from oncotrack.evaluation.landmarks import evaluate_landmarks, read_points
    from oncotrack.followup.methods import tracker
    from oncotrack.followup.tracker import ScanPair
    from oncotrack.volume import load

    chosen = tracker(method)
    pair = ScanPair(load(baseline), load(followup), cache=cache)
    points = read_points(baseline_points, pair.baseline), read_points(followup_points, pair.followup)
    with progress_bar() as progress:
        result = evaluate_landmarks(pair, *points, chosen, radius_mm=radius, progress=progress)
    if result["outside"]:
        say(f"{len(result['outside'])} landmarks lie outside a scan and are not counted: {result['outside']}.")
    lines = {
        "Method": method,
        "Landmarks": f"{len(result['per_point_mm'])}, of which {sum(result['found'])} said to be found",
        "Error": "mean {mean_mm:.2f}, median {median_mm:.2f}, largest {max_mm:.2f} mm".format(**result),
        "Each": " ".join(f"{value:.1f}" for value in result["per_point_mm"]),
        "Seconds": "registering {seconds_register:.2f}, a landmark {seconds_per_point:.3f} (median)".format(**result),
    }
    give(result, json, lines)


def files(metric: str, arguments: tuple, json: str | None, out: Path | None) -> None:
    """Run one of `oncotrack.evaluation`'s functions over files."""
    from oncotrack import evaluation

    result = getattr(evaluation, metric)(*arguments)
    if out is not None:
        for path in evaluation.write_report(result, out):
            say(f"Written: {path}")
    give(result, json, dict(_flat(result)))


def _flat(result: Mapping[str, Any], prefix: str = ""):
    for name, value in result.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name} ")
        elif isinstance(value, (int, float, str)):
            yield f"{prefix}{name}", f"{value:.2f}" if isinstance(value, float) else str(value)
