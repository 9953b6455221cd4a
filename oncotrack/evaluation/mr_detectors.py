"""Evaluation of the MR detector on scans whose nodes are all known: table 1 and figure 6 of MR (sec. 4.1, 4.2)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets.bookmarks import bookmarks
from oncotrack.datasets.case import Case
from oncotrack.datasets.node_scans import LEAST_SHORT_MM_IN_MR
from oncotrack.detection.mr.detector import MRDetector
from oncotrack.detection.mr.slice_nodes import SliceNode, stack_nodes
from oncotrack.detection.mr.slices import MRGrid
from oncotrack.evaluation.detection import Comparison, average_precision, compare_boxes, sensitivity_at
from oncotrack.evaluation.statistics import bootstrap_metric, compare_metrics

SETS = ("slices", "volumes")
FALSE_POSITIVES = 5
"""Per image, for the sensitivities (sec. 4.2)."""
ImageOverlaps = dict[str, tuple[np.ndarray, np.ndarray]]
"""By "box" and "mask" the (M,) scores and (M, N) overlaps of one image's detections with its nodes."""


def evaluate_mr(
    detectors: Mapping[str, MRDetector], cases: Iterable[Case], progress: Progress = silent
) -> dict[str, Any]:
    """Run detectors on cases of one MR each and compare the results with the true masks.

    There are two test sets, as in the paper. In "slices" every slice with a bookmark is an image with the nodes
    bookmarked on it; in "volumes" every scan is an image, with boxes and masks stacked to whole nodes.

    Parameters
    ----------
    detectors : mapping of name to MRDetector
        With a threshold low enough to reach 5 false positives per image.
    cases : iterable of Case
        With masks.
    progress : Progress
        Called with the progress of the current scan.

    Returns
    -------
    dict
        For each name and each of `SETS`: ``images``, ``objects``, ``box`` and ``mask`` (None without a mask branch), the
        latter two with ``AP25 AP50 SEN25 SEN50`` in percent and ``SEN25 interval`` (95 %, patients resampled); for each
        name ``seconds`` (median per scan). With several detectors ``SEN25 over``: the first one's box SEN25 on slices
        compared with each other's by `compare_metrics`.
    """
    found: dict[str, dict[str, list[list[ImageOverlaps]]]] = {name: {each: [] for each in SETS} for name in detectors}
    seconds: dict[str, list[float]] = {name: [] for name in detectors}
    for case in cases:
        ((key, volume),) = case.images.items()
        marked: dict[int, list[int]] = {}
        for mark in bookmarks(case.masks[key], LEAST_SHORT_MM_IN_MR):
            marked.setdefault(mark.index, []).append(mark.number)
        for name, detector in detectors.items():
            config = detector.network.config
            started = time.perf_counter()
            slices = MRGrid(volume, config)
            prefix = f"{case.name}, {name}"
            nodes = detector.read(slices, lambda f, text, prefix=prefix: progress(f, f"{prefix}: {text}"))
            whole = stack_nodes(nodes, config.stacking)
            seconds[name].append(time.perf_counter() - started)
            labels = case.masks[key].resampled(slices.geometry, fill=0, nearest=True).array
            found[name]["slices"].append([_compare_slice(nodes[k], labels[k], marked[k]) for k in sorted(marked)])
            found[name]["volumes"].append([_compare_volume(whole, labels)])
    result: dict[str, Any] = {}
    for name, sets in found.items():
        has_masks = detectors[name].network.mask_head is not None
        result[name] = {each: _metrics(patients, has_masks) for each, patients in sets.items()}
        result[name]["seconds"] = float(np.median(seconds[name])) if seconds[name] else None
    first, *others = found
    if others:
        patients = {name: _comparisons_at(sets["slices"], "box", 0.25) for name, sets in found.items()}
        result["SEN25 over"] = {name: compare_metrics(patients[first], patients[name], _sensitivity) for name in others}
    return result


def proposal_threshold(detector: MRDetector, cases: Iterable[Case], progress: Progress = silent) -> float:
    """Compute the score above which the detector has at most `FALSE_POSITIVES` per scan, by boxes at IoU 0.25.

    Parameters
    ----------
    detector : MRDetector
        With threshold 0.
    cases : iterable of Case
        Scans of one MR each that are used neither for training nor for testing.
    progress : Progress
        Called with the progress of the current scan.

    Returns
    -------
    float, 0 to 1
    """
    false, allowed = [], 0
    for case in cases:
        allowed += FALSE_POSITIVES
        ((key, volume),) = case.images.items()
        slices = MRGrid(volume, detector.network.config)
        whole = stack_nodes(detector.read(slices, progress), detector.network.config.stacking)
        labels = case.masks[key].resampled(slices.geometry, fill=0, nearest=True).array
        scores, overlap = _compare_volume(whole, labels)["box"]
        false += scores[~(overlap >= 0.25).any(1)].tolist()
    return sorted(false, reverse=True)[allowed] if len(false) > allowed else 0.0


