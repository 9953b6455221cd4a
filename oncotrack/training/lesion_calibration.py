"""From which score on a lesion tracker says that the lesion is there."""

from __future__ import annotations

import numpy as np
import torch

from oncotrack.background.jobs import Progress, silent
from oncotrack.training.lesion_pairs import LesionPairSamples

SAMPLES = 240
_BATCH = 4
_MOST_DOUBTED = 0.1


def found_threshold(network: torch.nn.Module, samples: LesionPairSamples, progress: Progress = silent) -> float:
    """The score, 0 to 1, below which a lesion is said to have vanished, measured on `SAMPLES` samples."""
    network.eval()
    scores, found = [], []
    for first in range(0, SAMPLES, _BATCH):
        progress(first / SAMPLES, "Calibrating")
        pairs = samples.collate([samples.sample(n) for n in range(first, first + _BATCH)])
        with torch.inference_mode():
            said = network(pairs.to(next(network.parameters()).device))
        logits = getattr(said, "logits", said)
        scores += logits.flatten(1).amax(1).float().sigmoid().tolist()
        found += pairs.found.tolist()
    return dividing(np.array(scores), np.array(found, bool))


def dividing(scores: np.ndarray, found: np.ndarray) -> float:
    """The threshold that tells most, each kind counting the same, and doubts at most a tenth of those that are there.

    Parameters
    ----------
    scores : (N,) 0 to 1
    found : (N,) bool

    Returns
    -------
    float
        0 when nothing has vanished, so that nothing is doubted.
    """
    if found.all() or not found.any():
        return 0.0
    possible = np.unique(scores)
    doubted = np.array([(scores[found] < each).mean() for each in possible])
    told = np.array([(scores[~found] < each).mean() for each in possible])
    allowed = doubted <= _MOST_DOUBTED
    return float(possible[allowed][np.argmax((told - doubted)[allowed])])
