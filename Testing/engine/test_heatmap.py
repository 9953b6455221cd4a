"""The anatomy maps have the values of the papers, in any orientation."""

import numpy as np
import pytest

from oncotrack.errors import InputError
from oncotrack.images.geometry import Geometry
from oncotrack.networks.heatmap import anatomy_map, gaussian_dlt

OBLIQUE = np.linalg.qr(np.array([[1.0, 0.3, -0.2], [-0.25, 1, 0.15], [0.2, -0.1, 1]]))[0]
GRIDS = [
    Geometry((21, 17, 13), (1.0, 1.5, 2.0), (-10, -12, -12)),
    Geometry((21, 17, 13), (1.0, 1.5, 2.0), (-3, 4, -7), OBLIQUE),
]


@pytest.mark.parametrize("grid", GRIDS)
def test_dlt_equation_2(grid):
    centre, radius = grid.centre + np.array([1.3, -0.4, 2.1]), 3.0
    signal = gaussian_dlt(grid, centre, radius)
    k, j, i = 3, 12, 7
    distance = np.linalg.norm(grid.to_ras((i, j, k)) - centre)
    assert signal[k, j, i] == pytest.approx(np.exp(-(distance**2) / (2 * (4 * radius) ** 2)), rel=1e-4)


def test_the_peak_is_one_at_the_centre():
    grid = Geometry((9, 9, 9))
    assert gaussian_dlt(grid, (4, 4, 4), 2.0)[4, 4, 4] == 1.0
    assert gaussian_dlt(grid, (4, 4, 4), 2.0).max() == 1.0


def test_the_overlay_covers_the_scan_coarsely():
    grid = Geometry((512, 512, 100), (0.8, 0.8, 2.0), (-200, -200, 0), OBLIQUE)
    overlay = anatomy_map(grid, grid.centre, 8.0)
    assert overlay.array.size < 0.1 * np.prod(grid.size)
    assert np.allclose(overlay.geometry.bounds, grid.bounds, atol=1e-6)


@pytest.mark.parametrize("radius", [0, -1, np.nan])
def test_a_radius_that_is_not_positive_is_refused(radius):
    with pytest.raises(InputError, match="positive number of mm"):
        gaussian_dlt(Geometry((3, 3, 3)), (0, 0, 0), radius)
