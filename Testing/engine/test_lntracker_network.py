"""LN-Tracker's network: attention between groups of queries, padding, and the size of the named configurations."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np
import pytest
import torch

from oncotrack.detection.lntracker.backbone import Fusion, LNBackbone
from oncotrack.detection.lntracker.config import COMPACT, PAPER, LNTrackerConfig
from oncotrack.detection.lntracker.deformable import sample, sample_cells
from oncotrack.detection.lntracker.encoder import Encoder
from oncotrack.detection.lntracker.flops import cost
from oncotrack.detection.lntracker.network import LNTracker
from oncotrack.detection.lntracker.slice_data import TrackQueries
from oncotrack.detection.lntracker.slice_encoder import SliceEncoder, StemMaps
from oncotrack.errors import InputError

SMALL = {
    "stem": 8,
    "stages": (32, 32, 32, 32),
    "blocks": (1, 1, 1, 1),
    "norm": "group",
    "width": 32,
    "heads": 4,
    "encoder_layers": 1,
    "encoder_ffn": 32,
    "decoder_layers": 2,
    "decoder_ffn": 32,
    "queries": 12,
    "denoising_queries": 8,
}
KINDS = {"paper": replace(PAPER, **SMALL), "compact": replace(COMPACT, **SMALL)}
kinds = pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)


def network(config: LNTrackerConfig, seed: int = 0) -> LNTracker:
    """Build a small network whose weights are all random, so that no bias or head is at its initial value."""
    torch.manual_seed(seed)
    made = LNTracker(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return made


def slices(batch: int = 1, height: int = 64, width: int = 96, seed: int = 0) -> torch.Tensor:
    return torch.rand(batch, 9, height, width, generator=torch.Generator().manual_seed(seed))


def tracks(config: LNTrackerConfig, *counts: int, seed: int = 1) -> TrackQueries:
    """Draw random track queries, `counts` in each image."""
    generator = torch.Generator().manual_seed(seed)
    most = max(counts)
    present = torch.arange(most)[None] < torch.tensor(counts)[:, None]
    embedding = torch.randn(len(counts), most, config.width, generator=generator) * present[..., None]
    boxes = torch.rand(len(counts), most, 4, generator=generator) * torch.tensor([0.8, 0.8, 0.2, 0.2]) + 0.1
    return TrackQueries(embedding, boxes * present[..., None], present)


# attention


def test_deformable_sampling_is_a_weighted_sum_of_bilinear_samples():
    torch.manual_seed(0)
    batch, n, heads, points, channels = 2, 3, 2, 2, 4
    maps = [torch.randn(batch, heads, channels, *shape) for shape in ((5, 7), (3, 4))]
    locations = torch.rand(batch, n, heads, len(maps), points, 2) * 1.4 - 0.2
    weights = torch.rand(batch, n, heads, len(maps), points)
    expected = torch.zeros(batch, n, heads, channels)
    for b in range(batch):
        for q in range(n):
            for h in range(heads):
                for level, values in enumerate(maps):
                    height, width = values.shape[-2:]
                    for p in range(points):
                        x, y = (locations[b, q, h, level, p] * torch.tensor([width, height]) - 0.5).tolist()
                        for j in range(height):
                            for i in range(width):
                                share = max(0, 1 - abs(x - i)) * max(0, 1 - abs(y - j))
                                expected[b, q, h] += weights[b, q, h, level, p] * share * values[b, h, :, j, i]
    assert torch.allclose(sample(maps, locations, weights), expected.flatten(2), atol=1e-5)


@pytest.mark.parametrize("own", [True, False], ids=["own rows of every head", "shared rows"])
def test_sampling_rows_is_sampling_maps(own):
    torch.manual_seed(0)
    batch, n, heads, points, channels, shapes = 2, 3, 2, 2, 4, [(5, 7), (3, 4)]
    locations = torch.rand(batch, n, heads, len(shapes), points, 2) * 1.4 - 0.2
    weights = torch.rand(batch, n, heads, len(shapes), points)
    maps = [torch.randn(batch, heads if own else 1, channels, *shape) for shape in shapes]
    rows = torch.cat([each.flatten(3) for each in maps], 3).permute(0, 3, 1, 2)
    sums, inside = sample_cells(rows.reshape(-1, channels), shapes, locations, weights, heads if own else 1)
    expanded = [each.expand(-1, heads, -1, -1, -1) for each in maps]
    assert torch.allclose(sums.flatten(2), sample(expanded, locations, weights), atol=1e-5)
    ones = [torch.ones_like(each[:, :, :1]) for each in expanded]
    assert torch.allclose(inside, sample(ones, locations, weights), atol=1e-5)


@kinds
def test_without_gradients_the_output_is_the_same(config):
    made, images, followed = network(config), slices(2), tracks(config, 3, 1)
    trained = made(images, followed)
    with torch.inference_mode():
        read = made(images, followed)
    for name in ("logits", "boxes", "queries"):
        assert torch.allclose(getattr(read, name), getattr(trained, name), atol=1e-4), name


@kinds
def test_queries_attend_as_in_equation_3(config):
    """Query i's output depends on query j's content except for detections (2 to 4) on tracks (0 and 1)."""
    decoder = network(config).decoder
    size = torch.tensor([96.0, 64.0])
    memory = decoder.memory([torch.randn(1, 32, 16 >> n, 24 >> n) for n in range(len(config.strides))], size)
    boxes = torch.rand(1, 5, 4) * 20 + 20
    content = torch.randn(1, 5, config.width, requires_grad=True)
    detection = decoder(content[:, 2:], boxes[:, 2:], memory)
    followed = decoder(content[:, :2], boxes[:, :2], memory, context=detection)
    both = detection.after(followed)
    assert both.logits.shape == (config.decoder_layers, 1, 5)
    depends = torch.stack(
        [
            torch.autograd.grad(both.queries[0, i].square().sum(), content, retain_graph=True)[0][0].abs().sum(-1) > 0
            for i in range(5)
        ]
    )
    hidden = torch.zeros(5, 5, dtype=torch.bool)
    hidden[2:, :2] = True
    assert torch.equal(depends, ~hidden)


@kinds
def test_track_queries_do_not_change_a_single_bit_of_the_detections(config):
    made, images = network(config), slices(2)
    alone, followed = made(images), made(images, tracks(config, 3, 1))
    assert followed.n_tracks == 3
    assert torch.equal(alone.logits, followed.logits[:, :, 3:])
    assert torch.equal(alone.boxes, followed.boxes[:, :, 3:])
    assert torch.equal(alone.queries, followed.queries[:, 3:])


@kinds
@pytest.mark.parametrize(
    "switch", [{"masked_attention": False}, {"trackformer": True}], ids=lambda each: next(iter(each))
)
def test_without_the_mask_track_queries_leak_into_the_detections(config, switch):
    made, images = network(replace(config, **switch)), slices()
    alone, followed = made(images), made(images, tracks(config, 3))
    assert alone.logits.shape == followed.logits[:, :, 3:].shape
    assert (alone.logits - followed.logits[:, :, 3:]).abs().max() > 1e-4


@kinds
@pytest.mark.parametrize("joint", [False, True], ids=["masked", "joint"])
def test_padding_with_zero_queries_changes_nothing(config, joint):
    made, images = network(replace(config, masked_attention=not joint)), slices()
    queries = tracks(config, 2)
    grown = TrackQueries(
        torch.nn.functional.pad(queries.embedding, (0, 0, 0, 4)),
        torch.nn.functional.pad(queries.boxes, (0, 0, 0, 4)),
        torch.nn.functional.pad(queries.present, (0, 4)),
    )
    tight, loose = made(images, queries), made(images, grown)
    assert loose.n_tracks == 6
    for rows in (slice(2), slice(2, None)):
        shifted = slice(2) if rows.start is None else slice(6, None)
        assert torch.allclose(tight.logits[:, :, rows], loose.logits[:, :, shifted], atol=1e-4)
        assert torch.allclose(tight.boxes[:, :, rows], loose.boxes[:, :, shifted], atol=1e-4)
    assert torch.isfinite(loose.logits).all()


@kinds
def test_a_batch_of_different_track_counts_equals_single_runs(config):
    made, images, queries = network(config), slices(3), tracks(config, 3, 0, 1)
    together = made(images, queries)
    for n, count in enumerate((3, 0, 1)):
        own = TrackQueries(
            queries.embedding[n : n + 1, :count], queries.boxes[n : n + 1, :count], queries.present[n : n + 1, :count]
        )
        alone = made(images[n : n + 1], own)
        kept = [*range(count), *range(3, together.logits.shape[2])]
        assert torch.allclose(together.logits[:, n, kept], alone.logits[:, 0], atol=1e-4)
        assert torch.allclose(together.boxes[:, n, kept], alone.boxes[:, 0], atol=1e-4)
        if count:
            assert torch.allclose(together.similarity[n, :count, :count], alone.similarity[0], atol=1e-3)


def test_switches_remove_components():
    images = slices()
    bare = replace(KINDS["compact"], track_queries=False, similarity_loss=False, dense_supervision=False)
    output = network(bare)(images, tracks(bare, 2))
    assert output.n_tracks == 0 and output.similarity is None and output.dense is None and output.masks is None
    with pytest.raises(InputError, match="similarity"):
        network(bare).similarity(torch.zeros(1, bare.width), torch.zeros(1, bare.width))
    masked = network(replace(KINDS["paper"], mask_branch=True))(images)
    assert masked.masks.shape == (1, 12, 16, 24)


# images


@kinds
def test_any_size_is_accepted_and_boxes_are_fractions_of_the_unpadded_slice(config):
    output = network(config)(slices(1, 70, 91))
    assert output.size == (91, 70)
    assert (
        output.logits.shape == (2, 1, 12)
        and output.boxes.shape == (2, 1, 12, 4)
        and output.queries.shape == (1, 12, 32)
    )
    padded = torch.nn.functional.pad(slices(1, 70, 91), (0, 5, 0, 26))
    whole = network(config)(padded)
    inside = (whole.encoder_boxes * torch.tensor([96, 96, 96, 96])) / torch.tensor([91, 70, 91, 70])
    shared = [any(torch.allclose(a, b, atol=1e-4) for b in inside[0]) for a in output.encoder_boxes[0]]
    assert sum(shared) >= 1, "the same picture, padded by hand, has the same proposals at the same pixels"


def test_a_proposal_never_lies_in_the_padding():
    output = network(KINDS["compact"])(slices(1, 33, 33))
    assert (output.encoder_logits > -20).sum() >= 1
    assert (output.dense.logits[0][(output.dense.centres >= 33).any(1)] == -20).all()


def test_a_wrong_number_of_slices_is_refused():
    with pytest.raises(InputError, match="9 slices at once"):
        network(KINDS["compact"])(torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize(
    "wrong", [{"slices": 6}, {"width": 30}, {"norm": "batch"}, {"geometry": "world"}, {"levels": 5}]
)
def test_an_impossible_configuration_is_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        replace(COMPACT, **wrong)


# backbone


def test_the_papers_backbone_is_resnet_50():
    with torch.device("meta"):
        backbone = LNBackbone(PAPER)
    state = {name: each for name, each in backbone.state_dict().items() if not name.startswith("fusions")}
    weights = {name: each for name, each in state.items() if "running" not in name}
    assert sum(each.numel() for each in weights.values()) == 23_508_032  # ResNet-50 without its last linear layer
    for name, shape in {
        "conv1.weight": (64, 3, 7, 7),
        "bn1.running_mean": (64,),
        "layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "layer3.5.conv2.weight": (256, 256, 3, 3),
        "layer4.2.bn3.bias": (2048,),
    }.items():
        assert state[name].shape == shape


def test_with_frozen_norms_three_slices_are_scaled_as_imagenets_colours():
    torch.manual_seed(0)
    backbone = LNBackbone(replace(PAPER, **SMALL | {"norm": "frozen"}))
    inputs = []
    backbone.conv1.register_forward_hook(lambda _module, given, _made: inputs.append(given[0]))
    backbone(torch.full((1, 9, 64, 64), 0.5))
    assert inputs[0].shape == (3, 3, 64, 64)
    assert inputs[0][0, :, 0, 0].tolist() == pytest.approx([0.0655, 0.1964, 0.4178], abs=1e-4)


@kinds
def test_all_nine_slices_are_read_and_the_maps_have_their_strides(config):
    torch.manual_seed(0)
    images = slices().requires_grad_()
    maps = LNBackbone(config)(images)
    assert [tuple(each.shape[-2:]) for each in maps] == [(16, 24), (8, 12), (4, 6), (2, 3)]
    maps[-1].sum().backward()
    influence = images.grad.abs().sum((0, 2, 3))
    assert (influence > 0).all() and influence.argmax() in (3, 4, 5), "the image in the centre weighs most"


def test_an_early_fusion_is_cheap_and_the_outer_images_go_on_only_to_the_last():
    early, late = (cost(replace(KINDS["compact"], fused_stages=n), 64, 64)["gflops"] for n in (0, 1))
    assert early < late
    made = LNBackbone(replace(KINDS["compact"], fused_stages=2))
    inputs = []
    for stage in (made.layer1, made.layer2, made.layer3):
        stage.register_forward_hook(lambda _stage, given, _made: inputs.append(len(given[0])))
    made(slices(2))
    assert inputs == [6, 6, 2]


@kinds
def test_stems_of_neighbouring_slices_are_shared_in_both_directions(config):
    torch.manual_seed(0)
    scan, backbone, computed = torch.rand(20, 32, 32), LNBackbone(config).eval(), []
    backbone.conv1.register_forward_hook(lambda _module, given, _made: computed.append(len(given[0])))
    with torch.inference_mode():
        for indices in (range(4, 16), range(15, 3, -1), (4, 11, 5)):
            stems = StemMaps()
            for index in indices:
                images = scan[None, index - 4 : index + 5]
                read = partial(stems.read, index)
                for shared, alone in zip(backbone(images, read), backbone(images), strict=True):
                    assert torch.allclose(shared, alone, atol=1e-5)
        computed.clear()
        stems = StemMaps()
        for index in range(4, 16):
            backbone(scan[None, index - 4 : index + 5], partial(stems.read, index))
        assert sum(computed) == 12 + 6, "one per slice, and six for the first three"


@pytest.fixture
def threads():
    """Return a function that sets PyTorch's number of threads, which is restored after the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_slices_that_are_encoded_ahead_are_those_of_one_after_the_other(threads):
    torch.manual_seed(0)
    network = LNTracker(replace(COMPACT, **SMALL)).eval()
    scan = torch.rand(20, 32, 32).numpy()
    stacks = [(index, np.ascontiguousarray(scan[index - 4 : index + 5])) for index in range(4, 16)]
    alone = [SliceEncoder(network).encode(*stack) for stack in stacks]
    for count in (1, 2, 5):
        threads(count)
        found = list(SliceEncoder(network).ahead(iter(stacks)))
        assert [index for index, _encoded in found] == [index for index, _stack in stacks]
        for (_index, encoded), reference in zip(found, alone, strict=True):
            assert all(map(partial(torch.allclose, atol=1e-2), encoded.maps, reference.maps))
            assert torch.allclose(encoded.proposals.boxes, reference.proposals.boxes, atol=0.1)
        assert torch.get_num_threads() == count


