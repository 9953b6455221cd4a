"""Figures of a lesion tracker from its results lesion by lesion: accuracy, by group, trust, intervals, comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from oncotrack.datasets.lesion_visits import GROUPS
from oncotrack.evaluation import tracking
from oncotrack.evaluation.match_pictures import MatchPicture
from oncotrack.evaluation.statistics import bootstrap_interval, compare_means

CYCLE_BINS_MM = (0.0, 2.0, 5.0, 10.0, np.inf)
"""Limits of the groups by cycle error; a match has none if the reverse search found nothing."""


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


def _row(rows: Sequence[LesionResult]) -> dict[str, Any]:
    """Return the `table_row` of some lesions; with boxes if all of them have one."""
    boxes = [row.box_mm for row in rows if row.box_mm is not None]
    known = boxes if rows and len(boxes) == len(rows) else None
    return table_row([row.error for row in rows], [row.radius_mm for row in rows], known, [row.spacing for row in rows])


def summary(rows: Sequence[LesionResult], seconds: Mapping[str, Sequence[float]]) -> dict[str, Any]:
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


def comparison(first: Sequence[LesionResult], other: Sequence[LesionResult]) -> dict[str, Any]:
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
