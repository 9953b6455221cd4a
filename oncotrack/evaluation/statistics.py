"""Confidence intervals and significance tests for methods that are compared on the same patients.

Lesions of one patient are not independent of each other, so patients are resampled, not lesions. A mean over lesions is
resampled by how often each patient is drawn, any other metric by the list of patients that were drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from oncotrack.errors import InputError

Metric = Callable[[list[Any]], float]
"""A metric of a list of patients."""
_SEED = 20260101
_MEAN_RESAMPLES, _METRIC_RESAMPLES = 2000, 1000
_MEAN_FLIPS, _METRIC_FLIPS = 9999, 1000


def bootstrap_interval(
    values, groups=None, confidence: float = 0.95, resamples: int = _MEAN_RESAMPLES
) -> list[float] | None:
    """Compute the percentile bootstrap interval of a mean over lesions.

    B. Efron and R. Tibshirani, "An introduction to the bootstrap", 1993, ch. 13. The result is deterministic.

    Parameters
    ----------
    values : (N,) array_like
        One for each lesion: a distance, or 100 and 0 for hit and miss.
    groups : (N,) array_like, optional
        The patient of each value; whole patients are drawn with replacement. By default each value is a patient.
    confidence : float
        Of the interval, 0 to 1.
    resamples : int
        Number of draws.

    Returns
    -------
    [low, high], or None without any value.

    Raises
    ------
    InputError
        A value is not finite, or `values` and `groups` differ in length.
    """
    sums, counts = _sums_by_patient(values, groups)
    if not len(sums):
        return None
    generator = np.random.default_rng(_SEED)
    weights = generator.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=resamples)
    return _interval((weights @ sums) / (weights @ counts), confidence)


def bootstrap_metric(patients: Sequence[Any], metric: Metric) -> list[float] | None:
    """Compute the 95 % percentile bootstrap interval of any metric. The result is deterministic.

    Parameters
    ----------
    patients : sequence
        What `metric` takes a list of, such as the comparison of each patient.
    metric : callable
        From a list of patients to a number.

    Returns
    -------
    [low, high], or None where the metric is defined for no draw.
    """
    return _interval([metric([patients[n] for n in drawn]) for drawn in _draws(len(patients))])


def compare_means(a, b, groups=None) -> dict[str, Any]:
    """Compare the means of two methods over the same lesions.

    Parameters
    ----------
    a, b : (N,) array_like
        Values of the two methods, one for each lesion.
    groups : (N,) array_like, optional
        The patient of each lesion. By default each lesion is a patient.

    Returns
    -------
    dict
        ``difference``, ``mean(a) - mean(b)``; its 95 % bootstrap ``interval``; and ``p`` of `paired_test`. Without any
        value all are None.

    Raises
    ------
    InputError
        `a`, `b` and `groups` differ in length, or a value is not finite.
    """
    difference = _differences(a, b)
    if not len(difference):
        return {"difference": None, "interval": None, "p": None}
    interval = bootstrap_interval(difference, groups)
    return {"difference": float(difference.mean()), "interval": interval, "p": paired_test(a, b, groups)}


def compare_metrics(ours: Sequence[Any], theirs: Sequence[Any], metric: Metric) -> dict[str, Any]:
    """Compare a metric of two methods on the same patients.

    Parameters
    ----------
    ours, theirs : sequence
        The patients as `metric` takes them, in the same order.
    metric : callable
        From a list of patients to a number.

    Returns
    -------
    dict
        ``difference``, the metric of `ours` minus that of `theirs`; its 95 % bootstrap ``interval``; and the two-sided
        ``p`` of a permutation test that exchanges the two methods patient by patient.
    """

    def difference(ours: list[Any], theirs: list[Any]) -> float:
        return metric(ours) - metric(theirs)

    pairs = list(zip(ours, theirs, strict=True))
    draws = _draws(len(pairs))
    drawn = [difference([ours[n] for n in draw], [theirs[n] for n in draw]) for draw in draws]
    observed = difference(list(ours), list(theirs))
    p = None
    if pairs and np.isfinite(observed):
        signs, extra = _signs(len(pairs), _METRIC_FLIPS)
        exchanged = ([pair[::sign] for pair, sign in zip(pairs, row, strict=True)] for row in signs.tolist())
        p = _p_value(np.array([difference(*map(list, zip(*rows, strict=True))) for rows in exchanged]), observed, extra)
    return {"difference": observed, "interval": _interval(drawn), "p": p}


def paired_test(a, b, groups=None, resamples: int = _MEAN_FLIPS) -> float:
    """Compute the two-sided p value of "a and b have the same mean" by flipping the signs of paired differences.

    All differences of a patient are flipped together (E. Pitman, "Significance tests which may be applied to samples
    from any populations", 1937). For hits and misses it agrees with McNemar's exact test.

    Parameters
    ----------
    a, b : (N,) array_like
        Values of the two methods, one for each lesion.
    groups : (N,) array_like, optional
        The patient of each lesion. By default each lesion is a patient.
    resamples : int
        All sign flips are evaluated where they are at most that many (the value is then exact), else that many.

    Raises
    ------
    InputError
        `a`, `b` and `groups` differ in length, or a value is not finite.
    """
    sums, _ = _sums_by_patient(_differences(a, b), groups)
    sums = sums[sums != 0]
    if not len(sums):
        return 1.0
    signs, extra = _signs(len(sums), resamples)
    return _p_value(signs @ sums, float(sums.sum()), extra)


def _signs(count: int, resamples: int) -> tuple[np.ndarray, int]:
    """Return (R, count) signs, 1 or -1: all combinations (and 0) where they are few, else random ones (and 1).

    The number is added to numerator and denominator of the p value and represents the observed order itself.
    """
    if 2**count <= resamples:
        return 1 - 2 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1), 0
    return np.random.default_rng(_SEED).choice([-1, 1], size=(resamples, count)), 1


def _p_value(permuted: np.ndarray, observed: float, extra: int) -> float:
    """Return the share of permutations whose absolute value reaches the observed one."""
    reached = np.abs(permuted) >= np.abs(observed) * (1 - 1e-12)
    return float((reached.sum() + extra) / (len(permuted) + extra))


def _draws(count: int) -> np.ndarray:
    """Return (R, count) indices of patients drawn with replacement."""
    generator = np.random.default_rng(_SEED)
    return generator.integers(0, count, (_METRIC_RESAMPLES, count)) if count else np.empty((0, 0), int)


def _interval(values, confidence: float = 0.95) -> list[float] | None:
    """Return the central interval of resampled values that holds the share `confidence`; undefined ones are left out."""
    known = np.array([value for value in values if np.isfinite(value)])
    tail = (1 - confidence) / 2
    return [float(q) for q in np.quantile(known, [tail, 1 - tail])] if len(known) else None


def _sums_by_patient(values, groups) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum and the number of the values of each patient."""
    values = np.asarray(values, float).ravel()
    if not np.isfinite(values).all():
        raise InputError("Some of the values to compare are missing or infinite. Leave those cases out.")
    groups = np.arange(len(values)) if groups is None else np.asarray(groups).ravel()
    if len(groups) != len(values):
        raise InputError(f"{len(values)} values come with {len(groups)} patients. Give one patient for each value.")
    _, index = np.unique(groups, return_inverse=True)
    return np.bincount(index, values), np.bincount(index).astype(float)


def _differences(a, b) -> np.ndarray:
    """Return the paired differences, (N,)."""
    a, b = np.asarray(a, float).ravel(), np.asarray(b, float).ravel()
    if len(a) != len(b):
        raise InputError(f"A paired comparison needs the same lesions twice, but {len(a)} and {len(b)} were given.")
    return a - b