def _metrics(patients: Sequence[Sequence[ImageOverlaps]], has_masks: bool) -> dict[str, Any]:
    """Return the metrics of one detector on one test set."""
    images = [image for patient in patients for image in patient]
    metrics: dict[str, Any] = {"images": len(images), "objects": sum(image["box"][1].shape[1] for image in images)}
    for kind in ("box", "mask"):
        metrics[kind] = None
        if kind == "box" or has_masks:
            quarter, half = _comparisons_at(patients, kind, 0.25), _comparisons_at(patients, kind, 0.5)
            metrics[kind] = {
                "AP25": _pooled(quarter, average_precision), "AP50": _pooled(half, average_precision),
                "SEN25": _sensitivity(quarter), "SEN50": _sensitivity(half),
                "SEN25 interval": bootstrap_metric(quarter, _sensitivity),
            }  # fmt: skip
    return metrics


def _comparisons_at(patients: Sequence[Sequence[ImageOverlaps]], kind: str, threshold: float) -> list[list[Comparison]]:
    """Return the comparisons of each patient's images, a hit being an overlap of at least the threshold."""
    return [
        [Comparison(scores, overlap, overlap >= threshold) for scores, overlap in (image[kind] for image in patient)]
        for patient in patients
    ]


def _pooled(patients: Sequence[Sequence[Comparison]], metric: Callable[[list[Comparison]], float]) -> float:
    """Return a metric over all images of all patients."""
    return metric([image for patient in patients for image in patient])


def _sensitivity(patients: Sequence[Sequence[Comparison]]) -> float:
    """Return the sensitivity (percent) at 5 false positives per image."""
    return _pooled(patients, lambda images: float(sensitivity_at(images, [FALSE_POSITIVES])[0]))


def _compare_slice(nodes: Sequence[SliceNode], labels: np.ndarray, numbers: Sequence[int]) -> ImageOverlaps:
    """Compare one slice's detections with the nodes `numbers` of an (H, W) label map."""
    slice_labels = np.zeros(labels.shape, int)
    for n, number in enumerate(numbers, 1):
        slice_labels[labels == number] = n
    return _overlaps([{0: node} for node in nodes], slice_labels[None])


def _compare_volume(whole: Sequence[dict[int, SliceNode]], labels: np.ndarray) -> ImageOverlaps:
    """Compare a scan's stacked detections with all nodes of a (D, H, W) label map."""
    values = np.unique(labels)
    return _overlaps(whole, np.searchsorted(values, labels) if values[0] == 0 else labels)


def _overlaps(found: Sequence[dict[int, SliceNode]], labels: np.ndarray) -> ImageOverlaps:
    """Compare boxes and masks over slices with the labels 1 ... N of a (D, H, W) label map."""
    scores = np.array([max(node.score for node in by_slice.values()) for by_slice in found])
    truth = []
    for where in ndimage.find_objects(labels):
        z, y, x = where if where is not None else (slice(0, 0),) * 3
        truth.append((x.start, y.start, z.start, x.stop, y.stop, z.stop))
    given = []
    for by_slice in found:
        boxes = np.array([node.box for node in by_slice.values()])
        given.append((*boxes[:, :2].min(0), min(by_slice), *boxes[:, 2:].max(0), max(by_slice) + 1))
    boxes = compare_boxes(truth, given, scores, 0.25).overlap
    sizes = np.bincount(labels.ravel(), minlength=len(truth) + 1)[1:]
    masks = np.array([_mask_iou(by_slice, labels, sizes) for by_slice in found]).reshape(len(found), len(truth))
    return {"box": (scores, boxes), "mask": (scores, masks)}


def _mask_iou(by_slice: dict[int, SliceNode], labels: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Compute the IoU of one detection's masks with each label of a label map, (N,)."""
    both, area = np.zeros(len(sizes)), 0
    for n, node in by_slice.items():
        drawn = node.full_mask(labels.shape[1:])
        area += int(drawn.sum())
        both += np.bincount(labels[n][drawn], minlength=len(sizes) + 1)[1:]
    return both / np.maximum(area + sizes - both, 1)
