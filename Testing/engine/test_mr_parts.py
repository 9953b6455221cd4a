"""The parts of the MR detector: RoIAlign, anchors, suppression, attention, the uncertainty loss, the box code."""

from __future__ import annotations

from dataclasses import replace
from math import exp, floor, log

import numpy as np
import pytest
import torch

from oncotrack.detection.mr.attention import GlobalLocalAttention, context_boxes
from oncotrack.detection.mr.box_code import decode, encode
from oncotrack.detection.mr.config import COMPACT, PAPER, MRConfig
from oncotrack.detection.mr.roi_align import level_of, pyramid_align, roi_align
from oncotrack.detection.mr.rpn import make_anchors
from oncotrack.detection.mr.sampling import MRTargets, draw_rois, hardest_negatives, label_anchors
from oncotrack.detection.mr.uncertainty import FixedWeights, UncertaintyLoss
from oncotrack.errors import InputError
from oncotrack.networks.boxes import iou, nms

# the example of the operator RoiAlign (half_pixel, average of 2 x 2 samples, output 5 x 5) in the ONNX specification
ONNX_MAP = [
    [0.2764, 0.7150, 0.1958, 0.3416, 0.4638, 0.0259, 0.2963, 0.6518, 0.4856, 0.7250],
    [0.9637, 0.0895, 0.2919, 0.6753, 0.0234, 0.6132, 0.8085, 0.5324, 0.8992, 0.4467],
    [0.3265, 0.8479, 0.9698, 0.2471, 0.9336, 0.1878, 0.4766, 0.4308, 0.3400, 0.2162],
    [0.0206, 0.1720, 0.2155, 0.4394, 0.0653, 0.3406, 0.7724, 0.3921, 0.2541, 0.5799],
    [0.4062, 0.2194, 0.4473, 0.4687, 0.7109, 0.9327, 0.9815, 0.6320, 0.1728, 0.6119],
    [0.3097, 0.1283, 0.4984, 0.5068, 0.4279, 0.0173, 0.4388, 0.0430, 0.4671, 0.7119],
    [0.1011, 0.8477, 0.4726, 0.1777, 0.9923, 0.4042, 0.1869, 0.7795, 0.9946, 0.9689],
    [0.1366, 0.3671, 0.7011, 0.6234, 0.9867, 0.5585, 0.6985, 0.5609, 0.8788, 0.9928],
    [0.5697, 0.8511, 0.6711, 0.9406, 0.8751, 0.7496, 0.1650, 0.1049, 0.1559, 0.2514],
    [0.7012, 0.4056, 0.7879, 0.3461, 0.0415, 0.2998, 0.5094, 0.3727, 0.5482, 0.0502],
]
ONNX_BOXES = [[0.0, 0, 9, 9], [0, 5, 4, 9], [5, 5, 9, 9]]
ONNX_ANSWER = [
    [[0.5178, 0.3434, 0.3229, 0.4474, 0.6344], [0.4031, 0.5366, 0.4428, 0.4861, 0.4023],
     [0.2512, 0.4002, 0.5155, 0.6954, 0.3465], [0.3350, 0.4601, 0.5881, 0.3439, 0.6849],
     [0.4932, 0.7141, 0.8217, 0.4719, 0.4039]],
    [[0.3070, 0.2187, 0.3337, 0.4880, 0.4870], [0.1871, 0.4914, 0.5561, 0.4192, 0.3686],
     [0.1433, 0.4608, 0.5971, 0.5310, 0.4982], [0.2788, 0.4386, 0.6022, 0.7000, 0.7524],
     [0.5774, 0.7024, 0.7251, 0.7338, 0.8163]],
    [[0.2393, 0.4075, 0.3379, 0.2525, 0.4743], [0.3671, 0.2702, 0.4105, 0.6419, 0.8308],
     [0.5556, 0.4543, 0.5564, 0.7502, 0.9300], [0.6626, 0.5617, 0.4813, 0.4954, 0.6663],
     [0.6636, 0.3721, 0.2056, 0.1928, 0.2478]],
]  # fmt: skip


