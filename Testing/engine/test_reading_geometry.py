"""Where the slices of a DICOM series lie: any orientation, rounded positions, missing slices, tilt, mixed distances."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from small_dicom import AXIAL, enhanced, hounsfield, series, set_stored, write

from oncotrack import InputError, load, load_study

LPS_TO_RAS = np.array([-1, -1, 1])


def voxel_at(volume, ras):
    """Return the value of the voxel at a position, which must be the centre of one."""
    ijk = volume.geometry.to_ijk(ras)
    assert np.abs(ijk - np.round(ijk)).max() < 1e-3
    return volume.array[tuple(np.round(ijk).astype(int)[::-1])]


def centre(ds, row, column):
    """Return the RAS positions of pixels, (..., 3), from the standard's equation (PS3.3, C.7.6.2.1)."""
    across, down = np.split(np.array(ds.ImageOrientationPatient, float), 2)
    spacing = [float(value) for value in ds.PixelSpacing]
    row, column = np.asarray(row)[..., None], np.asarray(column)[..., None]
    position = np.array(ds.ImagePositionPatient, float)
    return (position + across * column * spacing[1] + down * row * spacing[0]) * LPS_TO_RAS


@settings(max_examples=30, deadline=None, phases=[Phase.generate])
@given(data=st.data())
def test_the_voxel_at_a_position_has_the_value_of_the_pixel_there(tmp_path_factory, data):
    turn = Rotation.from_euler("xyz", data.draw(st.tuples(*[st.floats(-3.1, 3.1)] * 3))).as_matrix()
    orientation = (*turn[:, 0], *turn[:, 1])
    count = data.draw(st.integers(2, 5))
    seed = data.draw(st.integers(0, 1000))
    step = data.draw(st.floats(0.3, 12))
    origin = data.draw(st.tuples(*[st.floats(-500, 500)] * 3))
    slices = series(hounsfield((count, 4, 5), seed), step, orientation, origin)
    signed = data.draw(st.booleans())
    bits = data.draw(st.sampled_from((12, 16)))
    spacing = [round(data.draw(st.floats(0.2, 5)), 4) for _ in range(2)]
    truth = []
    for ds in slices:
        ds.PixelSpacing = spacing
        ds.PixelRepresentation, ds.BitsStored, ds.HighBit = int(signed), bits, bits - 1
        ds.RescaleSlope = f"{data.draw(st.floats(0.01, 3)):.6f}"
        ds.RescaleIntercept = f"{data.draw(st.floats(-1100, 1100)):.4f}"
        stored = np.random.default_rng(seed).integers(-1000, 1000, (4, 5)) + (0 if signed else 1000)
        set_stored(ds, stored)
        truth.append(stored * float(ds.RescaleSlope) + float(ds.RescaleIntercept))
    order = data.draw(st.permutations(range(count)))
    files = [slices[n] for n in order]
    if data.draw(st.booleans()):
        files = [enhanced(files)]
    volume = load(write(files, tmp_path_factory.mktemp("series")))
    assert volume.array.dtype == np.float32
    for ds, values in zip(slices, truth, strict=True):
        row, column = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 4))
        assert voxel_at(volume, centre(ds, row, column)) == pytest.approx(values[row, column], abs=0.01)


@settings(max_examples=20, deadline=None, phases=[Phase.generate])
@given(
    steps=st.lists(st.sampled_from((2.0, 3.0, 4.5)), min_size=3, max_size=6),
    tilt=st.floats(-0.5, 0.5),
    gradient=st.tuples(*[st.floats(0.5, 3)] * 3),
)
def test_resampled_slices_keep_every_position(tmp_path_factory, steps, tilt, gradient):
    """Values that grow linearly in space are the same at every position after resampling."""
    orientation = (1, 0, 0, 0, np.cos(tilt), np.sin(tilt))
    positions = np.concatenate([[0], np.cumsum(steps)])
    slices = series(hounsfield((len(positions), 24, 20)), 1.0, orientation)
    for ds, along in zip(slices, positions, strict=True):
        ds.ImagePositionPatient = [0, 0, float(along)]  # the table moves along z
        ds.RescaleSlope, ds.RescaleIntercept = 0.01, 0
        set_stored(ds, np.round(centre(ds, *np.mgrid[:24, :20]) @ gradient * 100))
    folder = write(slices, tmp_path_factory.mktemp("tilted"))
    volume = load(folder, resample=True)
    listed = load_study(folder).series[0]
    assert ("resampled" in volume.metadata) == bool(listed.needs_resampling)
    left = 0.0 if listed.needs_resampling else listed.deviation  # mm
    middle = np.array([centre(slices[k], 12, 10) for k in range(len(slices))])
    for place in [*middle[1:-1], *((a + b) / 2 for a, b in pairwise(middle))]:
        assert volume.sample(place)[0] == pytest.approx(place @ gradient, abs=0.05 + left * np.linalg.norm(gradient))


