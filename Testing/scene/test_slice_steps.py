"""Steps through slices follow the numbers that the view shows; a cine repeats or bounces; the windows' presets."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.images.windows import CT_WINDOWS
from oncotrack.scene.nodes.volumes import add_volume
from oncotrack.scene.views.cine import CineOrder
from oncotrack.scene.views.scan_text import SliceText
from oncotrack.scene.views.slice_steps import SlicePlace, show_slice, step

SIZE, SPACING = (20, 24, 30), (1.5, 2.0, 2.5)


@pytest.fixture
def shown(scene, view):
    """Return a function that shows a scan, with flipped voxel axes or turned about R, in a view at a position."""

    def show(orientation: str = "Axial", flip=(1, 1, 1), turned: float = 0.0, at=(0.0, 0.0, 0.0)):
        c, s = np.cos(turned), np.sin(turned)
        direction = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) * flip
        origin = -direction @ (np.multiply(SIZE, SPACING) - SPACING) / 2
        geometry = Geometry.from_values(SIZE, SPACING, origin, direction)
        opened = view(f"Baseline{orientation}", orientation)
        node = add_volume(scene, Volume(np.zeros(SIZE[::-1], np.int16), geometry, "scan", "CT"))
        opened.composite.SetBackgroundVolumeID(node.GetID())
        opened.node.JumpSliceByCentering(*at)
        return opened.node, node

    return show


@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, -1, 1), (1, -1, -1)])
@pytest.mark.parametrize(("orientation", "axis"), [("Axial", 2), ("Coronal", 1), ("Sagittal", 0)])
def test_a_step_shows_the_next_number_in_any_storage_order(shown, flip, orientation, axis):
    node, volume = shown(orientation, flip)
    assert show_slice(node, 4)
    for steps, number in ((1, 6), (-2, 4), (5, 9), (-100, 1), (1000, SIZE[axis])):
        assert step(node, steps)
        assert SliceText.of(node, volume).number == f"Slice {number} of {SIZE[axis]}"
    assert not step(node, 1), "there is no slice after the last"
    assert step(node, -1)


def test_a_step_ends_in_the_middle_of_a_slice(shown):
    node, _volume = shown(at=(0.0, 0.0, 0.9))
    step(node, 1)
    assert SlicePlace.of(node).offset_mm == pytest.approx(0, abs=1e-9)


def test_an_oblique_view_moves_along_its_own_normal(shown):
    node, volume = shown(turned=0.3)
    before = node.GetSliceOffset()
    assert SliceText.of(node, volume).number == "Oblique to the slices"
    assert step(node, 1) and step(node, 1)
    assert before - node.GetSliceOffset() == pytest.approx(2.5 * SPACING[2] / np.cos(0.3), rel=1e-6), (
        "from between two slices to the second next one"
    )


def test_a_view_from_outside_the_scan_returns_to_its_nearest_slice(shown):
    node, volume = shown(at=(0.0, 0.0, 500.0))
    assert SliceText.of(node, volume).number == "Outside the scan"
    assert step(node, 1)
    assert SliceText.of(node, volume).number == f"Slice 1 of {SIZE[2]}"


def test_without_a_scan_nothing_moves(view):
    node = view("BaselineAxial").node
    assert SlicePlace.of(node) is None
    assert not step(node, 1) and not show_slice(node, 3)


def played(order: CineOrder, start: int, count: int, slices: int) -> list[int]:
    shown = [start]
    for _ in range(slices):
        shown.append(order.after(shown[-1], count))
    return shown


def test_a_cine_starts_again_or_plays_back():
    assert played(CineOrder(), 1, 4, 6) == [1, 2, 3, 0, 1, 2, 3]
    assert played(CineOrder(step=-1), 1, 3, 4) == [1, 0, 2, 1, 0]
    assert played(CineOrder(bounces=True), 1, 4, 7) == [1, 2, 3, 2, 1, 0, 1, 2]
    assert played(CineOrder(bounces=True), 0, 2, 3) == [0, 1, 0, 1]
    assert CineOrder(bounces=True).after(0, 1) == 0


def test_every_digit_has_a_window_of_its_own():
    assert len(CT_WINDOWS) == 9
    assert len({window.name for window in CT_WINDOWS}) == len({window.range for window in CT_WINDOWS}) == 9
    assert all(window.width > 0 for window in CT_WINDOWS)
    assert all(one is not other for one, other in pairwise(CT_WINDOWS))
