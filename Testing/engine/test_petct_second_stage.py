"""GLNet and the taggers of the PET/CT detector, against the equations and numbers of the paper (OSLN)."""

from __future__ import annotations

import json
import lzma
from dataclasses import replace

import numpy as np
import pytest
import torch

from oncotrack.detection.petct.candidates import crop_bounds, crop_candidate, normalised
from oncotrack.detection.petct.config import STAGE_TWO, GLNetConfig, TaggerConfig
from oncotrack.detection.petct.flops import cost_of_glnet, parameters_of_tagger
from oncotrack.detection.petct.glnet import GLNet, jittered
from oncotrack.detection.petct.lesanet import TAGS as LESANET_TAGS
from oncotrack.detection.petct.lesanet import LesaNet, LesaNetTagger, lesanet_input, roi_max_pool
from oncotrack.detection.petct.study import WorkingStudy
from oncotrack.detection.petct.tagger import KINDS, REGIONS, TAGS, UPTAKE, CompactTagger, named, tagger_input
from oncotrack.errors import InputError, WeightsError
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.networks.roi_gap import roi_gap

PAPER = STAGE_TWO["paper"]


def study(shape=(60, 90, 100), spacing=(1.0, 1.0, 2.5)) -> WorkingStudy:
    rng = np.random.default_rng(3)
    geometry = Geometry.from_values(shape[::-1], spacing, (40, 30, -20), np.diag([-1.0, -1.0, 1.0]))
    ct, pet = rng.random(shape).astype(np.float32), (5 * rng.random(shape)).astype(np.float32)
    volume = Volume((ct * 500 - 200).astype(np.float32), geometry, "ct", "CT")
    return WorkingStudy(volume, geometry, ct, pet, np.zeros(shape, np.float32))


def test_the_paper_config_has_the_paper_s_numbers():
    assert PAPER.crop == (32, 48, 48)
    assert PAPER.margin == 8
    assert PAPER.jitter == 3
    assert PAPER.tags == LESANET_TAGS == 171
    network = GLNet(PAPER)
    assert len(network.local.blocks) == 4
    assert [layer.out_features for layer in network.local.features] == [256] * 4
    assert network.head.in_features == 1024 + 171
    assert cost_of_glnet(PAPER)["features"] == 1195


def test_roi_gap_is_the_mean_inside_the_box():
    torch.manual_seed(0)
    features = torch.rand(2, 3, 8, 10, 12)
    boxes = torch.tensor([[2.0, 1, 3, 5, 7, 9], [0, 0, 0, 8, 10, 12]])
    pooled = roi_gap(features, boxes, torch.ones(3))
    assert torch.allclose(pooled[0], features[0, :, 2:5, 1:7, 3:9].mean((1, 2, 3)), atol=1e-6)
    assert torch.allclose(pooled[1], features[1].mean((1, 2, 3)), atol=1e-6)


def test_roi_gap_counts_cells_in_part_and_reaches_below_one_cell():
    features = torch.arange(4.0).view(1, 1, 1, 1, 4)
    box = torch.tensor([[0.0, 0, 1.5, 2, 2, 6.0]])  # cells of 2 voxels: half of the first, then the next two whole
    pooled = roi_gap(features, box, torch.tensor([2.0, 2, 2]))
    assert float(pooled) == pytest.approx((0.25 * 0 + 1 * 1 + 1 * 2) / 2.25)
    inside = roi_gap(features, torch.tensor([[0.0, 0, 4.5, 2, 2, 5.0]]), torch.tensor([2.0, 2, 2]))
    assert float(inside) == pytest.approx(2.0)


def test_switches_of_table_2_change_the_inputs():
    tiny = GLNetConfig(crop=(8, 16, 16), channels=(4, 4, 8, 8), features=8, tags=5, tagger="compact")
    crops, boxes, tags = torch.rand(3, 2, 8, 16, 16), torch.tensor([[2.0, 4, 4, 6, 12, 12]] * 3), torch.rand(3, 5)
    torch.manual_seed(0)
    for changes, width in (
        ({}, 32 + 5), ({"tagger": "", "tags": 0}, 32), ({"modalities": ("ct",), "tagger": "", "tags": 0}, 32),
        ({"modalities": ("ct",)}, 32 + 5), ({"local": False}, 5),
    ):  # fmt: skip
        config = replace(tiny, **changes)
        network = GLNet(config).eval()
        assert network.head.in_features == width
        x = normalised(crops, config, 1.0, 2.0)
        assert x.shape[1] == len(config.modalities)
        assert network(x, boxes, tags).shape == (3,)
    assert torch.allclose(normalised(crops, tiny, 1.0, 2.0)[:, 1], (crops[:, 1] - 1) / 2)
    for wrong in (
        {"local": False, "tagger": "", "tags": 0},
        {"modalities": ("pet",)},
        {"tagger": "merlin"},
        {"tags": 0},
    ):
        with pytest.raises(InputError, match="cannot be built"):
            replace(tiny, **wrong)


