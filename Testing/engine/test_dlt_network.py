"""Every part of DLT computes its equation, and the whole is the network of the paper."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from oncotrack.errors import InputError
from oncotrack.followup.dlt.anatomy import gaussian_map
from oncotrack.followup.dlt.backbone import DenseNet
from oncotrack.followup.dlt.config import ABLATIONS, COMPACT, PAPER, DLTConfig
from oncotrack.followup.dlt.correlation import Flatten, crop, cross_correlation
from oncotrack.followup.dlt.flops import correlation_share, cost, receptive_fields
from oncotrack.followup.dlt.losses import focal_loss, label, step_loss
from oncotrack.followup.dlt.network import DLT, to_cells
from oncotrack.followup.lesion_pairs import LesionPairs
from oncotrack.followup.losses import position_loss
from oncotrack.images.geometry import Geometry
from oncotrack.networks import weights
from oncotrack.networks.heatmap import gaussian_dlt

SMALL = {
    "crop": (6, 16, 16),
    "stem": 4,
    "stem_kernel": 3,
    "stem_pool": False,
    "growth": 2,
    "bottleneck": 2,
    "blocks": (1, 1, 1),
    "width": 4,
    "anatomy": 2,
    "global_kernel": (3, 5, 5),
}
TINY_PAPER = replace(PAPER, **SMALL)
TINY_COMPACT = replace(COMPACT, **SMALL, refine=3)
TINY = pytest.mark.parametrize("config", [TINY_PAPER, TINY_COMPACT], ids=["paper", "compact"])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pairs(config: DLTConfig, count: int = 2, seed: int = 0) -> LesionPairs:
    rng, shape = generator(seed), (count, 1, *config.crop)
    places = [torch.rand(count, 3, generator=rng) * (torch.tensor(config.crop) - 4) + 2 for _ in range(3)]
    images = [torch.randn(shape, generator=rng) * 300 for _ in range(2)]
    return LesionPairs(*images, *places, torch.linspace(2.0, 9.0, count), torch.arange(count) != 1, config.spacing)


def network(config: DLTConfig, seed: int = 0) -> DLT:
    """Return a small network whose weights are perturbed, so that no part is at its initial value."""
    torch.manual_seed(seed)
    made = DLT(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return made


# the paper's network


def test_the_paper_is_a_densenet_121_with_a_pyramid_of_three_scales():
    with torch.device("meta"):
        made = DLT(PAPER).eval()
        features = made.encode(torch.empty(1, 1, 32, 384, 384))
        kernels = made.template(features, torch.empty(1, 3), torch.empty(1))
    assert [tuple(x.shape) for x in features] == [(1, 64, 32, n, n) for n in (96, 48, 24)]
    assert [tuple(k.shape[1:]) for k in kernels[0]] == [(64, 3, 3, 3), (64, 1, 11, 11), (64, 7, 1, 11), (64, 7, 11, 1)]
    assert made.image.densenet.widths == [256, 512, 1024]
    assert made.image.densenet.conv0.weight.shape == (64, 1, 7, 7, 7)
    assert (PAPER.spacing, PAPER.gaussian_n, PAPER.fusion, PAPER.centre_shift, PAPER.ssl_share) == (
        (2.0, 0.8, 0.8), 4.0, "multiply", 0.25, 0.25,
    )  # fmt: skip


def test_the_costs_of_both_configs_are_counted():
    paper, compact = cost(PAPER), cost(COMPACT)
    assert paper["input"] == {"shape": [1, 1, 32, 384, 384], "spacing_mm": [2.0, 0.8, 0.8], "crops": 2}
    assert paper["parameters"] > 20 * compact["parameters"]
    assert paper["gflops"] > 100 * compact["gflops"]
    assert paper["receptive_field_mm"][1] == [
        edge * mm for edge, mm in zip(receptive_fields(PAPER)[2], PAPER.spacing, strict=True)
    ]


def test_the_receptive_field_of_a_cell_is_as_computed():
    config = replace(TINY_PAPER, crop=(24, 64, 64))
    made = DenseNet(config).eval()
    image = torch.zeros(1, 1, *config.crop, requires_grad=True)
    for parameter in made.parameters():  # positive weights: nothing cancels, no unit is dead
        parameter.data.abs_()
    for cells, field in zip(made(image + 1), receptive_fields(config), strict=True):
        image.grad = None
        cells[0, :, 12, cells.shape[3] // 2, cells.shape[4] // 2].sum().backward(retain_graph=True)
        gradient = image.grad[0, 0].abs()
        for axis, edge in enumerate(field):
            line = gradient.amax([n for n in range(3) if n != axis]).nonzero()
            assert int(line.max() - line.min()) + 1 == edge


def test_every_row_of_table_6_can_be_built():
    batch = pairs(TINY_PAPER, 1)
    for changes in ABLATIONS.values():
        small = {key: value for key, value in changes.items() if key not in ("width", "global_kernel")}
        small |= {"global_kernel": ()} if changes.get("global_kernel") == () else {}
        config = replace(TINY_PAPER, **small)
        assert network(config)(batch).shape == (1, 6, 8, 8)
        replace(PAPER, **changes)
    assert DLT(replace(TINY_PAPER, fusion="concatenate")).weight.shape == (8,)
    assert DLT(replace(TINY_PAPER, fusion="none")).anatomy is None


def test_a_config_that_cannot_be_built_is_refused():
    for change in ({"fusion": "add"}, {"kernel": (2, 3, 3)}, {"global_kernel": (7, 11)}, {"crop": (32, 380, 384)}):
        with pytest.raises(InputError, match="cannot be built"):
            replace(PAPER, **change)


# equation 2


def test_the_anatomy_signal_is_a_gaussian_at_the_cells():
    centre, width, spacing, stride = (2.3, 9.0, 4.4), 8.0, (3.0, 2.0, 1.5), 2
    found = gaussian_map((5, 6, 7), stride, torch.tensor([centre]), torch.tensor([width]), spacing)[0]
    for z, y, x in np.ndindex(5, 6, 7):
        voxel = (z, 2 * y + 0.5, 2 * x + 0.5)
        squared = sum(((n - c) * mm) ** 2 for n, c, mm in zip(voxel, centre, spacing, strict=True))
        assert float(found[z, y, x]) == pytest.approx(math.exp(-squared / (2 * width**2)), abs=1e-6)
    grid = Geometry((14, 12, 5), spacing[::-1])
    drawn = torch.from_numpy(gaussian_dlt(grid, grid.to_ras(centre[::-1]), width / 4))[None, None]
    assert torch.allclose(F.avg_pool3d(drawn, (1, 2, 2))[0, 0], found, atol=0.02)


# equations 3 to 7


def test_a_kernel_is_the_crop_around_the_position():
    features = torch.rand(1, 2, 5, 6, 7, generator=generator())
    whole = crop(features, torch.tensor([[2.0, 3.0, 4.0]]), (3, 3, 5))
    assert torch.allclose(whole, features[:, :, 1:4, 2:5, 2:7], atol=1e-6)
    between = crop(features, torch.tensor([[2.0, 3.25, 4.0]]), (1, 1, 1)).flatten()
    assert torch.allclose(between, 0.75 * features[0, :, 2, 3, 4] + 0.25 * features[0, :, 2, 4, 4], atol=1e-6)
    border = crop(features, torch.tensor([[0.0, 0.0, 0.0]]), (3, 3, 3))
    assert torch.allclose(border[0, :, 1:, 1:, 1:], features[0, :, :2, :2, :2], atol=1e-6)
    assert not border[0, :, 0].any()


def direct(kernel: torch.Tensor, search: torch.Tensor) -> torch.Tensor:
    """Return the correlation of one sample by its definition."""
    reach = [edge // 2 for edge in kernel.shape[1:]]
    found = torch.zeros(search.shape[1:])
    for place in np.ndindex(*search.shape[1:]):
        for cell in np.ndindex(*kernel.shape[1:]):
            there = [p + c - r for p, c, r in zip(place, cell, reach, strict=True)]
            if all(0 <= n < edge for n, edge in zip(there, search.shape[1:], strict=True)):
                found[place] += (kernel[(slice(None), *cell)] * search[(slice(None), *there)]).sum()
    return found


def test_cross_correlation_is_a_sum_over_kernel_and_channels():
    rng = generator()
    search = torch.randn(2, 3, 3, 4, 5, generator=rng)
    for size in ((3, 3, 3), (1, 3, 5), (3, 1, 5)):
        kernel = torch.randn(2, 3, *size, generator=rng)
        found = cross_correlation(kernel, search)
        for n in range(2):
            assert torch.allclose(found[n], direct(kernel[n], search[n]), atol=1e-4)


def test_the_fast_correlation_is_the_direct_one_where_the_kernel_allows():
    """Of a kernel that is constant along z only the first flattening is non-zero, and it equals the direct one."""
    flatten = Flatten(2, (3, 5, 5), True)
    with torch.no_grad():
        for axis, convolution in enumerate(flatten.axes):
            convolution.weight.zero_()
            if axis == 0:  # the sum over z
                convolution.weight[:, :, :, 0, 0] = torch.eye(2)[:, :, None]
    rng = generator()
    plane, search = torch.randn(1, 2, 1, 5, 5, generator=rng), torch.randn(1, 2, 4, 6, 7, generator=rng)
    kernel = torch.zeros(1, 2, 3, 5, 5)
    kernel[:, :, 1:2] = plane
    fast = sum(cross_correlation(flat, search) for flat in flatten(kernel))
    assert torch.allclose(fast, cross_correlation(kernel, search), atol=1e-4)
    spread = (plane / 3).expand(-1, -1, 3, -1, -1)
    along_z = F.avg_pool3d(F.pad(search, (0, 0, 0, 0, 1, 1)), (3, 1, 1), 1)
    assert torch.allclose(cross_correlation(spread, search), cross_correlation(flatten(spread)[0], along_z), atol=1e-4)


def test_the_fast_correlation_costs_a_third_of_the_direct_one():
    assert 0.3 < correlation_share(PAPER) <= 0.35
    assert correlation_share(COMPACT) < 0.355  # its maps are small, so that flattening shows


def test_flattening_begins_as_a_mean_and_can_be_the_middle():
    kernel = torch.randn(1, 3, 7, 5, 5, generator=generator())
    sizes = [(1, 5, 5), (7, 1, 5), (7, 5, 1)]
    learned, fixed = (Flatten(3, (7, 5, 5), is_learned)(kernel) for is_learned in (True, False))
    assert [tuple(flat.shape[2:]) for flat in learned] == sizes
    for axis, flat in enumerate(fixed):
        assert torch.equal(flat, kernel.select(2 + axis, kernel.shape[2 + axis] // 2).unsqueeze(2 + axis))
    assert not list(Flatten(3, (7, 5, 5), False).parameters())


def test_the_map_is_the_sum_of_all_scales_and_kernels():
    """Equation 7 on the depth-wise maps of equation 6, as the paper writes them."""
    made, batch = network(TINY_PAPER), pairs(TINY_PAPER, 1)
    with torch.no_grad():
        before, after = made.encode(batch.template), made.encode(batch.search)
        kernels = made.template(before, batch.template_centre, batch.radius_mm)
        fused = made.fuse(after, batch.expected, batch.radius_mm)
        total = 0
        for scale, group in enumerate(kernels):
            searched = fused[scale]
            maps = sum(
                F.conv3d(searched, kernel[0][:, None], padding=[n // 2 for n in kernel.shape[2:]], groups=4)
                for kernel in group
            )
            total = total + F.interpolate(maps, scale_factor=(1, 2**scale, 2**scale), mode="trilinear")
        expected = torch.einsum("c,bczyx->bzyx", made.weight, total) + 10 * made.bias
        assert torch.allclose(made(batch), expected, atol=1e-4)


def test_fusion_multiplies_with_the_anatomy_signal():
    made, batch = network(TINY_PAPER), pairs(TINY_PAPER, 1)
    with torch.no_grad():
        features = made.encode(batch.search)
        width = 4 * batch.radius_mm
        signals = made.anatomy(gaussian_map((6, 8, 8), 2, batch.expected, width, TINY_PAPER.spacing)[:, None])
        for fused, x, signal in zip(
            made.fuse(features, batch.expected, batch.radius_mm), features, signals, strict=True
        ):
            assert torch.equal(fused, x * signal)


def test_a_scan_matched_with_itself_is_found_where_it_was_clicked():
    config = replace(TINY_COMPACT, crop=(12, 32, 32), width=8, prior_mm=1000.0)
    torch.manual_seed(3)
    made, batch = DLT(config).eval(), pairs(replace(config), 1)
    centre = torch.tensor([[6.0, 12.5, 18.5]])
    same = replace(batch, search=batch.template, template_centre=centre, expected=centre)
    with torch.no_grad():
        logits = made(same)[0]
    best = np.unravel_index(int(logits.argmax()), logits.shape)
    assert torch.equal(to_cells(centre, 2)[0].long(), torch.tensor(best))


# equation 8


def test_the_label_is_1_in_the_cell_of_the_centre_and_0_for_a_vanished_lesion():
    batch = pairs(TINY_PAPER)
    target = label(batch, (6, 8, 8), TINY_PAPER)
    assert not target[1].any()
    assert (target[0] == 1).sum() == 1
    z, y, x = (int(n) for n in np.unravel_index(int(target[0].argmax()), target[0].shape))
    assert torch.allclose(torch.tensor([z, y, x]).float(), to_cells(batch.centre, 2)[0].round())
    drawn = gaussian_map((6, 8, 8), 2, batch.centre[:1], batch.radius_mm[:1], TINY_PAPER.spacing)[0]
    assert torch.equal(target[0][target[0] < 1], drawn[target[0] < 1])


def test_the_focal_loss_is_equation_8():
    rng = generator()
    logits, target = torch.randn(2, 2, 2, 3, generator=rng), torch.rand(2, 2, 2, 3, generator=rng)
    target[0, 1, 1, 2] = 1
    total = 0.0
    for logit, label_value in zip(logits.flatten().tolist(), target.flatten().tolist(), strict=True):
        y = 1 / (1 + math.exp(-logit))
        total -= (1 - y) ** 2 * math.log(y) if label_value == 1 else (1 - label_value) ** 4 * y**2 * math.log(1 - y)
    assert float(focal_loss(logits, target)) == pytest.approx(total / 2, rel=1e-5)


def test_the_position_loss_is_a_cross_entropy_over_present_lesions():
    logits, target = torch.randn(2, 1, 1, 3, generator=generator()), torch.tensor([[1.0, 0.5, 0.5], [0.0, 0.0, 0.0]])
    found = torch.tensor([True, False])
    expected = -float(logits[0].flatten().log_softmax(0) @ torch.tensor([0.5, 0.25, 0.25]))
    assert float(position_loss(logits, target.view(2, 1, 1, 3), found)) == pytest.approx(expected, rel=1e-5)
    assert float(position_loss(logits, target.view(2, 1, 1, 3), ~found & False)) == 0


# the whole


@TINY
def test_gradients_reach_every_parameter(config):
    made = network(config).train()
    parts = step_loss(made, pairs(config), generator())
    parts["loss"].backward()
    assert set(parts) == {"loss", "focal"} | ({"place"} if config.lambda_place else set())
    still = [name for name, each in made.named_parameters() if each.grad is None or not each.grad.any()]
    assert not still


@TINY
def test_a_batch_gives_the_same_as_its_samples_alone(config):
    made, batch = network(config), pairs(config, 3)
    with torch.no_grad():
        together = made(batch)
        for n in range(3):
            parts = {name: value[n : n + 1] for name, value in vars(batch).items() if torch.is_tensor(value)}
            assert torch.allclose(together[n : n + 1], made(replace(batch, **parts)), atol=1e-5)


@TINY
def test_state_survives_save_and_load_bit_for_bit(config, tmp_path):
    made = network(config)
    file = weights.load(weights.save(tmp_path / "dlt.safetensors", "dlt", config, made.state_dict(), {}), "dlt")
    assert file.config_as(DLTConfig) == config
    again = DLT(file.config_as(DLTConfig)).eval()
    again.load_state_dict(file.state)
    with torch.no_grad():
        assert torch.equal(made(pairs(config)), again(pairs(config)))


def test_it_learns_to_find_a_bright_block_that_moved():
    config = replace(TINY_COMPACT, ssl_share=0.0, label_radius_mm=2.0, global_kernel=())
    torch.manual_seed(0)
    made, batch = DLT(config), pairs(config, 4)
    template, search = (torch.full_like(batch.template, -50.0) for _ in range(2))
    centre = torch.tensor([[3, 4.5, 4.5], [2, 10.5, 6.5], [3, 6.5, 10.5], [2, 8.5, 8.5]])
    for n, (z, y, x) in enumerate(centre.long().tolist()):
        search[n, 0, z - 1 : z + 2, y - 1 : y + 3, x - 1 : x + 3] = 200.0
        template[n, 0, 2:5, 7:11, 7:11] = 200.0
    middle = torch.tensor([[3.0, 8.5, 8.5]]).expand(4, -1)
    batch = replace(
        batch, template=template, search=search, template_centre=middle, expected=middle, centre=centre,
        found=torch.ones(4, dtype=torch.bool),
    )  # fmt: skip
    optimiser = torch.optim.Adam(made.parameters(), 1e-2)
    losses = []
    for _ in range(25):
        optimiser.zero_grad()
        place = step_loss(made, batch, generator())["place"]
        losses.append(place.item())
        place.backward()
        optimiser.step()
    assert losses[-1] < 0.6 * losses[0]
