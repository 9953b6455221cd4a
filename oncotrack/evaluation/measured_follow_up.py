"""Evaluation of the measurements that are proposed at the follow-up, next to copying those of the baseline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets.measured_visits import MeasuredLesion, MeasuredVisits
from oncotrack.errors import InputError
from oncotrack.evaluation.kept_parts import KeptParts, evaluated_parts
from oncotrack.evaluation.masks import dice
from oncotrack.evaluation.statistics import bootstrap_interval
from oncotrack.followup.match_lesions import match_all
from oncotrack.followup.measure import measure_match
from oncotrack.followup.methods import prepare
from oncotrack.followup.tracker import Match, ScanPair, Tracker
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

LONG_MM, LONG_PERCENT, VOLUME_PERCENT, DICE_PERCENT = 2.0, 10.0, 20.0, 85.0
"""A long axis is right within the larger of the first two, a volume within the third; a mask is good from the last one."""
CARRIED, COPIED, ELLIPSOID = "carried mask", "baseline copied", "ellipsoid"


@dataclass(frozen=True)
class _Row:
    """One measurement beside its truth: errors in mm, per cent, and per cent of Dice."""

    patient: str
    lesion: str
    growth: float
    true_long_mm: float
    long_mm: float
    long_error_mm: float
    short_error_mm: float
    volume_percent: float
    dice: float
    seconds: float = 0.0

    @property
    def is_long_right(self) -> bool:
        return abs(self.long_error_mm) <= max(LONG_MM, LONG_PERCENT / 100 * self.true_long_mm)


def evaluate_measured_follow_up(
    tracker: Tracker,
    pairs: Iterable[tuple[str, Callable[[], MeasuredVisits | None]]],
    *,
    count: int = 0,
    kept: KeptParts | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Match every lesion, measure it at the follow-up, and compare with the truth.

    Only matches that a reader would accept count: found, and inside the lesion.

    Parameters
    ----------
    tracker : Tracker
        The method that finds the lesions.
    pairs : iterable of (str, callable)
        Names, and functions that return two scans with the true masks, or None where there is no lesion.
    count : int
        Number of pairs, for the progress; 0 if unknown.
    kept : KeptParts, optional
        Where the pairs that are done are kept.
    progress : Progress
        Called before each pair.

    Returns
    -------
    dict
        `pairs`, `lesions`, `accepted`, `not_measured`, `not_registered` (names of the pairs that are left out); for each way of measuring the shares (per cent) of long axes,
        volumes and masks that are right, medians of the errors and of the Dice, and `seconds` of matching and measuring.

    Raises
    ------
    InputError
        No match was accepted.
    """
    done, unregistered = evaluated_parts(
        pairs, lambda visits: _measured(tracker, visits), count, kept or KeptParts(), progress
    )
    rows = {name: [_Row(**row) for each in done for row in each["rows"][name]] for name in (CARRIED, *_RIVALS)}
    failed = [failure for each in done for failure in each["failed"]]
    if not rows[CARRIED]:
        raise InputError("No match was found that a reader would accept.")
    return {
        "task": "measured follow-up",
        "pairs": len(done),
        "lesions": sum(each["lesions"] for each in done),
        "accepted": len(rows[CARRIED]) + len(failed),
        "not_measured": failed,
        "not_registered": unregistered,
        **{name: _summary(found) for name, found in rows.items()},
        "seconds": {
            "match": float(np.median([each["match_seconds"] for each in done])),
            "measure": float(np.median([row.seconds for row in rows[CARRIED]])),
        },
        "per_lesion": [vars(row) for row in rows[CARRIED]],
    }


def _measured(tracker: Tracker, visits: MeasuredVisits) -> dict[str, Any]:
    """Return the measurements of a pair as rows."""
    pair = ScanPair(visits.baseline, visits.followup, cache=False)
    prepare(tracker, pair)
    starts = [(each.before.centre, each.before.radius_mm or 10.0) for each in visits.lesions]
    started = time.perf_counter()
    matches = match_all(tracker, pair, starts)
    seconds = (time.perf_counter() - started) / len(starts)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in (CARRIED, *_RIVALS)}
    failed = []
    for lesion, match in zip(visits.lesions, matches, strict=True):
        if not _is_accepted(match, lesion):
            continue
        try:
            rows[CARRIED].append(asdict(_carried(visits, pair, lesion, match)))
        except InputError as error:
            failed.append({"patient": visits.name, "lesion": lesion.name, "error": str(error)})
            continue
        for name, shape in _RIVALS.items():
            rows[name].append(asdict(_row(visits, lesion, *shape(lesion, match, visits.followup.geometry))))
    return {"lesions": len(starts), "match_seconds": seconds, "failed": failed, "rows": rows}


def _is_accepted(match: Match, lesion: MeasuredLesion) -> bool:
    offset = np.linalg.norm(np.subtract(match.position, lesion.after.centre))
    return match.found and bool(offset <= lesion.after.long_axis.length_mm / 2)