@pytest.mark.parametrize("orientation", [AXIAL, (1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1), (-1, 0, 0, 0, 1, 0)])
def test_slices_are_sorted_along_their_normal_whatever_their_numbers(tmp_path, orientation):
    values = hounsfield((4, 3, 3))
    slices = series(values, 3.0, orientation)
    for number, ds in enumerate(slices):
        ds.InstanceNumber = 4 - number
    volume = load(write(slices[::-1], tmp_path))
    assert np.array_equal(volume.array, values)
    assert volume.spacing == pytest.approx((0.7, 0.8, 3.0))


@pytest.mark.parametrize(
    ("step", "errors"),
    [(1.25, (0.04, -0.04)), (5.0, (0.04, -0.06, 0.09)), (0.5, (0.05, -0.05)), (3.27, (0.0, 0.02, -0.02))],
)
def test_rounded_positions_are_a_regular_grid(tmp_path, step, errors):
    slices = series(hounsfield((9, 4, 4)), step)
    for n, ds in enumerate(slices):
        ds.ImagePositionPatient = [-10, -20, f"{n * step + errors[n % len(errors)]:.4f}"]
    volume = load(write(slices, tmp_path))
    assert volume.spacing[2] == pytest.approx(step, abs=0.02)
    assert 0 < float(volume.metadata["deviation_mm"]) <= 0.1
    assert load_study(tmp_path).series[0].deviation == pytest.approx(float(volume.metadata["deviation_mm"]), abs=1e-3)


def test_a_small_seam_between_beds_is_loaded(tmp_path):
    """A PET of a GE scanner: steps of 3.27 mm, at the seams of the beds 3.19 and 3.29 mm."""
    steps = np.full(40, 3.27)
    steps[[10, 20, 30]] = 3.29, 3.19, 3.29
    slices = series(hounsfield((41, 3, 3)), 3.27, Modality="PT")
    for ds, z in zip(slices, np.concatenate([[0], np.cumsum(steps)]), strict=True):
        ds.ImagePositionPatient = [0, 0, f"{z:.3f}"]
    volume = load(write(slices, tmp_path))
    assert volume.array.shape == (41, 3, 3)
    assert volume.spacing[2] == pytest.approx(3.27, abs=0.003)


@pytest.mark.parametrize(
    ("left_out", "sentence"),
    [
        ([2], r"1 slice is missing between IM0001.dcm \(z = -25.00 mm\) and IM0002.dcm \(z = -15.00 mm\)"),
        ([3, 4], r"2 slices are missing between .*the gap is 15.00 mm; the other slices are 5.00 mm apart"),
        ([2, 6], r"2 slices are missing between IM0001.* and IM0002.*; between IM0004.* and IM0005"),
    ],
)
def test_missing_slices_are_named(tmp_path, left_out, sentence):
    slices = [ds for n, ds in enumerate(series(hounsfield((12, 4, 4)))) if n not in left_out]
    write(slices, tmp_path)
    for resample in (False, True):
        with pytest.raises(InputError, match=sentence):
            load(tmp_path, resample=resample)


def test_a_missing_slice_in_a_coronal_series_is_named_along_y(tmp_path):
    slices = series(hounsfield((6, 4, 4)), 3.0, (1, 0, 0, 0, 0, -1))
    with pytest.raises(InputError, match=r"missing between IM0002.dcm \(y = -14.00 mm\)"):
        load(write(slices[:3] + slices[4:], tmp_path))


