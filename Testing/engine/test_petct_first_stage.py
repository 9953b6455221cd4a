"""The first stage of the PET/CT detector, against the equations and numbers of the paper (OSLN)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from oncotrack.detection.components import components, track_of_component
from oncotrack.detection.petct.candidates import candidates
from oncotrack.detection.petct.config import STAGE_ONE, StageOneConfig
from oncotrack.detection.petct.distance import BORDER_MM, boundary, is_proximal, signed_distance
from oncotrack.detection.petct.flops import cost_of_stage_one
from oncotrack.detection.petct.fusion import late_fusion
from oncotrack.detection.petct.stage_one import StageOne, segmentation_loss
from oncotrack.detection.petct.study import WorkingStudy, network_input
from oncotrack.detection.petct.windows import centre_of_lungs, segment, windows
from oncotrack.errors import InputError
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.networks.unet3d import UNet3D

PAPER = STAGE_ONE["paper"]
TINY = StageOneConfig(channels=(4, 8), patch=(8, 16, 16), window=(8, 16, 16), pet_mean=1.0, pet_std=2.0)


def rotation(degrees: float, axis: int) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    a, b = (n for n in range(3) if n != axis)
    matrix = np.eye(3)
    matrix[a, a], matrix[b, b], matrix[a, b], matrix[b, a] = c, c, -s, s
    return matrix


OBLIQUE = rotation(25, 0) @ rotation(-40, 1) @ rotation(10, 2)
GRIDS = {
    "along the body": Geometry.from_values((14, 12, 9), (1.0, 1.0, 2.5), (-3, 5, 7)),
    "oblique": Geometry.from_values((14, 12, 9), (0.9, 1.3, 2.5), (40, -60, 11), OBLIQUE),
    "mirrored": Geometry.from_values((14, 12, 9), (0.8, 0.8, 3.0), (0, 0, 0), np.diag([-1.0, -1.0, 1.0])),
}


def brute_force(mask: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Compute equation 1 by its words: every voxel, every boundary voxel, RAS mm."""
    inside = {tuple(v) for v in np.argwhere(mask)}
    steps = [np.array(s) - 1 for s in np.ndindex(3, 3, 3)]
    border = [v for v in inside if any(tuple(np.array(v) + step) not in inside for step in steps)]
    where = geometry.to_ras(np.array(border)[:, ::-1])
    result = np.zeros(mask.shape)
    for voxel in np.ndindex(*mask.shape):
        nearest = np.linalg.norm(where - geometry.to_ras(voxel[::-1]), axis=1).min()
        result[voxel] = -nearest if mask[voxel] else nearest
    return result


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("shape", ["ball", "voxel", "two parts", "at the edge"])
def test_equation_1_is_the_distance_to_the_nearest_boundary_voxel(grid, shape):
    geometry = GRIDS[grid]
    z, y, x = np.indices(geometry.shape)
    mask = {
        "ball": ((z - 4) * 2) ** 2 + (y - 6) ** 2 + (x - 7) ** 2 < 16,
        "voxel": (z == 4) & (y == 3) & (x == 9),
        "two parts": ((z < 3) & (y < 4) & (x < 5)) | ((z > 6) & (y > 8) & (x > 9)),
        "at the edge": (z < 5) & (y < 6),
    }[shape]
    distance = signed_distance(Volume(mask.astype(np.uint8), geometry))
    assert np.abs(distance - brute_force(mask, geometry)).max() < 0.01
    assert (distance[boundary(mask)] == 0).all()


def test_an_empty_tumour_is_refused_with_a_sentence():
    with pytest.raises(InputError, match=r"primary tumour.*is empty"):
        signed_distance(Volume(np.zeros((4, 4, 4), np.uint8), Geometry((4, 4, 4))))


def test_the_border_at_70_mm_is_proximal():
    assert BORDER_MM == PAPER.border_mm == 70.0
    assert is_proximal(np.array([-3.0, 0.0, 70.0, 70.001, 300.0])).tolist() == [True, True, True, False, False]


def test_equation_2_equals_a_double_loop_over_voxels_and_streams():
    rng = np.random.default_rng(1)
    shape = (5, 6, 7)
    distance = rng.uniform(0, 140, shape)
    distance[2, 3, 4] = 70.0
    given = {region: [rng.random(shape) for _ in range(2)] for region in ("proximal", "distal")}
    fused = late_fusion(given, distance, 70.0)
    for voxel in np.ndindex(*shape):
        union = 0.0
        for region, streams in given.items():
            if (distance[voxel] <= 70.0) == (region == "proximal"):
                highest = 0.0
                for stream in streams:
                    highest = max(highest, stream[voxel])
                union = max(union, highest)
        assert fused[voxel] == union
    alone = late_fusion({"all": given["distal"]}, distance, 70.0)
    assert (alone == np.maximum(*given["distal"])).all()


