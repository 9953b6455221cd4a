"""``oncotrack evaluate``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oncotrack.cli.comparisons import comparison_text, linking_text
from oncotrack.cli.output import give, progress_bar, say
from oncotrack.errors import InputError


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
    from oncotrack.images.files import load

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


def detectors(
    data: str, cases: int, insert: Sequence[Path], named: Sequence[str], stacking: bool, unet: Path | None, validation: bool, device: str,
    json: str | None, out: Path | None,
) -> None:  # fmt: skip
    """LN-Tracker, one or several, on held-out scans."""
    from oncotrack.datasets.node_scans import HELD_OUT, TEST, held_out
    from oncotrack.detection.lntracker.detector import LNTrackerDetector
    from oncotrack.evaluation.detectors import evaluate_detectors

    if data not in ("phantom", "inserted") or (data == "inserted") != bool(insert):
        raise InputError("Give --data phantom alone, or --data inserted with the CTs to put nodes into (--insert).")
    files = dict(entry.split("=", 1) if "=" in entry else (Path(entry).stem, entry) for entry in named)
    files = files or {"lntracker": None}
    chosen = {name: LNTrackerDetector(device, weights=file) for name, file in files.items()}
    if unet is not None:
        from oncotrack.evaluation.unet import UNetDetector

        chosen["unet"] = UNetDetector(unet, device)
    with progress_bar() as progress:
        scans = held_out(cases, insert, HELD_OUT if validation else TEST)
        result = evaluate_detectors(chosen, scans, progress, stacking=stacking)
    names = [name for name in result if name != "AS over"]
    if out is not None:
        from oncotrack.evaluation import write_report

        for name in names:
            for path in write_report(result[name], out / name):
                say(f"Written: {path}")
    lines = {}
    for name in names:
        metrics = result[name]
        if metrics["AS"] is None:
            continue
        lines[name] = "AS {:.1f} ({:.1f} to {:.1f}), AP {:.1f} ({:.1f} to {:.1f})".format(
            metrics["AS"], *metrics["AS interval"], metrics["AP"], *metrics["AP interval"]
        )
        lines[f"{name}, at 1, 2, 4, 8 FP"] = ", ".join(f"{metrics[f'Sensitivity@{n}FP']:.1f}" for n in (1, 2, 4, 8))
        lines[f"{name}, by short axis"] = ", ".join(
            f"{group}: {of['sensitivity']:.0f} % of {of['nodes']}"
            for group, of in metrics["sensitivity by short axis"].items()
            if of["nodes"]
        )
        lines[f"{name}, smaller nodes not counted"] = ", ".join(
            f"{group}: AS {value:.1f}"
            for group, value in metrics["AS by least short axis"].items()
            if value is not None
        )
        if metrics["free nodes"]:
            lines[f"{name}, nodes that stand out"] = (
                f"AS {metrics['AS of free nodes']:.1f} of {metrics['free nodes']} nodes"
            )
        if metrics["linking"]:
            lines[f"{name}, linking through the slices"] = linking_text(metrics["linking"])
    for name, over in result.get("AS over", {}).items():
        lines[f"AS over {name}"] = comparison_text(over)
    give(result, json, lines)


def follow(
    data: str, cases: int, warp: Sequence[Path], dls: tuple[Path, Path] | None, methods: Sequence[str], shifts: int,
    validation: bool, json: str | None, out: Path | None,
) -> None:  # fmt: skip
    """Lesion trackers on pairs of visits with known lesions."""
    from itertools import islice

    from oncotrack.datasets.lesion_visits import dls_visits
    from oncotrack.datasets.node_scans import HELD_OUT, TEST
    from oncotrack.datasets.warped_visits import held_out
    from oncotrack.evaluation.baselines import BASELINES
    from oncotrack.evaluation.follow import evaluate_follow
    from oncotrack.followup.methods import tracker

    needed = {"phantom": not warp and not dls, "warped": bool(warp) and not dls, "dls": bool(dls) and not warp}
    if not needed.get(data):
        raise InputError(
            "Give --data phantom alone, --data warped with the CTs to warp (--warp), or --data dls with the annotation "
            "and the images (--dls)."
        )
    trackers = {name: BASELINES[name]() if name in BASELINES else tracker(name) for name in methods}
    pairs = islice(dls_visits(*dls), cases) if dls else held_out(cases, warp, HELD_OUT if validation else TEST)
    with progress_bar() as progress:
        result = evaluate_follow(trackers, pairs, shifts=shifts, pictures=out, progress=progress)
    give(result, json, dict(_follow_lines(result, list(trackers))))


def _follow_lines(result: Mapping[str, Any], names: Sequence[str]):
    yield "Lesions", f"{result['lesions']} in {result['pairs']} pairs of {result['patients']} patients, {result['vanished']} vanished"  # fmt: skip
    for name in names:
        of = result[name]
        if of["MED"] is not None:
            yield (
                name,
                (
                    "CPM@10mm {CPM@10mm:.1f}, CPM@Radius {CPM@Radius:.1f}, MED {MED:.2f} +- {MED std:.2f} "
                    "({MED_X:.2f}, {MED_Y:.2f}, {MED_Z:.2f}) mm".format(**of)
                ),
            )
            yield (
                f"{name}, by group (CPM@10mm, MED)",
                "; ".join(
                    f"{group} {row['CPM@10mm']:.0f}, {row['MED']:.1f} mm of {row['lesions']}"
                    for group, row in of["groups"].items()
                ),
            )
        if of["vanished told"] is not None:
            yield (
                f"{name}, vanished",
                f"{of['vanished told']:.0f} % told; {of['present doubted']:.0f} % of those there doubted",
            )
        yield (
            f"{name}, within 10 mm by cycle error",
            "; ".join(f"{row['cycle error']}: {row['within 10 mm']:.0f} % of {row['lesions']}" for row in of["trust"]),
        )
        if "shifted" in of:
            yield (
                f"{name}, clicks beside the centre",
                "CPM@10mm {CPM@10mm:.1f}, MED {MED:.2f} mm".format(**of["shifted"]),
            )
        yield (
            f"{name}, seconds",
            "registering and preparing {prepare:.1f}, first {first:.2f}, later {later:.2f}".format(**of["seconds"]),
        )
    for name, over in result.get("over", {}).items():
        yield (
            f"{names[0]} over {name}",
            f"CPM@10mm {comparison_text(over['CPM@10mm'])}; MED {comparison_text(over['MED'], 'mm')}",
        )


def _flat(result: Mapping[str, Any], prefix: str = ""):
    for name, value in result.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name} ")
        elif isinstance(value, (int, float, str)):
            yield f"{prefix}{name}", f"{value:.2f}" if isinstance(value, float) else str(value)
