"""Every part of TLT computes its equation, and the whole is the network of the paper."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from oncotrack.errors import InputError
from oncotrack.followup.crops import window_channels
from oncotrack.followup.lesion_pairs import LesionPairs
from oncotrack.followup.losses import position_loss
from oncotrack.followup.tlt.attention import attention, raam
from oncotrack.followup.tlt.backbone import TLTBackbone
from oncotrack.followup.tlt.config import COMPACT, PAPER, TLTConfig
from oncotrack.followup.tlt.flops import cost, receptive_field
from oncotrack.followup.tlt.losses import focal_loss, l1_loss, label, step_loss
from oncotrack.followup.tlt.network import TLT, trim
from oncotrack.followup.tlt.predictor import Prediction, cell_centres, global_regression
from oncotrack.followup.tlt.selection import gaussian_map, select
from oncotrack.followup.tlt.similarity import TLTSimilarity, sample_cells
from oncotrack.followup.tlt.transformer import Transformer, sine_position
from oncotrack.networks import weights

SMALL = {
    "crop": (8, 16, 16),
    "template_crop": (8, 8, 8),
    "stem": 4,
    "stem_kernel": 3,
    "heads": 2,
    "ffn": 10,
    "dropout": 0.0,
}
TINY_PAPER = replace(PAPER, **SMALL, stages=(6, 12), blocks=(2, 1), width=12, levels=2)
TINY_COMPACT = replace(COMPACT, **SMALL, stages=(6, 8), blocks=(1, 1), width=12)
TINY = pytest.mark.parametrize("config", [TINY_PAPER, TINY_COMPACT], ids=["paper", "compact"])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pairs(config: TLTConfig, count: int = 2, seed: int = 0) -> LesionPairs:
    rng, shape = generator(seed), (count, 1, *config.crop)
    places = [torch.rand(count, 3, generator=rng) * (torch.tensor(config.crop) - 4) + 2 for _ in range(3)]
    images = [torch.randn(shape, generator=rng) * 300 for _ in range(2)]
    radius = torch.linspace(2.0, 9.0, count)
    return LesionPairs(*images, *places, radius, torch.arange(count) != 1, config.spacing)


def one(batch: LesionPairs, n: int) -> LesionPairs:
    parts = {name: value[n : n + 1] for name, value in vars(batch).items() if isinstance(value, torch.Tensor)}
    return replace(batch, **parts)


# the paper's network


def test_the_network_has_as_many_parameters_as_the_paper_states():
    counted = cost(PAPER)
    assert counted["parameters"] == pytest.approx(5.98e6, rel=0.03)
    assert counted["input"]["shape"] == [1, 1, 40, 200, 200]
    assert counted["gflops"] > 50 * cost(COMPACT)["gflops"]
    assert (PAPER.heads, PAPER.levels, PAPER.threshold, PAPER.stride, PAPER.spacing) == (8, 3, 0.7, 8, (1, 1, 1))


def test_the_paper_features_are_an_eighth_of_the_image_and_192_deep():
    with torch.device("meta"):
        backbone = TLTBackbone(PAPER)
        assert backbone(torch.empty(1, 1, 40, 200, 200)).shape == (1, 192, 5, 25, 25)
        assert backbone.stem[0][0].weight.shape == (32, 1, 7, 7, 7)
        assert backbone.stem[0][0].stride == (1, 1, 1)


def test_the_receptive_field_of_a_cell_is_as_computed():
    config = replace(TINY_PAPER, crop=(48, 48, 48))
    backbone = TLTBackbone(config).eval()
    image = torch.zeros(1, 1, 48, 48, 48, requires_grad=True)
    for parameter in backbone.parameters():  # positive weights: nothing cancels, no unit is dead
        parameter.data.abs_()
    backbone(image + 1)[0, :, 6, 6, 6].sum().backward()
    used = image.grad[0, 0].abs().sum((1, 2)).nonzero()
    assert int(used.max() - used.min()) + 1 == receptive_field(config)


def test_windows_become_channels_between_0_and_1():
    image = torch.tensor([-2000.0, -800.0, 0.0, 900.0]).view(1, 1, 1, 1, 4)
    channels = window_channels(image, ((-800.0, 800.0), (0.0, 100.0)))
    assert channels.flatten(2)[0].tolist() == [[0, 0, 0.5, 1], [0, 0, 0, 1]]


def test_a_config_that_cannot_be_built_is_refused():
    for change in ({"width": 20}, {"heads": 7}, {"crop": (40, 100, 100)}, {"regression": "both"}, {"blocks": (1, 1)}):
        with pytest.raises(InputError, match="cannot be built"):
            replace(PAPER, **change)


# equation 1 and the sparse selection


def test_the_resized_gaussian_is_equation_1_interpolated():
    centre, radius, spacing = (5.3, 9.0, 2.4), 7.0, (2.0, 1.5, 1.0)
    drawn = np.zeros((12, 16, 8), np.float32)
    for z, y, x in np.ndindex(drawn.shape):
        squared = sum(((n - c) * mm) ** 2 for n, c, mm in zip((z, y, x), centre, spacing, strict=True))
        drawn[z, y, x] = math.exp(-squared / (3 * radius**2))
    resized = F.interpolate(
        torch.from_numpy(drawn)[None, None], scale_factor=0.25, mode="trilinear", align_corners=False
    )
    found = gaussian_map((3, 4, 2), 4, torch.tensor([centre]), torch.tensor([radius]), spacing)
    assert torch.allclose(found, resized[0], atol=1e-6)


def test_selection_keeps_the_cells_above_the_threshold():
    rng = generator()
    features, gaussian = torch.rand(2, 3, 2, 3, 4, generator=rng), torch.rand(2, 2, 3, 4, generator=rng)
    chosen = select(features, gaussian, 0.7)
    for n in range(2):
        expected = {
            tuple(features[n, :, z, y, x].tolist()) for z, y, x in np.ndindex(2, 3, 4) if gaussian[n, z, y, x] > 0.7
        }
        kept = chosen.features[n][chosen.present[n]]
        assert {tuple(row.tolist()) for row in kept} == expected
        assert len(kept) == len(expected)


def test_a_lesion_between_the_cells_keeps_its_best_cell():
    features, gaussian = (
        torch.rand(2, 3, 4, 4, 4, generator=generator()),
        torch.rand(2, 4, 4, 4, generator=generator(1)),
    )
    gaussian[0] *= 0.5
    chosen = select(features, gaussian, 0.7)
    assert chosen.present[0].sum() == 1
    assert chosen.cells[0, 0] == gaussian[0].argmax()
    assert torch.equal(chosen.features[0, 0], features[0].flatten(1)[:, gaussian[0].argmax()])
    assert chosen.present[1].sum() == (gaussian[1] > 0.7).sum()


def test_thinning_is_even_from_the_middle_to_the_border():
    gaussian = torch.linspace(1, 0, 64).view(1, 4, 4, 4)
    chosen = select(torch.rand(1, 2, 4, 4, 4), gaussian, 0.35, most=10)
    assert chosen.cells.tolist() == [[n * 41 // 10 for n in range(10)]]


# equations 2 and 3


def test_the_anatomical_mask_is_the_product_of_ones_and_the_map_of_each_sample():
    gaussian = torch.rand(3, 7, generator=generator())
    mask = raam(gaussian, 4)
    for n in range(3):
        assert torch.equal(mask[n], torch.ones(4, 1) @ gaussian[n][None])
    assert not torch.equal(mask[0], mask[1])


def test_attention_is_equation_3_written_out():
    rng = generator()
    q, k, v = (torch.rand(2, 2, n, 3, generator=rng).double() for n in (4, 5, 5))
    mask = torch.rand(2, 4, 5, generator=rng).double()
    found = attention(q, k, v, mask)
    for b, h, i in np.ndindex(2, 2, 4):
        logits = [float(q[b, h, i] @ k[b, h, j]) / math.sqrt(3) + float(mask[b, i, j]) for j in range(5)]
        total = sum(math.exp(logit) for logit in logits)
        expected = sum(math.exp(logit) / total * v[b, h, j] for j, logit in enumerate(logits))
        assert torch.allclose(found[b, h, i], expected)


def test_each_sample_is_masked_by_its_own_anatomy():
    torch.manual_seed(0)
    transformer = Transformer(TINY_PAPER)
    rng = generator(1)
    template, search = torch.rand(2, 3, 12, generator=rng), torch.rand(2, 20, 12, generator=rng)
    gaussian = torch.rand(2, 20, generator=rng) * 5
    present = torch.ones(2, 3, dtype=torch.bool)
    both = transformer(template, 0 * template, present, search, 0 * search, gaussian)
    for n in range(2):
        part = slice(n, n + 1)
        alone = transformer(
            template[part], 0 * template[part], present[part], search[part], 0 * search[part], gaussian[part]
        )
        assert torch.allclose(both[part], alone, atol=1e-5)
    exchanged = transformer(template, 0 * template, present, search, 0 * search, gaussian.flip(0))
    assert (both - exchanged).abs().max() > 1e-3


def test_padding_does_not_change_the_result():
    torch.manual_seed(0)
    transformer, rng = Transformer(TINY_COMPACT), generator(1)
    template, search = torch.rand(1, 5, 12, generator=rng), torch.rand(1, 20, 12, generator=rng)
    present = torch.tensor([[True, True, True, False, False]])
    padded = transformer(template, template, present, search, search, torch.rand(1, 20, generator=generator(2)))
    short = transformer(
        template[:, :3], template[:, :3], present[:, :3], search, search, torch.rand(1, 20, generator=generator(2))
    )
    assert torch.allclose(padded, short, atol=1e-6)


def test_position_codes_differ_between_all_cells():
    offsets = torch.cartesian_prod(*[torch.arange(-24.0, 25, 8)] * 3)
    code = sine_position(offsets, 48, 16.0)
    distance = torch.cdist(code, code) + torch.eye(len(code)) * 10
    assert distance.min() > 0.3
    assert sine_position(offsets, 50, 16.0)[:, 48:].abs().max() == 0


# equations 4 and 5


def test_global_regression_is_equation_4_written_out():
    rng = generator()
    prediction = Prediction(torch.randn(2, 2, 3, 2, generator=rng), torch.rand(2, 3, 2, 3, 2, generator=rng) * 9)
    near = torch.rand(2, 2, 3, 2, generator=rng) > 0.4
    for mask in (None, near):
        found = global_regression(prediction, mask)
        for b in range(2):
            cells = [c for c in np.ndindex(2, 3, 2) if mask is None or mask[(b, *c)]]
            weights_of = {c: math.exp(prediction.logits[(b, *c)]) for c in cells}
            total = sum(weights_of.values())
            for axis in range(3):
                centre = sum(weights_of[c] / total * float(prediction.centres[(b, axis, *c)]) for c in cells)
                assert float(found[b, axis]) == pytest.approx(centre, abs=1e-4)


def test_the_focal_loss_is_equation_5_written_out():
    logits = torch.randn(2, 2, 2, 2, generator=generator())
    target = torch.rand(2, 2, 2, 2, generator=generator(1))
    target[0, 0, 1, 0] = 1.0
    expected = 0.0
    for place in np.ndindex(2, 2, 2, 2):
        y, p = float(target[place]), 1 / (1 + math.exp(-float(logits[place])))
        expected -= (1 - p) ** 2 * math.log(p) if y == 1 else (1 - y) ** 2 * p**2 * math.log(1 - p)
    assert float(focal_loss(logits, target)) == pytest.approx(expected / 2, rel=1e-5)


@TINY
def test_the_label_peaks_at_the_lesion_and_is_0_for_a_vanished_one(config):
    batch = pairs(config)
    shape = tuple(n // config.stride for n in config.crop)
    target = label(batch, shape, config)
    centres = cell_centres(shape, config.stride, target.device).flatten(1).T
    distance = ((centres - batch.centre[0]) * torch.tensor(config.spacing)).norm(dim=1)
    assert target[0].max() == 1
    assert target[0].min() == 0
    assert distance[target[0].argmax()] == distance.min()
    assert target[1].abs().max() == 0


def test_position_losses_ignore_vanished_lesions():
    batch = pairs(TINY_COMPACT)
    target = label(batch, (4, 8, 8), TINY_COMPACT)
    logits = torch.randn(2, 4, 8, 8, generator=generator())
    chance = logits[0].flatten().softmax(0)
    distribution = target[0].flatten() / target[0].sum()
    expected = -sum(float(w) * math.log(float(p)) for w, p in zip(distribution, chance, strict=True))
    assert float(position_loss(logits, target, batch.found)) == pytest.approx(expected, rel=1e-4)
    guess = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    distance = (guess[0] - batch.centre[0]).abs() * torch.tensor(TINY_COMPACT.spacing)
    expected = float(distance.sum()) / TINY_COMPACT.l1_mm
    assert float(l1_loss(guess, batch.centre, batch.found, TINY_COMPACT)) == pytest.approx(expected, rel=1e-5)


# the whole network


@TINY
def test_gradients_reach_every_parameter(config):
    torch.manual_seed(0)
    network = TLT(config)
    parts = step_loss(network, pairs(config), generator())
    parts["loss"].backward()
    weights_of = {"focal": 1.0, "l1": 1.0, "place": config.lambda_place}
    terms = {name: float(value.detach()) for name, value in parts.items()}
    assert terms.pop("loss") == pytest.approx(sum(weights_of[name] * value for name, value in terms.items()), rel=1e-5)
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert [name for name in without if not name.endswith("key.bias")] == []  # softmax ignores what all keys share


@TINY
def test_a_batch_gives_the_same_as_its_samples_alone(config):
    torch.manual_seed(0)
    network, batch = TLT(config).eval(), pairs(config, 3)
    with torch.no_grad():
        together = network(batch)
        for n in range(3):
            alone = network(one(batch, n))
            assert torch.allclose(together.logits[n], alone.logits[0], atol=1e-4)
            assert torch.allclose(together.centres[n], alone.centres[0], atol=1e-3)


@TINY
def test_saved_weights_load_bit_for_bit(config, tmp_path):
    torch.manual_seed(0)
    network, batch = TLT(config), pairs(config)
    network(batch)  # running statistics
    file = weights.save(tmp_path / "tlt.safetensors", "tlt", config, network.state_dict(), {"found_threshold": 0.4})
    stored = weights.load(file, "tlt")
    again = TLT(stored.config_as(TLTConfig))
    again.load_state_dict(stored.state)
    assert again.config == config
    with torch.no_grad():
        first, second = network.eval()(batch), again.eval()(batch)
    assert torch.equal(first.logits, second.logits)
    assert torch.equal(first.centres, second.centres)


def test_features_between_the_cells_are_interpolated():
    features = cell_centres((3, 4, 5), 1, torch.device("cpu"))[None]  # the features are the cell positions
    places = torch.tensor([[[0.3, 1.0, 2.2], [2.0, 2.9, 4.0]]])
    assert torch.allclose(sample_cells(features, places), places, atol=1e-5)
    assert torch.allclose(sample_cells(features, places + 10), torch.tensor([[[2.0, 3.0, 4.0]] * 2]))


def test_similarity_is_the_mean_cosine_on_the_lattice():
    torch.manual_seed(0)
    similarity, rng = TLTSimilarity(4, 3, 2), generator()
    similarity.weight.data.normal_()
    template, search = torch.rand(2, 4, 6, 5, 5, generator=rng), torch.rand(2, 4, 5, 4, 5, generator=rng)
    clicked = torch.tensor([[2.0, 2.0, 3.0], [3.0, 2.0, 2.0]])
    found = similarity(template, clicked, search)
    weight = similarity.weight.softmax(0)
    for b, z, y, x in np.ndindex(2, 5, 4, 5):
        expected = 0.0
        for k, offset in enumerate(similarity.lattice.tolist()):
            there = tuple(n + o for n, o in zip((z, y, x), offset, strict=True))
            if any(not 0 <= n < size for n, size in zip(there, (5, 4, 5), strict=True)):
                continue
            here = [min(max(int(n) + o, 0), m - 1) for n, o, m in zip(clicked[b], offset, (6, 5, 5), strict=True)]
            one, other = (similarity.project.weight @ v for v in (template[(b, ..., *here)], search[(b, ..., *there)]))
            expected += float((weight[k] * F.cosine_similarity(one, other, dim=0)).detach())
        assert float(found[b, z, y, x].detach()) == pytest.approx(TLTSimilarity.FIRST_GAIN * expected, rel=1e-3)


def test_without_training_a_moved_copy_is_found():
    torch.manual_seed(1)
    config = replace(TINY_COMPACT, crop=(16, 24, 24), template_crop=(16, 16, 16))
    network, image = TLT(config), torch.randn(1, 1, 32, 40, 40, generator=generator())
    image = F.avg_pool3d(F.pad(image, (2,) * 6, mode="replicate"), 5, 1) * 2000
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.momentum = 1.0
    network.similarity.log_gain.data.fill_(6.0)  # strong weight of the similarity
    network.encode(image)
    network.eval()
    here, there = image[:, :, 8:24, 8:32, 8:32], image[:, :, 8:24, 12:36, 4:28]  # moved by 0, -4, 4 voxels
    middle = torch.tensor([[8.0, 12.0, 12.0]])
    with torch.no_grad():
        prediction = network.match(network.encode(here), middle, network.encode(there), middle, torch.tensor([8.0]))
    missed = global_regression(prediction) - (middle + torch.tensor([[0.0, -4.0, 4.0]]))
    assert missed.norm() < 1.0


def test_the_position_in_a_trimmed_template_is_that_of_the_lesion():
    image = cell_centres((16, 16, 16), 1, torch.device("cpu"))[None, :1].expand(2, 1, 16, 16, 16)
    centre = torch.tensor([[8.2, 7.9, 8.0], [1.0, 15.0, 8.0]])
    parts, inside = trim(image, centre, (8, 8, 8))
    assert parts.shape == (2, 1, 8, 8, 8)
    assert torch.allclose(sample_cells(parts, inside[:, None])[:, 0, 0], centre[:, 0], atol=1e-5)


def test_it_learns_where_a_lesion_went():
    torch.manual_seed(0)
    config, rng = TINY_COMPACT, generator(3)
    background = torch.randn(4, 1, *config.crop, generator=rng) * 40 - 800
    places = torch.tensor([[3.0, 5.0, 5.0], [4.0, 9.0, 10.0], [3.0, 10.0, 5.0], [5.0, 6.0, 9.0]])
    middle = torch.tensor(config.crop) / 2 - 0.5
    cells = cell_centres(config.crop, 1, background.device)

    def drawn(centre):
        blob = ((cells[None] - centre[:, :, None, None, None]) ** 2).sum(1, keepdim=True)
        return background + 900 * torch.exp(-blob / 4)

    batch = LesionPairs(
        drawn(middle.expand(4, 3)), drawn(places), middle.expand(4, 3), middle.expand(4, 3), places,
        torch.full((4,), 4.0), torch.ones(4, dtype=torch.bool), config.spacing,
    )  # fmt: skip
    network = TLT(config)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(40):
        optimiser.zero_grad()
        step_loss(network, batch, rng)["loss"].backward()
        optimiser.step()
    with torch.no_grad():
        missed = (global_regression(network(batch)) - places).norm(dim=1) * 2
    assert missed.max() < 3.0
