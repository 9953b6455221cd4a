"""Detectors on scans whose nodes are all known: the paper's metrics with confidence intervals, and who is better."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets.case import Case
from oncotrack.detection.detector import Detector
from oncotrack.evaluation import detection
from oncotrack.evaluation.border_contrast import border_contrast
from oncotrack.evaluation.detection_files import evaluate_detection, read_boxes
from oncotrack.findings.finding import TimePoint
from oncotrack.findings.finding_list import FindingList

SIZES_MM = ((3.0, 5.0), (5.0, 10.0), (10.0, float("inf")))
"""Groups of nodes by short axis of their box, from and below."""
FREE_BORDER = 0.75
"""Nodes of which a smaller share of the surroundings differs are told apart. Seven of 60 in seven validation scans are
such; of them earlier weights found one, with a score of 0.22."""
_RESAMPLES = 1000
_SEED = 20260101


def evaluate_detectors(
    detectors: Mapping[str, Detector], cases: Iterable[Case], progress: Progress = silent, *, stacking: bool = False
) -> dict[str, Any]:
    """Run detectors over cases of one CT each.

    With `stacking` the first one, an `LNTrackerDetector`, is joined by "stacking": the same detections, stacked.

    Returns
    -------
    dict
        A name of `detectors`: everything of `evaluate_detection`, ``AS interval`` and ``AP interval`` (95 %, patients
        resampled), ``sensitivity by short axis`` (at most 8 false positives a scan), ``AS by least short axis``, which
        neither asks for smaller nodes nor counts what marks them, ``AS of free nodes``, the same without those that do
        not stand out of their surroundings (`borders`), how many ``free nodes`` there are, and ``seconds`` (stacking has
        none of its own). With several detectors ``AS over``: the first one's AS minus each other's, with its interval.
    """
    truth: dict[str, FindingList] = {}
    free: list[np.ndarray] = []
    first, *others = [*detectors, "stacking"] if stacking else detectors
    found: dict[str, dict[str, FindingList]] = {name: {} for name in (first, *others)}
    seconds: dict[str, list[float]] = {name: [] for name in detectors}
    for case in cases:
        ((key, volume),) = case.images.items()
        truth[case.name] = case.truth
        free.append(~(border_contrast(case) < FREE_BORDER))
        for name, detector in detectors.items():
            started = time.perf_counter()
            told = f"{case.name}, {name}"
            both = stacking and name == first
            detect = detector.detect_both if both else detector.detect
            result = detect(volume, lambda f, text, told=told: progress(f, f"{told}: {text}"), time_point=key)
            seconds[name].append(time.perf_counter() - started)
            for way, findings in zip((name, "stacking"), result if both else [result], strict=False):
                found[way][case.name] = FindingList([TimePoint(key, key)], findings)
    pairs = {name: _compared(truth, lists) for name, lists in found.items()}
    axes = [_short_axes(known.boxes) for known in read_boxes(truth).values()]
    result: dict[str, Any] = {}
    for name, lists in found.items():
        metrics = evaluate_detection(truth, lists)
        metrics["AS interval"] = bootstrap(pairs[name], detection.average_sensitivity)
        metrics["AP interval"] = bootstrap(pairs[name], detection.average_precision)
        metrics["sensitivity by short axis"] = _by_size(axes, pairs[name])
        metrics["AS by least short axis"] = {
            f">= {low:g} mm": _sensitivity_of(pairs[name], [each >= low for each in axes]) for low, _ in SIZES_MM[1:]
        }
        metrics["AS of free nodes"] = _sensitivity_of(pairs[name], free)
        metrics["free nodes"] = int(sum(asked.sum() for asked in free))
        metrics["seconds"] = float(np.median(seconds[name])) if seconds.get(name) else None
        result[name] = metrics
    if others:
        result["AS over"] = {name: difference(pairs[first], pairs[name]) for name in others}
    return result


def bootstrap(patients: Sequence[Any], metric: Callable[[list], float]) -> list[float] | None:
    """95 % percentile interval of a metric over patients drawn with replacement; None without any object.

    A patient is whatever `metric` takes a list of: a comparison, or all comparisons of a patient.
    """
    values = [metric([patients[n] for n in drawn]) for drawn in _draws(len(patients))]
    return _interval(values)


def difference(
    ours: Sequence[Any], theirs: Sequence[Any], metric: Callable[[list], float] = detection.average_sensitivity
) -> dict[str, Any]:
    """A metric (AS) of one method minus that of another on the same patients, percent, with its 95 % interval."""
    values = [metric([ours[n] for n in drawn]) - metric([theirs[n] for n in drawn]) for drawn in _draws(len(ours))]
    return {"difference": metric(list(ours)) - metric(list(theirs)), "interval": _interval(values)}


def _draws(count: int) -> np.ndarray:
    return np.random.default_rng(_SEED).integers(0, count, (_RESAMPLES, count)) if count else np.empty((0, 0), int)


def _interval(values: Sequence[float]) -> list[float] | None:
    known = np.array([value for value in values if np.isfinite(value)])
    return [float(q) for q in np.quantile(known, [0.025, 0.975])] if len(known) else None


def _compared(truth: Mapping[str, FindingList], found: Mapping[str, FindingList]) -> list[detection.Comparison]:
    wanted, given = read_boxes(dict(truth)), read_boxes(dict(found))
    return [
        detection.compare_boxes(boxes.boxes, given[name].boxes, given[name].scores, 0.1, strict=True)
        for name, boxes in wanted.items()
    ]


def _sensitivity_of(comparisons: Sequence[detection.Comparison], asked: Sequence[np.ndarray]) -> float | None:
    """AS of some of each patient's (N,) objects; None without any."""
    if not any(each.any() for each in asked):
        return None
    return detection.average_sensitivity([_of(*pair) for pair in zip(comparisons, asked, strict=True)])


def _of(comparison: detection.Comparison, asked: np.ndarray) -> detection.Comparison:
    """A comparison about some of the objects (N,) only; what hits none but the others is left out."""
    kept = comparison.hits[:, asked].any(axis=1) | ~comparison.hits.any(axis=1)
    parts = comparison.overlap[kept][:, asked], comparison.hits[kept][:, asked]
    return detection.Comparison(comparison.scores[kept], *parts)


def _short_axes(boxes: np.ndarray) -> np.ndarray:
    """(N,) the smaller edge of (N, 6) boxes in the slice, mm."""
    return (boxes[:, 3:5] - boxes[:, :2]).min(axis=1, initial=np.inf)


def _by_size(axes: Sequence[np.ndarray], comparisons: Sequence[detection.Comparison]) -> dict[str, Any]:
    """Sensitivity (percent) and number of nodes by their (N,) short axes."""
    fps, _, thresholds = detection.froc(comparisons)
    least = thresholds[fps <= 8].min(initial=np.inf) if len(thresholds) else np.inf
    groups: dict[str, list[bool]] = {}
    for each, comparison in zip(axes, comparisons, strict=True):
        hit = (comparison.hits & (comparison.scores >= least)[:, None]).any(axis=0)
        for low, high in SIZES_MM:
            name = f"{low:g}-{high:g} mm" if np.isfinite(high) else f">= {low:g} mm"
            groups.setdefault(name, []).extend(hit[(each >= low) & (each < high)].tolist())
    return {
        name: {"nodes": len(hits), "sensitivity": 100 * float(np.mean(hits)) if hits else None}
        for name, hits in groups.items()
    }