def test_a_candidate_is_in_the_centre_of_its_crop():
    given = study()
    box = np.array([20.0, 30, 40, 26, 40, 52])
    crop, inside = crop_candidate(given, box, PAPER)
    assert crop.shape == (2, 32, 48, 48)
    assert inside.tolist() == [13, 19, 18, 19, 29, 30]
    z, y, x, z1, y1, x1 = map(int, inside.tolist())
    assert torch.equal(crop[0, z:z1, y:y1, x:x1], torch.from_numpy(given.ct[20:26, 30:40, 40:52]))
    assert torch.equal(crop[1, z:z1, y:y1, x:x1], torch.from_numpy(given.pet[20:26, 30:40, 40:52]))


def test_a_crop_beyond_the_image_is_air_without_uptake():
    crop, inside = crop_candidate(study(), np.array([0.0, 0, 0, 4, 4, 4]), PAPER)
    assert crop.shape == (2, 32, 48, 48)
    assert float(crop[:, :14].abs().max()) == 0
    assert inside.tolist() == [14, 22, 22, 18, 26, 26]


def test_a_larger_candidate_is_resized_with_a_margin_of_8_voxels():
    box = np.array([2.0, 10, 5, 42, 70, 25])  # 40 x 60 x 20 voxels
    low, high = crop_bounds(box, PAPER)
    size = high - low
    assert (size >= box[3:] - box[:3] + 16).all()
    assert size.tolist() == [56, 76, 48]
    crop, inside = crop_candidate(study(), box, PAPER)
    assert crop.shape == (2, 32, 48, 48)
    assert inside[0] == pytest.approx((2 - low[0]) * 32 / 56)
    assert inside[4] == pytest.approx((70 - low[1]) * 48 / 76)


def test_boxes_jitter_by_three_voxels_at_most():
    boxes = torch.tensor([[10.0, 12, 14, 20, 26, 30]]).repeat(2000, 1)
    moved = jittered(boxes, 3, torch.Generator().manual_seed(0))
    shift = moved - boxes
    assert float(shift.abs().max()) == 3
    assert set(shift.unique().tolist()) == {-3, -2, -1, 0, 1, 2, 3}
    small = jittered(torch.tensor([[5.0, 5, 5, 6, 6, 6]]).repeat(500, 1), 3, torch.Generator().manual_seed(1))
    assert ((small[:, 3:] - small[:, :3]) >= 1 - 1e-6).all()


def test_the_compact_tags_are_lesanet_s_terms_but_for_uptake(shared_data):
    path = shared_data / "deeplesion_annotations" / "lesanet_text_mined_labels_171_and_split.json.xz"
    with lzma.open(path) as file:
        terms = json.load(file)["term_list"]
    assert len(terms) == LESANET_TAGS
    assert set(TAGS) - set(terms) == set(UPTAKE)
    assert len(set(TAGS)) == len(TAGS) == STAGE_TWO["compact"].tags


def test_the_compact_tagger_reads_120_mm_around_the_candidate():
    given = study(spacing=(2.0, 2.0, 2.5))
    config = TaggerConfig()
    box = np.array([30.0, 40, 50, 34, 46, 58])
    patch, rectangle, place = tagger_input(given, box, config)
    assert patch.shape == (4, 60, 60)
    assert config.patch * 2.0 == 120
    y, x, y1, x1 = map(int, rectangle.tolist())
    assert (y1 - y, x1 - x) == (6, 8)
    assert torch.equal(patch[1, y:y1, x:x1], torch.from_numpy(given.ct[32, 40:46, 50:58]))
    assert place.tolist() == pytest.approx([4 * 2.5 / 50, 6 * 2 / 50, 8 * 2 / 50, abs(54 - 50) * 2 / 50])
    torch.manual_seed(0)
    network = CompactTagger(config).eval()
    assert network(patch[None], rectangle[None], place[None]).shape == (1, len(TAGS))
    assert parameters_of_tagger("compact") == sum(p.numel() for p in network.parameters())


