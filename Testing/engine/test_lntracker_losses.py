"""LN-Tracker's losses against their formulas, the matching, the track queries, and training on one pair."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch

from oncotrack.detection.lntracker.config import COMPACT, PAPER, LNTrackerConfig
from oncotrack.detection.lntracker.denoising import denoising_queries
from oncotrack.detection.lntracker.dense_supervision import dense_loss, heat_map
from oncotrack.detection.lntracker.hungarian import match, matching_cost
from oncotrack.detection.lntracker.loss_terms import box_loss, focal
from oncotrack.detection.lntracker.losses import denoising_loss, detection_loss, losses
from oncotrack.detection.lntracker.masks import mask_loss
from oncotrack.detection.lntracker.network import LNTracker
from oncotrack.detection.lntracker.proposals import Proposals, score_near, select
from oncotrack.detection.lntracker.slice_data import LNTargets, Output, TrackQueries
from oncotrack.detection.lntracker.track_losses import affinity, followed_targets, similarity_loss, track_loss
from oncotrack.detection.lntracker.track_queries import TrackAugmentation, age_tracks, augment_tracks, matched_tracks
from oncotrack.errors import InputError
from oncotrack.networks import boxes as box_ops
from oncotrack.training.lntracker import step_loss
from oncotrack.training.slice_pairs import Pairs

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
SIZE = (100, 50)


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


def targets(*counts: int, side: tuple[int, int] | None = None) -> list[LNTargets]:
    generator = torch.Generator().manual_seed(5)
    made = []
    for count in counts:
        boxes = torch.rand(count, 4, generator=generator) * torch.tensor([0.6, 0.6, 0.1, 0.1]) + 0.1
        masks = torch.rand(count, *side, generator=generator) > 0.9 if side else None
        made.append(LNTargets(boxes, torch.arange(count), masks))
    return made


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def output_of(logits: torch.Tensor, boxes: torch.Tensor, n_tracks: int = 0, present=None) -> Output:
    """Return an output of one image and one layer with these (N,) scores and (N, 4) boxes."""
    return Output(
        size=SIZE,
        logits=logits[None, None],
        boxes=boxes[None, None],
        queries=torch.arange(len(logits), dtype=torch.float32)[None, :, None],
        n_tracks=n_tracks,
        present=torch.ones(1, n_tracks, dtype=torch.bool) if present is None else present,
        similarity=None,
        encoder_logits=logits[None],
        encoder_boxes=boxes[None],
    )


def focal_by_hand(logit: float, label: int) -> float:
    score = 1 / (1 + math.exp(-logit))
    right = score if label else 1 - score
    return -(0.25 if label else 0.75) * (1 - right) ** 2 * math.log(right)


# terms


def test_focal_loss_against_its_formula():
    logits, labels = torch.tensor([-2.0, 0.3, 1.7, -0.4]), torch.tensor([0, 1, 0, 1])
    expected = [focal_by_hand(*pair) for pair in zip(logits.tolist(), labels.tolist(), strict=True)]
    assert focal(logits, labels).tolist() == pytest.approx(expected, rel=1e-5)


def test_box_loss_is_l1_plus_one_minus_giou():
    predicted, truth = torch.tensor([[0.5, 0.5, 0.2, 0.2]]), torch.tensor([[0.6, 0.5, 0.2, 0.2]])
    giou = 0.5 / 1.5  # side by side by half an edge: the hull is the union
    assert box_loss(predicted, truth, SIZE, PAPER).item() == pytest.approx(0.1 + 1 - giou, rel=1e-4)
    in_pixels = 0.1 * SIZE[0] / COMPACT.l1_pixels
    assert box_loss(predicted, truth, SIZE, COMPACT).item() == pytest.approx(in_pixels + 1 - giou, rel=1e-4)


def test_the_l1_loss_of_a_distant_match_is_bounded():
    far, truth = torch.tensor([[0.9, 0.5, 0.1, 0.2]], requires_grad=True), torch.tensor([[0.1, 0.5, 0.1, 0.2]])
    assert box_loss(far, truth, SIZE, COMPACT).item() == pytest.approx(4.0 + 1 - (0 - 0.7 / 0.9), rel=1e-3)
    assert box_loss(far, truth, SIZE, PAPER).item() == pytest.approx(0.8 + 1 - (0 - 0.7 / 0.9), rel=1e-3)


def test_matching_has_the_lowest_total_cost():
    generator = seeded(0)
    for config in (PAPER, COMPACT):
        logits = torch.randn(5, generator=generator)
        boxes, expected = (torch.rand(n, 4, generator=generator) * 0.5 + 0.2 for n in (5, 3))
        matrix = matching_cost(logits, boxes, expected, SIZE, config)
        cheapest = min(
            itertools.permutations(range(5), 3), key=lambda rows: sum(matrix[r, c] for c, r in enumerate(rows))
        )
        rows, columns = match(logits[None], boxes[None], [expected], SIZE, config)[0]
        assert dict(zip(columns.tolist(), rows.tolist(), strict=True)) == dict(enumerate(cheapest))


def test_the_cost_of_a_match_is_what_the_loss_would_change():
    logits, box = torch.tensor([0.4]), torch.tensor([[0.5, 0.5, 0.2, 0.2]])
    expected = torch.tensor([[0.55, 0.5, 0.2, 0.3]])
    by_class = PAPER.lambda_cls * (focal_by_hand(0.4, 1) - focal_by_hand(0.4, 0))
    by_box = PAPER.lambda_box * (box_loss(box, expected, SIZE, PAPER).item() - 1)
    assert matching_cost(logits, box, expected, SIZE, PAPER).item() == pytest.approx(by_class + by_box, rel=1e-4)


# equations 1, 2 and 4


def test_equation_2_matches_all_boxes_and_leaves_the_rest_to_the_background():
    boxes = torch.tensor([[0.3, 0.3, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2], [0.31, 0.3, 0.2, 0.2]])
    logits = torch.tensor([0.5, -1.0, -3.0])
    truth = torch.tensor([[0.7, 0.7, 0.2, 0.2], [0.3, 0.3, 0.2, 0.2]])
    unknown = torch.zeros(1, 1, 3, dtype=torch.bool)
    by_class, by_box = detection_loss(logits[None, None], boxes[None, None], [truth], 2, SIZE, PAPER, unknown)
    expected = [focal_by_hand(0.5, 1), focal_by_hand(-1, 1), focal_by_hand(-3, 0)]
    assert by_class.item() == pytest.approx(PAPER.lambda_cls * sum(expected) / 2, rel=1e-4)
    assert by_box.item() == pytest.approx(0, abs=1e-5)
    by_class, _ = detection_loss(logits[None, None], boxes[None, None], [truth], 2, SIZE, PAPER, ~unknown)
    assert by_class.item() == pytest.approx(PAPER.lambda_cls * sum(expected[:2]) / 2, rel=1e-4)


# what may be an unlabelled node


def ignoring(target: LNTargets, *centres: tuple[float, float]) -> LNTargets:
    """Return a target whose slice may have unlabelled nodes of 3 x 3 pixels at these x and y, 0 to 1."""
    ignored = torch.zeros(SIZE[1], SIZE[0], dtype=torch.bool)
    for x, y in centres:
        row, column = int(y * SIZE[1]), int(x * SIZE[0])
        ignored[row - 1 : row + 2, column - 1 : column + 2] = True
    return replace(target, ignored=ignored)


def test_a_query_on_what_may_be_an_unlabelled_node_is_neither_node_nor_background():
    config = replace(PAPER, denoising_queries=0)
    node = LNTargets(torch.tensor([[0.3, 0.3, 0.2, 0.2]]), torch.tensor([4]))
    boxes = torch.tensor([[0.3, 0.3, 0.2, 0.2], [0.7, 0.6, 0.1, 0.1], [0.1, 0.8, 0.1, 0.1]])
    logits = torch.tensor([0.5, 1.0, 2.0])

    def parts(target: LNTargets) -> tuple[float, float]:
        found = losses(output_of(logits, boxes), [target], torch.zeros(1, 0, dtype=torch.long), config)
        return found["detection_class"].item(), found["encoder_class"].item()

    hit, first, second = focal_by_hand(0.5, 1), focal_by_hand(1.0, 0), focal_by_hand(2.0, 0)
    assert parts(node) == pytest.approx((hit + first + second,) * 2, rel=1e-4)
    assert parts(ignoring(node, (0.7, 0.6))) == pytest.approx((hit + second,) * 2, rel=1e-4)
    assert parts(ignoring(node, (0.3, 0.3))) == pytest.approx((hit + first + second,) * 2, rel=1e-4), "a node counts"


def test_a_track_on_what_may_be_an_unlabelled_node_may_go_on_or_end():
    truth = LNTargets(torch.tensor([[0.3, 0.3, 0.2, 0.2]]), torch.tensor([4]))
    boxes = torch.tensor([[0.3, 0.3, 0.2, 0.2], [0.7, 0.6, 0.1, 0.1]])
    output, followed = (
        output_of(torch.tensor([0.5, 1.0]), boxes, 2, torch.ones(1, 2, dtype=torch.bool)),
        torch.tensor([[0, -1]]),
    )
    both, one = (track_loss(output, [each], followed, PAPER)[0].item() for each in (truth, ignoring(truth, (0.7, 0.6))))
    assert both == pytest.approx(focal_by_hand(0.5, 1) + focal_by_hand(1.0, 0), rel=1e-4)
    assert one == pytest.approx(focal_by_hand(0.5, 1), rel=1e-4)


def test_far_noise_on_what_may_be_an_unlabelled_node_is_not_rejected():
    config, truth = KINDS["compact"], targets(2)
    torch.manual_seed(0)
    output = LNTracker(config).train()(slices(1, SIZE[1], SIZE[0]), None, truth, seeded(1))
    everywhere = [replace(truth[0], ignored=torch.ones(SIZE[1], SIZE[0], dtype=torch.bool))]
    by_class, ignoring_far = (denoising_loss(output, each, config)[0] for each in (truth, everywhere))
    near = sum(focal(logits, torch.ones_like(logits))[output.noise.near].sum() for logits in output.noise_logits)
    assert ignoring_far.item() == pytest.approx(
        config.lambda_cls * near.item() / int(output.noise.near.sum()), rel=1e-4
    )
    assert by_class > ignoring_far


def test_equation_1_goes_by_identity_and_an_ended_node_is_not_the_same():
    boxes = torch.tensor([[0.3, 0.3, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2], [0.5, 0.5, 0.1, 0.1], [0.0, 0.0, 0.0, 0.0]])
    logits = torch.tensor([0.5, 2.0, -1.0, 4.0])
    truth = [LNTargets(torch.tensor([[0.7, 0.7, 0.2, 0.2], [0.4, 0.3, 0.2, 0.2]]), torch.tensor([8, 7]))]
    present = torch.tensor([[True, True, True, False]])
    ids = torch.tensor([[7, 5, -1, -1]])  # followed, ended, a false query, padding
    output = output_of(logits, boxes, 4, present)
    followed = followed_targets(ids, present, truth)
    assert followed.tolist() == [[1, -1, -1, -1]], "by identity, although the second box lies exactly on another node"
    by_class, by_box = track_loss(output, truth, followed, PAPER)
    expected = focal_by_hand(0.5, 1) + focal_by_hand(2.0, 0) + focal_by_hand(-1.0, 0)
    assert by_class.item() == pytest.approx(PAPER.lambda_cls * expected, rel=1e-4)
    assert by_box.item() == pytest.approx(PAPER.lambda_box * (0.1 + 1 - 0.5 / 1.5), rel=1e-4)


def test_equation_4_is_the_cross_entropy_of_identities():
    present = torch.tensor([[True, True, True, False]])
    followed = torch.tensor([[1, -1, 0, -1]])  # the second ended
    same = affinity(followed)
    assert same[0].tolist() == [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    logits = torch.randn(1, 4, 4, generator=seeded(2))
    expected = 0.0
    for i in range(3):
        for j in range(3):
            score = 1 / (1 + math.exp(-logits[0, i, j]))
            expected -= math.log(score if same[0, i, j] else 1 - score) / 9
    assert similarity_loss(logits, same, present).item() == pytest.approx(expected, rel=1e-4)


@kinds
def test_the_similarity_in_the_output_is_equation_4s_product(config):
    made, queries = network(config), tracks(config, 3)
    output = made(slices(), queries)
    expected = made.phi(queries.embedding[0]) @ made.phi(output.queries[0, :3]).T
    assert torch.allclose(output.similarity[0], expected, atol=1e-4)


def test_the_loss_terms_follow_the_config_and_add_up():
    config, truth = KINDS["compact"], targets(2, 1)
    queries, ids = tracks(config, 2, 1), torch.tensor([[0, 1], [9, -1]])

    def parts(**switches) -> dict[str, torch.Tensor]:
        changed = replace(config, **switches)
        torch.manual_seed(0)
        return losses(LNTracker(changed).train()(slices(2), queries, truth, seeded(1)), truth, ids, changed)

    whole = parts()
    names = {f"{a}_{b}" for a in ("detection", "track", "dense", "denoising") for b in ("class", "box")}
    assert set(whole) == names | {"similarity", "loss"}
    assert whole["loss"].item() == pytest.approx(
        sum(each.item() for name, each in whole.items() if name != "loss"), rel=1e-5
    )
    assert "similarity" not in parts(similarity_loss=False)
    assert "track_class" not in parts(track_queries=False)
    assert {"encoder_class", "encoder_box"} <= set(parts(dense_supervision=False))
    assert "denoising_class" not in parts(denoising_queries=0)
    assert whole["detection_class"].ndim == 0


def test_in_trackformer_a_followed_box_is_no_target_of_the_detections():
    config = replace(PAPER, trackformer=True, denoising_queries=0)
    truth = [LNTargets(torch.tensor([[0.7, 0.7, 0.2, 0.2], [0.3, 0.3, 0.2, 0.2]]), torch.tensor([4, 5]))]
    boxes = torch.tensor([[0.7, 0.7, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2], [0.3, 0.3, 0.2, 0.2]])  # a track, two detections
    logits, ids = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([[4]])
    joint = losses(output_of(logits, boxes, 1), truth, ids, config)
    decoupled = losses(output_of(logits, boxes, 1), truth, ids, replace(config, trackformer=False))
    punished, kept = focal_by_hand(2.0, 0), focal_by_hand(2.0, 1)
    other = focal_by_hand(3.0, 1)
    assert joint["detection_class"].item() == pytest.approx((punished + other) / 2, rel=1e-4)
    assert decoupled["detection_class"].item() == pytest.approx((kept + other) / 2, rel=1e-4)
    assert joint["track_class"].item() == pytest.approx(focal_by_hand(1.0, 1) / 2, rel=1e-4)


# proposals


def test_the_heat_map_is_one_at_the_cell_next_to_a_centre_and_falls_off_with_the_boxes_size():
    y, x = torch.meshgrid(torch.arange(8) * 4 + 2.0, torch.arange(8) * 4 + 2.0, indexing="ij")
    centres = torch.stack([x, y], -1).flatten(0, 1)
    heat, which = heat_map(centres, torch.tensor([[9.0, 10.0, 8.0, 8.0], [22.0, 22.0, 20.0, 20.0]]), 4)
    heat = heat.view(8, 8)
    assert (heat == 1).sum() == 2 and heat[2, 2] == 1 and heat[5, 5] == 1
    assert heat[5, 6] == pytest.approx(math.exp(-((4 / 3) ** 2) / 2))
    assert which.view(8, 8)[2, 2] == 0 and which.view(8, 8)[5, 6] == 1
    nothing, _ = heat_map(centres, torch.zeros(0, 4), 4)
    assert not nothing.any()


def test_dense_supervision_rewards_a_score_at_the_centre_only():
    y, x = torch.meshgrid(torch.arange(8) * 4 + 2.0, torch.arange(8) * 4 + 2.0, indexing="ij")
    centres = torch.stack([x, y], -1).flatten(0, 1)
    truth = torch.tensor([[10.0, 10.0, 8.0, 8.0]]) / 32

    def loss(hot: int, ignored: torch.Tensor | None = None) -> tuple[float, float]:
        logits = torch.full((1, 64), -4.0)
        logits[0, hot] = 4.0
        boxes = truth[0].mul(32).expand(1, 64, 4).clone()
        made = Proposals(logits, boxes, torch.zeros(1, 64, 1), centres, 4, [(8, 8)])
        target = LNTargets(truth, torch.tensor([1]), ignored=ignored)
        return tuple(each.item() for each in dense_loss(made, [target], (32, 32), COMPACT))

    assert loss(2 * 8 + 2)[0] < 0.1 < 1 < loss(50)[0]
    assert loss(18)[1] == pytest.approx(0, abs=1e-5)
    may_be_node = torch.zeros(32, 32, dtype=torch.bool)
    may_be_node[24:28, 8:12] = True  # cell 50
    assert loss(50)[0] - loss(50, may_be_node)[0] > 1
    assert loss(18, may_be_node) == pytest.approx(loss(18), abs=1e-3)


def test_peaks_come_before_their_slopes():
    scores = torch.zeros(8, 8)
    scores[2, 2], scores[2, 3], scores[6, 6] = 5.0, 4.0, 1.0
    made = Proposals(scores.view(1, -1), torch.zeros(1, 64, 4), torch.zeros(1, 64, 1), torch.zeros(64, 2), 4, [(8, 8)])
    assert select(made, 2, peaks=False)[0].tolist() == [18, 19]
    assert select(made, 2, peaks=True)[0].tolist() == [18, 54]
    assert select(made, 100, peaks=True).shape == (1, 64)


def test_a_track_query_takes_the_best_score_about_the_middle_of_its_box():
    made = Proposals(torch.randn(2, 64), *(torch.zeros(1),) * 3, stride=4, shapes=[(8, 8)])
    heat = made.logits.reshape(2, 8, 8)
    middle = (torch.tensor([[3, 5], [0, 0], [7, 2]]) + 0.7) * made.stride  # x and y of cells (5, 3), (0, 0) and (2, 7)
    boxes = torch.cat([middle, torch.full((3, 2), 9.0)], -1).expand(2, -1, -1)
    near = [heat[:, 4:7, 2:5], heat[:, :2, :2], heat[:, 1:4, 6:]]
    assert torch.equal(score_near(made, boxes), torch.stack([cells.flatten(1).amax(1) for cells in near], 1))
    assert torch.equal(score_near(made, boxes + torch.tensor([90.0, 90, 0, 0]))[:, 0], heat[:, 6:, 6:].amax((1, 2)))


# denoising


def test_near_noise_is_small_and_far_noise_is_large():
    truth = [target.boxes for target in targets(3, 1)]
    noise = denoising_queries(truth, replace(COMPACT, denoising_queries=60), seeded(0))
    assert noise.boxes.shape == (2, 2 * 3 * 20, 4)
    half = noise.truth[..., 2:].repeat(1, 1, 2) / 2
    moved = (box_ops.corners(noise.boxes) - box_ops.corners(noise.truth)).abs() / half
    assert (moved[noise.near] <= 0.4 + 1e-4).all()
    far = noise.real & ~noise.near
    assert (moved[far] >= 0.4 - 1e-4).all() and (moved[far] <= 0.8 + 1e-4).all()
    assert noise.real[1].sum() * 3 == noise.real[0].sum() == 120
    assert noise.near[0].sum() == 60
    assert torch.equal(noise.truth[0, :3], truth[0])


def test_denoising_groups_do_not_see_each_other_and_labels_flip_at_their_rate():
    truth = [targets(5)[0].boxes]
    noise = denoising_queries(truth, replace(COMPACT, denoising_queries=1000), seeded(0))
    group = torch.arange(noise.hidden.shape[1]) // 10
    assert torch.equal(noise.hidden[0], group[:, None] != group[None])
    assert 0.15 < (noise.labels == 0).float().mean() < 0.25
    again = denoising_queries(truth, replace(COMPACT, denoising_queries=1000), seeded(0))
    assert torch.equal(noise.boxes, again.boxes) and torch.equal(noise.labels, again.labels)
    assert denoising_queries([torch.zeros(0, 4)], COMPACT) is None


@kinds
def test_denoising_queries_do_not_change_a_single_bit_of_the_others(config):
    made, queries = network(config).train(), tracks(config, 2)
    without = made(slices(), queries)
    with_noise = made(slices(), queries, targets(3), seeded(0))
    assert with_noise.noise is not None and without.noise is None
    assert torch.equal(without.logits, with_noise.logits) and torch.equal(without.boxes, with_noise.boxes)
    assert made.eval()(slices(), queries, targets(3)).noise is None, "there is no denoising outside of training"


# masks


def test_mask_loss_is_small_for_the_truth_and_large_for_its_opposite():
    masks = torch.zeros(1, 30, 30, dtype=torch.bool)
    masks[:, 8:20, 8:20] = True
    right = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(masks.float(), (0, 2, 0, 2)), 4) * 20 - 10
    assert mask_loss(right, masks).item() < 0.05
    assert mask_loss(-right, masks).item() > 5


def test_the_mask_branch_needs_masks():
    config = replace(KINDS["paper"], mask_branch=True)
    output = network(config)(slices())
    with pytest.raises(InputError, match="masks"):
        losses(output, targets(2), torch.zeros(1, 0, dtype=torch.long), config)
    parts = losses(output, targets(2, side=(64, 96)), torch.zeros(1, 0, dtype=torch.long), config)
    assert parts["mask"] > 0


# track queries


def test_the_queries_that_found_a_node_become_its_track_queries():
    boxes = torch.tensor([[0.1, 0.1, 0.1, 0.1], [0.7, 0.7, 0.2, 0.2], [0.3, 0.3, 0.2, 0.2]])
    truth = [LNTargets(boxes[[2, 1]] + 0.01, torch.tensor([40, 50]))]
    queries, ids = matched_tracks(output_of(torch.zeros(3), boxes), truth, PAPER)
    assert dict(zip(ids[0].tolist(), queries.embedding[0, :, 0].tolist(), strict=True)) == {40: 2.0, 50: 1.0}
    assert torch.equal(queries.boxes[0][ids[0] == 40], boxes[2:])
    assert queries.present.all()
    empty, none = matched_tracks(output_of(torch.zeros(3), boxes), targets(0), PAPER)
    assert empty.embedding.shape == (1, 0, 1) and none.shape == (1, 0)


def test_augmentation_drops_tracks_and_adds_false_ones_at_trackformers_rates():
    truth = targets(4)
    boxes = torch.cat([truth[0].boxes, torch.tensor([[0.95, 0.05, 0.02, 0.02]] * 4)])
    output, generator = output_of(torch.zeros(8), boxes), seeded(0)
    kept, false = [], []
    for _ in range(1500):
        queries, ids = augment_tracks(output, truth, PAPER, generator)
        real = ids[0][ids[0] >= 0].tolist()
        assert len(set(real)) == len(real) and queries.present.sum() == ids.shape[1]
        assert torch.equal(queries.boxes[0][ids[0] >= 0], truth[0].boxes[real])
        assert (queries.embedding[0, ids[0] == -1, 0] >= 4).all(), "a false query lies on no node"
        kept.append(len(real))
        false.append(int((ids == -1).sum()))
    assert sum(each < 4 for each in kept) / 1500 == pytest.approx(0.4 * 4 / 5, abs=0.04)
    assert sum(false) / 1500 == pytest.approx(0.1 * 4, abs=0.06)


@kinds
def test_a_track_query_continues_with_the_decoder_output(config):
    made, image, queries = network(config), slices(2), tracks(config, 3, 1)
    encoded = made.encode(image)
    output = made.decode(encoded, queries)
    aged = age_tracks(output, queries)
    assert torch.equal(output.logits, made(image, queries).logits)
    assert torch.equal(aged.embedding, output.queries[:, :3]) and torch.equal(aged.boxes, output.boxes[-1, :, :3])
    assert aged.present is queries.present and not aged.embedding.requires_grad
    assert made.decode(encoded, aged).logits.shape == output.logits.shape


@pytest.mark.parametrize("age", [0.0, 1.0])
def test_a_step_follows_its_queries_on_their_own_slice_at_the_requested_rate(age):
    made, pair = network(KINDS["compact"]).train(), Pairs(torch.stack([slices(2)] * 2), (targets(3, 2), targets(3, 2)))
    calls = []
    made.decoder.register_forward_hook(lambda *_: calls.append(1))
    parts = step_loss(made, pair, seeded(0), TrackAugmentation(aged=age))
    parts["loss"].backward()
    assert len(calls) == (4 if age == 0 else 6)  # detections; then detections, tracks and noise; each group is a call


# learning


@pytest.mark.parametrize("kind", [*KINDS, "masks"])
def test_gradients_reach_every_parameter(kind):
    config = replace(KINDS["paper"], mask_branch=True) if kind == "masks" else KINDS[kind]
    made, truth = network(config).train(), targets(3, 2, side=(64, 96))
    ids = torch.tensor([[0, 1, 9], [1, -1, -1]])
    output = made(slices(2), tracks(config, 3, 1), truth, seeded(0))
    losses(output, truth, ids, config)["loss"].backward()
    assert not [name for name, each in made.named_parameters() if each.grad is None or not each.grad.any()]


@kinds
def test_it_can_overfit_a_pair_of_slices(config):
    torch.manual_seed(0)
    made = LNTracker(config).train()
    images = torch.rand(2, 9, 64, 64, generator=seeded(1)) * 0.1
    truth = [LNTargets(torch.tensor([[0.3, 0.4, 0.2, 0.2], [0.7, 0.6, 0.15, 0.2]]), torch.arange(2)), targets(0)[0]]
    images[0, :, 19:32, 13:26] += 0.7
    images[0, :, 32:45, 40:50] += 0.7
    optimizer = torch.optim.Adam(made.parameters(), 2e-3)
    generator, course = seeded(0), []
    for _ in range(32):
        with torch.no_grad():
            before = made(images)
        queries, ids = augment_tracks(before, truth, config, generator)
        parts = losses(made(images, queries, truth, generator), truth, ids, config)
        optimizer.zero_grad()
        parts["loss"].backward()
        optimizer.step()
        course.append((parts["detection_class"] + parts["detection_box"]).item())
    assert sum(course[-3:]) < 0.6 * sum(course[:3])
