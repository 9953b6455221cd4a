"""The side of a point is taken from the body and not from the image."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from oncotrack.detection.midline import Midline
from oncotrack.findings.finding import Side
from oncotrack.images.files import load
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

MIDDLE = 14.0
"""R of the body's middle, mm."""


def chest(*, spine: bool = True, low: float = -210.0, high: float = 240.0, tilt: float = 0.0) -> Volume:
    """Return a chest CT (HU) with two lungs and a spine whose middle lies at `MIDDLE`, and the columns between two R (mm)."""
    spacing = (3.0, 3.0, 5.0)
    size = (int((high - low) / spacing[0]), 90, 24)
    geometry = Geometry(size, spacing, (low + 1.5, -135.0, -60.0))
    k, j, i = np.indices(geometry.shape)
    place = geometry.to_ras(np.stack([i, j, k], -1))
    right, front = place[..., 0] - MIDDLE - tilt * place[..., 2], place[..., 1]
    array = np.full(geometry.shape, -1000.0)
    array[np.hypot(right / 165, front / 110) < 1] = 40
    array[np.hypot(right / 152, front / 97) < 1] = -90
    array[np.hypot(right / 145, front / 92) < 1] = 40
    for side in (-1, 1):
        array[np.hypot((right - side * 80) / 52, (front - 5) / 75) < 1] = -850
    if spine:
        canal = np.hypot(right, front + 62)
        array[np.hypot(right / 18, (front + 35) / 15) < 1] = 350
        array[canal < 17] = 700
        array[canal < 9] = 20
    return Volume(array.astype(np.int16), geometry, "chest", "CT")


def sides(volume: Volume, offsets: tuple[float, ...]) -> list[str]:
    """Return the sides of points at offsets (mm) to the right of the body's middle."""
    midline = Midline.of(volume)
    return [midline.side((MIDDLE + offset, 10.0, 0.0)).value for offset in offsets]


@pytest.mark.parametrize("spine", [True, False])
def test_the_middle_of_a_whole_chest_is_that_of_the_body(spine):
    whole = chest(spine=spine)
    assert abs(whole.geometry.centre[0] - MIDDLE) < 2
    assert sides(whole, (-80, -20, 0, 20, 80)) == ["left", "left", "midline", "right", "right"]
    # as scanned with much air on one side: the middle of the image lies 60 mm to the right of the body's
    wide = chest(spine=spine, low=-190.0, high=340.0)
    assert sides(wide, (-80, -20, 0, 20, 80)) == ["left", "left", "midline", "right", "right"]


def test_the_spine_is_followed_where_the_body_lies_oblique():
    midline = Midline.of(chest(tilt=0.3))
    assert [midline.side((MIDDLE + 0.3 * s, 0, s)) for s in (-50, 0, 50)] == [Side.MIDLINE] * 3
    assert [midline.side((MIDDLE + 0.3 * s + 25, 0, s)) for s in (-50, 0, 50)] == [Side.RIGHT] * 3


def test_a_crop_with_the_spine_at_its_edge_is_judged_by_the_spine():
    crop = chest(low=-20.0)
    assert sides(crop, (0, 20, 80, 120)) == ["midline", "right", "right", "right"]
    assert sides(chest(high=60.0), (0, -20, -80, -120)) == ["midline", "left", "left", "left"]


def test_a_hemithorax_without_the_spine_is_judged_by_its_lung():
    assert sides(chest(low=40.0), (40, 80, 120)) == ["right", "right", "right"]
    assert sides(chest(high=-10.0), (-40, -80, -120)) == ["left", "left", "left"]


def test_without_evidence_the_side_is_unknown():
    middle = chest(spine=False, low=-25.0, high=45.0)
    assert sides(middle, (-30, 0, 25)) == ["side unknown"] * 3
    empty = Volume(np.zeros((4, 5, 6), np.int16), Geometry((6, 5, 4)), "empty", "CT")
    assert Midline.of(empty).side((0, 0, 0)) is Side.UNKNOWN


def test_an_image_that_is_no_ct_is_judged_by_the_outline():
    ct = chest()
    mr = Volume(np.clip(ct.array + 1000, 0, 1040).astype(np.int16), ct.geometry, "mr", "MR")
    assert sides(mr, (-80, 0, 80)) == ["left", "midline", "right"]


@pytest.mark.real
@pytest.mark.parametrize("visit", ["baseline", "followup"])
def test_all_of_a_right_lung_is_right(visit, shared_data):
    folder = shared_data / "elastix_lung_pair"
    midline = Midline.of(load(folder / f"3DCT_lung_{visit}.mha"))
    mask = load(folder / f"3DCT_lung_{visit}_mask.mha")
    places = mask.geometry.to_ras(np.argwhere(mask.array)[::501, ::-1])
    found = Counter(midline.side(place).value for place in places)
    assert found["left"] == 0 and found["right"] > 0.97 * len(places), found
