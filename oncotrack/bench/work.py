"""Time from a click to its match through the work process, next to the same in one process."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from oncotrack.background.jobs import Progress, silent
from oncotrack.background.work_process import close_work_process, computing_here, use_work_process
from oncotrack.bench.warped import warped_copy
from oncotrack.evaluation.landmarks import read_points
from oncotrack.followup.match_lesions import match_all
from oncotrack.followup.methods import make, tracker
from oncotrack.followup.remote import WORK
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, ScanPair, Tracker
from oncotrack.images.files import load
from oncotrack.images.volume import Volume
from oncotrack.phantom import make_patient
from oncotrack.samples import sample

_REPEATS, _CLICKS, _SEED = 4, 4, 1


def bench_work(lung: Path | None, method: str, progress: Progress = silent) -> dict[str, Any]:
    """Measure clicks on one pair in turn: here, and through the work process.

    Parameters
    ----------
    lung : path, optional
        Folder of the sample "lung-pair"; a synthetic pair when missing.
    method : str
        The follow-up method.
    progress : Progress
        Called before each repetition.

    Returns
    -------
    dict
        ``pair``; for ``first`` (registration and match of a pair that was just opened, with handing it over) and ``later``
        clicks the medians ``..._here_s`` and ``..._process_s`` and the median of the ratios of successive runs,
        ``..._ratio``; ``start_s``: the start of the process with its imports.
    """
    name, baseline, followup, points = _pair(lung)
    here = make(method)
    use_work_process(*WORK)
    started = time.perf_counter()
    there = tracker(method)
    result: dict[str, Any] = {"pair": name, "method": method, "start_s": time.perf_counter() - started}
    runs: dict[str, list[list[float]]] = {"here": [], "process": []}
    for repeat in range(_REPEATS + 1):
        progress(repeat / (_REPEATS + 1), f"Repetition {repeat} of {_REPEATS}")
        with computing_here():
            runs["here"].append(_clicks(ScanPair(baseline, followup, cache=False), here, points))
        runs["process"].append(_clicks(ScanPair(baseline, followup, cache=False), there, points))
    close_work_process()
    for click, chosen in (("first", slice(0, 1)), ("later", slice(1, None))):
        # the first repetition warms up
        seconds = {where: [statistics.median(run[chosen]) for run in each[1:]] for where, each in runs.items()}
        result |= {f"{click}_{where}_s": statistics.median(values) for where, values in seconds.items()}
        ratios = (there / here for here, there in zip(seconds["here"], seconds["process"], strict=True))
        result[f"{click}_ratio"] = statistics.median(ratios)
    return result


def _clicks(pair: ScanPair, chosen: Tracker, points: np.ndarray) -> list[float]:
    """Return the seconds of each click: registration, if it is the first one, and match."""
    seconds = []
    for at in points:
        started = time.perf_counter()
        pair.registration()
        match_all(chosen, pair, [(at, DEFAULT_RADIUS_MM)])
        seconds.append(time.perf_counter() - started)
    return seconds


def _pair(lung: Path | None) -> tuple[str, Volume, Volume, np.ndarray]:
    """Return the pair's name, both scans, and positions of lesions in the baseline, RAS mm."""
    if lung is not None:
        about = sample("lung-pair")
        baseline, followup = load(lung / about.baseline), load(lung / about.followup)
        return "lung pair", baseline, followup, read_points(lung / about.baseline_points, baseline)[:_CLICKS]
    visit = make_patient(_SEED, visits=1, size=(160, 160, 90)).visits[0]
    lesions = sorted(visit.truth.instances, key=lambda instance: -instance.volume_mm3)[:_CLICKS]
    followup, _motion = warped_copy(visit.image, np.random.default_rng(_SEED), largest_mm=15.0)
    return "synthetic pair", visit.image, followup, np.array([lesion.centre for lesion in lesions])
