"""The MR detector on scans whose nodes are all known: the paper's table 1 and figure 6 (MR, sec. 4.1 and 4.2)."""

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
from oncotrack.evaluation.detectors import bootstrap, difference

SETS = ("slices", "volumes")
FALSE_POSITIVES = 5
"""An image, for the sensitivities (sec. 4.2)."""
Compared = dict[str, tuple[np.ndarray, np.ndarray]]
"""By "box" and "mask" the (M,) scores and (M, N) overlaps of one image's detections with its nodes."""


def evaluate_mr(
    detectors: Mapping[str, MRDetector], cases: Iterable[Case], progress: Progress = silent
) -> dict[str, Any]:
    """Run detectors over cases of one MR each, and compare with the true masks.

    Two test sets, as in the paper: every slice with a bookmark is an image, and its nodes are those bookmarked there
    ("slices"); every scan is an image, boxes and masks are stacked, and its nodes are whole ("volumes").

    Parameters
    ----------
    detectors : mapping of name to MRDetector
        With a threshold low enough to reach 5 false positives an image.

    Returns
    -------
    dict
        A name of `detectors`: for each of `SETS` ``images``, ``objects``, ``box`` and ``mask`` (None without a mask branch),
        each with ``AP25 AP50 SEN25 SEN50`` in percent and ``SEN25 interval`` (95 %, patients drawn anew); ``seconds`` a
        scan. With several detectors ``SEN25 over``: the first one's box SEN25 on slices minus each other's.
    """
    found: dict[str, dict[str, list[list[Compared]]]] = {name: {each: [] for each in SETS} for name in detectors}
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
            told = f"{case.name}, {name}"
            nodes = detector.read(slices, lambda f, text, told=told: progress(f, f"{told}: {text}"))
            whole = stack_nodes(nodes, config.stacking)
            seconds[name].append(time.perf_counter() - started)
            labels = case.masks[key].resampled(slices.geometry, fill=0, nearest=True).array
            found[name]["slices"].append([_on_slice(nodes[k], labels[k], marked[k]) for k in sorted(marked)])
            found[name]["volumes"].append([_in_volume(whole, labels)])
    result: dict[str, Any] = {}
    for name, sets in found.items():
        has_masks = detectors[name].network.mask_head is not None
        result[name] = {each: _metrics(compared, has_masks) for each, compared in sets.items()}
        result[name]["seconds"] = float(np.median(seconds[name])) if seconds[name] else None
    first, *others = found
    if others:
        patients = {name: _at(sets["slices"], "box", 0.25) for name, sets in found.items()}
        result["SEN25 over"] = {name: difference(patients[first], patients[name], _sen) for name in others}
    return result


def shown_from(detector: MRDetector, cases: Iterable[Case], progress: Progress = silent) -> float:
    """The score, 0 to 1, from which on `FALSE_POSITIVES` of the detector's nodes a scan are false, boxes at IoU 0.25.

    Parameters
    ----------
    detector : MRDetector
        With threshold 0.
    cases : iterable of Case
        Scans of one MR each that nothing is trained on and nothing is tested on.
    """
    false, allowed = [], 0
    for case in cases:
        allowed += FALSE_POSITIVES
        ((key, volume),) = case.images.items()
        slices = MRGrid(volume, detector.network.config)
        whole = stack_nodes(detector.read(slices, progress), detector.network.config.stacking)
        labels = case.masks[key].resampled(slices.geometry, fill=0, nearest=True).array
        scores, overlap = _in_volume(whole, labels)["box"]
        false += scores[~(overlap >= 0.25).any(1)].tolist()
    return sorted(false, reverse=True)[allowed] if len(false) > allowed else 0.0


def _metrics(patients: Sequence[Sequence[Compared]], has_masks: bool) -> dict[str, Any]:
    images = [image for patient in patients for image in patient]
    told: dict[str, Any] = {"images": len(images), "objects": sum(image["box"][1].shape[1] for image in images)}
    for kind in ("box", "mask"):
        told[kind] = None
        if kind == "box" or has_masks:
            quarter, half = _at(patients, kind, 0.25), _at(patients, kind, 0.5)
            told[kind] = {
                "AP25": _over(quarter, average_precision), "AP50": _over(half, average_precision),
                "SEN25": _sen(quarter), "SEN50": _sen(half), "SEN25 interval": bootstrap(quarter, _sen),
            }  # fmt: skip
    return told


def _at(patients: Sequence[Sequence[Compared]], kind: str, threshold: float) -> list[list[Comparison]]:
    """What counts as a hit, patient by patient."""
    return [
        [Comparison(scores, overlap, overlap >= threshold) for scores, overlap in (image[kind] for image in patient)]
        for patient in patients
    ]


def _over(patients: Sequence[Sequence[Comparison]], metric: Callable[[list[Comparison]], float]) -> float:
    return metric([image for patient in patients for image in patient])


def _sen(patients: Sequence[Sequence[Comparison]]) -> float:
    return _over(patients, lambda images: float(sensitivity_at(images, [FALSE_POSITIVES])[0]))


def _on_slice(nodes: Sequence[SliceNode], labels: np.ndarray, numbers: Sequence[int]) -> Compared:
    """One slice's detections against the nodes `numbers` of an (H, W) label map."""
    own = np.zeros(labels.shape, int)
    for n, number in enumerate(numbers, 1):
        own[labels == number] = n
    return _compared([{0: node} for node in nodes], own[None])


def _in_volume(whole: Sequence[dict[int, SliceNode]], labels: np.ndarray) -> Compared:
    """A scan's stacked detections against all nodes of a (D, H, W) label map."""
    values = np.unique(labels)
    return _compared(whole, np.searchsorted(values, labels) if values[0] == 0 else labels)


def _compared(found: Sequence[dict[int, SliceNode]], labels: np.ndarray) -> Compared:
    """Boxes and masks over slices against the values 1 ... N of a (D, H, W) label map."""
    scores = np.array([max(node.score for node in seen.values()) for seen in found])
    truth = []
    for where in ndimage.find_objects(labels):
        z, y, x = where if where is not None else (slice(0, 0),) * 3
        truth.append((x.start, y.start, z.start, x.stop, y.stop, z.stop))
    given = []
    for seen in found:
        boxes = np.array([node.box for node in seen.values()])
        given.append((*boxes[:, :2].min(0), min(seen), *boxes[:, 2:].max(0), max(seen) + 1))
    boxes = compare_boxes(truth, given, scores, 0.25).overlap
    sizes = np.bincount(labels.ravel(), minlength=len(truth) + 1)[1:]
    masks = np.array([_mask_iou(seen, labels, sizes) for seen in found]).reshape(len(found), len(truth))
    return {"box": (scores, boxes), "mask": (scores, masks)}


def _mask_iou(seen: dict[int, SliceNode], labels: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(N,) IoU of one detection's masks with each value of the label map."""
    both, area = np.zeros(len(sizes)), 0
    for n, node in seen.items():
        drawn = node.full_mask(labels.shape[1:])
        area += int(drawn.sum())
        both += np.bincount(labels[n][drawn], minlength=len(sizes) + 1)[1:]
    return both / np.maximum(area + sizes - both, 1)
