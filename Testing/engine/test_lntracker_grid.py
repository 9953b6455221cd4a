"""The slices that LN-Tracker reads from a scan: orientation, spacing, window, body; and images that it refuses."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from oncotrack.detection.ct_slices import CONTEXT, HU_WINDOW, LNSlices, check_ct
from oncotrack.detection.orientation import reading_geometry
from oncotrack.errors import InputError
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume


def body(shape=(20, 90, 110), spacing=(2.0, 2.0, 4.0), direction=None) -> Volume:
    """Return an elliptic cylinder of water with one brighter ball, and a thin table below, in air; LPS-like axes."""
    k, j, i = np.indices(shape)
    array = np.full(shape, -1000, np.int16)
    array[((i - 50) / 35) ** 2 + ((j - 40) / 25) ** 2 < 1] = 0
    array[:, 72:73] = 100
    array[(i - 60) ** 2 + (j - 40) ** 2 + 4 * (k - 10) ** 2 < 16] = 200
    direction = np.diag([-1.0, -1.0, 1.0]) if direction is None else direction
    return Volume(array, Geometry(shape[::-1], spacing, (100.0, 90.0, -40.0), direction), "body", "CT")


def test_every_orientation_gives_the_same_slices():
    reference = body()
    expected = LNSlices(reference)
    for axes in itertools.permutations(range(3)):
        for flips in itertools.product((False, True), repeat=3):
            array = reference.array.transpose([2 - a for a in axes[::-1]])
            geometry = reference.geometry
            direction = np.asarray(geometry.direction)[:, axes].copy()
            start = np.zeros(3)
            for n, flipped in enumerate(flips):
                if flipped:
                    array = np.flip(array, 2 - n)
                    direction[:, n] *= -1
                    start[axes[n]] = geometry.size[axes[n]] - 1
            turned = Geometry(
                array.shape[::-1], np.asarray(geometry.spacing)[list(axes)], geometry.to_ras(start), direction
            )
            slices = LNSlices(Volume(np.ascontiguousarray(array), turned, "turned", "CT"))
            assert np.allclose(slices.geometry.ijk_to_ras, expected.geometry.ijk_to_ras)
            assert np.allclose(slices.slab(8, 12), expected.slab(8, 12), atol=1e-4)


def test_the_grid_is_that_of_the_paper():
    slices = LNSlices(body())
    assert np.allclose(slices.geometry.spacing, (0.8, 0.8, 2.0), rtol=0.02)
    assert len(slices) == 40
    image = slices.slab(0, 40)
    low, high = HU_WINDOW
    assert image.max() == pytest.approx((200 - low) / (high - low), abs=0.01)
    assert np.median(image) == pytest.approx((0 - low) / (high - low), abs=0.02)


def test_the_body_is_kept_and_the_table_removed():
    slices = LNSlices(body())
    extent = np.asarray(slices.geometry.size[:2]) * slices.geometry.spacing[:2]
    assert 140 <= extent[0] <= 175
    assert 100 <= extent[1] <= 135


def test_objects_beside_the_body_are_outside_it_and_a_truncated_lung_is_inside():
    volume = body()
    volume.array[:, 30:50, 30:45] = -850
    volume.array[5:9, 20:23, 88:91] = 2000
    slices = LNSlices(volume)

    def is_in_body(i, j, k, seen=slices):
        return seen.is_in_body(seen.geometry.to_ijk(volume.geometry.to_ras((i, j, k))))

    assert is_in_body(37, 40, 10)
    assert is_in_body(60, 40, 10)
    assert not is_in_body(89, 21, 7)
    assert not is_in_body(50, 72, 10)
    through_the_lung = LNSlices(volume.cropped((38, 0, 0), (110, 90, 20)))
    assert is_in_body(40, 40, 10, through_the_lung)
    assert not is_in_body(89, 21, 7, through_the_lung)


def test_clothes_and_pads_below_shoulders_that_the_field_of_view_cuts_are_outside():
    volume = body()
    volume.array[:, 66:][volume.array[:, 66:] < -900] = -950
    shoulders = LNSlices(volume.cropped((30, 0, 0), (70, 90, 20)))
    for j, is_inside in ((40, True), (62, True), (72, False), (80, False), (5, False)):
        ijk = shoulders.geometry.to_ijk(volume.geometry.to_ras((50, j, 10)))
        assert shoulders.is_in_body(ijk) == is_inside, j


def test_an_oblique_scan_is_not_tilted():
    turn = np.radians(20)
    tilt = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    volume = body(direction=tilt @ np.diag([-1.0, -1.0, 1.0]))
    assert np.allclose(reading_geometry(volume.geometry).ijk_to_ras, volume.geometry.ijk_to_ras)


def test_stacks_are_the_same_when_read_in_parts_and_downwards():
    slices = LNSlices(body())
    stacks = dict(slices.stacks(range(len(slices))))
    assert np.allclose(stacks[23], slices.stack(23), atol=1e-5)
    assert np.allclose(dict(slices.stacks(range(30, 9, -1)))[23], stacks[23], atol=1e-5)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_few_slices_repeat_their_ends(depth):
    volume = body()
    few = LNSlices(volume.cropped((0, 0, 9), (110, 90, 9 + depth)))
    stack = few.stack(0)
    assert stack.shape[0] == 2 * CONTEXT + 1
    assert np.array_equal(stack[0], stack[CONTEXT])


def test_images_other_than_ct_are_refused():
    volume = body()
    with pytest.raises(InputError, match="modality of x is MR"):
        check_ct(Volume(volume.array, volume.geometry, "x", "MR"))
    with pytest.raises(InputError, match="not in Hounsfield units"):
        check_ct(Volume(np.abs(volume.array), volume.geometry, "x", ""))
    check_ct(volume)


def test_a_scan_without_a_body_is_refused():
    volume = body()
    with pytest.raises(InputError, match="shows no body"):
        len(LNSlices(Volume(np.full_like(volume.array, -1000), volume.geometry, "air", "CT")))
