"""Evaluation of lesion trackers on pairs of visits with known lesions: accuracy, by group, trust, robustness."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets.lesion_visits import GROUPS, LesionVisits, VisitLesion
from oncotrack.errors import InputError, RegistrationError
from oncotrack.evaluation import tracking
from oncotrack.evaluation.match_pictures import MatchPicture, axial_image, write_sheet
from oncotrack.evaluation.statistics import bootstrap_interval, compare_means
from oncotrack.followup.methods import prepare
from oncotrack.followup.tracker import Match, ScanPair, Tracker

CYCLE_BINS_MM = (0.0, 2.0, 5.0, 10.0, np.inf)
"""Limits of the groups by cycle error; a match has none if the reverse search found nothing."""
_SEED = 20260101


@dataclass(frozen=True)
class LesionResult:
    """A tracker's result for one lesion, compared with the truth.

    Lengths are in mm, seconds in s. `error` is the offset of the match from the truth along R, A, S; `shifted` holds the
    errors of the additional clicks. `box_mm` and `spacing` (size of the lesion's box, size of a voxel) are along
    R, A, S.
    """

    patient: str
    groups: tuple[str, ...]
    is_there: bool
    error: np.ndarray
    radius_mm: float
    box_mm: np.ndarray | None
    spacing: np.ndarray
    is_found: bool
    score: float
    cycle_mm: float | None
    seconds: float
    shifted: tuple[float, ...] = ()
    picture: MatchPicture | None = None

    @property
    def distance(self) -> float:
        """Distance of the match from the true centre; for a vanished lesion from the position of its tissue."""
        return float(np.linalg.norm(self.error))


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
        result[name] = _summary(rows, seconds[name])
    others = list(results)[1:]
    if others:
        result["over"] = {name: _comparison(first, results[name]) for name in others}
    return result


def table_row(errors, radii, boxes=None, spacing=None) -> dict[str, Any]:
    """Compute the accuracy metrics of the papers' tables.

    Parameters
    ----------
    errors : (N, 3) array_like
        Offsets of the matches from the truth along R, A, S, mm.
    radii : (N,) array_like
        Radii of the lesions in the follow-up, mm.
    boxes, spacing : (N, 3) array_like, optional
        Sizes of the lesions' boxes and of the voxels in the follow-up, mm, for the definitions of TLT's and UAE's code.

    Returns
    -------
    dict
        ``lesions``, ``MED``, ``MED_X``, ``MED_Y``, ``MED_Z`` with ``... std``, ``CPM@10mm``, ``CPM@Radius`` (DLT), both
        also with `` (TLT)`` and `` (UAE)`` if boxes are given. None where there is no lesion.
    """
    errors = np.asarray(errors, float).reshape(-1, 3)
    distances = tracking.distances_mm(errors)
    if not len(errors):
        return {"lesions": 0, "MED": None, "CPM@10mm": None, "CPM@Radius": None}
    row: dict[str, Any] = {"lesions": len(errors)}
    for key, values in (("MED", distances), *((f"MED_{a}", np.abs(e)) for a, e in zip("XYZ", errors.T, strict=True))):
        row[key], row[f"{key} std"] = tracking.mean_distance(values)
    row["median"] = float(np.median(distances))
    row["CPM@10mm"] = tracking.cpm(tracking.matched_10mm(distances, radii))
    row["CPM@Radius"] = tracking.cpm(tracking.matched_radius(distances, radii))
    if boxes is not None:
        sizes = np.asarray(boxes, float) / np.asarray(spacing, float)
        row["CPM@10mm (TLT)"] = tracking.cpm(tracking.matched_10mm_tlt(distances, sizes))
        row["CPM@Radius (TLT)"] = tracking.cpm(tracking.matched_radius_tlt(distances, sizes))
        low = -np.asarray(boxes, float) / 2
        inside = tracking.matched_radius_uae(errors, np.hstack([low, -2 * low]))
        row["CPM@10mm (UAE)"] = tracking.cpm(tracking.matched_10mm_uae(distances))
        row["CPM@Radius (UAE)"] = tracking.cpm(inside)
    return row


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


def _row(rows: Sequence[LesionResult]) -> dict[str, Any]:
    """Return the `table_row` of some lesions; with boxes if all of them have one."""
    boxes = [row.box_mm for row in rows if row.box_mm is not None]
    known = boxes if rows and len(boxes) == len(rows) else None
    return table_row([row.error for row in rows], [row.radius_mm for row in rows], known, [row.spacing for row in rows])


def _summary(rows: Sequence[LesionResult], seconds: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Return everything that `evaluate_follow` reports of one tracker."""
    there = [row for row in rows if row.is_there]
    vanished = [row for row in rows if not row.is_there]
    patients = [row.patient for row in there]
    radii = [row.radius_mm for row in there]
    distances = [row.distance for row in there]
    result = _row(there)
    result["confidence_95"] = {
        "MED": bootstrap_interval(distances, patients),
        "CPM@10mm": bootstrap_interval(100.0 * tracking.matched_10mm(distances, radii), patients),
        "CPM@Radius": bootstrap_interval(100.0 * tracking.matched_radius(distances, radii), patients),
    }
    result["groups"] = {
        group: _row(members) for group in GROUPS if (members := [row for row in there if group in row.groups])
    }
    result["vanished told"] = tracking.cpm([not row.is_found for row in vanished]) if vanished else None
    result["present doubted"] = tracking.cpm([not row.is_found for row in there]) if there else None
    result["trust"] = _trust(rows)
    result["seconds"] = {name: float(np.median(values)) for name, values in seconds.items()}
    result["seconds"]["later"] = float(np.median([row.seconds for row in rows]))
    shifted = [(distance, row.radius_mm) for row in there for distance in row.shifted]
    if shifted:
        shifted_distances, shifted_radii = np.array(shifted).T
        result["shifted"] = {
            "clicks": len(shifted),
            "MED": float(shifted_distances.mean()),
            "CPM@10mm": tracking.cpm(tracking.matched_10mm(shifted_distances, shifted_radii)),
            "CPM@Radius": tracking.cpm(tracking.matched_radius(shifted_distances, shifted_radii)),
        }
    result["errors_mm"] = distances
    result["radius_mm"], result["patient"] = radii, patients
    result["cycle_error_mm"] = [row.cycle_mm for row in there]
    result["score"] = [row.score for row in there]
    return result


def _trust(rows: Sequence[LesionResult]) -> list[dict[str, Any]]:
    """Return the share of correct matches by cycle error; for a vanished lesion no position is correct."""
    cycles = np.array([np.nan if row.cycle_mm is None else row.cycle_mm for row in rows])
    correct = np.array([row.is_there and row.distance <= tracking.LIMIT_MM for row in rows])
    bins = [
        (
            f"below {b:g} mm" if not a else f"{a:g} to {b:g} mm" if np.isfinite(b) else f"from {a:g} mm",
            (cycles >= a) & (cycles < b),
        )
        for a, b in pairwise(CYCLE_BINS_MM)
    ]
    bins.append(("none", np.isnan(cycles)))
    return [
        {"cycle error": name, "lesions": int(members.sum()), "within 10 mm": tracking.cpm(correct[members])}
        for name, members in bins
        if members.any()
    ]


def _comparison(first: Sequence[LesionResult], other: Sequence[LesionResult]) -> dict[str, Any]:
    """Compare two trackers on the lesions that are present at both visits."""
    pairs = [(a, b) for a, b in zip(first, other, strict=True) if a.is_there]
    patients = [a.patient for a, _ in pairs]
    radii = [a.radius_mm for a, _ in pairs]
    ours, theirs = [a.distance for a, _ in pairs], [b.distance for _, b in pairs]
    return {
        "MED": compare_means(ours, theirs, patients),
        "CPM@10mm": compare_means(
            100.0 * tracking.matched_10mm(ours, radii), 100.0 * tracking.matched_10mm(theirs, radii), patients
        ),
    }
