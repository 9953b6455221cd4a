"""Accuracy and speed of all lesion trackers, compared with registration alone."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from oncotrack.background.jobs import Progress, silent
from oncotrack.bench.warped import warped_copy
from oncotrack.datasets.body import body_mask
from oncotrack.datasets.real_cts import read_cts
from oncotrack.errors import InputError, WeightsError
from oncotrack.evaluation.landmarks import evaluate_landmarks, read_points
from oncotrack.findings.finding import Axis, Observation, point
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.followup.match_lesions import match_all
from oncotrack.followup.measure import measure_each, measure_if_possible
from oncotrack.followup.methods import METHODS, RegistrationTracker, tracker
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, MAXIMUM_CYCLE_MM, ScanPair, Tracker
from oncotrack.images.files import load, save
from oncotrack.images.volume import Volume
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.propagate import propagate_to_3d
from oncotrack.phantom import make_patient
from oncotrack.samples import sample

_POINTS = 50
_SEED = 1


def bench_follow(lung: Path | None, large: Path | None, progress: Progress = silent) -> dict[str, Any]:
    """Measure accuracy and speed of matching a clicked lesion.

    Parameters
    ----------
    lung : path, optional
        Folder of the sample "lung-pair"; by default the downloaded sample, which is left out if there is none.
    large : path, optional
        A whole CT; by default a synthetic patient of 256x256x128 voxels. It is warped by a known motion of up to 30 mm,
        blurred, enhanced, made noisy and resampled (`oncotrack.bench.warped`).
    progress : Progress
        Called before each part.

    Returns
    -------
    dict
        ``lung_pair`` and ``warped``: for each method millimetres and seconds; for those that search for the lesion also
        ``trust``, ``first_click`` and, in ``warped``, ``seconds_20_clicks``, the time of 20 lesions together on a
        registered pair, with its ratio to one lesion (``times_one_click``) and, including loading and registration, to
        the first click (``times_first_click``), and ``measured`` (see `measuring_seconds`). ``help_seconds_over_python``: time of ``--help``.
    """
    result: dict[str, Any] = {"help_seconds_over_python": _measure_help_seconds()}
    about = sample("lung-pair")
    folder = lung or about.local_folder()
    if folder is not None:
        paths = [
            Path(folder) / getattr(about, name)
            for name in ("baseline", "followup", "baseline_points", "followup_points")
        ]
        progress(0.1, "Lung pair")
        result["lung_pair"] = _lung(*paths)
    progress(0.6, "Warped pair")
    if large is not None:
        (baseline,), path = read_cts([large]), large
    else:
        baseline, path = make_patient(_SEED, visits=1).visits[0].image, None
    result["warped"] = _warped(baseline, path)
    return result


def searching_methods() -> list[str]:
    """Return the methods that search for the lesion and whose weights are available."""
    found = []
    for name in METHODS:
        with suppress(WeightsError):
            if not isinstance(tracker(name), RegistrationTracker):
                found.append(name)
    return found


def first_click(baseline: Path, followup: Path, at: Sequence[float], method: str) -> dict[str, Any]:
    """Measure one ``oncotrack follow`` in its own process, without a cache.

    Parameters
    ----------
    baseline, followup : path
        The scans.
    at : sequence of float
        The clicked position, RAS mm.
    method : str
        The follow-up method.

    Returns
    -------
    dict
        ``seconds`` (load + register + match), ``process_seconds`` (with Python's start and imports), ``peak_mib``.
    """
    command = [sys.executable, "-c", _MEASURED, "follow", str(baseline), str(followup), "--at", *map(str, at)]
    started = time.perf_counter()
    process = subprocess.run(
        [*command, "--method", method, "--json", "-", "--no-cache"], capture_output=True, text=True
    )
    seconds = time.perf_counter() - started
    if process.returncode:
        raise InputError(f"oncotrack follow failed: {process.stderr.strip().splitlines()[-1]}")
    answer = json.loads(process.stdout)
    peak = int(process.stderr.strip().splitlines()[-1])
    return {"seconds": sum(answer["seconds"].values()), "process_seconds": seconds, "peak_mib": peak}


_MEASURED = """
import sys
from oncotrack.cli import main
try:
    main()
finally:
    try:
        import resource
        scale = 2**20 if sys.platform == "darwin" else 2**10
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // scale, file=sys.stderr)
    except ImportError:
        print(0, file=sys.stderr)
"""


def _lung(baseline: Path, followup: Path, baseline_points: Path, followup_points: Path) -> dict[str, Any]:
    """Measure all methods on the landmarks of the lung pair."""
    rows: dict[str, Any] = {}
    volumes = load(baseline), load(followup)
    points = read_points(baseline_points, volumes[0]), read_points(followup_points, volumes[1])
    searching = searching_methods()
    for method in (*searching, "affine", "bspline"):
        measured = evaluate_landmarks(ScanPair(*volumes, cache=False), *points, tracker(method))
        keys = ("mean_mm", "median_mm", "max_mm", "seconds_register", "seconds_per_point")
        rows[method] = {key: measured[key] for key in keys}
        if method in searching:
            rows[method]["trust"] = trust(measured)
            rows[method]["first_click"] = first_click(baseline, followup, points[0][0], method)
    rows["clicks_per_bspline"] = rows["bspline"]["seconds_register"] / rows["selfsim"]["seconds_per_point"]
    return rows


def _warped(baseline: Volume, path: Path | None) -> dict[str, Any]:
    """Measure all methods on random points of a scan and of its warped copy."""
    rng = np.random.default_rng(_SEED)
    followup, motion = warped_copy(baseline, rng)
    candidates = body_points(baseline, 3 * _POINTS, rng)
    truths = motion.to_followup(candidates)
    visible = np.flatnonzero(followup.geometry.contains(truths, margin_mm=10))[:_POINTS]
    points, truths = candidates[visible], truths[visible]
    pair = ScanPair(baseline, followup, cache=False)
    rows: dict[str, Any] = {"voxels": list(baseline.geometry.size), "points": len(points)}
    searching = searching_methods()
    for method in (*searching, "affine"):
        measured = evaluate_landmarks(pair, points, truths, tracker(method))
        rows[method] = {key: measured[key] for key in ("mean_mm", "median_mm", "max_mm", "seconds_per_point")}
        if method in searching:
            rows[method]["trust"] = trust(measured)
            rows[method]["seconds_20_clicks"] = _seconds_together(pair, points[:20], method)
            rows[method]["measured"] = measuring_seconds(pair, points[:20], tracker(method))
    with tempfile.TemporaryDirectory() as folder:
        first = path or save(baseline, Path(folder) / "baseline.nrrd")
        second = save(followup, Path(folder) / "followup.nrrd")
        for method in searching:
            row = rows[method]
            row["first_click"] = first_click(first, second, points[0], method)
            one, many, cold = row["seconds_per_point"], row["seconds_20_clicks"], row["first_click"]["seconds"]
            row["times_one_click"], row["times_first_click"] = many / one, (cold - one + many) / cold
    return rows


def _seconds_together(pair: ScanPair, points: np.ndarray, method: str) -> float:
    """Measure the seconds for many lesions at once, with the pair registered and the weights loaded."""
    chosen = tracker(method)
    started = time.perf_counter()
    match_all(chosen, pair, [(point, DEFAULT_RADIUS_MM) for point in points])
    return time.perf_counter() - started


def measuring_seconds(pair: ScanPair, points: np.ndarray, chosen: Tracker, radius_mm: float = 8.0) -> dict[str, float]:
    """Measure the seconds for matches with mask and diameters, at once and one after the other, on a registered pair.

    Every point gets a ball as its mask at baseline.

    Parameters
    ----------
    pair : ScanPair
        Registered.
    points : (N, 3) ndarray
        In the baseline, RAS mm.
    chosen : Tracker
        The method.
    radius_mm : float
        Of the balls.

    Returns
    -------
    dict
        ``match`` and ``match_and_measure``: medians for one lesion, and their ratio ``times_match``; ``together``: all lesions in
        one batch; ``one_by_one``: matched, and their masks made from two diameters, one after the other, as version 0.1 does
        it; ``ratio``: of the two.
    """
    lesions = [_ball(pair.baseline, point, radius_mm) for point in points]
    alone, measured, drawn = [], [], []
    for before in lesions:
        started = time.perf_counter()
        (match,) = match_all(chosen, pair, [(before.centre, radius_mm)])
        matched = time.perf_counter()
        seen = measure_if_possible(pair, before, match.observation())
        ended = time.perf_counter()
        propagate_to_3d(pair.followup, _axes_at(match.position, radius_mm, pair.followup))
        alone.append(matched - started)
        measured.append(ended - started)
        drawn.append(time.perf_counter() - ended)
        assert seen.centre == match.position
    started = time.perf_counter()
    matches = match_all(chosen, pair, [(before.centre, radius_mm) for before in lesions])
    measure_each(pair, lesions, matches)
    together, one_by_one = time.perf_counter() - started, sum(alone) + sum(drawn)
    match, both = statistics.median(alone), statistics.median(measured)
    return {
        "match": match,
        "match_and_measure": both,
        "times_match": both / match,
        "together": together,
        "one_by_one": one_by_one,
        "ratio": together / one_by_one,
    }


def _ball(scan: Volume, centre: np.ndarray, radius_mm: float) -> Observation:
    """Return a lesion whose mask is a ball."""
    at = point(centre.tolist())
    corners = scan.geometry.to_ijk(np.add(centre, np.array([[-1], [1]]) * (radius_mm + max(scan.spacing))))
    part = scan.cropped(np.floor(corners.min(0)).astype(int), np.ceil(corners.max(0)).astype(int) + 1)
    k, j, i = np.indices(part.geometry.shape)
    inside = np.linalg.norm(part.geometry.to_ras(np.stack([i, j, k], -1)) - centre, axis=-1) <= radius_mm
    return Observation(
        centre=at, radius_mm=radius_mm, mask=PackedMask.of(Volume(inside.astype(np.uint8), part.geometry))
    )


def _axes_at(at: Sequence[float], radius_mm: float, scan: Volume) -> RecistAxes:
    """Return two diameters of a ball in the nearest slice of a scan."""
    ijk = scan.geometry.to_ijk(np.asarray(at, float))
    middle = scan.geometry.to_ras(
        [*np.clip(ijk[:2], 0, None), np.clip(round(float(ijk[2])), 0, scan.geometry.size[2] - 1)]
    )
    half = radius_mm * np.asarray(scan.direction).T[:2]
    long, short = (Axis(point(middle - each), point(middle + each)) for each in (half[0], 0.9 * half[1]))
    return RecistAxes.of(long, short)


def trust(measured: dict[str, Any], cycle_mm: float = MAXIMUM_CYCLE_MM, near_mm: float = 5.0) -> dict[str, int]:
    """Count how many points have a cycle error below and above `cycle_mm`, and how many of each are within `near_mm`."""
    cycles = np.array([np.inf if c is None else c for c in measured["cycle_error_mm"]])
    near = np.array(measured["per_point_mm"]) <= near_mm
    below = cycles <= cycle_mm
    counts = {"trusted": below, "trusted_and_near": below & near, "doubted": ~below, "doubted_but_near": ~below & near}
    return {name: int(values.sum()) for name, values in counts.items()}


def body_points(volume: Volume, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw random points inside the patient, lungs included, (count, 3) RAS mm."""
    coarse = volume.resampled(volume.geometry.ras_aligned(4.0))
    body = body_mask(coarse)
    voxels = np.argwhere(body)
    return coarse.geometry.to_ras(voxels[rng.choice(len(voxels), count, replace=False)][:, ::-1])


def _measure_help_seconds() -> float:
    """Measure the seconds of ``oncotrack --help`` in excess of starting Python."""

    def median(code: str) -> float:
        times = []
        for _ in range(5):
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, check=True)
            times.append(time.perf_counter() - started)
        return statistics.median(times)

    return median("from oncotrack.cli import main; main()") - median("pass")
