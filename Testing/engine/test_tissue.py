"""The change of a lesion's tissue is measured in its middle only, on any grid."""

import numpy as np
import pytest

from oncotrack.followup.tissue import flag_tissue_change, mean_hu_difference
from oncotrack.followup.tracker import Match, ScanPair
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

AT, THERE, RADIUS = (18.0, 20.0, 22.0), (26.0, 18.0, 20.0), 8.0


def scan(middle, radius_mm: float, hu: float, spacing=(1.0, 1.0, 2.0)) -> Volume:
    """Return a ball in fat."""
    grid = Geometry(tuple(int(44 / mm) for mm in spacing), spacing)
    cells = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)[..., ::-1]
    inside = np.linalg.norm(grid.to_ras(cells) - middle, axis=-1) <= radius_mm
    return Volume(np.where(inside, hu, -100.0).astype(np.int16), grid, "ball", "CT")


def test_it_is_the_difference_of_the_middles():
    before = scan(AT, RADIUS, 40)
    same, enhanced, gone = scan(THERE, RADIUS, 40, (1.5, 1.5, 3.0)), scan(THERE, RADIUS, 110), scan(THERE, 0.1, 40)
    assert mean_hu_difference(ScanPair(before, same), AT, THERE, RADIUS) == pytest.approx(0, abs=1e-3)
    assert mean_hu_difference(ScanPair(before, enhanced), AT, THERE, RADIUS) == pytest.approx(70, abs=1e-3)
    assert mean_hu_difference(ScanPair(before, gone), AT, THERE, RADIUS) == pytest.approx(140, abs=10)


def test_a_lesion_half_as_large_is_the_same_tissue_and_metal_counts_as_bone():
    before, shrunk = scan(AT, RADIUS, 40), scan(THERE, RADIUS / 2, 40)
    assert mean_hu_difference(ScanPair(before, shrunk), AT, THERE, RADIUS) < 20
    bone, metal = scan(AT, RADIUS, 400), scan(THERE, RADIUS, 3000)
    assert mean_hu_difference(ScanPair(bone, metal), AT, THERE, RADIUS) == pytest.approx(0, abs=1e-3)


def test_a_match_on_different_tissue_is_not_found():
    match = Match(True, THERE, THERE, RADIUS, 0.9, 0.5)
    before = scan(AT, RADIUS, 40)
    assert flag_tissue_change(match, ScanPair(before, scan(THERE, RADIUS, 150)), AT, RADIUS) is match
    flagged = flag_tissue_change(match, ScanPair(before, scan(THERE, RADIUS, -850)), AT, RADIUS)
    assert not flagged.found
    assert "890 HU" in flagged.reason
    assert flagged.position == THERE
