"""What is measured on a mask: within a pixel of the exact axes, inside the mask, in any orientation."""

from __future__ import annotations

import numpy as np
import pytest

from oncotrack.errors import InputError
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.diameters import diameters
from oncotrack.masks.recist import measure, measure_masks, slice_axis


def turned(degrees: float) -> np.ndarray:
    a, b = np.radians([degrees, degrees / 2])
    about_s = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_r = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return about_s @ about_r


def ellipsoid(direction, half_mm, spacing=(0.8, 0.8, 2.5), size=(64, 60, 20), angle=0.0) -> tuple[Volume, np.ndarray]:
    """Return a mask whose half axes (mm) lie along a grid's own axes, turned by `angle` degrees in its slices, and its middle."""
    geometry = Geometry(size, spacing, (12.0, -30.0, 45.0), direction)
    middle = geometry.to_ras([size[0] / 2 + 0.2, size[1] / 2 - 0.3, size[2] // 2])
    k, j, i = np.indices(geometry.shape)
    offset = (geometry.to_ras(np.stack([i, j, k], -1)) - middle) @ np.asarray(direction)
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    offset[..., :2] = offset[..., :2] @ np.array([[c, -s], [s, c]])
    return Volume((((offset / half_mm) ** 2).sum(-1) < 1).astype(np.uint8), geometry), middle


@pytest.mark.parametrize("direction", [np.eye(3), np.diag([-1.0, -1, 1]), turned(30), turned(90)[:, [2, 0, 1]]])
@pytest.mark.parametrize("angle", [0, 33])
def test_axes_of_an_ellipsoid_are_within_a_pixel_of_the_exact_ones(direction, angle):
    mask, middle = ellipsoid(direction, (16.0, 9.0, 11.0), angle=angle)
    found = measure(mask, across=2)
    assert found.long_axis.length_mm == pytest.approx(32, abs=0.8)
    assert found.short_axis.length_mm == pytest.approx(18, abs=0.8)
    assert np.allclose(found.centre, middle, atol=0.3)
    assert found.volume_mm3 == pytest.approx(4 / 3 * np.pi * 16 * 9 * 11, rel=0.03)
    assert found.axes.off_perpendicular < 1e-6
    assert found.axes.checked(mask.geometry)
    along = np.asarray(direction)[:, :2] @ [np.cos(np.radians(angle)), np.sin(np.radians(angle))]
    drawn = np.subtract(found.long_axis.end, found.long_axis.start) / found.long_axis.length_mm
    assert abs(along @ drawn) > np.cos(np.radians(8))


def test_the_long_axis_of_a_bent_mask_stays_inside_it():
    rows, columns = np.indices((120, 120)) - 60
    bent = (np.hypot(rows, columns) < 50) & (np.hypot(rows, columns - 30) > 50)
    long, short = diameters(bent, (1.0, 1.0))
    tips = np.argwhere(bent)[::5]
    straight = np.linalg.norm(tips[:, None] - tips[None], axis=-1).max()
    length = np.linalg.norm(long[1] - long[0])
    assert length < 0.95 * straight, "the line between the tips leaves the mask"
    for ends in (long, short):
        places = np.round(np.linspace(*ends, 200)[2:-2]).astype(int)
        assert bent[places[:, 1], places[:, 0]].mean() > 0.98
    crossing = np.linalg.solve(np.stack([long[1] - long[0], short[0] - short[1]], 1), short[0] - long[0])
    assert ((crossing > -0.01) & (crossing < 1.01)).all(), "the short axis crosses the long one"


def test_diameters_of_pixels_that_are_no_rectangles_are_true_lengths():
    frame = np.array([[0.8, 1.5], [0.0, 2.0]])  # a step of a row leads 1.5 mm along the columns too
    rows, columns = np.indices((40, 90))
    centre = frame @ (45, 20)
    inside = (((np.stack([columns, rows], -1) @ frame.T - centre) / (20, 12)) ** 2).sum(-1) < 1
    long, short = diameters(inside, frame)
    assert np.linalg.norm(long[1] - long[0]) == pytest.approx(40, abs=1.6)
    assert np.linalg.norm(short[1] - short[0]) == pytest.approx(24, abs=2.1)
    assert np.allclose(long.mean(0), centre, atol=1)


def test_no_line_through_a_mask_is_longer():
    rng = np.random.default_rng(3)
    rows, columns = np.indices((60, 60)) - 30
    bumps = sum(rng.normal() * 3 * np.cos(n * np.arctan2(rows, columns) + rng.uniform(0, 6)) for n in (2, 3, 4))
    mask = np.hypot(rows, columns) < 18 + bumps
    long, _ = diameters(mask, (1.0, 1.0))
    best = 0.0
    for angle in np.radians(np.arange(0, 180, 3)):
        u = np.array([np.cos(angle), np.sin(angle)])
        for shift in np.arange(-28, 28):
            line = shift * np.array([-u[1], u[0]]) + np.arange(-40, 40, 0.25)[:, None] * u + 30
            x, y = np.clip(np.round(line).astype(int), 0, 59).T
            runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], mask[y, x], [0]]).astype(int))))[::2]
            best = max(best, *(runs / 4), 0)
    assert np.linalg.norm(long[1] - long[0]) == pytest.approx(best, abs=1.0)


