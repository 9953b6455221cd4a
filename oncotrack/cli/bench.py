"""``oncotrack bench``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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
        for method in ("selfsim", "affine", "bspline"):
            if method in rows:
                lines[f"{title}, {method}"] = (
                    "mean {mean_mm:.2f}, median {median_mm:.2f}, largest {max_mm:.1f} mm; ".format(**rows[method])
                    + f"a click {rows[method]['seconds_per_point']:.3f} s"
                    + (f", registering {s:.1f} s" if (s := rows[method].get("seconds_register")) is not None else "")
                )
        lines[f"{title}, trust"] = (
            "cycle error small: {trusted} points, {trusted_and_near} of them within 5 mm; "
            "large: {doubted}, {doubted_but_near} within 5 mm".format(**rows["trust"])
        )
        if "clicks_per_bspline" in rows:
            lines[f"{title}, one B-spline registration"] = f"takes as long as {rows['clicks_per_bspline']:.0f} clicks"
        lines[f"{title}, first click"] = (
            "{seconds:.1f} s load + register + match, {process_seconds:.1f} s with start-up, {peak_mib} MiB".format(
                **rows["first_click"]
            )
        )
    give(result, json, lines)


def phantom(out: Path, real: Sequence[Path], json: str | None) -> None:
    """Synthetic patients beside real ones."""
    from oncotrack.phantom.bench import bench
    from oncotrack.volume import load

    result = bench(out, [load(path) for path in real])
    give(result, json, {name: str(value) for name, value in result.items()})
