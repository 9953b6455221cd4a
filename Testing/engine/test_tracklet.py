"""Edits of a tracklet."""

import math

import pytest

from oncotrack.errors import InputError
from oncotrack.findings.tracklet import SliceBox, Tracklet


def tracklet(first=2, last=6):
    boxes = tuple(SliceBox(n, (n, n), (n + 5.0, n + 4.0), 0.1 * n) for n in range(last, first - 1, -1))
    return Tracklet((10, 20, 30), (1, 0, 0), (0, 1, 0), (0, 0, 2), boxes)


def test_boxes_are_sorted_and_placed_by_the_axes():
    node = tracklet()
    assert (node.first, node.last) == (2, 6)
    assert node.corners(node.at(3))[2] == (10 + 8, 20 + 7, 30 + 6)
    assert node.bounds() == ((12, 22, 33), (21, 30, 43))


def test_a_point_has_its_place_on_slices_that_lie_askew():
    u, v, step = (1.0, 0.0, 0.0), (0.28, 0.96, 0.0), (0.3, 0.8, 2.0)
    node = Tracklet((10.0, 20.0, 30.0), u, v, step, (SliceBox(0, (0, 0), (5, 4)),))
    at = [o + 3 * a + 2 * b + 4 * c for o, a, b, c in zip(node.origin, u, v, step, strict=True)]
    assert node.flat(at) == (pytest.approx(3), pytest.approx(2), 4)
    assert node.volume_mm3 == pytest.approx(math.pi / 4 * 20 * 0.96 * 2)


def test_split_then_merge_restores_the_tracklet():
    below, above = tracklet().split(4)
    assert (below.last, above.first) == (3, 4)
    assert below.merge(above) == tracklet()


def test_merging_overlapping_tracklets_keeps_the_boxes_of_both():
    other = tracklet(6, 7).with_box(SliceBox(6, (0, 7), (8, 9), 0.2))
    merged = tracklet().merge(other)
    assert merged.at(6) == SliceBox(6, (0, 6), (11, 10), pytest.approx(0.6))
    assert merged.last == 7


def test_trim_extend_and_delete_a_box():
    assert tracklet().trim(3, 4).boxes == tracklet().boxes[1:3]
    assert tracklet().with_box(SliceBox(7, (0, 0), (1, 1))).last == 7
    assert tracklet().without_box(4).at(4) is None


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda t: t.split(2), "leaves one side empty"),
        (lambda t: t.trim(8, 9), "Nothing is left"),
        (lambda t: t.without_box(9), "no box on slice 9"),
        (lambda t: t.merge(Tracklet((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), t.boxes)), "different slice grids"),
        (lambda t: Tracklet(t.origin, t.u_axis, t.v_axis, t.step, ()), "at least one"),
        (lambda t: Tracklet(t.origin, t.u_axis, t.v_axis, t.step, t.boxes + t.boxes[:1]), "two boxes on one slice"),
        (lambda t: SliceBox(1, (3, 0), (1, 1)), "inside out"),
    ],
)
def test_impossible_edits_are_refused(edit, sentence):
    with pytest.raises(InputError, match=sentence):
        edit(tracklet())
