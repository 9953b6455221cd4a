"""Evaluation of the PET/CT detector: tables 1 and 2 of OSLN (sec. 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from oncotrack.detection.petct.candidates import Candidate, candidates
from oncotrack.detection.petct.config import StageOneConfig
from oncotrack.evaluation.detection import (
    OSLN_FPS,
    Comparison,
    average_sensitivity,
    best_f1,
    froc,
    macro_precision_recall,
    osln_hits,
    sensitivity_at,
)
from oncotrack.evaluation.statistics import bootstrap_metric

THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
"""Probabilities at which the first stage is evaluated."""
SETTINGS: dict[str, tuple[str, ...]] = {"CT": ("ct",), "EF": ("fusion",), "LF": ("ct", "fusion")}
"""The first-stage settings of the paper's tables by their streams."""
PRECISION, PRECISIONS = 0.15, (0.10, 0.15, 0.20)
FALSE_POSITIVES = 3


@dataclass(frozen=True, eq=False)
class Sweep:
    """Precision and recall of one patient at each of (T,) thresholds; NaN without candidates, or without nodes."""

    precision: np.ndarray
    recall: np.ndarray


def compare_candidates(
    found: Sequence[Candidate],
    scores: Sequence[float] | np.ndarray,
    labels: np.ndarray,
    voxel_mm3: float,
    sizes: np.ndarray | None = None,
) -> Comparison:
    """Compare candidates with the significant nodes of a label map, by the hit rule of sec. 4.3.

    Radii are those of spheres of the same volume. `sizes` is the number of voxels of each label, counted here if missing.
    """
    sizes = np.bincount(labels.ravel()) if sizes is None else sizes
    numbers = (np.flatnonzero(sizes[1:]) + 1).tolist()
    overlap = np.zeros((len(found), len(numbers)))
    predicted = np.array([each.component.mask.sum() for each in found], float)
    for row, each in enumerate(found):
        inside = labels[each.component.where][each.component.mask]
        counts = np.bincount(inside, minlength=len(sizes))
        overlap[row] = counts[numbers]
    radius = lambda voxels: (3 * np.asarray(voxels, float) * voxel_mm3 / (4 * np.pi)) ** (1 / 3)  # noqa: E731
    hits = osln_hits(overlap, radius(predicted), radius(sizes[numbers])) if numbers else np.zeros(overlap.shape, bool)
    union = predicted[:, None] + sizes[numbers][None] - overlap
    return Comparison(np.asarray(scores, float), overlap / np.maximum(union, 1), hits)


def sweep(probability: np.ndarray, labels: np.ndarray, config: StageOneConfig, voxel_mm3: float) -> Sweep:
    """Compute precision and recall of one patient's candidates at every threshold."""
    precision, recall = np.full(len(THRESHOLDS), np.nan), np.full(len(THRESHOLDS), np.nan)
    sizes = np.bincount(labels.ravel())
    for n, threshold in enumerate(THRESHOLDS):
        found = candidates(probability, threshold, config, voxel_mm3)
        hits = compare_candidates(found, np.ones(len(found)), labels, voxel_mm3, sizes).hits
        if hits.shape[0]:
            precision[n] = hits.any(1).mean()
        if hits.shape[1]:
            recall[n] = hits.any(0).mean()
    return Sweep(precision, recall)


def recall_at(sweeps: Sequence[Sweep], precision: float = PRECISION) -> float:
    """Compute the highest recall (percent) over thresholds whose precision is reached; both macro-averaged."""
    return _recall_at(*_means(sweeps), precision)


def mean_recall(sweeps: Sequence[Sweep]) -> float:
    """Compute mRecall@0.10-0.20, percent, in steps of 0.05."""
    means = _means(sweeps)
    return float(np.mean([_recall_at(*means, precision) for precision in PRECISIONS]))


def operating_point(sweeps: Sequence[Sweep], precision: float = PRECISION) -> float:
    """Return the highest threshold with the highest recall at the precision; the last one where none reaches it."""
    reached, recall = _means(sweeps)
    possible = np.where(reached >= precision - 1e-9, recall, -1.0)
    return THRESHOLDS[int(np.flatnonzero(possible == possible.max())[-1])]


def first_stage_metrics(sweeps: Mapping[str, Sequence[Sweep]]) -> dict[str, Any]:
    """Return table 1b: recall at precision 0.15 and mRecall of each setting, with 95 % intervals."""
    return {
        setting: {
            "Recall@0.15": recall_at(patients), "Recall@0.15 interval": bootstrap_metric(patients, recall_at),
            "mRecall@0.10-0.20": mean_recall(patients),
            "mRecall@0.10-0.20 interval": bootstrap_metric(patients, mean_recall),
            "patients": len(patients),
        }
        for setting, patients in sweeps.items()
    }  # fmt: skip


def detection_metrics(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Return the columns of table 2, best F1 and mFROC, and the recall at 3 false positives; 95 % intervals."""
    at_three: Callable[[list[Comparison]], float] = partial(_recall_at_fps, fps=FALSE_POSITIVES)
    result: dict[str, Any] = {"patients": len(comparisons), "nodes": sum(c.hits.shape[1] for c in comparisons)}
    for name, metric in (("F1", best_f1), ("mFROC", mean_froc), ("Recall@3FP", at_three)):
        result[name] = metric(list(comparisons))
        result[f"{name} interval"] = bootstrap_metric(comparisons, metric)
    return result | {f"Recall@{n}FP": _recall_at_fps(list(comparisons), n) for n in OSLN_FPS}


def mean_froc(comparisons: list[Comparison]) -> float:
    """Compute mFROC, the mean recall (percent) at 2, 3, 4 and 6 false positives per patient."""
    return average_sensitivity(comparisons, OSLN_FPS)


def proposal_threshold(comparisons: Sequence[Comparison], fps: float = FALSE_POSITIVES) -> float:
    """Return the lowest score above which there are at most `fps` false positives per patient."""
    allowed, _, thresholds = froc(comparisons)
    kept = thresholds[allowed <= fps + 1e-9]
    dropped = thresholds[allowed > fps + 1e-9]
    return float(dropped.max()) if len(dropped) else float(min(kept.min(), 1.0)) - 1e-6


def precision_at_operating_point(comparisons: Sequence[Comparison]) -> tuple[float, float]:
    """Return macro precision and recall (percent) of all candidates together."""
    equal = [Comparison(np.ones(len(c.scores)), c.overlap, c.hits) for c in comparisons]
    precision, recall = macro_precision_recall(equal)
    return (100 * float(precision[0]), 100 * float(recall[0])) if len(precision) else (float("nan"), float("nan"))


def _recall_at(reached: np.ndarray, recall: np.ndarray, precision: float) -> float:
    return 100 * float(recall[reached >= precision - 1e-9].max(initial=0.0))


def _recall_at_fps(comparisons: list[Comparison], fps: float) -> float:
    return float(sensitivity_at(comparisons, [fps])[0])


def _means(sweeps: Sequence[Sweep]) -> tuple[np.ndarray, np.ndarray]:
    """Return macro precision and recall, (T,); precision is 0 where no patient has a candidate."""
    precision, recall = (_mean(np.stack([getattr(each, name) for each in sweeps])) for name in ("precision", "recall"))
    return precision, recall


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over (N, T) patients without those whose value is NaN; 0 where all are."""
    known = np.logical_not(np.isnan(values))
    return np.where(known, values, 0.0).sum(0) / np.maximum(known.sum(0), 1)
