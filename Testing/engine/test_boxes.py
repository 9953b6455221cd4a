"""Overlap of boxes against counting of small cells, and its properties."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oncotrack.errors import InputError
from oncotrack.networks.boxes import area, centre_size, corners, giou, iou, nms

integers = st.integers(0, 7)


@st.composite
def box_sets(draw):
    dimensions = draw(st.sampled_from([2, 3]))

    def box():
        low = [draw(integers) for _ in range(dimensions)]
        return low + [a + draw(st.integers(0, 4)) for a in low]

    return [torch.tensor([box() for _ in range(draw(st.integers(1, 4)))], dtype=torch.float64) for _ in range(2)]


def cells(box, extent=12):
    """Return the unit cells of an integer box, as a boolean grid."""
    dimensions = len(box) // 2
    grid = np.zeros((extent,) * dimensions, bool)
    grid[tuple(slice(int(box[a]), int(box[a + dimensions])) for a in range(dimensions))] = True
    return grid


@settings(max_examples=60, deadline=None)
@given(box_sets())
def test_iou_and_giou_count_cells(sets):
    a, b = sets
    for n, x in enumerate(a):
        for m, y in enumerate(b):
            one, two = cells(x), cells(y)
            union, shared = (one | two).sum(), (one & two).sum()
            assert iou(a, b)[n, m] == pytest.approx(shared / union if union else 0.0)
            half = len(x) // 2
            hull = np.prod([max(x[i + half], y[i + half]) - min(x[i], y[i]) for i in range(half)])
            expected = (shared / union if union else 0.0) - ((hull - union) / hull if hull else 0.0)
            assert giou(a, b)[n, m] == pytest.approx(float(expected))


@settings(max_examples=30, deadline=None)
@given(box_sets())
def test_centre_size_and_corners_are_inverse(sets):
    for boxes in sets:
        assert torch.allclose(corners(centre_size(boxes)), boxes)


@settings(max_examples=30, deadline=None)
@given(box_sets(), st.floats(0, 1))
def test_suppression_keeps_no_two_that_overlap_and_drops_only_the_covered(sets, threshold):
    boxes = sets[0]
    scores = torch.linspace(1, 0, len(boxes), dtype=torch.float64)
    kept = nms(boxes, scores, threshold)
    overlap = iou(boxes, boxes)
    for n, x in enumerate(kept):
        assert all(overlap[x, y] <= threshold for y in kept[:n])
    for dropped in set(range(len(boxes))) - set(kept.tolist()):
        assert any(overlap[dropped, y] > threshold and scores[y] >= scores[dropped] for y in kept)


def test_boxes_worked_out_by_hand():
    a, b = torch.tensor([[0.0, 0, 0, 2, 2, 2]]), torch.tensor([[1.0, 1, 1, 3, 3, 3]])
    assert area(a).item() == 8
    assert iou(a, b).item() == pytest.approx(1 / 15)
    assert giou(a, b).item() == pytest.approx(1 / 15 - 12 / 27)


def test_an_empty_list_has_no_boxes_to_keep():
    assert nms(torch.zeros(0, 6), torch.zeros(0), 0.5).tolist() == []


def test_wrong_shapes_are_refused():
    with pytest.raises(InputError, match="4 numbers"):
        area(torch.zeros(1, 5))
    with pytest.raises(InputError, match="cannot be compared"):
        iou(torch.zeros(1, 4), torch.zeros(1, 6))
