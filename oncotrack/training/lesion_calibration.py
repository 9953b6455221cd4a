"""Calibration of the score below which a lesion tracker reports that a lesion has vanished."""

from __future__ import annotations

import numpy as np
import torch

from oncotrack.background.jobs import Progress, silent
from oncotrack.training.lesion_pairs import LesionPairSamples

SAMPLES = 240
_BATCH = 4
_MOST_FALSE_ALARMS = 0.1


def found_threshold(
    network: torch.nn.Module, samples: LesionPairSamples, progress: Progress = silent, *, count: int = SAMPLES
) -> float:
    """Choose the score, 0 to 1, below which a lesion is reported as vanished, from `count` samples."""
    network.eval()
    scores, found = [], []
    for first in range(0, count, _BATCH):
        progress(first / count, "Calibrating")
        pairs = samples.collate([samples.sample(n) for n in range(first, first + _BATCH)])
        with torch.inference_mode():
            output = network(pairs.to(next(network.parameters()).device))
        logits = getattr(output, "logits", output)
        scores += logits.flatten(1).amax(1).float().sigmoid().tolist()
        found += pairs.found.tolist()
    return best_threshold(np.array(scores), np.array(found, bool))


def best_threshold(scores: np.ndarray, found: np.ndarray) -> float:
    """Return the threshold that best separates present from vanished lesions.

    It maximises the difference between the fraction of vanished lesions below it and that of present ones, which may be
    at most a tenth.

    Parameters
    ----------
    scores : (N,) ndarray
        0 to 1.
    found : (N,) bool ndarray
        False for vanished lesions.

    Returns
    -------
    float
        0 if there are no vanished or no present lesions, so that no lesion is reported as vanished.
    """
    if found.all() or not found.any():
        return 0.0
    candidates = np.unique(scores)
    false_alarms = np.array([(scores[found] < each).mean() for each in candidates])
    detected = np.array([(scores[~found] < each).mean() for each in candidates])
    allowed = false_alarms <= _MOST_FALSE_ALARMS
    return float(candidates[allowed][np.argmax((detected - false_alarms)[allowed])])
