"""Metrics of detection: FROC sensitivities, average precision, recall at a precision, best F1.

A `Comparison` holds the overlaps and hits of one image's detections with its true objects. Every metric takes a list of
them, one for each patient (or image, or slice: the unit in which false positives are counted).

Sources: LN-Tracker (Q. Yu et al., "From slices to sequences", sec. 4.1); OSLN (Z. Zhu et al., "Detecting
scatteredly-distributed, small, and critically important objects in 3D oncology imaging via decision stratification",
2020, sec. 4.3); MR (S. Wang et al., Medical Image Analysis 77, 102345, 2022, sec. 4.2); DeepLesion
(K. Yan et al., 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oncotrack.errors import InputError

LN_TRACKER_FPS = (1, 2, 4, 8)
OSLN_FPS = (2, 3, 4, 6)
DEEPLESION_FPS = (0.125, 0.25, 0.5, 1, 2, 4, 8)


@dataclass(frozen=True, eq=False)
class Comparison:
    """One image's M detections against its N true objects.

    Parameters
    ----------
    scores : (M,) ndarray
        Confidence score of each detection.
    overlap : (M, N) ndarray
        Overlap of each detection with each object (IoU); decides between several hits.
    hits : (M, N) bool ndarray
        Whether the detection counts as a hit of the object, by the rule of the paper.
    """

    scores: np.ndarray
    overlap: np.ndarray
    hits: np.ndarray

    def __post_init__(self) -> None:
        if self.overlap.shape != self.hits.shape or self.overlap.shape[0] != len(self.scores):
            raise InputError(f"{len(self.scores)} scores do not fit overlaps of shape {self.overlap.shape}.")
        if not np.isfinite(self.scores).all():
            raise InputError("A detection's score is missing or infinite. Give every detection a number.")


def compare_boxes(truth, predicted, scores, threshold: float, *, strict: bool = False) -> Comparison:
    """Compare boxes, 2D or 3D, by their IoU.

    Parameters
    ----------
    truth : (N, 2 d) array_like
        Lowest, then highest corner.
    predicted : (M, 2 d) array_like
        The same of the detections, in the same unit.
    scores : (M,) array_like
        Confidence score of each detection.
    threshold : float
        IoU from which a detection counts: 0.25 and 0.5 (MR), 0.5 (DeepLesion).
    strict : bool
        IoU must exceed the threshold, as LN-Tracker's "greater than 0.1" (sec. 4.1).
    """
    width = max(np.shape(boxes)[-1] if np.size(boxes) else 0 for boxes in (truth, predicted)) or 6
    overlap = box_overlap(predicted, truth, width // 2)
    return Comparison(
        np.asarray(scores, float).ravel(), overlap, overlap > threshold if strict else overlap >= threshold
    )


def box_overlap(a, b, dimensions: int) -> np.ndarray:
    """Compute the IoU of every box of `a` with every box of `b`, (M, N).

    Parameters
    ----------
    a, b : (M, 2 d), (N, 2 d) array_like
        Lowest, then highest corner.
    dimensions : int
        d, 2 or 3.
    """
    import torch

    from oncotrack.networks.boxes import iou

    first, second = (torch.as_tensor(np.asarray(boxes, float).reshape(-1, 2 * dimensions)) for boxes in (a, b))
    return iou(first, second).numpy() if len(first) and len(second) else np.zeros((len(first), len(second)))


def osln_hits(overlap, predicted_radii, true_radii) -> np.ndarray:
    """Apply the hit rule of OSLN (sec. 4.3): any overlap, and a radius within [0.5, 1.5] of the true one.

    Parameters
    ----------
    overlap : (M, N) array_like
        Positive where detection and object overlap.
    predicted_radii, true_radii : (M,), (N,) array_like
        Millimetres.

    Returns
    -------
    (M, N) bool ndarray
    """
    ratio = np.asarray(predicted_radii, float)[:, None] / np.asarray(true_radii, float)[None]
    return (np.asarray(overlap) > 0) & (ratio >= 0.5) & (ratio <= 1.5)


def froc(comparisons: Sequence[Comparison]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the FROC curve.

    An object is found when any detection hits it; a detection that hits nothing is a false positive. A further
    detection of an object already found counts as neither (LN-Tracker, sec. 4.1; K. Yan et al. 2018).

    Returns
    -------
    false positives per image, sensitivity (0 to 1), score thresholds : (T + 1,) ndarrays
        From the highest score down, beginning with (0, 0, inf). Sensitivity is NaN when there is no object at all.
    """
    false, found, objects = [np.empty(0)], [np.empty(0)], 0
    for c in comparisons:
        objects += c.hits.shape[1]
        false.append(c.scores[~c.hits.any(axis=1)])
        if len(c.scores):
            best = np.where(c.hits, c.scores[:, None], -np.inf).max(axis=0)
            found.append(best[np.isfinite(best)])
    false, found = np.concatenate(false), np.concatenate(found)
    thresholds = np.concatenate([[np.inf], np.unique(np.concatenate([false, found]))[::-1]])
    fps = _count_reaching(false, thresholds) / max(len(comparisons), 1)
    sensitivity = _count_reaching(found, thresholds) / objects if objects else np.full(len(fps), np.nan)
    return fps, sensitivity, thresholds