def test_encoding_ahead_ends_with_the_caller(threads):
    threads(2)
    read = []

    def stacks():
        for index in range(100):
            read.append(index)
            yield index, np.zeros((9, 32, 32), np.float32)

    ahead = SliceEncoder(LNTracker(replace(COMPACT, **SMALL)).eval()).ahead(stacks())
    assert [index for index, _encoded in islice(ahead, 3)] == [0, 1, 2]
    assert torch.get_num_threads() == 1
    ahead.close()
    assert torch.get_num_threads() == 2 and len(read) < 8


def test_a_change_in_a_coarse_map_reaches_the_fine_map():
    """With top-down connections a distant change reaches the finest map without attention."""
    maps = [torch.randn(1, 32, 32 >> n, 32 >> n) for n in range(4)]
    maps[-1].requires_grad_()
    for top_down in (True, False):
        encoder = Encoder(replace(KINDS["compact"], encoder_layers=0, top_down=top_down)).eval()
        (slope,) = torch.autograd.grad(encoder(maps)[1].square().sum(), maps[-1])
        assert (slope.abs().sum() > 0) == top_down


def test_fusion_begins_close_to_the_map_in_the_centre():
    torch.manual_seed(0)
    maps = torch.rand(1, 3, 16, 8, 8)
    fused = Fusion(3, 16)(maps)
    assert (fused - maps[:, 1]).abs().mean() < 0.1 < (fused - maps[:, 0]).abs().mean()


