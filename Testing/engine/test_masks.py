"""From two diameters to a mask in their slice: what it covers, in any orientation; and what is wrong with bad axes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from oncotrack.cli.app import app
from oncotrack.errors import InputError
from oncotrack.evaluation.masks import dice
from oncotrack.findings.finding import Axis
from oncotrack.images.files import load, save
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.axes_files import read_axes
from oncotrack.masks.grabcut import initial_labels
from oncotrack.masks.plane import Region
from oncotrack.masks.propagate import propagate_to_3d
from oncotrack.masks.pseudo_mask import pseudo_mask
from oncotrack.masks.recist import measure
from oncotrack.phantom import make_patient

CENTRE = np.array([5.0, -8.0, 12.0])


def turned(degrees: float) -> np.ndarray:
    a, b = np.radians(degrees), np.radians(degrees / 2)
    about_s = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_r = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return about_s @ about_r


def lump(direction: np.ndarray, long_mm=24.0, short_mm=16.0, noise=12.0) -> tuple[Volume, Volume, RecistAxes]:
    """Return an ellipsoid of 60 HU in fat on a grid of any direction, its truth, and its axes in the slice of its middle."""
    spacing = np.array([0.8, 0.8, 2.5])
    size = (90, 90, 24)
    origin = CENTRE - direction @ (spacing * (np.array(size) - 1) / 2).round(6)
    middle = direction @ (spacing * [44, 45, 12]) + origin
    geometry = Geometry(size, spacing, origin, direction)
    k, j, i = np.indices(geometry.shape)
    offset = (geometry.to_ras(np.stack([i, j, k], -1)) - middle) @ direction
    inside = ((offset / [long_mm / 2, short_mm / 2, 9]) ** 2).sum(-1) < 1
    array = np.where(inside, 60, -100) + np.random.default_rng(0).normal(size=inside.shape) * noise
    u, v = direction[:, 0], direction[:, 1]
    axes = RecistAxes(
        Axis(tuple(middle - u * long_mm / 2), tuple(middle + u * long_mm / 2)),
        Axis(tuple(middle - v * short_mm / 2), tuple(middle + v * short_mm / 2)),
    )
    return Volume(array.astype(np.int16), geometry, "ct", "CT"), Volume(inside.astype(np.uint8), geometry), axes


@pytest.mark.parametrize("direction", [np.eye(3), np.diag([-1.0, -1, 1]), turned(25), turned(90)[:, [2, 0, 1]]])
def test_a_mask_covers_the_lesion_in_any_orientation(direction):
    image, truth, axes = lump(direction)
    mask = pseudo_mask(image, axes)
    wanted = truth.resampled(mask.geometry, fill=0, nearest=True).array.astype(bool)
    layers = np.flatnonzero(mask.array.any((1, 2)))
    assert len(layers) == 1
    assert dice(mask.array[layers], wanted[layers]) > 93


@pytest.mark.parametrize("rise", [0.0, 0.6, 1.0, 3.0])
def test_a_mask_spans_axes_whose_ends_lie_off_the_slice(rise):
    """The ends of the long axis lie `rise` slices below and above the slice that the short axis lies in."""
    image, _truth, axes = lump(np.eye(3))
    lift = np.array([0, 0, rise * image.spacing[2]])
    long = Axis(tuple(np.subtract(axes.long.start, lift)), tuple(np.add(axes.long.end, lift)))
    drawn = RecistAxes(long, axes.short)
    mask = pseudo_mask(image, drawn, "bounded")
    along = np.subtract(long.end, long.start) / long.length_mm
    inside = mask.geometry.to_ras(np.argwhere(mask.array)[:, ::-1])
    assert np.ptp(inside @ along) > 0.85 * long.length_mm - image.spacing[0]
    columns = mask.array.sum(0)
    assert columns.max() == 1, "one voxel of each column along k"
    assert len(inside) == pytest.approx(int(pseudo_mask(image, axes).array.sum()), rel=0.25)


def sheared(tilt: float) -> Geometry:
    """Return a grid whose slices lie on top of each other askew, as those of a tilted gantry."""
    t = np.radians(tilt)
    return Geometry(
        (90, 90, 24), (0.8, 0.8, 2.5 / np.cos(t)), CENTRE, [[1, 0, 0], [0, 1, np.sin(t)], [0, 0, np.cos(t)]]
    )


@pytest.mark.parametrize("tilt", [15, 25])
def test_masks_and_volumes_of_a_sheared_image_are_those_of_the_straight_one(tilt):
    straight, askew = sheared(0), sheared(tilt)
    k, j, i = np.indices(straight.shape)
    bright = (((np.stack([i, j, k], -1) - (44, 45, 12)) / [15, 10, 3.6]) ** 2).sum(-1) < 1
    array = (np.where(bright, 60, -100) + np.random.default_rng(0).normal(size=bright.shape) * 12).astype(np.int16)
    ends = [(29, 45, 12), (59, 45, 12), (44, 35, 12), (44, 55, 12)]
    found = []
    for grid in (straight, askew):
        points = grid.to_ras(ends)
        image, axes = Volume(array, grid, "ct", "CT"), RecistAxes.of(points[:2], points[2:])
        for mask in (pseudo_mask(image, axes), propagate_to_3d(image, axes)):
            found.append((mask.resampled(grid, fill=0, nearest=True), measure(mask, 2)))
    for (one, measured), (other, same) in zip(found[:2], found[2:], strict=True):
        assert np.array_equal(one.array, other.array)
        assert same.volume_mm3 == pytest.approx(measured.volume_mm3)
        assert same.long_axis.length_mm == pytest.approx(measured.long_axis.length_mm)
    in_columns = measure(found[3][0], across=1)
    turned_back = measure(found[1][0], across=1)
    assert in_columns.volume_mm3 == pytest.approx(turned_back.volume_mm3)
    assert in_columns.long_axis.length_mm == pytest.approx(turned_back.long_axis.length_mm, abs=1)


def test_the_same_axes_give_the_same_mask_in_either_order():
    image, _truth, axes = lump(turned(25))
    again = pseudo_mask(image, RecistAxes.of(axes.short, axes.long))
    assert np.array_equal(pseudo_mask(image, axes).array, again.array)


def test_the_initial_labels_are_those_of_the_paper():
    """Sec. 3.1: a square of twice the long axis; axes sure, diamond probable foreground, the rest probable background."""
    image, _truth, axes = lump(np.eye(3))
    region = Region.of(axes, image.geometry)
    assert region.grid.size[0] * region.pixel_mm == pytest.approx(2 * axes.long.length_mm, rel=0.03)
    start = initial_labels(region, axes)
    assert set(np.unique(start)) == {1, 2, 3}
    area = axes.long.length_mm * axes.short.length_mm / 2
    assert (start != 2).sum() * region.pixel_mm**2 == pytest.approx(area, rel=0.12)
    on_axes = np.round(region.to_pixels(np.linspace(*axes.ends[:2], 20))).astype(int)
    assert (start[on_axes[:, 1], on_axes[:, 0]] == 1).all()


@pytest.mark.slow
def test_nodes_of_synthetic_patients_are_masked_from_their_own_axes():
    scores = []
    visit = make_patient(3, 1, size=(220, 170, 30), spacing=(1.1, 1.1, 4.0)).visits[0]
    for instance in visit.truth.instances:
        if instance.short_axis.length_mm < 8 or instance.number != instance.mask_number:
            continue
        mask = pseudo_mask(visit.image, RecistAxes.of(instance.long_axis, instance.short_axis))
        truth = visit.truth.masks.resampled(mask.geometry, fill=0, nearest=True).array == instance.mask_number
        layer = mask.array.any((1, 2))
        scores.append(dice(mask.array[layer], truth[layer]))
    assert len(scores) >= 12
    assert np.median(scores) > 85


def refused(long, short, words: str) -> None:
    image, _truth, _axes = lump(np.eye(3))
    with pytest.raises(InputError, match=words):
        RecistAxes(Axis(*long), Axis(*short)).checked(image.geometry)


def test_bad_axes_are_refused_with_a_message():
    _image, _truth, axes = lump(np.eye(3))
    x, y, z = axes.centre

    def at(dx, dy, dz=0.0):
        return (x + dx, y + dy, z + dz)

    good = at(-10, 0), at(10, 0)
    refused(good, (at(0, 0), at(0, 0)), "short axis has no length")
    refused((at(0, -5), at(0, 5)), good, "swapped")
    refused(good, (at(-8, 1), at(8, 2)), "nearly parallel")
    refused(good, (at(25, -5), at(25, 5)), "do not cross")
    refused(good, (at(0, -5, 6), at(0, 5, 6)), "two slices")
    refused((at(-10, 0), at(300, 0)), (at(0, -5), at(0, 5)), "outside the image")
    slanted = RecistAxes(Axis(*good), Axis(at(-3, -5), at(3, 5)))
    assert "from the right angle" in slanted.warnings()[0]
    assert slanted.perpendicular().warnings() == []
    assert slanted.perpendicular().short.length_mm == pytest.approx(slanted.short.length_mm)


def write(path, data):
    path.write_text(json.dumps(data))
    return path


def test_axes_are_read_from_json_and_from_slicers_lines(tmp_path):
    _image, _truth, axes = lump(np.eye(3))
    ours = {"coordinates": "RAS", "long": axes.ends[:2].tolist(), "short": axes.ends[2:].tolist()}
    assert np.allclose(read_axes(write(tmp_path / "a.json", ours)).ends, axes.ends)
    lines = [
        {"type": "Line", "coordinateSystem": "LPS",
         "controlPoints": [{"position": (end * [-1, -1, 1]).tolist()} for end in ends]}
        for ends in (axes.ends[2:], axes.ends[:2])
    ]  # fmt: skip
    assert np.allclose(read_axes(write(tmp_path / "a.mrk.json", {"markups": lines})).ends, axes.ends)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"long": [[0, 0, 0], [1, 0, 0]]}, "neither the axes"),
        ({"markups": [{"type": "Line"}]}, "a line has 0 points"),
        ({"markups": [{"type": "ROI"}]}, "neither the axes"),
        ({"long": [[0, 0], [1, 0]], "short": [[0, 0, 0], [0, 1, 0]]}, "two points of three numbers"),
        ({"coordinates": "IJK", "long": [], "short": []}, 'coordinates as "IJK"'),
    ],
)
def test_damaged_files_are_refused_with_a_message(tmp_path, data, words):
    with pytest.raises(InputError, match=words):
        read_axes(write(tmp_path / "x.json", data))
    with pytest.raises(InputError, match="does not exist"):
        read_axes(tmp_path / "nowhere.json")


def test_the_command_writes_a_mask_on_the_images_grid(tmp_path):
    image, truth, axes = lump(np.diag([-1.0, -1.0, 1.0]))
    path = save(image, tmp_path / "ct.nii.gz")
    lines = write(tmp_path / "axes.json", {"long": axes.ends[:2].tolist(), "short": axes.ends[2:].tolist()})
    result = CliRunner().invoke(
        app, ["mask", str(path), str(lines), "--out", str(tmp_path / "m.nii.gz"), "--json", "-"]
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    written = load(tmp_path / "m.nii.gz")
    assert written.geometry.size == image.geometry.size
    assert report["voxels"] == int((written.array > 0).sum())
    layer = written.array.any((1, 2))
    assert dice(written.array[layer], truth.array[layer]) > 93
    assert np.allclose(np.mean(report["box_ras"], 0), axes.centre, atol=1.5)
