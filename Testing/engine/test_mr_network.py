"""The MR network whole: shapes, switches, gradients, weights on disk, and its cost."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from oncotrack.detection.mr.config import COMPACT, PAPER, MRConfig
from oncotrack.detection.mr.flops import cost
from oncotrack.detection.mr.losses import TASKS, mask_loss
from oncotrack.detection.mr.network import MaskRCNN, pad_image
from oncotrack.detection.mr.sampling import MRTargets, SampledRegions
from oncotrack.networks import weights
from oncotrack.training.mr import ABLATIONS

TINY = replace(COMPACT, stem=8, stages=(8, 8, 16, 16), blocks=(1, 1, 1, 1), width=8, anchors_sampled=32, rois_sampled=12,
               proposals=12, proposals_in_training=20, candidates=40, box_size=3, mask_size=8, box_width=16, mask_layers=1,
               attention_width=8, least_score=0.0, detections=5)  # fmt: skip


def slices(count: int = 2) -> tuple[torch.Tensor, list[MRTargets]]:
    """Return noise with one bright disc in each slice, and its targets."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(count, 3, 64, 96, generator=generator) * 0.3
    y, x = torch.meshgrid(torch.arange(64) + 0.5, torch.arange(96) + 0.5, indexing="ij")
    targets = []
    for n in range(count):
        disc = (y - 30 - 4 * n) ** 2 + (x - 40) ** 2 < 36
        images[n, :, disc] += 0.6
        targets.append(MRTargets(torch.tensor([[34.0, 24 + 4 * n, 46, 36 + 4 * n]]), disc[None]))
    return images, targets


def test_every_loss_is_computed_and_every_weight_gets_a_gradient():
    torch.manual_seed(0)
    network = MaskRCNN(TINY)
    images, targets = slices()
    losses = network(images, targets, torch.Generator().manual_seed(0))
    assert tuple(losses) == ("loss", *TASKS)
    losses["loss"].backward()
    still = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert not still
    assert all(torch.isfinite(value.grad).all() for value in network.parameters())


def test_slices_without_nodes_can_be_learned_from():
    network = MaskRCNN(TINY)
    images, _ = slices()
    nothing = [MRTargets(torch.zeros(0, 4), torch.zeros(0, 64, 96, dtype=torch.bool))] * 2
    losses = network(images, nothing, torch.Generator().manual_seed(0))
    assert torch.isfinite(losses["loss"])
    assert losses["box"] == losses["mask"] == losses["rpn box"] == 0
    losses["loss"].backward()


def test_it_learns_a_disc():
    torch.manual_seed(0)
    network = MaskRCNN(TINY)
    images, targets = slices()
    optimiser = torch.optim.Adam(network.parameters(), 5e-3)
    for step in range(80):
        optimiser.zero_grad()
        network(images, targets, torch.Generator().manual_seed(step))["loss"].backward()
        optimiser.step()
    network.eval()
    for found, target in zip(network.detect(images), targets, strict=True):
        box, truth = found.boxes[0], target.boxes[0]
        assert found.scores[0] > 0.5
        assert (box - truth).abs().max() < 4
        assert found.masks[0, 3:5, 3:5].mean() > 0.6
        assert (found.scores.diff() <= 0).all()


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_row_of_the_papers_tables_can_be_built(name):
    network = MaskRCNN(replace(TINY, **ABLATIONS[name]))
    images, targets = slices()
    losses = network(images, targets, torch.Generator().manual_seed(0))
    losses = {name: loss.detach() for name, loss in losses.items()}
    assert len(losses) == (6 if network.config.mask_branch else 5)
    assert (network.attention is None) == ("attention" in name or name.startswith("mask-rcnn"))
    parts = [float(losses[task]) for task in TASKS if task in losses]
    weighed = sum(w * part for w, part in zip(network.config.task_weights, parts, strict=False))
    if not network.config.uncertainty:
        assert float(losses["loss"]) == pytest.approx(weighed, rel=1e-5)


def test_more_scales_of_context_can_be_read():
    network = MaskRCNN(replace(TINY, global_scales=(1.0, 0.1))).eval()
    assert network.attention.conv2.out_channels == 3
    assert len(network.detect(slices()[0])) == 2


def test_a_slice_alone_is_the_slice_in_a_batch():
    network = MaskRCNN(TINY).eval()
    images, _ = slices(3)
    together = network.detect(images)
    for n, found in enumerate(together):
        (alone,) = network.detect(images[n : n + 1])
        assert torch.allclose(found.boxes, alone.boxes, atol=1e-3)
        assert torch.allclose(found.scores, alone.scores, atol=1e-5)
        assert torch.allclose(found.masks, alone.masks, atol=1e-4)


def test_weights_are_restored_bit_for_bit(tmp_path):
    network = MaskRCNN(replace(TINY, global_scales=(1.0, 0.5))).eval()
    path = weights.save(tmp_path / "mr.safetensors", "mr", network.config, network.state_dict(), {})
    loaded = weights.load(path, "mr")
    again = MaskRCNN(loaded.config_as(MRConfig)).eval()
    again.load_state_dict(loaded.state)
    for one, two in zip(network.detect(slices()[0]), again.detect(slices()[0]), strict=True):
        assert torch.equal(one.boxes, two.boxes)
        assert torch.equal(one.masks, two.masks)


def test_masks_are_learned_from_what_lies_in_the_box():
    _, targets = slices(1)
    roi = SampledRegions(targets[0].boxes.repeat(2, 1), torch.tensor([1, 0]), torch.tensor([0, 0]))
    disc = ((torch.arange(8) + 0.5 - 4) ** 2)[:, None] + ((torch.arange(8) + 0.5 - 4) ** 2) < 16
    right = torch.where(disc, 8.0, -8.0)[None]
    assert mask_loss(right, [roi], targets) < 0.3 < mask_loss(-right, [roi], targets)


def test_the_papers_network_has_the_size_of_mask_rcnn():
    size = cost(PAPER, 1024, 1024)
    plain = cost(replace(PAPER, attention=False), 1024, 1024)
    # torchvision's documented 44.4 million for 91 classes, whose last layers have some 0.5 million more than ours
    assert plain["parameters"] == pytest.approx(43.9e6, rel=0.01)
    assert size["parameters"] - plain["parameters"] == 2 * 256 * 256 * 9 + 2 * 256 + 256 * 2 * 9 + 2
    assert 200 < plain["gflops"] < size["gflops"] < 400
    assert cost(COMPACT, 288, 384)["parameters"] < 3e6


def test_padding_goes_to_multiples_of_32():
    assert pad_image(torch.ones(3, 33, 64)).shape == (3, 64, 64)
    assert pad_image(torch.ones(3, 33, 64)).sum() == 3 * 33 * 64
