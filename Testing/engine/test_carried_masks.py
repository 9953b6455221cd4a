"""The mask of a lesion at the follow-up, from its mask at baseline: made scans whose lesion grew, shrank or moved."""

from dataclasses import replace

import numpy as np
import pytest

from oncotrack.errors import InputError
from oncotrack.evaluation.masks import dice
from oncotrack.findings.finding import Axis, Observation, Provenance, State
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.followup.measure import METHOD, measure_match
from oncotrack.followup.tracker import ScanPair
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.carry import carry_mask
from oncotrack.masks.partial_volume import with_steps
from oncotrack.masks.recist import measure
from oncotrack.registration.registration import Registration

GRID = Geometry((72, 72, 36), (1.0, 1.0, 2.0), (-36.0, -36.0, -36.0))
SAME = Registration(np.eye(4))


def scan(radii, centre=(0.0, 0.0, 0.0), lesion=60.0, around=-90.0, noise=12.0, seed=0) -> tuple[Volume, Volume]:
    """Return a scan with an ellipsoid, and its mask."""
    k, j, i = np.indices(GRID.shape)
    offset = GRID.to_ras(np.stack([i, j, k], -1)) - np.asarray(centre)
    inside = ((offset / np.asarray(radii)) ** 2).sum(-1) <= 1
    values = np.where(inside, lesion, around) + np.random.default_rng(seed).normal(0, noise, GRID.shape)
    image = Volume(values.astype(np.int16), GRID, "scan", "CT")
    return image, Volume(inside.astype(np.uint8), GRID, "mask")


def overlap(found: Volume, truth: Volume) -> float:
    return dice(found.resampled(GRID, fill=0, nearest=True).array, truth.array)


@pytest.mark.parametrize("factor", [0.5, 0.7, 1.0, 1.3, 1.7])
def test_a_lesion_that_grew_or_shrank_is_outlined_and_measured(factor):
    radii = np.array([9.0, 7.0, 8.0])
    before, mask = scan(radii)
    after, truth = scan(radii * factor, seed=1)
    found, fit = carry_mask(before, mask, after, SAME, (0.0, 0.0, 0.0))
    assert overlap(found, truth) > (85 if factor > 0.5 else 78)
    assert fit.size == pytest.approx(factor, abs=0.25)
    long = measure(found).long_axis.length_mm
    assert long == pytest.approx(measure(truth).long_axis.length_mm, abs=max(2.0, 0.1 * 18 * factor))


def test_a_match_beside_the_lesions_centre_is_corrected():
    before, mask = scan((8, 8, 8))
    after, truth = scan((8, 8, 8), centre=(3.0, -3.0, 2.0), seed=1)
    found, fit = carry_mask(before, mask, after, SAME, (0.0, 0.0, 0.0))
    assert overlap(found, truth) > 85
    assert np.allclose(fit.shift, (3, -3, 2), atol=1.8)


def test_the_registration_turns_the_mask():
    turned = np.eye(4)
    turned[:2, :2] = [[0, -1], [1, 0]]
    before, mask = scan((12, 6, 7))
    after, truth = scan((6, 12, 7), seed=1)
    found, _fit = carry_mask(before, mask, after, Registration(turned), (0.0, 0.0, 0.0))
    assert overlap(found, truth) > 88


def test_another_contrast_phase_is_learned_from_the_follow_up():
    before, mask = scan((9, 8, 8), lesion=60, around=0)
    after, truth = scan((11, 10, 10), lesion=110, around=20, seed=1)
    found, _fit = carry_mask(before, mask, after, SAME, (0.0, 0.0, 0.0))
    assert overlap(found, truth) > 85


def test_a_neighbour_of_the_same_intensity_is_left_out():
    before, mask = scan((8, 8, 8))
    after, truth = scan((8, 8, 8), seed=1)
    other, _mask = scan((7, 7, 7), centre=(17.0, 0.0, 0.0), seed=2)
    after = replace(after, array=np.maximum(after.array, other.array))
    found, _fit = carry_mask(before, mask, after, SAME, (0.0, 0.0, 0.0))
    assert overlap(found, truth) > 85


def test_an_empty_mask_or_a_match_outside_the_scan_get_a_sentence():
    image, mask = scan((8, 8, 8))
    with pytest.raises(InputError, match="The baseline mask is empty"):
        carry_mask(image, replace(mask, array=np.zeros_like(mask.array)), image, SAME, (0.0, 0.0, 0.0))
    with pytest.raises(InputError, match="outside the follow-up"):
        carry_mask(image, mask, image, SAME, (900.0, 0.0, 0.0))


@pytest.fixture
def pair() -> tuple[ScanPair, Volume, Volume]:
    before, mask = scan((9, 8, 8))
    after, truth = scan((11, 10, 10), seed=1)
    return ScanPair(before, after, SAME), mask, truth


def test_a_match_gets_a_mask_diameters_and_a_volume(pair):
    scans, mask, truth = pair
    before = Observation(centre=(0, 0, 0), radius_mm=9, mask=PackedMask.of(mask))
    match = Observation(centre=(1, 0, 0), score=0.8, provenance=Provenance(method="selfsim"))
    found = measure_match(scans, before, match)
    assert (found.state, found.score, found.provenance.method) == (State.PROPOSED, 0.8, f"selfsim; {METHOD}")
    assert found.volume_mm3 == pytest.approx(truth.array.sum() * GRID.voxel_mm3, rel=0.2)
    assert found.long_axis.length_mm == pytest.approx(22, abs=2)
    assert found.is_measured, "diameters of a mask are measurements"


def test_a_lesion_without_a_mask_at_baseline_gets_one_for_the_purpose(pair):
    scans, _mask, truth = pair
    drawn = Observation(
        centre=(0, 0, 0), radius_mm=9, long_axis=Axis((-9, 0, 0), (9, 0, 0)), short_axis=Axis((0, -8, 0), (0, 8, 0))
    )
    found = measure_match(scans, drawn, Observation(centre=(0, 0, 0)))
    assert found.volume_mm3 == pytest.approx(truth.array.sum() * GRID.voxel_mm3, rel=0.35)
    assert drawn.mask is None


def test_partial_volume_becomes_a_step_half_way():
    ramp = np.full(GRID.shape, -900, np.int16)
    ramp[..., 30:] = 40
    ramp[..., 29] = -300  # two thirds of the denser tissue
    ramp[..., 28] = -750
    steps = with_steps(Volume(ramp, GRID, "scan", "CT"), GRID).array[18, 36]
    assert steps[29] > -100 and steps[28] < -800
    mr = with_steps(Volume(ramp, GRID, "scan", "MR"), GRID).array[18, 36]
    assert mr[29] == -300
