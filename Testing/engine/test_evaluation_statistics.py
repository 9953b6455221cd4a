"""Intervals and tests against SciPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from oncotrack.errors import InputError
from oncotrack.evaluation.statistics import (
    bootstrap_interval,
    bootstrap_metric,
    compare_means,
    compare_metrics,
    paired_test,
)


def test_the_interval_of_a_mean_is_scipys():
    values = np.random.default_rng(1).gamma(2, 3, 200)
    want = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=5000, rng=np.random.default_rng(2))
    assert bootstrap_interval(values, resamples=5000) == pytest.approx(list(want.confidence_interval), rel=0.02)


def test_lesions_of_one_patient_count_once():
    values = np.random.default_rng(1).normal(size=40)
    alone = bootstrap_interval(values)
    copied = bootstrap_interval(np.repeat(values, 10), np.repeat(np.arange(40), 10))
    naive = bootstrap_interval(np.repeat(values, 10))
    assert np.ptp(copied) == pytest.approx(np.ptp(alone), rel=0.05) and np.ptp(naive) < 0.5 * np.ptp(alone)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=2, max_size=9))
def test_the_exact_p_value_is_scipys_permutation_test(rows):
    a, b = np.array(rows, float).T
    want = stats.permutation_test(
        (a, b), lambda x, y, axis: (x - y).mean(axis), permutation_type="samples", vectorized=True, n_resamples=np.inf
    )
    assert paired_test(a, b) == pytest.approx(want.pvalue)


def test_hits_and_misses_agree_with_mcnemars_exact_test():
    a = np.array([1] * 9 + [0] * 2 + [1] * 30 + [0] * 8)
    b = np.array([0] * 9 + [1] * 2 + [1] * 30 + [0] * 8)
    assert paired_test(a, b) == pytest.approx(stats.binomtest(9, 11).pvalue)


def test_many_values_agree_with_the_paired_t_test():
    generator = np.random.default_rng(3)
    a = generator.normal(0, 1, 300)
    b = a + generator.normal(0.1, 1, 300)
    assert paired_test(a, b) == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.02)
    result = compare_means(a, b)
    want = stats.ttest_rel(a, b).confidence_interval()
    assert result["difference"] == pytest.approx((a - b).mean())
    assert result["interval"] == pytest.approx([want.low, want.high], abs=0.02)
    assert paired_test(a, b) == result["p"] == compare_means(a, b)["p"], "the same values, the same p"


def test_empty_and_equal_values():
    assert bootstrap_interval([]) is None
    assert compare_means([], []) == {"difference": None, "interval": None, "p": None}
    assert paired_test([], []) == 1.0 and paired_test([1, 2], [1, 2]) == 1.0
    with pytest.raises(InputError, match="same lesions twice"):
        paired_test([1, 2], [1])
    with pytest.raises(InputError, match="one patient for each value"):
        bootstrap_interval([1, 2], [1])
    with pytest.raises(InputError, match="missing or infinite"):
        bootstrap_interval([1, np.nan])


def test_a_metric_is_compared_patient_by_patient():
    """The metric being a mean, interval and p are those of `compare_means`."""
    generator = np.random.default_rng(4)
    for count in (8, 60):
        a = generator.normal(0.4, 1, count)
        b = np.zeros(count)
        metric, mean = compare_metrics(a, b, np.mean), compare_means(a, b)
        assert metric["difference"] == pytest.approx(mean["difference"])
        assert metric["interval"] == pytest.approx(mean["interval"], abs=0.06)
        assert metric["p"] == pytest.approx(mean["p"], abs=1e-9 if count == 8 else 0.02)
    assert compare_metrics(a, a, np.mean) == {"difference": 0, "interval": [0, 0], "p": 1}


def test_resamples_without_a_value_are_left_out():
    assert bootstrap_metric([], np.mean) is None
    assert bootstrap_metric([np.nan], np.mean) is None
    assert compare_metrics([np.nan], [np.nan], np.mean)["p"] is None


def test_intervals_are_those_of_the_published_figures():
    """The seeds and the order of the random draws must not change: the documents quote intervals made with them."""
    values = np.sqrt(np.arange(12))
    assert bootstrap_interval(values) == pytest.approx([1.6239769075542765, 2.6406045122677644])
    assert bootstrap_metric(list(values), np.mean) == pytest.approx([1.5737880674752485, 2.621983505827757])
