"""The detector without training, masks of nodes from their boxes, and the review of proposals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from oncotrack.datasets.case import Case, label_case
from oncotrack.detection.anatomy.anatomy import Anatomy
from oncotrack.detection.ct_node_mask import NodePatch
from oncotrack.detection.ct_slices import LNSlices
from oncotrack.detection.fatblobs import FatBlobDetector
from oncotrack.detection.node_masks import with_mask
from oncotrack.detection.reviewed import ReviewedDetector
from oncotrack.detection.second_look.features import FEATURES, features
from oncotrack.detection.second_look.model import INPUTS, SecondLook, models_text
from oncotrack.detection.second_look.review import joined, possible, review
from oncotrack.detection.shown import SHOWN_AT_MOST, least_confidence, shown_and_hidden
from oncotrack.errors import InputError, WeightsError
from oncotrack.findings.finding import Kind
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.training.second_look import Samples, fit
from oncotrack.training.stored_cases import UNLABELLED, StoredCase, write_slices

_MM = 1.5, 1.5, 2.5
_SIZE = 150, 110, 34
NODE, SMALL, VESSEL, AT_BONE = (20.0, 10.0, 40.0), (-24.0, 6.0, 30.0), (-14.0, -20.0), (4.0, -40.0, 40.0)


@pytest.fixture(scope="module")
def scan() -> Volume:
    """Return fat within a wall of muscle, with two balls (a node of 14 and one of 8 mm), a vertical tube, and a ball on bone."""
    grid = Geometry(_SIZE, _MM, (112.0, 82.0, 0.0), ((-1, 0, 0), (0, -1, 0), (0, 0, 1)))
    k, j, i = np.indices(grid.shape)
    r, a, s = np.moveaxis(grid.to_ras(np.stack([i, j, k], -1)), -1, 0)
    hu = np.full(grid.shape, -1000.0)
    wall = (r / 90) ** 2 + (a / 68) ** 2
    hu[wall < 1] = 55
    hu[wall < 0.72] = -100
    for centre, radius in ((NODE, 7.0), (SMALL, 4.0), (AT_BONE, 4.0)):
        hu[(r - centre[0]) ** 2 + (a - centre[1]) ** 2 + (s - centre[2]) ** 2 < radius**2] = 70
    hu[(r - VESSEL[0]) ** 2 + (a - VESSEL[1]) ** 2 < 25] = 70
    hu[(r - 4) ** 2 + (a + 50) ** 2 < 64] = 500
    noise = np.random.default_rng(0).normal(scale=8, size=hu.shape)
    return Volume((hu + noise).astype(np.float32), grid, "fat", "CT")


@pytest.fixture(scope="module")
def proposals(scan):
    return FatBlobDetector().detect(scan)


@pytest.fixture(scope="module")
def anatomy(scan):
    return Anatomy.of(LNSlices(scan))


def _at(found, point, within=4.0):
    return [each for each in found if np.linalg.norm(np.subtract(each.observations["t0"].centre, point)) < within]


def test_balls_in_fat_are_found_and_a_tube_and_what_touches_bone_are_not(proposals):
    assert len(_at(proposals, NODE)) == len(_at(proposals, SMALL)) == 1
    assert not _at(proposals, AT_BONE)
    tube = [each for each in proposals if np.linalg.norm(np.subtract(each.observations["t0"].centre[:2], VESSEL)) < 4]
    assert not tube
    assert proposals[0] in (*_at(proposals, NODE), *_at(proposals, SMALL))


def test_the_box_fits_the_ball(proposals):
    box = _at(proposals, NODE)[0].observations["t0"].box
    assert np.subtract(box.high, box.low) == pytest.approx((14, 14, 14), abs=3.5)


def test_a_ball_that_nobody_labelled_is_neither_node_nor_background_in_training(scan, tmp_path):
    k, j, i = np.meshgrid(*(np.arange(n) for n in scan.array.shape), indexing="ij")
    at = scan.geometry.to_ras(np.stack([i, j, k], -1))
    labels = replace(scan, array=(((at - NODE) ** 2).sum(-1) < 49).astype(np.int16))
    known = label_case("ball", {"ct": scan}, labels, "ct", "drawn", Kind.LYMPH_NODE)
    slices = LNSlices(scan)

    def label_at(case: Case, centre: tuple[float, float, float]) -> int:
        write_slices(tmp_path / "one.safetensors", case)
        x, y, z = np.round(slices.geometry.to_ijk(centre)).astype(int)
        kept = StoredCase(tmp_path / "one.safetensors")
        assert len(kept.nodes) == 1, "what may be a node is not drawn as one"
        return int(kept.read(np.array([z]))[1][0, y, x])

    part = replace(known, is_complete=False)
    assert [label_at(part, centre) for centre in (NODE, SMALL, AT_BONE)] == [1, UNLABELLED, 0]
    assert label_at(part, (*VESSEL, SMALL[2])) == 0
    assert label_at(known, SMALL) == 0, "where all nodes are labelled the rest is background"


def test_no_blob_is_found_in_an_mr(scan):
    with pytest.raises(InputError, match="reads CT only"):
        FatBlobDetector().detect(replace(scan, modality="MR"))


def test_the_mask_of_a_node_has_its_true_axes_not_the_edges_of_its_box(scan, proposals):
    low, high = np.subtract(NODE, (9, 9, 9)), np.add(NODE, (9, 9, 9))
    patch = NodePatch.of(scan, low, high)
    assert patch.mask.sum() * np.prod(_MM) == pytest.approx(4 / 3 * np.pi * 7**3, rel=0.15)
    seen = with_mask(_at(proposals, NODE)[0].observations["t0"], patch.label_volume)
    assert seen.is_measured
    assert seen.long_axis.length_mm == pytest.approx(14, abs=1.6)
    assert seen.short_axis.length_mm == pytest.approx(14, abs=1.6)


def test_the_features_tell_a_ball_in_fat_from_a_tube(scan, anatomy, proposals):
    ball = dict(
        zip(FEATURES, features(scan, _at(proposals, NODE)[0].observations["t0"].box, anatomy, None), strict=True)
    )
    box = replace(
        _at(proposals, NODE)[0].observations["t0"].box, low=(-19.0, -25.0, 35.0), high=(-9.0, -15.0, 45.0)
    )  # a part of the tube
    tube = dict(zip(FEATURES, features(scan, box, anatomy, None), strict=True))
    assert ball["fat in the shell"] > 0.85
    assert ball["continues at one end"] < 0.4
    assert tube["continues at both ends"] > 0.8
    assert tube["grows out of the box"] > ball["grows out of the box"] + 0.3


def _model(**weights) -> SecondLook:
    values = np.array([weights.get(name, 0.0) for name in INPUTS])
    return SecondLook(np.zeros(len(INPUTS)), np.ones(len(INPUTS)), values, 0.0)


def test_reviewed_proposals_are_sorted_by_probability_and_have_a_region(scan, anatomy, proposals):
    model = _model(**{"size": 1.0})
    found = review(joined([], proposals, "t0"), scan, anatomy, model, "t0")
    seen = [each.observations["t0"].probability for each in found]
    assert seen == sorted(seen, reverse=True)
    assert 0 < seen[-1] <= seen[0] < 1
    assert [each.label for each in found] == [f"LN {n}" for n in range(1, len(found) + 1)]
    assert {each.region for each in found} == {"region unknown"}, "there are no lungs and no pelvis in this scan"
    assert _at(found, NODE)[0].observations["t0"].confidence > _at(found, SMALL)[0].observations["t0"].confidence


def test_a_proposal_in_bone_is_left_out(scan, anatomy, proposals):
    seen = proposals[0].observations["t0"]
    box = replace(seen.box, low=(0.0, -54.0, 36.0), high=(8.0, -46.0, 44.0))
    inside = replace(proposals[0], observations={"t0": replace(seen, box=box, centre=box.centre)})
    kept, inputs = possible([(inside, 0.9, 0.0)], scan, anatomy, "t0")
    assert kept == []
    assert inputs.shape[0] == 0


def test_a_node_that_both_detectors_propose_is_listed_once_with_both_scores(proposals):
    node = _at(proposals, NODE)[0]
    both = joined([node], proposals, "t0")
    assert len(both) == len(proposals)
    assert both[0][1:] == (node.observations["t0"].score, node.observations["t0"].score)
    assert all(network == 0 for _, network, _ in both[1:])


def test_the_second_look_learns_and_is_written_and_read_again(tmp_path):
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(2000, len(INPUTS)))
    is_node = inputs[:, 0] + 0.3 * rng.normal(size=2000) > 0.5
    model = fit(Samples(list(inputs), list(is_node), ["scan"] * 2000))
    probability = model.probability(inputs)
    assert probability.mean() == pytest.approx(is_node.mean(), abs=0.01), "calibrated in the mean"
    assert probability[is_node].mean() > 0.7 > 0.2 > probability[~is_node].mean()
    path = tmp_path / "second-look.json"
    path.write_text(models_text({"combined": model}, "Random numbers."))
    again = SecondLook.load(path, "combined")
    assert again.probability(inputs) == pytest.approx(probability, abs=1e-3)
    with pytest.raises(WeightsError, match="no second look for the detector lntracker"):
        SecondLook.load(path, "lntracker")
    path.write_text(path.read_text().replace("elongation", "longness"))
    with pytest.raises(WeightsError, match="other features"):
        SecondLook.load(path, "combined")
    with pytest.raises(InputError, match="at least 10"):
        fit(Samples(list(inputs[:5]), [True] * 5, ["scan"] * 5))


def test_every_detector_of_ct_has_a_bundled_second_look():
    for name in ("lntracker", "fatblobs", "combined"):
        assert np.isfinite(SecondLook.bundled(name).weights).all()


def test_the_most_probable_fifteen_are_shown_and_the_others_hidden(proposals):
    seen = proposals[0].observations["t0"]
    many = [
        replace(proposals[0], uid=str(n), observations={"t0": replace(seen, probability=1 - n / 40)}) for n in range(20)
    ]
    shown, hidden = shown_and_hidden(many, "t0")
    assert ([f.uid for f in shown], len(hidden)) == ([str(n) for n in range(SHOWN_AT_MOST)], 5)
    assert least_confidence(many, "t0") == 1 - 14 / 40
    without = [replace(each, observations={"t0": seen}) for each in many]
    assert shown_and_hidden(without, "t0") == (without, []), "a detector without probabilities shows all"
    assert shown_and_hidden([], "t0") == ([], [])


def test_the_detector_without_network_measures_what_it_shows(scan):
    found = ReviewedDetector("fatblobs", model=_model(**{"fat in the shell": 3.0})).detect(scan)
    seen = _at(found, NODE)[0].observations["t0"]
    assert seen.is_measured
    assert seen.mask is not None
    assert seen.provenance.method == "fatblobs"
