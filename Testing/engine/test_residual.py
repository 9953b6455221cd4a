"""The residual of a registration: how far local matching moves points that the registration has aligned."""

from __future__ import annotations

import numpy as np
import pytest

from oncotrack.errors import Cancelled
from oncotrack.followup.residual import Residual, edge_points, residual
from oncotrack.followup.tracker import ScanPair
from oncotrack.registration.registration import Registration


def moved_by(mm: float) -> Registration:
    """Return a registration that is off by `mm` to the right, of a scan with itself."""
    matrix = np.eye(4)
    matrix[0, 3] = mm
    return Registration(matrix)


@pytest.mark.parametrize("mm", [0.0, 2.0, 5.0])
def test_a_registration_that_is_off_by_a_known_distance_has_that_residual(known_pair, mm):
    scan = known_pair.pair.baseline
    measured = residual(ScanPair(scan, scan, moved_by(mm)))
    assert measured.median_mm == pytest.approx(mm, abs=0.5)
    assert measured.points >= 10
    assert f"at {measured.points} points" in measured.text


def test_points_lie_in_the_scan_and_apart_from_each_other(known_pair):
    points = np.array(edge_points(known_pair.pair))
    assert all(known_pair.pair.baseline.geometry.contains(each) for each in points)
    assert len(np.unique(points.round(1), axis=0)) == len(points)


def test_a_residual_beyond_the_search_or_of_too_few_points_is_not_given_as_a_number():
    assert "10 mm or more" in Residual(11.2, 40).text
    assert Residual(None, 3).text == "residual not measurable"


def test_it_can_be_stopped_between_two_points(known_pair):
    def stop(fraction: float, _text: str) -> None:
        if fraction > 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        residual(known_pair.pair, stop)
