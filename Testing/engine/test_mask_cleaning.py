"""Filling of holes and smoothing of painted masks."""

from __future__ import annotations

import numpy as np
import pytest

from oncotrack.errors import InputError
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.cleaning import filled, smoothed

GEOMETRY = Geometry((40, 40, 16), (1.0, 1.0, 2.5), (-20.0, -20.0, -20.0))


def ball(radius: float = 12.0) -> Volume:
    k, j, i = np.meshgrid(*(np.arange(n) for n in GEOMETRY.shape), indexing="ij")
    place = GEOMETRY.to_ras(np.stack([i, j, k], -1))
    return Volume((np.linalg.norm(place, axis=-1) < radius).astype(np.uint8), GEOMETRY, "ball")


def test_holes_in_a_slice_and_in_the_volume_are_filled_and_nothing_else():
    whole = ball()
    holed = Volume(whole.array.copy(), GEOMETRY, "holed")
    holed.array[8, 18:22, 18:22] = 0  # closed in its slice and in 3D
    holed.array[:, 20, 20] = 0  # a channel through all slices
    assert np.array_equal(filled(holed).array, whole.array)
    open_to_the_side = Volume(whole.array.copy(), GEOMETRY, "bay")
    open_to_the_side.array[:, 20, 20:] = 0
    assert np.array_equal(filled(open_to_the_side).array, open_to_the_side.array)


def test_smoothing_removes_spikes_and_keeps_volume_and_place():
    rough = ball()
    rng = np.random.default_rng(1)
    rough.array[rng.random(rough.array.shape) < 0.02] = 1  # specks
    smooth = smoothed(ball(), 1.5)
    assert abs(smooth.array.sum() / ball().array.sum() - 1) < 0.1
    assert abs(smoothed(rough, 1.5).array.sum() / ball().array.sum() - 1) < 0.1, "the specks are gone"
    centre = smooth.geometry.to_ras(np.argwhere(smooth.array)[:, ::-1]).mean(0)
    expected = GEOMETRY.to_ras(np.argwhere(ball().array)[:, ::-1]).mean(0)
    assert np.allclose(centre, expected, atol=0.3), "the margin moves nothing"


def test_a_mask_of_one_slice_stays_one_slice():
    flat = Geometry((40, 40, 1), (1.0, 1.0, 5.0), (-20.0, -20.0, 0.0))
    mask = Volume(ball().array[8:9], flat, "flat")
    assert smoothed(mask).array.shape[0] == 1 and smoothed(mask).array.any()


def test_a_thread_that_smoothing_would_remove_is_refused():
    thread = Volume(np.zeros(GEOMETRY.shape, np.uint8), GEOMETRY, "thread")
    thread.array[8, 20, 5:35] = 1
    with pytest.raises(InputError, match="narrower"):
        smoothed(thread, 4.0)
