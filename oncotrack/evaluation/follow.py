"""Evaluation of lesion trackers on pairs of visits with known lesions: accuracy, by group, trust, robustness."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets.lesion_visits import LesionVisits, VisitLesion
from oncotrack.errors import InputError, RegistrationError
from oncotrack.evaluation import tracking
from oncotrack.evaluation.follow_summary import LesionResult, comparison, summary
from oncotrack.evaluation.match_pictures import MatchPicture, axial_image, write_sheet
from oncotrack.followup.methods import prepare
from oncotrack.followup.tracker import Match, ScanPair, Tracker

_SEED = 20260101


def evaluate_follow(
    trackers: Mapping[str, Tracker],
    pairs: Iterable[LesionVisits],
    *,
    shifts: int = 0,
    pictures: Path | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Match every lesion of every pair with every tracker and compare the results with the truth.

    Parameters
    ----------
    trackers : mapping of str to Tracker
        By name; the first one is compared with the others.
    pairs : iterable of LesionVisits
        Two scans each, with their lesions.
    shifts : int
        Number of additional clicks on each lesion, at most a quarter of the radius from its centre (DLT, sec. 5.3).
    pictures : Path, optional
        Folder for a picture of ten matches of each tracker, ``NAME.png``.
    progress : Progress
        Called before each tracker on each pair.

    Returns
    -------
    dict
        ``pairs``, ``lesions`` (present at both visits), ``vanished``, ``not registered`` (names of pairs left out).

        For each tracker the metrics of `table_row` and:

        - ``confidence_95``: intervals of MED and CPM, patients resampled;
        - ``groups``: a `table_row` for each group of lesions;
        - ``vanished told``, ``present doubted``: percent of the vanished and of the present lesions reported as not found;
        - ``trust``: by cycle error, number of lesions and percent within 10 mm;
        - ``seconds``: ``prepare``, ``first``, ``later`` (medians);
        - ``shifted``: the metrics over the shifted clicks, if `shifts` is not 0;
        - ``errors_mm``, ``radius_mm``, ``patient``, ``cycle_error_mm``, ``score``: for each lesion.

        With several trackers ``over``: the first one's CPM@10mm and MED compared with each other's by `compare_means`.

    Raises
    ------
    InputError
        No pair could be used.
    """
    results: dict[str, list[LesionResult]] = {name: [] for name in trackers}
    seconds: dict[str, dict[str, list[float]]] = {name: {"prepare": [], "first": []} for name in trackers}
    used, unregistered = 0, []
    for visits in pairs:
        pair = ScanPair(visits.baseline, visits.followup, cache=False)
        started = time.perf_counter()
        try:
            pair.registration()
        except RegistrationError:
            unregistered.append(visits.name)
            continue
        registering = time.perf_counter() - started
        used += 1
        for name, tracker in trackers.items():
            progress(0.0, f"{visits.name}, {name}")
            rng = np.random.default_rng(_SEED + used)
            started = time.perf_counter()
            prepare(tracker, pair)
            seconds[name]["prepare"].append(registering + time.perf_counter() - started)
            for number, lesion in enumerate(visits.baseline_lesions):
                lesion_result = _match_lesion(tracker, pair, visits, lesion, shifts, rng, pictures is not None)
                results[name].append(lesion_result)
                if number == 0:
                    seconds[name]["first"].append(lesion_result.seconds)
    if not used or not any(results.values()):
        raise InputError("There is no pair of visits with a lesion to follow that could be registered.")
    if pictures is not None:
        for name, rows in results.items():
            write_sheet([row.picture for row in rows if row.picture is not None], pictures / f"{name}.png")
    first = next(iter(results.values()))
    result: dict[str, Any] = {
        "pairs": used,
        "patients": len({row.patient for row in first}),
        "lesions": sum(row.is_there for row in first),
        "vanished": sum(not row.is_there for row in first),
        "not registered": unregistered,
    }
    for name, rows in results.items():
        result[name] = summary(rows, seconds[name])
    others = list(results)[1:]
    if others:
        result["over"] = {name: comparison(first, results[name]) for name in others}
    return result


def _match_lesion(
    tracker: Tracker, pair: ScanPair, visits: LesionVisits, lesion: VisitLesion, shifts: int, rng: np.random.Generator,
    with_picture: bool,
) -> LesionResult:  # fmt: skip
    """Match one lesion, which the baseline shows, and compare the result with the truth."""
    (at, truth), (radius, radius_after) = lesion.positions, lesion.radii_mm
    if radius is None:
        raise InputError(f"{visits.name}: a lesion that the baseline does not show cannot be matched.")
    started = time.perf_counter()
    match = tracker.match(pair, at, radius)
    seconds = time.perf_counter() - started
    clicks = tracking.shifted_centres(at, radius, rng, shifts)[1:] if radius_after is not None else ()
    clicks = [click for click in clicks if pair.baseline.geometry.contains(click)]
    shifted = [np.subtract(tracker.match(pair, click, radius).position, truth) for click in clicks]
    return LesionResult(
        patient=visits.patient,
        groups=lesion.groups,
        is_there=radius_after is not None,
        error=np.subtract(match.position, truth),
        radius_mm=radius_after or radius,
        box_mm=None if lesion.box_mm is None else np.array(lesion.box_mm),
        spacing=np.abs(np.asarray(visits.followup.direction)) @ visits.followup.spacing,
        is_found=match.found,
        score=match.score,
        cycle_mm=match.cycle_error_mm,
        seconds=seconds,
        shifted=tuple(float(np.linalg.norm(error)) for error in shifted),
        picture=_picture(visits, lesion, match) if with_picture and radius_after is not None else None,
    )


def _picture(visits: LesionVisits, lesion: VisitLesion, match: Match) -> MatchPicture:
    """Return the images around click and match."""
    at, truth = lesion.positions
    return MatchPicture(
        title=f"{visits.patient[:22]}\n{', '.join(lesion.groups)}",
        before=axial_image(visits.baseline, at),
        after=axial_image(visits.followup, match.position),
        truth_mm=np.subtract(truth, match.position),
        estimate_mm=np.subtract(match.registration_guess, match.position),
        radii_mm=lesion.radii_mm,
        distance=float(np.linalg.norm(np.subtract(truth, match.position))),
    )