def test_mixed_distances_are_resampled_when_the_reader_agrees(tmp_path):
    values = hounsfield((7, 4, 4))
    slices = series(values)
    places = [0, 5, 10, 15, 17.5, 20, 22.5]
    for ds, z in zip(slices, places, strict=True):
        ds.ImagePositionPatient = [0, 0, z]
    write(slices, tmp_path)
    with pytest.raises(InputError, match=r"slice spacing varies: 5 mm \(3 times\), then 2.5 mm \(3 times\)") as refused:
        load(tmp_path)
    assert refused.value.parameter == "resample"
    volume = load(tmp_path, resample=True)
    assert volume.spacing[2] == 2.5
    assert np.array_equal(volume.array[[0, 2, 4, 6, 7, 8, 9]], values)
    assert np.allclose(volume.array[1], (values[0] + values[1]) / 2)
    assert "spacing varies" in volume.metadata["resampled"]


def test_a_tilted_gantry_is_straightened_when_the_reader_agrees(tmp_path):
    angle = np.radians(15)
    slices = series(np.full((8, 24, 24), -1000), orientation=(1, 0, 0, 0, np.cos(angle), -np.sin(angle)))
    for n, ds in enumerate(slices):
        ds.ImagePositionPatient = [0, 0, n * 5.0]
        values = np.full((24, 24), -1000)
        values[12, 12] = 500
        set_stored(ds, values + 1024)
    write(slices, tmp_path)
    with pytest.raises(InputError, match=r"gantry was tilted by 15.0 degrees"):
        load(tmp_path)
    volume = load(tmp_path, resample=True)
    direction = np.array(volume.direction)
    assert np.allclose(direction.T @ direction, np.eye(3))
    assert len(volume.array) == 8
    for k, ds in enumerate(slices):  # the bright point of each slice lies where its header says
        row, column = np.unravel_index(volume.array[k].argmax(), volume.array[k].shape)
        found = volume.geometry.to_ras((column, row, k))
        assert np.abs(found - centre(ds, 12, 12)).max() < 0.45


def test_slices_that_drift_from_even_distances_are_not_taken_as_even(tmp_path):
    slices = series(hounsfield((30, 3, 3)))
    for ds, z in zip(slices, np.cumsum(np.linspace(3.0, 3.2, 30)), strict=True):
        ds.ImagePositionPatient = [0, 0, f"{z:.4f}"]
    with pytest.raises(InputError, match=r"deviate by up to 0\.\d+ mm from regular spacing"):
        load(write(slices, tmp_path))


@pytest.mark.parametrize(("tags", "extent"), [({}, 5.0), ({"SliceThickness": None, "SpacingBetweenSlices": 4}, 4.0)])
def test_a_single_slice_is_as_thick_as_it_says(tmp_path, tags, extent):
    volume = load(write(series(hounsfield((1, 4, 4)), **tags), tmp_path))
    assert volume.spacing == pytest.approx((0.7, 0.8, extent))
    assert "single slice" in volume.metadata["single_slice"]


def test_a_single_slice_without_thickness_is_no_volume(tmp_path):
    with pytest.raises(InputError, match="without a slice thickness is not a volume"):
        load(write(series(hounsfield((1, 4, 4)), SliceThickness=None), tmp_path))


def test_a_slice_without_position_is_named(tmp_path):
    slices = series(hounsfield((4, 4, 4)))
    del slices[2].ImagePositionPatient
    with pytest.raises(InputError, match=r"IM0002.dcm has no position \(the DICOM tag Image Position"):
        load(write(slices, tmp_path))


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 0.9, 0.3), (1, 0, 0, 0.2, 0.9798, 0), (2, 0, 0, 0, 2, 0)])
def test_directions_that_are_not_perpendicular_are_refused(tmp_path, orientation):
    slices = series(hounsfield((3, 4, 4)))
    for ds in slices:
        ds.ImageOrientationPatient = list(orientation)
    with pytest.raises(InputError, match="not perpendicular unit vectors"):
        load(write(slices, tmp_path))
