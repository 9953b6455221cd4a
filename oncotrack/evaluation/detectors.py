"""Evaluation of detectors on scans whose nodes are all known: metrics with confidence intervals, and comparisons."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets.case import Case
from oncotrack.detection.detector import NodeDetector
from oncotrack.detection.shown import SHOWN_AT_MOST
from oncotrack.evaluation import detection
from oncotrack.evaluation.border_contrast import border_contrast
from oncotrack.evaluation.detection_files import evaluate_detection, read_boxes
from oncotrack.evaluation.statistics import bootstrap_metric, compare_metrics
from oncotrack.evaluation.tracklets import linking_errors
from oncotrack.findings.finding import TimePoint
from oncotrack.findings.finding_list import FindingList

SIZES_MM = ((3.0, 5.0), (5.0, 10.0), (10.0, float("inf")))
"""Groups of nodes by short axis of their box, from and below."""
LEAST_BORDER_CONTRAST = 0.75
"""Nodes with a lower `border_contrast` do not stand out from their surroundings. In seven validation scans seven of 60
nodes are such; earlier weights found one of them, with a score of 0.22."""
LARGE_MM = 8.0
"""Short axis from which a node is counted in the share that the best proposals hold."""
FALSE_POSITIVES = 8
"""Per scan; the operating point of the sensitivities by short axis and of the linking errors."""


def evaluate_detectors(
    detectors: Mapping[str, NodeDetector], cases: Iterable[Case], progress: Progress = silent, *, stacking: bool = False
) -> dict[str, Any]:
    """Run detectors on cases of one CT each and compare the results with the truth.

    Parameters
    ----------
    detectors : mapping of str to NodeDetector
        By name; the first one is compared with the others.
    cases : iterable of Case
        With masks for the border contrast.
    progress : Progress
        Called with the progress of the current scan.
    stacking : bool
        The first detector is an `LNTrackerDetector`; add "stacking", its detections of single slices, stacked.

    Returns
    -------
    dict
        For each name everything of `evaluate_detection` and:

        - ``AS interval``, ``AP interval``: 95 %, patients resampled;
        - ``sensitivity by short axis``: at no more than 8 false positives per scan;
        - ``AS by least short axis``: smaller nodes are left out of the truth, and detections of them do not count as false
          positives;
        - ``AS of free nodes``, ``free nodes``: the same without the nodes that do not stand out from their
          surroundings (`border_contrast`), and the number of those left;
        - ``held by the best``: percent of the nodes with a short axis of at least 8 mm that the 15 best proposals of their
          scan hold, the number of these nodes, and the mean number of proposals per scan;
        - ``linking``: counts of `linking_errors` over all scans, at no more than 8 false positives per scan; None if a
          detector does not work on the slices of the truth;
        - ``seconds``: median per scan (None for stacking).

        With several detectors ``AS over``: the first one's AS compared with each other's by `compare_metrics`.
    """
    truth: dict[str, FindingList] = {}
    time_points: dict[str, str] = {}
    stand_out: list[np.ndarray] = []
    first, *others = [*detectors, "stacking"] if stacking else detectors
    found: dict[str, dict[str, FindingList]] = {name: {} for name in (first, *others)}
    seconds: dict[str, list[float]] = {name: [] for name in detectors}
    for case in cases:
        ((key, volume),) = case.images.items()
        truth[case.name], time_points[case.name] = case.truth, key
        stand_out.append(~(border_contrast(case) < LEAST_BORDER_CONTRAST))
        for name, detector in detectors.items():
            started = time.perf_counter()
            prefix = f"{case.name}, {name}"
            both = stacking and name == first
            detect: Callable[..., Any] = detector.detect_both if both else detector.detect  # pyright: ignore[reportAttributeAccessIssue]
            detected: Any = detect(
                volume, lambda f, text, prefix=prefix: progress(f, f"{prefix}: {text}"), time_point=key
            )
            seconds[name].append(time.perf_counter() - started)
            for way, findings in zip((name, "stacking"), detected if both else [detected], strict=False):
                found[way][case.name] = FindingList([TimePoint(key, key)], findings)
    pairs = {name: _comparisons(truth, lists) for name, lists in found.items()}
    short_axes = [_short_axes(known.boxes) for known in read_boxes(truth).values()]
    result: dict[str, Any] = {}
    for name, lists in found.items():
        metrics = evaluate_detection(truth, lists)
        metrics["AS interval"] = bootstrap_metric(pairs[name], detection.average_sensitivity)
        metrics["AP interval"] = bootstrap_metric(pairs[name], detection.average_precision)
        metrics["sensitivity by short axis"] = _by_size(short_axes, pairs[name])
        metrics["AS by least short axis"] = {
            f">= {low:g} mm": _sensitivity_of(pairs[name], [each >= low for each in short_axes])
            for low, _ in SIZES_MM[1:]
        }
        metrics["AS of free nodes"] = _sensitivity_of(pairs[name], stand_out)
        metrics["free nodes"] = int(sum(nodes.sum() for nodes in stand_out))
        metrics["held by the best"] = _held_by_best(short_axes, pairs[name])
        metrics["linking"] = _linking(truth, lists, time_points, _operating_score(pairs[name]))
        metrics["seconds"] = float(np.median(seconds[name])) if seconds.get(name) else None
        result[name] = metrics
    if others:
        result["AS over"] = {
            name: compare_metrics(pairs[first], pairs[name], detection.average_sensitivity) for name in others
        }
    return result


def _held_by_best(short_axes: Sequence[np.ndarray], comparisons: Sequence[detection.Comparison]) -> dict[str, Any]:
    """Return how many of the large nodes the best proposals of each scan hold, given (N,) short axes per scan."""
    nodes = held = 0
    for axes, each in zip(short_axes, comparisons, strict=True):
        best = np.argsort(-each.scores, kind="stable")[:SHOWN_AT_MOST]
        is_large = axes >= LARGE_MM
        nodes += int(is_large.sum())
        held += int(each.hits[best][:, is_large].any(axis=0).sum())
    proposals = float(np.mean([len(each.scores) for each in comparisons])) if comparisons else 0.0
    return {"percent": 100 * held / nodes if nodes else None, "nodes": nodes, "proposals": proposals}


def _comparisons(truth: Mapping[str, FindingList], found: Mapping[str, FindingList]) -> list[detection.Comparison]:
    """Compare each patient's findings with the truth by LN-Tracker's rule, 3D IoU > 0.1."""
    true, given = read_boxes(dict(truth)), read_boxes(dict(found))
    return [
        detection.compare_boxes(boxes.boxes, given[name].boxes, given[name].scores, 0.1, strict=True)
        for name, boxes in true.items()
    ]


def _operating_score(comparisons: Sequence[detection.Comparison]) -> float:
    """Return the lowest score threshold at which there are `FALSE_POSITIVES` per scan or fewer."""
    fps, _, thresholds = detection.froc(comparisons)
    return float(thresholds[fps <= FALSE_POSITIVES].min(initial=np.inf)) if len(thresholds) else np.inf


def _linking(
    truth: Mapping[str, FindingList], found: Mapping[str, FindingList], time_points: Mapping[str, str], score: float
) -> dict[str, int] | None:
    """Sum the linking errors of all scans; None if a scan's tracklets are not on the slices of its truth."""
    total: dict[str, int] = {}
    for name, findings in found.items():
        counts = linking_errors(truth[name], findings, time_points[name], score)
        if counts is None:
            return None
        total = {key: total.get(key, 0) + count for key, count in counts.items()}
    return total or None