# size


def test_the_network_of_the_paper_has_the_stated_cost():
    paper = cost(PAPER)
    assert abs(paper["gflops"] / 142.10 - 1) < 0.15
    assert cost(replace(PAPER, mask_branch=True))["gflops"] == pytest.approx(141.08, rel=0.02), "as Mask DINO has it"
    followed = cost(PAPER, tracks=40)["gflops"] - paper["gflops"]
    assert 0 < followed < 0.01 * paper["gflops"], "tracks cost less than one in a hundred"
    assert 50e6 < paper["parameters"] < 70e6


def test_the_counter_agrees_with_a_convolution_counted_by_hand():
    light, lighter = KINDS["compact"], replace(KINDS["compact"], encoder_layers=0)
    assert cost(light, 64, 64)["gflops"] > cost(lighter, 64, 64)["gflops"]
    tokens = 8 * 8 + 4 * 4 + 2 * 2
    layer = tokens * (32 * 32 * 2 + 32 * (4 * 3 * 4 * 3) + 2 * 32 * 32)  # value, out; offsets, weights; ffn
    assert cost(light, 64, 64)["gflops"] - cost(lighter, 64, 64)["gflops"] == pytest.approx(layer / 1e9)


def test_the_bundled_network_is_small():
    compact = cost(COMPACT, 256, 256)
    assert compact["parameters"] * 4 <= 25e6
    assert compact["gflops"] < 6
