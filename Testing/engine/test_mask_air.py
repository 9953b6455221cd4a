"""A mask from diameters leaves out the air around a solid lesion; a doubtful mask gives a warning in words."""

from __future__ import annotations

import numpy as np
import pytest

from oncotrack.evaluation.masks import dice
from oncotrack.findings.finding import Observation
from oncotrack.findings.tracklet import SliceBox, Tracklet
from oncotrack.images.files import load
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.air import air_limit
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.propagate import propagate_to_3d
from oncotrack.masks.pseudo_mask import pseudo_mask
from oncotrack.masks.quality import mask_warnings
from oncotrack.masks.recist import measure
from oncotrack.masks.suggestion import propose_mask

GRID = Geometry((80, 80, 24), (1.0, 1.0, 2.5), (-40.0, -40.0, -30.0))


def scan(inside, *, lesion: float = 40.0, around: float = -850.0, noise: float = 15.0) -> tuple[Volume, Volume]:
    """Return a CT (HU) with a lesion where `inside` of the place (mm) is true, and its mask."""
    k, j, i = np.indices(GRID.shape)
    mask = inside(GRID.to_ras(np.stack([i, j, k], -1)))
    array = np.where(mask, lesion, around) + np.random.default_rng(0).normal(0, noise, GRID.shape)
    return Volume(array.astype(np.int16), GRID, "lung", "CT"), Volume(mask.astype(np.uint8), GRID, "truth")


def notched(place: np.ndarray) -> np.ndarray:
    """Return a ball of 36 mm with a deep notch of lung in its border."""
    ball = (place**2).sum(-1) < 18**2
    return ball & ~((place[..., 0] > 6) & (np.abs(place[..., 1] - 8) < 4))


def on_grid(mask: Volume) -> Volume:
    """Return a cropped mask on the whole grid."""
    return mask.resampled(GRID, fill=0, nearest=True)


def air(image: Volume, mask: Volume) -> float:
    """Return the share of air in a mask."""
    return float((image.array[on_grid(mask).array > 0] < -500).mean())


@pytest.mark.parametrize("make", [pseudo_mask, propagate_to_3d])
def test_the_air_in_a_notch_of_a_solid_lesion_is_left_out(make):
    image, truth = scan(notched)
    mask = make(image, measure(truth).axes)
    assert air(image, mask) < 0.03
    if make is propagate_to_3d:
        assert dice(on_grid(mask).array > 0, truth.array > 0) > 90
    assert mask_warnings(image, mask, measure(truth).axes) == []


def test_a_cavity_inside_a_lesion_belongs_to_it():
    image, truth = scan(lambda place: ((place**2).sum(-1) < 18**2) & ((place**2).sum(-1) > 6**2))
    whole = (truth.array[12] > 0).sum()
    flat = pseudo_mask(image, RecistAxes.of(np.array([[-18, 0, 0], [18, 0, 0]]), np.array([[0, -18, 0], [0, 18, 0]])))
    assert flat.array.sum() > whole, "the cavity is filled"


def test_a_lesion_that_is_not_solid_and_an_image_that_is_no_ct_have_no_limit():
    radius = np.hypot(*np.indices((60, 60)) - 30) / 15
    for lesion, modality, expected in ((40, "CT", True), (-600, "CT", False), (40, "MR", False)):
        image, _truth = scan(lambda place: (place**2).sum(-1) < 15**2, lesion=lesion)
        image = Volume(image.array, GRID, "image", modality)
        values = np.where(radius < 1, lesion, -850)
        limit = air_limit(image, values, radius)
        assert (limit is not None) == expected
        assert limit is None or limit == pytest.approx(-405, abs=20)


def test_more_than_a_tenth_of_air_is_said_in_words():
    image, truth = scan(notched)
    axes = measure(truth).axes
    ball = Volume(
        ((GRID.to_ras(np.stack(np.indices(GRID.shape)[::-1], -1)) ** 2).sum(-1) < 20**2).astype(np.uint8), GRID
    )
    (sentence,) = mask_warnings(image, ball, axes)
    share = air(image, ball)
    assert share > 0.1 and sentence == f"{100 * share:.0f} % of the mask is air: check its border, slice by slice."


def test_a_mask_that_is_mostly_the_ellipsoid_is_said_so_only_where_the_image_shows_no_border():
    for lesion, is_doubtful in ((45.0, True), (140.0, False)):
        image, truth = scan(
            lambda place: ((place / [18, 14, 15]) ** 2).sum(-1) < 1, lesion=lesion, around=40.0, noise=20
        )
        axes = measure(truth).axes
        sentences = mask_warnings(image, truth, axes)
        assert len(sentences) == is_doubtful and all("mostly the ellipsoid" in each for each in sentences)


def test_a_suggested_mask_of_slice_boxes_has_the_volume_of_the_whole_node():
    image, truth = scan(lambda place: ((place / [9, 7, 11]) ** 2).sum(-1) < 1, lesion=60.0, around=-90.0)
    tracklet = measure(truth).tracklet
    node = Observation(centre=(0, 0, 0)).with_tracklet(tracklet)
    mask = propose_mask(image, node)
    volume = mask.array.sum() * GRID.voxel_mm3
    assert measure(mask).tracklet.first == 0 or len(measure(mask).tracklet.boxes) == len(tracklet.boxes)
    assert volume > 0.85 * tracklet.volume_mm3
    assert dice(on_grid(mask).array > 0, truth.array > 0) > 85
    with pytest.raises(Exception, match="too small for a mask"):
        flat = Tracklet((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 2.5), (SliceBox(0, (0, 0), (0.2, 0.1)),))
        propose_mask(image, Observation(centre=(0, 0, 0)).with_tracklet(flat))


@pytest.mark.real
def test_a_real_sarcoma_keeps_its_accuracy(shared_data):
    folder = shared_data / "sts_petct_nifti"
    image, truth = (load(folder / f"STS_002_CT_{what}.nii.gz") for what in ("image", "mask"))
    mask = propagate_to_3d(image, measure(truth).axes)
    assert dice(mask.resampled(truth.geometry, fill=0, nearest=True).array > 0, truth.array > 0) > 86