def _sensitivity_of(comparisons: Sequence[detection.Comparison], chosen: Sequence[np.ndarray]) -> float | None:
    """Return the AS of some of each patient's objects, chosen by (N,) bool; None without any."""
    if not any(each.any() for each in chosen):
        return None
    return detection.average_sensitivity([_restrict(*pair) for pair in zip(comparisons, chosen, strict=True)])


def _restrict(comparison: detection.Comparison, chosen: np.ndarray) -> detection.Comparison:
    """Restrict a comparison to some objects, (N,) bool; detections that hit only other objects are left out."""
    kept = comparison.hits[:, chosen].any(axis=1) | ~comparison.hits.any(axis=1)
    parts = comparison.overlap[kept][:, chosen], comparison.hits[kept][:, chosen]
    return detection.Comparison(comparison.scores[kept], *parts)


def _short_axes(boxes: np.ndarray) -> np.ndarray:
    """Return the smaller edge in the slice of (N, 6) boxes, (N,) mm."""
    return (boxes[:, 3:5] - boxes[:, :2]).min(axis=1, initial=np.inf)


def _by_size(short_axes: Sequence[np.ndarray], comparisons: Sequence[detection.Comparison]) -> dict[str, Any]:
    """Return sensitivity (percent) and number of nodes for each group of `SIZES_MM`, given (N,) short axes."""
    least = _operating_score(comparisons)
    groups: dict[str, list[bool]] = {}
    for each, comparison in zip(short_axes, comparisons, strict=True):
        hit = np.asarray((comparison.hits & (comparison.scores >= least)[:, None]).any(axis=0))
        for low, high in SIZES_MM:
            name = f"{low:g}-{high:g} mm" if np.isfinite(high) else f">= {low:g} mm"
            groups.setdefault(name, []).extend(hit[(each >= low) & (each < high)].tolist())
    return {
        name: {"nodes": len(hits), "sensitivity": 100 * float(np.mean(hits)) if hits else None}
        for name, hits in groups.items()
    }
