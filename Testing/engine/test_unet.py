"""The U-Net baseline: its samples, a few training steps, and connected components as nodes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from oncotrack.bench.detect import bench_detect
from oncotrack.detection.ct_slices import LNSlices
from oncotrack.detection.tracks import SCORED_SLICES
from oncotrack.errors import TrainingError, WeightsError
from oncotrack.evaluation import unet
from oncotrack.evaluation.unet import UNetConfig, UNetDetector
from oncotrack.images.files import save
from oncotrack.networks import weights
from oncotrack.training import unet as training
from oncotrack.training.node_sources import NodeSources
from oncotrack.training.plan import Plan
from oncotrack.training.stored_cases import store

SMALL = UNetConfig((4, 8, 8), ((1, 2, 2), (2, 2, 2)), (8, 32, 32))


@pytest.fixture(scope="module")
def case(node_scan):
    return node_scan


@pytest.fixture(scope="module")
def stored(case, tmp_path_factory):
    return store(tmp_path_factory.mktemp("scans"), [("one", lambda: case)], "one")


def test_patches_show_nodes_inside_their_masks(stored):
    patches = training.NodePatches(stored, SMALL, 0)
    images, masks = zip(*(patches.sample(n) for n in range(12)), strict=True)
    assert {image.shape for image in images} == {(1, 8, 32, 32)}
    assert sum(float(mask.max()) for mask in masks) >= 6
    inside = torch.cat([image[mask > 0] for image, mask in zip(images, masks, strict=True)])
    assert inside.mean() > torch.stack(images).mean()
    assert torch.equal(patches.sample(3)[0], images[3])


def test_it_trains_and_detects(case, stored, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "UNetConfig", lambda: SMALL)
    monkeypatch.setattr(training, "store", lambda *_: stored)
    plan = Plan(steps=3, batch=2, learning_rate=0.01, warmup=1, clip=1.0)
    path = training.train(tmp_path, NodeSources(), plan=plan, device="cpu")
    assert weights.load(path, "unet").about["steps"] == 3
    again = training.train(tmp_path / "on", NodeSources(), plan=plan, start=path, device="cpu")
    assert weights.load(again, "unet").about["started from"]["steps"] == 3
    with pytest.raises(TrainingError, match="another network, data or plan"):
        training.train(tmp_path / "on", NodeSources(), plan=plan, device="cpu")
    found = UNetDetector(path, "cpu", threshold=0.5).detect(case.images["ct"], time_point="ct")
    for finding in found:
        assert finding.at("ct").provenance.method == "unet"


def test_the_bench_times_it_next_to_tracking(case, tmp_path):
    path = weights.save(tmp_path / "u.safetensors", "unet", SMALL, unet.network(SMALL).state_dict(), {})
    slab = case.images["ct"].cropped((30, 24, 8), (66, 56, 10))
    result = bench_detect(save(slab, tmp_path / "ct.nii.gz"), "cpu", unet=path)
    assert result["slices"] == len(LNSlices(slab))
    for name in ("tracking", "stacking", "measured", "unet"):
        assert result[name]["seconds_per_slice"] * result["slices"] == pytest.approx(result[name]["seconds"])
    assert result["compact"]["parameters"] < result["paper"]["parameters"]


def test_the_bench_checks_the_weights_first(tmp_path):
    with pytest.raises(WeightsError, match=r"nowhere\.safetensors"):
        bench_detect(tmp_path / "no scan either", "cpu", unet=tmp_path / "nowhere.safetensors")


def test_connected_components_become_nodes(case, tmp_path):
    path = weights.save(tmp_path / "u.safetensors", "unet", SMALL, unet.network(SMALL).state_dict(), {})
    slices = LNSlices(case.images["ct"])
    truth = case.masks["ct"].resampled(slices.geometry, fill=0, nearest=True).array
    tracks = UNetDetector(path, "cpu")._components(
        np.where(truth > 0, 0.9, 0.01), float(np.prod(slices.geometry.spacing))
    )
    assert len(tracks) >= 4
    assert all(
        track.score == pytest.approx(0.9 * min(len(track.boxes), SCORED_SLICES) / SCORED_SLICES) for track in tracks
    )
    for track in tracks:
        for z, (x0, y0, x1, y1) in track.boxes.items():
            patch = truth[z, int(y0) : int(y1), int(x0) : int(x1)]
            assert patch.any(0).all() or patch.any(1).all()
