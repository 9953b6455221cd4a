"""The MR detector's slices in any orientation, its pasted masks, and the stacking of nodes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from oncotrack.datasets.bookmarks import bookmarks
from oncotrack.detection.mr.config import COMPACT, PAPER
from oncotrack.detection.mr.slice_nodes import SliceNode, mask_of, paste_mask, stack_nodes
from oncotrack.detection.mr.slices import MRGrid, check_mr, min_max
from oncotrack.detection.orientation import viewing_geometry
from oncotrack.errors import InputError
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

GRID = Geometry((40, 30, 5), (0.8, 0.8, 6.0), (16.0, 12.0, -10.0), np.diag([-1.0, -1.0, 1.0]))


def node(x: float, y: float, edge: float = 6.0, score: float = 0.9) -> SliceNode:
    return SliceNode(np.array([x, y, x + edge, y + edge], np.float32), score)


def test_min_max_truncates_the_brightest_percent():
    array = np.arange(1000, dtype=np.float32).reshape(10, 10, 10)
    array[-1, -1, -1] = 1e6
    scaled = min_max(array)
    assert scaled.min() == 0
    assert (scaled == 1).sum() == 11  # the maximum of the rest, and what is truncated to it
    assert scaled[5, 0, 0] == pytest.approx(500 / 989)
    assert not min_max(np.full((2, 2, 2), 7)).any()


@pytest.mark.parametrize("order, signs", [((0, 1, 2), (1, 1, 1)), ((1, 0, 2), (1, -1, 1)), ((0, 1, 2), (-1, -1, -1))])
def test_slices_keep_their_number_and_viewing_orientation_in_any_orientation(order, signs):
    array = np.random.default_rng(0).normal(100, 20, GRID.shape).astype(np.float32)
    turned = array.transpose([2 - axis for axis in order[::-1]])
    corner = np.array(
        [0 if sign > 0 else n - 1 for sign, n in zip(signs, np.array(GRID.size)[list(order)], strict=True)]
    )
    for axis, sign in enumerate(signs):
        turned = np.flip(turned, 2 - axis) if sign < 0 else turned
    direction = np.asarray(GRID.direction)[:, list(order)]
    start = np.zeros(3)
    start[list(order)] = corner
    geometry = Geometry(
        turned.shape[::-1], np.array(GRID.spacing)[list(order)], tuple(GRID.to_ras(start)), direction * signs
    )
    plain = MRGrid(Volume(array, GRID, modality="MR"), COMPACT)
    other = MRGrid(Volume(np.ascontiguousarray(turned), geometry, modality="MR"), COMPACT)
    expected = plain.array if signs[2] > 0 else plain.array[::-1]
    assert np.allclose(other.array, expected, atol=1e-4)
    assert np.allclose(other.geometry.direction, np.asarray(GRID.direction) * (1, 1, signs[2]))


def test_slices_of_a_coronal_scan_stay_coronal():
    coronal = Geometry((30, 20, 6), (1.0, 1.0, 7.0), (0, 0, 0), np.array([[1.0, 0, 0], [0, 0, 1], [0, 1, 0]]))
    shown = viewing_geometry(coronal)
    assert shown.size[2] == 6
    assert np.allclose(np.asarray(shown.direction)[:, 2], [0, 1, 0])
    assert np.allclose(np.asarray(shown.direction)[:, 0], [-1, 0, 0])
    assert np.allclose(np.asarray(shown.direction)[:, 1], [0, 0, -1])


def test_the_compact_network_reads_neighbouring_slices_and_that_of_the_paper_one():
    volume = Volume(np.random.default_rng(1).uniform(0, 9, GRID.shape), GRID, modality="MR")
    slices = MRGrid(volume, COMPACT)
    assert slices.geometry.spacing[:2] == pytest.approx((1.0, 1.0))
    assert len(slices) == 5
    assert np.array_equal(slices.stack(0), slices.array[[0, 0, 1]])
    assert np.array_equal(slices.stack(2), slices.array[[1, 2, 3]])
    alone = MRGrid(volume, replace(PAPER, side=64))
    assert max(alone.geometry.size[:2]) == 64
    assert np.array_equal(alone.stack(2), alone.array[[2, 2, 2]])


def test_other_images_than_mr_are_refused():
    air = np.full(GRID.shape, -1000.0)
    check_mr(Volume(air, GRID, modality="MR"))
    with pytest.raises(InputError, match="reads MR only"):
        check_mr(Volume(air, GRID, modality="CT"))
    with pytest.raises(InputError, match="like air in CT"):
        check_mr(Volume(air, GRID))


def test_a_mask_is_pasted_into_its_box():
    mask = torch.zeros(28, 28)
    mask[:, 14:] = 1
    pixels, corner = paste_mask(mask, torch.tensor([10.0, 20.0, 18.0, 26.0]), (40, 50))
    assert corner == (20, 10)
    assert pixels.shape == (6, 8)
    assert not pixels[:, :4].any()
    assert pixels[:, 4:].all()
    at_the_edge, _ = paste_mask(torch.ones(28, 28), torch.tensor([45.0, 35.0, 50.0, 40.0]), (40, 50))
    assert at_the_edge.shape == (5, 5)


def test_boxes_of_neighbouring_slices_are_one_node_when_they_overlap_by_more_than_a_tenth():
    found = [[node(10, 10), node(30, 10, score=0.4)], [node(12, 10)], [node(17, 10)], [], [node(17, 10)]]
    nodes = stack_nodes(found, 0.1)
    assert [sorted(each) for each in nodes] == [[0, 1], [2], [4], [0]]  # a shift of 5 of 6 pixels overlaps by 1 / 11
    assert [max(seen.score for seen in each.values()) for each in nodes] == pytest.approx([0.9, 0.9, 0.9, 0.4])


def test_a_stacked_mask_lies_where_its_slices_lie():
    slices = MRGrid(Volume(np.zeros(GRID.shape), GRID, modality="MR"), COMPACT)
    disc = np.ones((3, 2), bool)
    seen = {
        1: SliceNode(np.zeros(4, np.float32), 0.5, disc, (5, 8)),
        2: SliceNode(np.zeros(4, np.float32), 0.5, disc, (6, 8)),
    }
    mask = mask_of(seen, slices)
    assert mask.array.shape == (2, 4, 2)
    assert mask.array.sum() == 12
    assert np.allclose(mask.geometry.to_ras((0, 0, 0)), slices.geometry.to_ras((8, 5, 1)))


def test_a_reader_draws_on_every_slice_that_shows_a_node_well():
    labels = np.zeros(GRID.shape, np.int16)
    labels[1, 10:20, 10:22] = 3
    labels[2, 12:15, 12:15] = 3
    labels[2, 20:28, 30:38] = 7
    marks = bookmarks(Volume(labels, GRID), 5.0)
    assert [(mark.index, mark.number) for mark in marks] == [(1, 3), (2, 7)]
    ends = GRID.to_ijk(marks[0].axes.ends)
    assert np.allclose(ends[:, 2], 1)
    assert marks[0].axes.long.length_mm == pytest.approx(np.hypot(10, 12) * 0.8, rel=0.12)