@pytest.mark.parametrize("is_bent", [False, True])
def test_a_slice_of_512_is_measured_whole(is_bent):
    rows, columns = np.indices((512, 512)) - 256
    mask = (rows / 250) ** 2 + (columns / 180) ** 2 < 1
    if is_bent:
        mask &= np.hypot(rows, columns - 200) > 180
    long, short = diameters(mask, (0.8, 0.8))
    lengths = [np.linalg.norm(b - a) for a, b in (long, short)]
    if is_bent:
        places = np.round(np.linspace(*(long / 0.8), 400)[4:-4]).astype(int)
        assert mask[places[:, 1], places[:, 0]].mean() > 0.98
        assert 0.7 * 400 < lengths[0] < 401
    else:
        assert lengths == pytest.approx([400, 288], abs=1.6)


def test_the_smallest_masks_are_measured():
    mask = np.zeros((5, 7), bool)
    mask[2, 3] = True
    assert [np.linalg.norm(b - a) for a, b in diameters(mask, (0.7, 0.7))] == pytest.approx([0.7, 0.7])
    mask[2, 1:6] = True
    assert [np.linalg.norm(b - a) for a, b in diameters(mask, (0.7, 0.7))] == pytest.approx([3.5, 0.7], abs=1e-3)


def test_slices_are_those_of_the_mask_of_the_scan_or_of_the_patient():
    flat, _ = ellipsoid(np.eye(3), (16, 9, 11))
    middle = flat.cropped((32, 0, 0), (33, 60, 20))
    assert slice_axis(middle) == 0
    assert measure(middle).long_axis.length_mm == pytest.approx(22, abs=2.5)
    assert slice_axis(flat) == 2
    sagittal, _ = ellipsoid(turned(90)[:, [2, 0, 1]], (16, 9, 11), spacing=(1.0, 1.0, 1.1))
    assert slice_axis(sagittal) == int(np.abs(np.asarray(sagittal.direction)[2]).argmax())


def test_every_label_is_measured_and_an_empty_mask_refused():
    mask, _ = ellipsoid(np.eye(3), (9.0, 6.0, 6.0))
    labels = np.zeros_like(mask.array, dtype=np.int16)
    labels[:, :, :30], labels[:, :, 40:] = mask.array[:, :, 10:40] * 7, 0
    labels[8, 50, 50] = 3
    found = measure_masks(Volume(labels, mask.geometry))
    assert set(found) == {3, 7}
    assert found[7].volume_mm3 == pytest.approx(np.count_nonzero(labels == 7) * 1.6)
    with pytest.raises(InputError, match="nothing to measure"):
        measure(Volume(np.zeros_like(mask.array), mask.geometry))