def test_roi_align_gives_the_published_example():
    found = roi_align(torch.tensor(ONNX_MAP)[None], torch.tensor(ONNX_BOXES), 5)
    assert found.shape == (3, 1, 5, 5)
    assert torch.allclose(found[:, 0], torch.tensor(ONNX_ANSWER), atol=2e-4)


def plain_roi_align(features, box, size, samples=2):
    """Compute RoIAlign of one box, cell by cell and sample by sample."""
    channels, height, width = features.shape
    out = np.zeros((channels, size, size))
    x0, y0, x1, y1 = box
    for i in range(size):
        for j in range(size):
            for a in range(samples):
                for b in range(samples):
                    y = y0 + (y1 - y0) * (i + (a + 0.5) / samples) / size - 0.5
                    x = x0 + (x1 - x0) * (j + (b + 0.5) / samples) / size - 0.5
                    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
                    top, left = min(floor(y), height - 2), min(floor(x), width - 2)
                    dy, dx = y - top, x - left
                    out[:, i, j] += (
                        (1 - dy) * ((1 - dx) * features[:, top, left] + dx * features[:, top, left + 1])
                        + dy * ((1 - dx) * features[:, top + 1, left] + dx * features[:, top + 1, left + 1])
                    ) / samples**2
    return out


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_roi_align_is_the_plain_double_loop(samples):
    rng = np.random.default_rng(samples)
    features = rng.normal(size=(3, 7, 9))
    low = rng.uniform(0, 5, (8, 2))
    boxes = np.concatenate([low, np.minimum(low + rng.uniform(0.3, 6, (8, 2)), (9, 7))], 1)
    found = roi_align(torch.from_numpy(features), torch.from_numpy(boxes), 4, samples).numpy()
    for box, cells in zip(boxes, found, strict=True):
        assert np.allclose(cells, plain_roi_align(features, box, 4, samples), atol=1e-9)


def test_roi_align_has_gradients():
    features = torch.randn(2, 6, 6, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[0.3, 1.1, 4.2, 5.0], [2.0, 2.0, 6.0, 3.1]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda f: roi_align(f, boxes, 3), features)


