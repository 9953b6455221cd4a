"""The size of a lesion of which only the position is known is taken from the image; a vessel is called one."""

from __future__ import annotations

import numpy as np
import pytest

from oncotrack.findings.finding import Observation, TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.visit_table import tip
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.extent import LONGEST_OF_TUBE, extent_at
from oncotrack.masks.findings import observation
from oncotrack.masks.quality import with_doubts
from oncotrack.masks.recist import measure
from oncotrack.masks.suggestion import propose_mask

CLICK_RADIUS_MM = 8.0


@pytest.fixture(scope="module")
def lung() -> Volume:
    """Return lung (HU) with a nodule of 18 x 12 mm at the origin, an oblique vessel of 6 mm, and one along the slices."""
    geometry = Geometry((80, 80, 48), (1.0, 1.0, 1.5), (-40.0, -40.0, -36.0))
    k, j, i = np.meshgrid(*(np.arange(n) for n in geometry.shape), indexing="ij")
    r, a, s = np.moveaxis(geometry.to_ras(np.stack([i, j, k], -1)), -1, 0)
    array = np.full(geometry.shape, -850.0)
    array[(r / 9) ** 2 + (a / 6) ** 2 + (s / 7) ** 2 < 1] = 30.0
    array[np.hypot(r - 28 - 0.3 * s, a) < 3] = 40.0
    array[np.hypot(a + 28, s) < 2.5] = 40.0
    noise = np.random.default_rng(1).normal(0, 15, array.shape)
    return Volume((array + noise).astype(np.float32), geometry, "lung", "CT")


def test_a_nodule_is_measured_from_a_click_beside_its_middle(lung):
    for click in ((0.0, 0.0, 0.0), (2.0, 1.5, 0.0)):
        extent = extent_at(lung, click)
        assert extent is not None and not extent.is_tube
        assert extent.axes.long.length_mm == pytest.approx(18, abs=2.5)
        assert extent.axes.short.length_mm == pytest.approx(12, abs=2.5)
    mask = measure(propose_mask(lung, Observation(centre=(0, 0, 0), radius_mm=CLICK_RADIUS_MM)))
    assert mask.long_axis.length_mm == pytest.approx(18, abs=2.5)


@pytest.mark.parametrize(("click", "width"), [((28.0, 0.0, 0.0), 6.0), ((0.0, -28.0, 0.0), 5.0)])
def test_a_vessel_gives_a_small_suggestion_that_says_what_it_may_be(lung, click, width):
    extent = extent_at(lung, click)
    assert extent is not None and extent.is_tube
    assert extent.axes.short.length_mm == pytest.approx(width, abs=1.5)
    assert extent.axes.long.length_mm <= LONGEST_OF_TUBE * extent.axes.short.length_mm + 1
    mask = propose_mask(lung, Observation(centre=click, radius_mm=CLICK_RADIUS_MM))
    seen = with_doubts(observation(mask), lung)
    assert any("vessel" in doubt for doubt in seen.doubts)
    findings = FindingList([TimePoint("t0", "baseline")])
    uid = findings.add("t0", seen).uid
    stored = FindingList.from_json(findings.to_json())[uid].at("t0")
    assert stored.provenance.doubts == seen.doubts and "vessel" in tip(stored)


def test_without_a_visible_border_nothing_is_measured():
    geometry = Geometry((60, 60, 40), (1.5, 1.5, 2.0), (-45.0, -45.0, -40.0))
    noise = np.random.default_rng(2).normal(40, 12, geometry.shape).astype(np.float32)
    assert extent_at(Volume(noise, geometry, "plain", "CT"), (0, 0, 0)) is None