def test_the_most_likely_tag_has_a_name():
    tags = torch.zeros(len(TAGS))
    tags[TAGS.index("mediastinum")] = 0.8
    assert named(tags, REGIONS) == "mediastinum"
    assert named(tags, KINDS) == ""


SMALL = ((4, 4), (6, 6), (6, 6, 6), (8, 8, 8), (8, 8, 8))


def test_lesanet_has_the_published_layers():
    with torch.device("meta"):
        state = LesaNet().state_dict()
    assert state["conv1_1.weight"].shape == (64, 3, 3, 3)
    assert state["conv5_3.weight"].shape == (512, 512, 3, 3)
    assert state["fc_pool1.weight"].shape == (256, 25 * 64)
    assert state["fc_pool5.weight"].shape == (256, 25 * 512)
    assert state["class_scores1.weight"].shape == (171, 1280)
    assert state["class_scores2.weight"].shape == (171, 171)
    assert LesaNet(SMALL).eval()(torch.rand(2, 3, 120, 120), torch.tensor([[50.0, 50, 70, 70]] * 2)).shape == (2, 171)


def test_roi_pooling_takes_the_maximum_of_each_cell():
    features = torch.arange(100.0).view(1, 1, 10, 10)
    pooled = roi_max_pool(features, torch.tensor([[0.0, 0, 19, 19]]), 0.5, 5)  # 19 / 2 rounds to the last pixel
    assert pooled[0, 0].tolist() == [[10.0 * (2 * r + 1) + 2 * c + 1 for c in range(5)] for r in range(5)]
    assert roi_max_pool(features, torch.tensor([[4.0, 4, 4, 4]]), 1.0, 5)[0, 0].unique().tolist() == [44.0]


def test_lesanet_s_patch_is_120_mm_of_three_slices_2_mm_apart():
    given = study()
    ramp = (10.0 * np.indices(given.ct.shape)[0]).astype(np.float32)  # 10 HU per slice of 2.5 mm
    given = replace(given, volume=Volume(ramp, given.geometry, "ramp", "CT"))
    patch, rectangle = lesanet_input(given, np.array([29.0, 40, 50, 32, 48, 62]))
    assert patch.shape == (3, 120, 120)
    centre = patch[:, 60, 60] * 255 + 50
    hu = centre / 255 * 4095 - 1024
    assert hu.tolist() == pytest.approx([300 - 8, 300, 300 + 8], abs=0.2)
    assert rectangle.tolist() == [54, 56, 66, 64]


class EasyDict(dict):
    """Settings as the published checkpoint holds them."""

    __module__ = "easydict"


def test_lesanet_s_weights_are_read_from_a_checkpoint(tmp_path, monkeypatch):
    import sys
    from types import ModuleType

    monkeypatch.setattr("oncotrack.detection.petct.lesanet.LesaNet.__init__.__defaults__", (SMALL,))
    module = ModuleType("easydict")
    module.EasyDict = EasyDict
    monkeypatch.setitem(sys.modules, "easydict", module)
    torch.manual_seed(0)
    network = LesaNet()
    path = tmp_path / "LesaNet_epoch_15.pth.tar"
    torch.save({"epoch": 15, "config": EasyDict(A=1), "state_dict": network.state_dict()}, path)
    monkeypatch.delitem(sys.modules, "easydict")
    tagger = LesaNetTagger(path, "cpu")
    assert torch.equal(tagger.network.conv1_1.weight, network.conv1_1.weight)
    tags = tagger.describe(study(), np.array([[29.0, 40, 50, 32, 48, 62], [3, 4, 5, 6, 7, 8]]))
    assert tags.shape == (2, 171)
    assert ((tags > 0) & (tags < 1)).all()
    assert tagger.describe(study(), np.zeros((0, 6))).shape == (0, 171)
    torch.save({"conv1_1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="no weights of LesaNet"):
        LesaNetTagger(tmp_path / "other.pth", "cpu")
