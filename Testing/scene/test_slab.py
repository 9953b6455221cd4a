"""A slab shows the average, maximum or minimum of the voxels through its thickness, and the view's text names it."""

from __future__ import annotations

import numpy as np
import pytest

from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.scene.nodes.volumes import add_volume
from oncotrack.scene.views.scan_text import SliceText
from oncotrack.scene.views.slab import (
    AVERAGE,
    MAXIMUM,
    MINIMUM,
    OFF,
    THICKNESSES,
    next_thickness,
    set_slab,
    show_all,
    slab_text,
)

STEP = 2.0
SIZE = (32, 32, 21)
LEVELS = np.linspace(-100, 100, SIZE[2])  # HU of each axial slice


@pytest.fixture
def layers(scene, view):
    """Show a scan with one value in each axial slice, in the middle slice of a view of one orientation."""

    def show(orientation: str = "Axial"):
        array = np.broadcast_to(LEVELS[:, None, None], SIZE[::-1]).astype(np.int16)
        array[:, 16, 16] = 200
        geometry = Geometry(SIZE, (STEP,) * 3, tuple(-STEP * (n - 1) / 2 for n in SIZE))
        opened = view(f"Baseline{orientation}", orientation)
        node = add_volume(scene, Volume(array, geometry, "layers", "CT"))
        node.GetDisplayNode().SetWindowLevelMinMax(-128, 127)
        opened.composite.SetBackgroundVolumeID(node.GetID())
        opened.node.SetFieldOfView(60, 60, 1)
        opened.node.JumpSliceByCentering(0, 0, 0)
        return opened, node

    return show


def value(opened) -> float:
    """Return the value (HU) that is drawn beside the middle of the view."""
    picture = opened.picture()
    return float(picture[picture.shape[0] // 2 + 60, picture.shape[1] // 2 + 60, 0]) - 128


def test_average_maximum_and_minimum_are_those_of_the_voxels(layers):
    opened, _node = layers()
    assert value(opened) == pytest.approx(0, abs=2)
    opened.node.SetSliceOffset(4 * STEP)
    inside = LEVELS[10 + 4 - 2 : 10 + 4 + 3]  # five slices of 2 mm
    for kind, expected in ((AVERAGE, inside.mean()), (MAXIMUM, inside.max()), (MINIMUM, inside.min())):
        set_slab([opened.node], kind, 5 * STEP)
        assert value(opened) == pytest.approx(expected, abs=6), kind
    set_slab([opened.node], OFF, 5 * STEP)
    assert value(opened) == pytest.approx(LEVELS[14], abs=2)


def test_the_text_of_the_view_names_the_slab(layers):
    opened, node = layers()
    assert SliceText.of(opened.node, node).slab == slab_text(opened.node) == ""
    set_slab([opened.node], MAXIMUM, 30)
    assert SliceText.of(opened.node, node).slab == "Maximum of 30 mm, not one slice"


@pytest.mark.parametrize(("orientation", "extent"), [("Axial", 42), ("Coronal", 64), ("Sagittal", 64)])
def test_the_maximum_of_the_whole_scan_is_that_of_all_its_slices(layers, orientation, extent):
    opened, node = layers(orientation)
    opened.node.SetSliceOffset(15.0)
    assert show_all(opened.node, node, MAXIMUM) == extent
    assert opened.node.GetSliceOffset() == pytest.approx(0, abs=1e-6)
    if orientation == "Axial":
        assert value(opened) == pytest.approx(100, abs=12)
    assert opened.picture().max() == 255, "the bright column is seen in every plane"


def test_the_thickness_changes_in_round_steps_and_ends_below_the_smallest():
    assert next_thickness(10, 1) == 15 and next_thickness(10, -1) == 7 and next_thickness(12, -1) == 10
    assert next_thickness(THICKNESSES[-1], 1) == THICKNESSES[-1]
    assert next_thickness(THICKNESSES[0], -1) == 0
