"""Is one method better than another? Confidence intervals and tests on the same lesions, patient by patient.

Lesions of one patient resemble each other, so patients are resampled, not lesions; without `groups` every value is
its own group.
"""

from __future__ import annotations

import numpy as np

from oncotrack.errors import InputError

_SEED = 20260101


def _sums(values, groups) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(values, float).ravel()
    if not np.isfinite(values).all():
        raise InputError("The values to be compared hold numbers that are missing or infinite. Leave those cases out.")
    groups = np.arange(len(values)) if groups is None else np.asarray(groups).ravel()
    if len(groups) != len(values):
        raise InputError(f"{len(values)} values come with {len(groups)} patients; one patient a value is needed.")
    _, index = np.unique(groups, return_inverse=True)
    return np.bincount(index, values), np.bincount(index).astype(float)


def bootstrap_interval(values, groups=None, confidence: float = 0.95, resamples: int = 2000) -> list[float] | None:
    """Percentile bootstrap interval of a mean (Efron and Tibshirani, "An introduction to the bootstrap", ch. 13).

    Parameters
    ----------
    values : (N,) array_like
        A value a lesion: a distance, or 100 and 0 for hit and miss.
    groups : (N,) array_like, optional
        The patient of each value; whole patients are drawn with replacement.

    Returns
    -------
    [low, high], or None when there are no values. The same for the same values.
    """
    sums, counts = _sums(values, groups)
    if not len(sums):
        return None
    generator = np.random.default_rng(_SEED)
    weights = generator.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=resamples)
    means = (weights @ sums) / (weights @ counts)
    tail = (1 - confidence) / 2
    return [float(q) for q in np.quantile(means, [tail, 1 - tail])]


def paired_bootstrap(a, b, groups=None, confidence: float = 0.95, resamples: int = 2000) -> dict:
    """Difference of two means over the same lesions, ``mean(a) - mean(b)``, with its bootstrap interval.

    Returns
    -------
    dict
        ``difference`` and ``interval`` ([low, high]); without values both are None.
    """
    difference = _difference(a, b)
    if not len(difference):
        return {"difference": None, "interval": None}
    interval = bootstrap_interval(difference, groups, confidence, resamples)
    return {"difference": float(difference.mean()), "interval": interval}


def paired_test(a, b, groups=None, resamples: int = 9999) -> float:
    """Two-sided p value of "a and b have the same mean", by flipping signs of the paired differences.

    The exchangeable unit is the patient: all differences of a patient are flipped together (E. Pitman, "Significance
    tests which may be applied to samples from any populations", 1937). Up to 13 patients all flips are counted, so that
    the value is exact; above, `resamples` of them. For hits and misses it agrees with McNemar's exact test.
    """
    sums, _ = _sums(_difference(a, b), groups)
    sums = sums[sums != 0]
    if not len(sums):
        return 1.0
    if len(sums) <= 13:
        signs = 1 - 2 * ((np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums))) & 1)
        extra = 0
    else:
        signs = np.random.default_rng(_SEED).choice([-1, 1], size=(resamples, len(sums)))
        extra = 1
    reached = np.abs(signs @ sums) >= np.abs(sums.sum()) * (1 - 1e-12)
    return float((reached.sum() + extra) / (len(signs) + extra))


def _difference(a, b) -> np.ndarray:
    a, b = np.asarray(a, float).ravel(), np.asarray(b, float).ravel()
    if len(a) != len(b):
        raise InputError(f"A paired comparison needs the same lesions twice; {len(a)} and {len(b)} were given.")
    return a - b