def sensitivity_at(comparisons: Sequence[Comparison], fps: Sequence[float]) -> np.ndarray:
    """Compute the sensitivity (percent) at each allowed number of false positives per image.

    It is that of the best threshold that does not exceed the number; nothing is interpolated between thresholds. SEN25
    and SEN50 of MR (sec. 4.2) are this at 5 false positives with IoU 0.25 and 0.5.
    """
    allowed, sensitivity, _ = froc(comparisons)
    return np.array([100 * sensitivity[allowed <= limit + 1e-9].max() for limit in fps])


def average_sensitivity(comparisons: Sequence[Comparison], fps: Sequence[float] = LN_TRACKER_FPS) -> float:
    """Compute the mean of `sensitivity_at`: AS of LN-Tracker (1, 2, 4, 8), mFROC of OSLN (2, 3, 4, 6)."""
    return float(sensitivity_at(comparisons, fps).mean())


def assign(comparison: Comparison) -> np.ndarray:
    """Match detections and objects one to one.

    By descending score, each detection is assigned the unassigned object that it hits with the largest overlap.

    Returns
    -------
    (M,) int ndarray
        The object of each detection, -1 for a false positive; a second detection of an object is one.
    """
    assigned = np.full(len(comparison.scores), -1)
    free = np.ones(comparison.hits.shape[1], bool)
    for row in np.argsort(-comparison.scores, kind="stable"):
        usable = comparison.hits[row] & free
        if usable.any():
            assigned[row] = np.where(usable, comparison.overlap[row], -1.0).argmax()
            free[assigned[row]] = False
    return assigned


def precision_recall(comparisons: Sequence[Comparison]) -> tuple[np.ndarray, np.ndarray]:
    """Compute precision and recall (0 to 1) of all images together, matched one to one, by descending score."""
    scores = np.concatenate([np.empty(0), *(c.scores for c in comparisons)])
    correct = np.concatenate([np.empty(0, bool), *(assign(c) >= 0 for c in comparisons)])
    objects = sum(c.hits.shape[1] for c in comparisons)
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True)) if len(scores) else np.empty(0, int)
    true = np.cumsum(correct[order])[last] if len(scores) else np.empty(0)
    return true / (last + 1), true / objects if objects else np.full(len(last), np.nan)


def average_precision(comparisons: Sequence[Comparison]) -> float:
    """Compute the average precision (percent), the area under the precision-recall curve.

    Precision is made monotone, as in PASCAL VOC 2010 (all points). This is LN-Tracker's AP at 3D IoU 0.1 (sec. 4.1), and
    AP25 and AP50 of MR (sec. 4.2). 0 without detections, NaN without objects.
    """
    precision, recall = precision_recall(comparisons)
    if not sum(c.hits.shape[1] for c in comparisons):
        return float("nan")
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return 100 * float((np.diff(recall, prepend=0.0) * envelope).sum())


def macro_precision_recall(comparisons: Sequence[Comparison]) -> tuple[np.ndarray, np.ndarray]:
    """Compute precision and recall (0 to 1) averaged over patients at every score (OSLN, sec. 4.3), highest first.

    Recall is averaged over patients that have objects; precision over patients that have detections at that score.
    """
    thresholds = np.unique(np.concatenate([np.empty(0), *(c.scores for c in comparisons)]))[::-1]
    precision, recall = [], []
    for c in comparisons:
        with np.errstate(invalid="ignore"):
            precision.append(
                _count_reaching(c.scores[c.hits.any(axis=1)], thresholds) / _count_reaching(c.scores, thresholds)
            )
        if c.hits.shape[1]:
            best = np.where(c.hits, c.scores[:, None], -np.inf).max(axis=0, initial=-np.inf)
            recall.append(_count_reaching(best, thresholds) / len(best))
    if not len(thresholds) or not recall:
        return np.empty(0), np.empty(0)
    return np.nanmean(precision, axis=0), np.mean(recall, axis=0)


def _count_reaching(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Count how many of (M,) scores reach each of (T,) thresholds."""
    return len(scores) - np.searchsorted(np.sort(scores), thresholds)


def recall_at_precision(comparisons: Sequence[Comparison], precision: float) -> float:
    """Compute the best macro recall (percent) at a macro precision of at least `precision`; 0 if never reached."""
    reached, recall = macro_precision_recall(comparisons)
    return 100 * float(recall[reached >= precision - 1e-9].max(initial=0.0))


def mean_recall(comparisons: Sequence[Comparison], precisions: Sequence[float] = (0.10, 0.15, 0.20)) -> float:
    """Compute mRecall@0.10-0.20, percent (OSLN, sec. 4.3), in steps of 0.05 as in MR's table 5."""
    return float(np.mean([recall_at_precision(comparisons, p) for p in precisions]))


def best_f1(comparisons: Sequence[Comparison]) -> float:
    """Compute the best F1 (percent) over all scores, ``2 P R / (P + R)`` of macro precision and recall (OSLN)."""
    precision, recall = macro_precision_recall(comparisons)
    total = precision + recall
    return 100 * float((2 * precision * recall / np.where(total > 0, total, 1)).max(initial=0.0))