def test_a_region_is_read_from_the_level_of_its_size():
    edges = torch.tensor([10.0, 111, 113, 223, 225, 449, 3000])
    boxes = torch.stack([torch.zeros(7), torch.zeros(7), edges, edges], 1)
    assert level_of(boxes, 4, 224.0).tolist() == [0, 0, 1, 1, 2, 3, 3]
    maps = [torch.full((2, 1, 64 // 2**n, 64 // 2**n), float(n)) for n in range(4)]
    cells = pyramid_align(maps, [boxes[[0, 4]], boxes[[2]]], 3, 224.0)
    assert cells.shape == (3, 1, 3, 3)
    assert cells.mean((1, 2, 3)).tolist() == [0, 2, 1]


def test_regions_of_two_images_do_not_mix():
    maps = [torch.randn(2, 4, 32, 32), *(torch.zeros(2, 4, 16 // 2**n, 16 // 2**n) for n in range(3))]
    one, two = torch.tensor([[3.0, 4, 40, 50]]), torch.tensor([[3.0, 4, 40, 50], [60.0, 60, 90, 100]])
    both = pyramid_align(maps, [one, two], 7, 224.0)
    assert torch.equal(both[1:], pyramid_align([level[1:] for level in maps], [two], 7, 224.0))
    assert torch.equal(both[0], roi_align(maps[0][0], one / 4, 7)[0])
    assert len(pyramid_align(maps, [one[:0], one[:0]], 7, 224.0)) == 0


def test_suppression_is_the_plain_loop():
    rng = np.random.default_rng(4)
    low = rng.uniform(0, 30, (60, 2))
    boxes = torch.from_numpy(np.concatenate([low, low + rng.uniform(2, 15, (60, 2))], 1))
    scores = torch.from_numpy(rng.uniform(size=60))
    waiting, kept = sorted(range(60), key=lambda n: -scores[n]), []
    while waiting:
        best, *rest = waiting
        kept.append(best)
        waiting = [n for n in rest if float(iou(boxes[[best]], boxes[[n]])) <= 0.3]
    assert 5 < len(kept) < 60
    assert nms(boxes, scores, 0.3).tolist() == kept


def test_anchors_are_centred_on_their_cells():
    config = MRConfig(anchor_pixels=(8.0, 16.0, 32.0, 64.0), ratios=(0.5, 1.0, 2.0))
    found = make_anchors([(4, 6), (2, 3), (1, 2), (1, 1)], config)
    assert found.shape == (3 * (24 + 6 + 2 + 1), 4)
    assert found[1].tolist() == [-2, -2, 6, 6]  # the square one of the first cell, round (2, 2)
    assert found[3 * 7 + 1].tolist() == [2, 2, 10, 10]  # second row, second column: middle (6, 6)
    edges = found[:, 2:] - found[:, :2]
    assert torch.allclose(edges.prod(1)[: 3 * 24], torch.tensor(64.0))
    assert torch.allclose((edges[:, 1] / edges[:, 0])[:3], torch.tensor([0.5, 1.0, 2.0]))


def test_box_code_is_invertible():
    references = torch.tensor([[10.0, 10, 30, 20], [5.0, 40, 12, 60]])
    boxes = torch.tensor([[12.0, 8, 28, 25], [3.0, 45, 20, 52]])
    steps = encode(boxes, references)
    assert steps[0, 0] == pytest.approx(0.0)  # the middles lie one above the other: (20, 15) and (20, 16.5)
    assert steps[0, 1] == pytest.approx(1.5 / 10 / 0.1)
    assert steps[0, 2] == pytest.approx(log(16 / 20) / 0.2)
    assert torch.allclose(decode(steps, references, (100, 100)), boxes, atol=1e-4)
    assert decode(steps, references, (50, 18))[0].tolist() == pytest.approx([12, 8, 18, 25], abs=1e-3)


def test_an_anchor_is_a_node_when_it_fits_or_fits_best():
    config = MRConfig()
    boxes = torch.tensor([[0.0, 0, 10, 10], [50.0, 50, 54, 54]])
    places = torch.tensor(
        [[0.0, 0, 10, 10], [0.0, 0, 10, 20], [50.0, 50, 60, 60], [80.0, 80, 90, 90], [0.0, 0, 10, 11]]
    )
    labels, node = label_anchors(places, boxes, config)
    assert labels.tolist() == [1, -1, 1, 0, 1]
    assert node[[0, 2, 4]].tolist() == [0, 1, 0]
    assert label_anchors(places, boxes[:0], config)[0].tolist() == [0] * 5


def test_the_hardest_negatives_are_those_with_the_highest_node_scores():
    logits = torch.tensor([[0.0, 5], [0.0, 4], [0.0, 3], [0.0, -2]])
    assert hardest_negatives(logits, torch.tensor([1, 0, 0, 0]), 2).tolist() == [1, 2]


def test_regions_are_drawn_a_third_from_nodes():
    target = MRTargets(torch.tensor([[10.0, 10, 20, 20]]))
    proposed = torch.rand(200, 4) * 30 + torch.tensor([40.0, 40, 90, 90])
    config = replace(COMPACT, rois_sampled=30, shaken_rois=40)
    roi = draw_rois(proposed, target, config, torch.Generator().manual_seed(0))
    assert len(roi.boxes) == 30
    assert int(roi.labels.sum()) == 10
    assert (iou(roi.boxes[roi.labels == 1], target.boxes) >= 0.5).all()
    assert (iou(roi.boxes[roi.labels == 0], target.boxes) < 0.5).all()
    alone = draw_rois(proposed, target, replace(config, shaken_rois=0), torch.Generator().manual_seed(0))
    assert int(alone.labels.sum()) == 1


def test_attention_weights_sum_to_one_and_mix_the_scales():
    torch.manual_seed(0)
    config = replace(COMPACT, width=6, attention_width=5, global_scales=(1.0, 0.1))
    attention = GlobalLocalAttention(config).eval()
    scales = torch.randn(4, 3, 6, 7, 7)
    weights = attention.weights(scales)
    assert weights.shape == (4, 3, 7, 7)
    assert torch.allclose(weights.sum(1), torch.ones(4, 7, 7), atol=1e-6)
    assert (weights > 0).all()
    r = attention.conv2(torch.relu(attention.bn1(attention.conv1(scales.flatten(1, 2))))).detach()
    mixed = attention(scales).detach()
    for n, c, y, x in ((0, 0, 0, 0), (3, 5, 6, 2), (1, 2, 3, 4)):
        each = [exp(float(r[n, s, y, x])) for s in range(3)]
        h = sum(each[s] / sum(each) * float(scales[n, s, c, y, x]) for s in range(3))
        assert float(mixed[n, c, y, x]) == pytest.approx(h, abs=1e-5)


def test_context_is_the_image_or_a_part_of_it_around_the_region():
    boxes = torch.tensor([[10.0, 10, 20, 20], [90.0, 40, 100, 50]])
    assert context_boxes(boxes, 1.0, (60, 100)).tolist() == [[0, 0, 100, 60]]
    assert context_boxes(boxes, 0.1, (60, 100)).tolist() == [[10, 12, 20, 18], [90, 42, 100, 48]]
    assert context_boxes(boxes, 0.5, (60, 100))[1].tolist() == [70, 30, 100, 60]
    assert context_boxes(boxes, 30.0, (60, 100)).tolist() == [[0, 0, 30, 30], [80, 30, 100, 60]]


def test_uncertainty_loss_is_equation_6():
    losses = [torch.tensor(value) for value in (0.7, 1.3, 0.2, 2.0, 0.5)]
    balance = UncertaintyLoss(5)
    sigmas = [0.5, 1.5, 0.8, 1.1, 2.0]
    with torch.no_grad():
        balance.log_variance.copy_(torch.tensor([2 * log(s) for s in sigmas]))
    last_line = sum(float(loss) / s**2 + log(s) for loss, s in zip(losses, sigmas, strict=True)) - log(2)
    assert float(balance(losses)) == pytest.approx(last_line, abs=1e-5)
    # the line before it has 1 / (2 sigma^2) at the two regressions, with a sigma that is smaller by sqrt(2)
    gaussian = [s / 2**0.5 if n in (1, 3) else s for n, s in enumerate(sigmas)]
    halves = [0.5 if n in (1, 3) else 1.0 for n in range(5)]
    line_before = sum(
        half * float(loss) / s**2 + log(s) for half, loss, s in zip(halves, losses, gaussian, strict=True)
    )
    assert float(balance(losses)) == pytest.approx(line_before, abs=1e-5)
    assert balance.sigmas.tolist() == pytest.approx(sigmas, abs=1e-5)


def test_uncertainty_gradient_is_the_formula_and_vanishes_at_sigma_squared_twice_the_loss():
    values = (0.7, 1.3, 0.2, 2.0, 0.5)
    losses = [torch.tensor(value, requires_grad=True) for value in values]
    balance = UncertaintyLoss(5)
    with torch.no_grad():
        balance.log_variance.copy_(torch.tensor([0.3, -0.4, 0.0, 1.0, -1.2]))
    balance(losses).backward()
    s = balance.log_variance.detach()
    assert torch.allclose(torch.stack([loss.grad for loss in losses]), (-s).exp())
    assert torch.allclose(balance.log_variance.grad, 0.5 - (-s).exp() * torch.tensor(values))
    with torch.no_grad():
        balance.log_variance.copy_((2 * torch.tensor(values)).log())
    balance.log_variance.grad = None
    balance([torch.tensor(value) for value in values]).backward()
    assert torch.allclose(balance.log_variance.grad, torch.zeros(5), atol=1e-6)


def test_fixed_weights_are_the_plain_sum():
    losses = [torch.tensor(value) for value in (1.0, 2.0, 3.0, 4.0)]
    assert float(FixedWeights((10.0, 1.0, 1.0, 1.0))(losses)) == 19


def test_impossible_configs_are_refused():
    for change in ({"slices": 2}, {"norm": "group"}, {"global_scales": ()}, {"task_weights": (1.0,)}):
        with pytest.raises(InputError, match="cannot be built"):
            replace(PAPER, **change)
