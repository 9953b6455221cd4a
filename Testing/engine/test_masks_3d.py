"""Extension of a mask to 3D: its reach, a second pair of axes, what stops it; and masks as findings."""

from __future__ import annotations

import numpy as np
import pytest

from oncotrack.errors import Cancelled, InputError
from oncotrack.evaluation.masks import dice
from oncotrack.findings.finding import Axis, Box, Observation, State, TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.batch import MaskRequest, make_masks
from oncotrack.masks.findings import finding_list, observation
from oncotrack.masks.propagate import propagate_to_3d
from oncotrack.masks.pseudo_mask import pseudo_mask
from oncotrack.masks.recist import measure
from oncotrack.masks.shape import SCALES, Placement, Shape
from oncotrack.masks.suggestion import propose_axes

SPACING = np.array([1.0, 1.0, 2.0])
STRAIGHT = np.eye(3)
TILTED = np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])


def scene(
    half_height_mm=9.0, direction=STRAIGHT, neighbour=False, slant=0.0, level=60.0
) -> tuple[Volume, Volume, RecistAxes]:
    """Return a lump of 60 HU in fat, 24 x 16 mm in its slice, with its true mask and axes; optionally with a second lump.

    It may drift sideways by `slant` mm a mm.
    """
    geometry = Geometry((56, 50, 24), SPACING, (3.0, -20.0, 7.0), direction)
    middle = geometry.to_ras([27, 25, 12])
    k, j, i = np.indices(geometry.shape)
    offset = (geometry.to_ras(np.stack([i, j, k], -1)) - middle) @ np.asarray(direction)
    offset[..., 0] -= slant * offset[..., 2]
    inside = ((offset / [12, 8, half_height_mm]) ** 2).sum(-1) < 1
    image = np.where(inside, level, -100.0)
    if neighbour:
        beside = (((offset - [0, 15.5, 0]) / [10, 8, 20]) ** 2).sum(-1) < 1
        image[beside & ~inside] = 60.0
    image += np.random.default_rng(0).normal(size=inside.shape) * 12
    u, v = np.asarray(direction)[:, 0], np.asarray(direction)[:, 1]
    axes = RecistAxes(
        Axis(tuple(middle - 12 * u), tuple(middle + 12 * u)), Axis(tuple(middle - 8 * v), tuple(middle + 8 * v))
    )
    return Volume(image.astype(np.int16), geometry, "ct", "CT"), Volume(inside.astype(np.uint8), geometry), axes


def on(grid: Volume, mask: Volume) -> np.ndarray:
    return mask.resampled(grid.geometry, fill=0, nearest=True).array


def smaller(axes: RecistAxes, up_mm: float, half_height_mm: float, normal) -> RecistAxes:
    """Return the axes of the lump at a height above its middle."""
    share = np.sqrt(1 - (up_mm / half_height_mm) ** 2)
    ends = np.asarray(axes.centre) + share * (axes.ends - axes.centre) + up_mm * np.asarray(normal)
    return RecistAxes.of(ends[:2], ends[2:])


@pytest.mark.parametrize("direction", [STRAIGHT, TILTED])
def test_a_mask_is_extended_through_the_lesion(direction):
    image, truth, axes = scene(direction=direction)
    seen = []
    mask = propagate_to_3d(image, axes, progress=lambda fraction, _text: seen.append(fraction))
    assert dice(on(image, mask), truth.array) > 85
    assert max(seen) <= 1 and len(seen) > 4
    flat = on(image, pseudo_mask(image, axes))
    assert np.array_equal(on(image, mask)[12], flat[12]), "the slice of the axes is the pseudo-mask"


def test_the_mask_ends_where_the_lesion_ends():
    image, truth, axes = scene(half_height_mm=3.0)
    layers = on(image, propagate_to_3d(image, axes)).any((1, 2))
    assert layers[12]
    assert layers.sum() <= truth.array.any((1, 2)).sum() + 2


def test_a_neighbour_of_the_same_grey_is_left_out():
    image, truth, axes = scene(neighbour=True)
    flat = on(image, pseudo_mask(image, axes))[12]
    loose = on(image, pseudo_mask(image, axes, "paper"))[12]
    assert dice(flat, truth.array[12]) > 90 > dice(loose, truth.array[12])
    assert dice(on(image, propagate_to_3d(image, axes)), truth.array) > 75


@pytest.mark.parametrize("half_height_mm", [5.0, 9.0, 18.0])
def test_it_reaches_as_far_as_the_lesion_and_follows_its_slant(half_height_mm):
    image, truth, axes = scene(half_height_mm, slant=0.5)
    assert dice(on(image, propagate_to_3d(image, axes)), truth.array) > 90