def test_a_node_on_the_border_is_one_candidate():
    distance = np.tile(np.linspace(60, 80, 16), (4, 4, 1))
    ones, half = np.ones((4, 4, 16)), np.full((4, 4, 16), 0.6)
    fused = late_fusion({"proximal": [ones], "distal": [half]}, distance, 70.0)
    (found,) = candidates(fused, 0.5, replace(PAPER, least_mm3=0.0), 1.0)
    assert found.component.mask.all()
    assert found.score == pytest.approx(fused.mean())


def test_the_unet_is_that_of_the_paper_cited():
    network = UNet3D(3, 3, (64, 128, 256, 512))
    norms = sum(p.numel() for m in network.modules() if isinstance(m, torch.nn.BatchNorm3d) for p in m.parameters())
    assert sum(p.numel() for p in network.parameters()) - norms == 19_069_955  # Çiçek et al., sec. 2


def test_the_paper_config_has_the_paper_s_numbers():
    assert PAPER.spacing_mm == (1.0, 1.0, 2.5)
    assert PAPER.hu == (-200.0, 300.0)
    assert PAPER.patch == (64, 96, 96)
    assert PAPER.window == (64, 224, 224)
    assert PAPER.streams == ("ct", "fusion")
    assert PAPER.categories == ("proximal", "distal")
    cost = cost_of_stage_one(PAPER)
    assert set(cost) >= {"ct proximal", "fusion proximal", "ct distal", "fusion distal"}
    assert cost["fusion distal"] - cost["ct distal"] == 2 * 27 * 32  # two channels more in the first convolution
    assert cost["gflops"] > 1000


def test_switches_of_table_1_change_the_networks():
    def names(**changes):
        return list(StageOne(replace(TINY, **changes)).nets)

    assert names() == ["ct proximal", "ct distal", "fusion proximal", "fusion distal"]
    assert names(stratified=False) == ["ct all", "fusion all"]
    assert names(streams=("fusion",)) == ["fusion proximal", "fusion distal"]
    plain, squeezed = (
        sum(p.numel() for p in StageOne(replace(TINY, backbone=b)).parameters()) for b in ("unet", "se-unet")
    )
    assert squeezed > plain
    for wrong in ({"backbone": "hrnet"}, {"streams": ()}, {"patch": (9, 16, 16)}, {"pet_std": 0.0}, {"overlap": 1.0}):
        with pytest.raises(InputError, match="cannot be built"):
            replace(TINY, **wrong)


def test_the_squeezing_backbone_weighs_channels():
    torch.manual_seed(0)
    network = UNet3D(1, 1, (8, 16), squeeze=True).eval()
    assert network(torch.rand(2, 1, 4, 8, 8)).shape == (2, 1, 4, 8, 8)


def study(shape=(20, 24, 28), spacing=(1.0, 1.0, 2.5), seed=0) -> WorkingStudy:
    rng = np.random.default_rng(seed)
    geometry = Geometry.from_values(shape[::-1], spacing, (5, 6, 7), np.diag([-1.0, -1.0, 1.0]))
    ct, pet = rng.random(shape).astype(np.float32), (5 * rng.random(shape)).astype(np.float32)
    distance = np.broadcast_to(np.linspace(-20, 160, shape[0])[:, None, None], shape).astype(np.float32)
    return WorkingStudy(Volume(ct, geometry), geometry, ct, pet, distance.copy())


def test_the_three_channels_of_early_fusion():
    given = study()
    x = network_input(given, replace(TINY, distance_limit=2.0))
    assert torch.equal(x[0], torch.from_numpy(given.ct))
    assert torch.allclose(x[1], torch.from_numpy((given.pet - 1.0) / 2.0))
    assert float(x[2].max()) == 2.0
    assert float(x[2, 0, 0, 0]) == pytest.approx(-20 / 70)


def test_the_ct_stream_reads_the_ct_only():
    torch.manual_seed(0)
    network = StageOne(TINY).eval()
    x = torch.rand(1, 3, 8, 16, 16)
    other = x.clone()
    other[:, 1:] += 1
    assert torch.equal(network.logits("ct", "distal", x), network.logits("ct", "distal", other))
    assert not torch.equal(network.logits("fusion", "distal", x), network.logits("fusion", "distal", other))


def test_windows_follow_the_body_and_cover_it():
    found = windows((150, 300, 400), (150.0, 210.0), PAPER)
    assert {w.size for w in found} == {(64, 224, 224)}
    assert {w.start[1:] for w in found} == {(150 - 112, 210 - 112)}
    assert found[0].start[0] == 0
    assert found[-1].start[0] + 64 == 150
    steps = np.diff([w.start[0] for w in found])
    assert (steps <= 48).all()  # a quarter of 64 is shared
    assert windows((150, 300, 400), (20.0, 390.0), PAPER)[0].start[1:] == (0, 400 - 224)
    (small,) = windows((10, 30, 30), (15.0, 15.0), replace(TINY, window=(16, 64, 64)))
    assert small.size == (10, 30, 30)