def _carried(visits: MeasuredVisits, pair: ScanPair, lesion: MeasuredLesion, match: Match) -> _Row:
    started = time.perf_counter()
    seen = measure_match(pair, lesion.before, match.observation())
    seconds = time.perf_counter() - started
    assert seen.long_axis and seen.short_axis and seen.mask
    sizes = seen.long_axis.length_mm, seen.short_axis.length_mm, seen.volume_mm3 or 0.0
    return replace(_row(visits, lesion, seen.mask.volume(), *sizes), seconds=seconds)


def _row(
    visits: MeasuredVisits, lesion: MeasuredLesion, mask: Volume, long_mm: float, short_mm: float, volume_mm3: float
) -> _Row:
    after, before = lesion.after, lesion.before
    assert before.long_axis is not None
    return _Row(
        visits.name,
        lesion.name,
        after.long_axis.length_mm / before.long_axis.length_mm,
        after.long_axis.length_mm,
        long_mm,
        long_mm - after.long_axis.length_mm,
        short_mm - after.short_axis.length_mm,
        100 * (volume_mm3 / after.volume_mm3 - 1),
        _dice(mask, lesion.mask),
    )


def _dice(mask: Volume, truth: Volume) -> float:
    """Return the Dice of two masks of one scan, per cent, on a grid that holds both."""
    corners = truth.geometry.to_ijk(mask.geometry.corners)
    low = np.minimum(np.floor(corners.min(0)), 0).astype(int)
    high = np.maximum(np.ceil(corners.max(0)) + 1, truth.geometry.size).astype(int)
    origin = truth.geometry.to_ras(low)
    grid = Geometry.from_values(high - low, truth.spacing, origin, truth.direction)
    one, other = (each.resampled(grid, fill=0, nearest=True).array != 0 for each in (mask, truth))
    return dice(one, other)


def _copied(lesion: MeasuredLesion, match: Match, grid: Geometry) -> tuple[Volume, float, float, float]:
    """Return the baseline's mask, moved to the match, and its measurements."""
    before = lesion.before
    assert before.mask and before.long_axis and before.short_axis
    mask = before.mask.volume()
    offset = np.subtract(match.position, before.centre)
    moved = replace(mask, geometry=replace(mask.geometry, origin=tuple(np.add(mask.origin, offset).tolist())))
    return moved, before.long_axis.length_mm, before.short_axis.length_mm, before.volume_mm3 or 0.0


def _ellipsoid(lesion: MeasuredLesion, match: Match, grid: Geometry) -> tuple[Volume, float, float, float]:
    """Return the ellipsoid on the baseline's diameters around the match, as deep as its short axis."""
    before = lesion.before
    assert before.long_axis and before.short_axis
    long, short = before.long_axis.length_mm, before.short_axis.length_mm
    along = np.subtract(before.long_axis.end, before.long_axis.start) / long
    fine = Geometry.around(match.position, (long,) * 3, max(long / 40, 0.4))
    k, j, i = np.indices(fine.shape)
    offset = fine.to_ras(np.stack([i, j, k], -1)) - np.asarray(match.position)
    lengthwise = offset @ along
    rest = (offset**2).sum(-1) - lengthwise**2
    inside = (lengthwise / (long / 2)) ** 2 + rest / (short / 2) ** 2 <= 1
    mask = Volume(inside.astype(np.uint8), fine)
    return mask, long, short, float(np.pi / 6 * long * short**2)


_RIVALS: Mapping[str, Callable[[MeasuredLesion, Match, Geometry], tuple[Volume, float, float, float]]] = {
    COPIED: _copied,
    ELLIPSOID: _ellipsoid,
}


def _summary(rows: Sequence[_Row]) -> dict[str, Any]:
    patients = [row.patient for row in rows]
    right = [100.0 * row.is_long_right for row in rows]
    volume = [100.0 * (abs(row.volume_percent) <= VOLUME_PERCENT) for row in rows]
    overlap = [row.dice for row in rows]
    return {
        "long_axis_right": float(np.mean(right)),
        "volume_right": float(np.mean(volume)),
        "Dice": float(np.mean(overlap)),
        "Dice median": float(np.median(overlap)),
        "masks_good": float(100 * np.mean(np.array(overlap) >= DICE_PERCENT)),
        "long_error_mm": float(np.median([abs(row.long_error_mm) for row in rows])),
        "short_error_mm": float(np.median([abs(row.short_error_mm) for row in rows])),
        "volume_error_percent": float(np.median([abs(row.volume_percent) for row in rows])),
        "confidence_95": {
            "long_axis_right": bootstrap_interval(right, patients),
            "volume_right": bootstrap_interval(volume, patients),
            "Dice": bootstrap_interval(overlap, patients),
        },
    }