def test_without_contrast_it_is_about_the_ellipsoid_of_the_axes():
    image, truth, axes = scene(half_height_mm=9.0, level=-100.0)
    assert dice(on(image, propagate_to_3d(image, axes)), truth.array) > 85


def test_a_shape_is_found_where_it_lies():
    rows, columns = np.indices((60, 60)) - 30
    shape = Shape((columns / 14) ** 2 + (rows / 9) ** 2 < 1)
    ratios = np.where(((columns - 4) / 14) ** 2 + ((rows + 3) / 9) ** 2 < 0.55**2, 1.0, -1.0).astype(np.float32)
    evidence = shape.evidence(ratios)
    share, row, column = np.unravel_index(evidence.argmax(), evidence.shape)
    assert (SCALES[share], shape.shifts[column], shape.shifts[row]) == (0.55, 4, -3)
    radius = shape.profile_at(Placement(0.55, (4.0, -3.0)))
    assert dice(radius < 1, ratios > 0) > 90


def test_a_second_pair_of_axes_extends_it_further():
    image, truth, axes = scene(half_height_mm=20.0, level=-100.0)
    above = smaller(axes, 14.0, 20.0, (0, 0, 1))
    once, twice = (on(image, propagate_to_3d(image, axes, more)) for more in ((), (above,)))
    assert dice(twice, truth.array) > dice(once, truth.array)
    assert twice.any((1, 2))[12:20].all(), "no gap between the two slices"
    assert np.array_equal(twice, on(image, propagate_to_3d(image, above, (axes,)))), "in either order"


def test_it_can_be_cancelled_and_bad_second_axes_are_refused():
    image, _truth, axes = scene()

    def stop(fraction: float, _text: str) -> None:
        if fraction > 0.2:
            raise Cancelled

    with pytest.raises(Cancelled):
        propagate_to_3d(image, axes, progress=stop)
    with pytest.raises(InputError, match="lie in one slice"):
        propagate_to_3d(image, axes, (axes,))
    x, y, z = axes.centre
    upright = RecistAxes(Axis((x - 8, y, z), (x + 8, y, z)), Axis((x, y, z - 6), (x, y, z + 6)))
    with pytest.raises(InputError, match="two orientations"):
        propagate_to_3d(image, axes, (upright,))
    with pytest.raises(InputError, match="bounded or paper"):
        propagate_to_3d(image, axes, method="magic")


def test_a_mask_becomes_a_finding_that_is_saved(tmp_path):
    image, truth, axes = scene()
    seen = observation(truth, axes, reader="A. Reader")
    assert (seen.state, seen.provenance.method) == (State.PROPOSED, "RECIST pseudo-mask")
    assert seen.long_axis == axes.long
    assert seen.volume_mm3 == pytest.approx(truth.array.sum() * 2.0)
    assert np.allclose(seen.centre, axes.centre, atol=0.6)
    low, high = np.array(seen.box.low), np.array(seen.box.high)
    assert np.allclose(high - low, [24, 16, 18], atol=2.1)
    findings = finding_list(TimePoint("t0", "ct"), {"L 1": seen})
    again = FindingList.open(findings.save(tmp_path / "findings.json"))
    (finding,) = again
    assert np.array_equal(on(image, finding.at("t0").mask.volume()), truth.array)
    measured = observation(truth)
    assert measured.long_axis == measure(truth).long_axis != axes.long


def test_axes_are_proposed_from_axes_boxes_or_radius():
    _image, truth, axes = scene()
    seen = observation(truth, axes)
    assert np.allclose(propose_axes(seen).ends, axes.ends)
    of_boxes = propose_axes(Observation(centre=seen.centre, tracklet=seen.tracklet))
    assert (of_boxes.long.length_mm, of_boxes.short.length_mm) == pytest.approx((24, 16), abs=1.5)
    of_box = propose_axes(Observation(centre=seen.centre, box=Box((0, 0, 0), (10, 30, 50))))
    assert (of_box.long.length_mm, of_box.short.length_mm) == (30, 10)
    assert of_box.off_perpendicular == 0
    assert propose_axes(Observation(centre=seen.centre, radius_mm=7.0)).short.length_mm == 14
    with pytest.raises(InputError, match="no size"):
        propose_axes(Observation(centre=seen.centre))


def test_a_row_that_fails_does_not_stop_the_others():
    image, _truth, axes = scene()

    def broken():
        raise InputError("The slice is missing.")

    made = list(make_masks([MaskRequest("a", broken), MaskRequest("b", lambda: (image, axes))]))
    assert (made[0].error, made[0].mask) == ("The slice is missing.", None)
    assert made[1].observation.mask is not None and not made[1].error