def test_windows_are_centred_on_the_lungs_and_on_the_body_without_them():
    given = study((40, 60, 80), (4.0, 4.0, 4.0))
    ct = np.full(given.ct.shape, 0.5, np.float32)
    ct[:, :10] = ct[:, :, :8] = ct[:, 50:] = 0.0
    body = replace(given, ct=ct)
    row, column = centre_of_lungs(body)
    assert (row, column) == pytest.approx(((10 + 49) / 2, (8 + 79) / 2), abs=1)
    with_lungs = ct.copy()
    with_lungs[5:35, 20:40, 15:30] = with_lungs[5:35, 20:40, 40:55] = 0.0
    row, column = centre_of_lungs(replace(given, ct=with_lungs))
    assert (row, column) == pytest.approx(((20 + 39) / 2, (15 + 54) / 2), abs=1)


def test_segmentation_by_windows_equals_the_networks_where_each_region_is_read():
    given, asked = study((20, 16, 16)), []

    def predict(stream, region, x):
        asked.append((stream, region))
        value = x[:, :1] if stream == "ct" else x[:, 1:2] / 10
        return (value + (0.5 if region == "distal" else 0.0)).clamp(0, 1)

    config = replace(TINY, window=(8, 16, 16))
    fused = segment(given, config, {"": config.streams}, predict, torch.device("cpu"))[""]
    pet = (given.pet - 1.0) / 2.0 / 10
    near = np.maximum(given.ct, pet).clip(0, 1)
    far = np.maximum(given.ct + 0.5, pet + 0.5).clip(0, 1)
    expected = np.where(given.distance <= 70, near, far)
    assert np.abs(fused - expected).max() < 1e-5
    count = len(windows(given.ct.shape, (8, 8), TINY))
    assert 2 * count < len(asked) < 4 * count  # networks whose region a sub-volume lacks do not run


@pytest.mark.parametrize("backbone", ["unet", "se-unet"])
def test_a_frozen_network_computes_the_same_and_forgets_its_weights_when_it_is_trained(backbone):
    torch.manual_seed(0)
    network = StageOne(replace(TINY, backbone=backbone))
    for each in network.modules():
        if isinstance(each, torch.nn.BatchNorm3d):
            torch.nn.init.uniform_(each.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(each.running_var, 0.5, 2.0)
    network.eval()
    frozen_at = torch.rand(1, 3, 8, 16, 16)
    for x in (frozen_at, torch.rand(1, 3, 16, 8, 40), torch.rand(1, 3, 4, 4, 4)):
        for stream in ("ct", "fusion"):
            expected = network.logits(stream, "distal", x).sigmoid()
            assert torch.allclose(network.probability(stream, "distal", x), expected, atol=2e-3)
    before = network.probability("ct", "distal", frozen_at)
    network.train()
    torch.nn.init.constant_(network.nets["ct distal"].last.bias, 0.0)
    network.eval()
    assert network.probability("ct", "distal", frozen_at).mean() > before.mean() + 0.1


def test_the_loss_counts_the_own_region_only():
    torch.manual_seed(0)
    logits, target = torch.randn(2, 1, 4, 6, 6), (torch.rand(2, 1, 4, 6, 6) > 0.8).float()
    valid = torch.ones_like(target)
    valid[..., 3:] = 0
    whole = segmentation_loss(logits, target, valid)
    half = segmentation_loss(logits[..., :3], target[..., :3], valid[..., :3])
    for name in ("dice", "entropy"):
        assert float(whole[name]) == pytest.approx(float(half[name]), rel=1e-5)
    p, t = logits[..., :3].sigmoid(), target[..., :3]
    assert float(half["dice"]) == pytest.approx(float(1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)), rel=1e-5)


def test_candidates_are_connected_parts_and_score_their_mean_probability():
    probability = np.zeros((6, 10, 10), np.float32)
    probability[1:3, 1:3, 1:3] = 0.8
    probability[3, 3, 3] = 0.6  # touches by a corner
    probability[5, 8, 8] = 0.9
    probability[1, 8, 1] = 0.4
    found = candidates(probability, 0.5, replace(PAPER, least_mm3=0.0), 2.5)
    assert [round(each.score, 4) for each in found] == [0.9, round((8 * 0.8 + 0.6) / 9, 4)]
    assert [int(each.component.mask.sum()) for each in found] == [1, 9]
    assert len(candidates(probability, 0.5, replace(PAPER, least_mm3=20.0), 2.5)) == 1
    (largest, _) = components(probability, 0.5)
    track = track_of_component(largest, np.array([0.1, 0.2, 0.3]))
    assert track.boxes[3].tolist() == [3, 3, 4, 4]
    assert track.boxes[1].tolist() == [1, 1, 3, 3]
    assert track.scores == {1: pytest.approx(0.1), 2: pytest.approx(0.2), 3: pytest.approx(0.3)}
