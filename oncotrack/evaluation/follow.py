"""Lesion trackers on pairs of visits whose lesions are known: the papers' table 1, groups apart, trust, robustness."""

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
from oncotrack.evaluation.match_pictures import Sight, plane, write_sheet
from oncotrack.evaluation.statistics import bootstrap_interval, paired_bootstrap
from oncotrack.followup.methods import prepare
from oncotrack.followup.tracker import Match, ScanPair, Tracker

CYCLE_BINS_MM = (0.0, 2.0, 5.0, 10.0, np.inf)
"""Borders of the groups by cycle error; what has none was not found on the way back."""
_SEED = 20260101


@dataclass(frozen=True)
class Answer:
    """What a tracker said of one lesion, beside the truth. mm; `error` is along R, A, S."""

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
    sight: Sight | None = None

    @property
    def distance(self) -> float:
        """From the true centre; of a vanished lesion, from where its tissue lies."""
        return float(np.linalg.norm(self.error))


def evaluate_follow(
    trackers: Mapping[str, Tracker],
    pairs: Iterable[LesionVisits],
    *,
    shifts: int = 0,
    pictures: Path | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Follow every lesion of every pair with every tracker.

    Parameters
    ----------
    trackers : mapping of str to Tracker
        The first one is what the others are compared with.
    shifts : int
        Clicks beside the centre, at most a quarter of the radius (DLT, sec. 5.3).
    pictures : Path, optional
        Folder for ten matches of each tracker, ``NAME.png``.

    Returns
    -------
    dict
        ``pairs``, ``lesions`` (present at both visits), ``vanished``, ``not registered`` (pairs left out). A name of
        `trackers`: the metrics of `table_row`, ``confidence_95``, ``groups`` (a row each), ``vanished told`` and
        ``present doubted`` (percent said to be not found), ``trust`` (by cycle error: lesions, percent within 10 mm),
        ``seconds`` (``prepare first later``, medians), ``shifted`` (a row over the clicks beside the centre, when
        asked for), ``errors_mm``, ``radius_mm``, ``patient`` and more (one a lesion, to join several runs). ``over``: the first tracker's CPM@10mm
        and MED minus every other's, with 95 % intervals (patients resampled).

    Raises
    ------
    InputError
        No pair could be used.
    """
    answers: dict[str, list[Answer]] = {name: [] for name in trackers}
    seconds: dict[str, dict[str, list[float]]] = {name: {"prepare": [], "first": []} for name in trackers}
    used, refused = 0, []
    for visits in pairs:
        pair = ScanPair(visits.baseline, visits.followup, cache=False)
        started = time.perf_counter()
        try:
            pair.registration()
        except RegistrationError:
            refused.append(visits.name)
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
                answer = _ask(tracker, pair, visits, lesion, shifts, rng, pictures is not None)
                answers[name].append(answer)
                if number == 0:
                    seconds[name]["first"].append(answer.seconds)
    if not used or not any(answers.values()):
        raise InputError("There is no pair of visits with a lesion to follow that could be registered.")
    for name, given in answers.items():
        if pictures is not None:
            write_sheet([answer.sight for answer in given if answer.sight is not None], pictures / f"{name}.png")
    first = next(iter(answers.values()))
    result: dict[str, Any] = {
        "pairs": used,
        "patients": len({answer.patient for answer in first}),
        "lesions": sum(answer.is_there for answer in first),
        "vanished": sum(not answer.is_there for answer in first),
        "not registered": refused,
    }
    for name, given in answers.items():
        result[name] = _summary(given, seconds[name])
    others = list(answers)[1:]
    if others:
        result["over"] = {name: _over(first, answers[name]) for name in others}
    return result


def table_row(errors, radii, boxes=None, spacing=None) -> dict[str, Any]:
    """A row of the papers' tables.

    Parameters
    ----------
    errors : (N, 3) mm along R, A, S
    radii : (N,) mm, in the follow-up
    boxes, spacing : (N, 3), optional
        Boxes (mm) and voxels (mm) of the follow-up, for the definitions of TLT's and UAE's code.

    Returns
    -------
    dict
        ``lesions``, ``MED``, ``MED_X``, ``MED_Y``, ``MED_Z`` with ``... std``, ``CPM@10mm``, ``CPM@Radius`` (DLT), both
        with `` (TLT)`` and `` (UAE)`` when boxes are known. None where there is no lesion.
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


def _ask(
    tracker: Tracker, pair: ScanPair, visits: LesionVisits, lesion: VisitLesion, shifts: int, rng: np.random.Generator,
    is_shown: bool,
) -> Answer:  # fmt: skip
    (at, truth), (radius, radius_after) = lesion.places, lesion.radii_mm
    started = time.perf_counter()
    match = tracker.match(pair, at, radius)
    seconds = time.perf_counter() - started
    clicks = tracking.shifted_centres(at, radius, rng, shifts)[1:] if radius_after is not None else ()
    clicks = [click for click in clicks if pair.baseline.geometry.contains(click)]
    shifted = [np.subtract(tracker.match(pair, click, radius).position, truth) for click in clicks]
    return Answer(
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
        sight=_sight(visits, lesion, match) if is_shown and radius_after is not None else None,
    )


def _sight(visits: LesionVisits, lesion: VisitLesion, match: Match) -> Sight:
    (at, truth), (before, after) = lesion.places, lesion.radii_mm
    return Sight(
        title=f"{visits.patient[:22]}\n{', '.join(lesion.groups)}",
        before=plane(visits.baseline, at),
        after=plane(visits.followup, match.position),
        truth_mm=np.subtract(truth, match.position),
        expected_mm=np.subtract(match.registration_guess, match.position),
        radii_mm=(before, after),
        distance=float(np.linalg.norm(np.subtract(truth, match.position))),
    )


def _row(answers: Sequence[Answer]) -> dict[str, Any]:
    known = all(answer.box_mm is not None for answer in answers)
    boxes = [a.box_mm for a in answers] if known and answers else None
    return table_row([a.error for a in answers], [a.radius_mm for a in answers], boxes, [a.spacing for a in answers])


def _summary(answers: Sequence[Answer], seconds: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    there = [answer for answer in answers if answer.is_there]
    gone = [answer for answer in answers if not answer.is_there]
    patients = [answer.patient for answer in there]
    radii = [answer.radius_mm for answer in there]
    distances = [answer.distance for answer in there]
    result = _row(there)
    result["confidence_95"] = {
        "MED": bootstrap_interval(distances, patients),
        "CPM@10mm": bootstrap_interval(100.0 * tracking.matched_10mm(distances, radii), patients),
        "CPM@Radius": bootstrap_interval(100.0 * tracking.matched_radius(distances, radii), patients),
    }
    result["groups"] = {
        group: _row(chosen) for group in GROUPS if (chosen := [answer for answer in there if group in answer.groups])
    }
    result["vanished told"] = tracking.cpm([not answer.is_found for answer in gone]) if gone else None
    result["present doubted"] = tracking.cpm([not answer.is_found for answer in there]) if there else None
    result["trust"] = _trust(answers)
    later = [answer.seconds for answer in answers]
    result["seconds"] = {name: float(np.median(values)) for name, values in seconds.items()}
    result["seconds"]["later"] = float(np.median(later))
    shifted = [(d, answer.radius_mm) for answer in there for d in answer.shifted]
    if shifted:
        far, wide = np.array(shifted).T
        result["shifted"] = {
            "clicks": len(far),
            "MED": float(far.mean()),
            "CPM@10mm": tracking.cpm(tracking.matched_10mm(far, wide)),
            "CPM@Radius": tracking.cpm(tracking.matched_radius(far, wide)),
        }
    result["errors_mm"] = [answer.distance for answer in there]
    result["radius_mm"], result["patient"] = radii, patients
    result["cycle_error_mm"] = [answer.cycle_mm for answer in there]
    result["score"] = [answer.score for answer in there]
    return result


def _trust(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Share of right answers by cycle error; for a vanished lesion no place is right."""
    cycles = np.array([np.nan if answer.cycle_mm is None else answer.cycle_mm for answer in answers])
    right = np.array([answer.is_there and answer.distance <= tracking.LIMIT_MM for answer in answers])
    bins = [
        (
            f"below {b:g} mm" if not a else f"{a:g} to {b:g} mm" if np.isfinite(b) else f"from {a:g} mm",
            (cycles >= a) & (cycles < b),
        )
        for a, b in pairwise(CYCLE_BINS_MM)
    ]
    bins.append(("none", np.isnan(cycles)))
    return [
        {"cycle error": name, "lesions": int(chosen.sum()), "within 10 mm": tracking.cpm(right[chosen])}
        for name, chosen in bins
        if chosen.any()
    ]


def _over(first: Sequence[Answer], other: Sequence[Answer]) -> dict[str, Any]:
    pairs = [(a, b) for a, b in zip(first, other, strict=True) if a.is_there]
    patients = [a.patient for a, _ in pairs]
    radii = [a.radius_mm for a, _ in pairs]
    mine, its = ([answer.distance for answer in column] for column in zip(*pairs, strict=True)) if pairs else ([], [])
    return {
        "MED": paired_bootstrap(mine, its, patients),
        "CPM@10mm": paired_bootstrap(
            100.0 * tracking.matched_10mm(mine, radii), 100.0 * tracking.matched_10mm(its, radii), patients
        ),
    }
