"""Peaks of a map: the highest first, at a minimum distance, with sub-voxel positions."""

import numpy as np
import pytest

from oncotrack.followup.peaks import find_peaks


def test_the_highest_peaks_come_first_at_the_minimum_distance():
    z, y, x = np.indices((9, 20, 20), float)
    bumps = [((4, 4.3, 5), 1.0), ((4, 6, 5), 0.9), ((4.2, 15, 14.6), 0.8), ((1, 17, 3), 0.5)]
    score = np.max([h - 0.06 * ((z - c[0]) ** 2 + (y - c[1]) ** 2 + (x - c[2]) ** 2) for c, h in bumps], axis=0)
    before = score.copy()
    found = find_peaks(score, (2.0, 1.0, 1.0), 3, minimum_distance_mm=6.0)
    assert [peak.cell for peak in found] == [(4, 4, 5), (4, 15, 15), (1, 17, 3)]
    assert np.allclose(found[0].position, (4, 4.3, 5), atol=0.15)
    assert found[1].position == pytest.approx((4.2, 15, 14.6), abs=1e-6)
    assert [peak.score for peak in found] == [score[peak.cell] for peak in found]
    assert np.array_equal(score, before)


def test_forbidden_places_are_never_peaks():
    score = np.full((3, 3, 3), -np.inf)
    assert find_peaks(score, (1, 1, 1), 4, 1.0) == []
    score[1, 1, 1] = 0.2
    (only,) = find_peaks(score, (1, 1, 1), 4, 1.0)
    assert only.cell == (1, 1, 1)
    assert np.array_equal(only.position, (1, 1, 1))
