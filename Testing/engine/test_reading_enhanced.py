"""Multi-frame DICOM objects: enhanced CT frame by frame, and those that do not say where their frames lie."""

import numpy as np
import pytest
from small_dicom import enhanced, hounsfield, item, series, set_stored, write

from oncotrack import InputError, load, load_study

HU = hounsfield((6, 4, 5))


def scaled(slices, values, slopes):
    """Store HU with a slope and an intercept for each frame."""
    for ds, image, slope in zip(slices, values, slopes, strict=True):
        ds.RescaleSlope, ds.RescaleIntercept = slope, -1000
        set_stored(ds, (image + 1000) / slope)
    return slices


@pytest.mark.parametrize("order", [range(6), range(5, -1, -1), (3, 0, 5, 1, 4, 2)])
def test_frames_are_sorted_by_position(tmp_path, order):
    slices = series(HU)
    volume = load(write([enhanced([slices[n] for n in order])], tmp_path))
    assert np.array_equal(volume.array, HU)
    assert volume.spacing == pytest.approx((0.7, 0.8, 5.0))
    assert volume.origin == pytest.approx((10, 20, -30))


def test_each_frame_has_its_own_slope(tmp_path):
    even = HU // 4 * 4
    slices = scaled(series(even), even, (1, 2, 0.5, 4, 1, 2))
    assert np.array_equal(load(write([enhanced(slices)], tmp_path)).array, even)


def test_a_missing_frame_is_named(tmp_path):
    slices = series(HU)
    with pytest.raises(InputError, match=r"2 slices are missing between frame 2 of IM0000.dcm .* and frame 3 of"):
        load(write([enhanced(slices[:2] + slices[4:])], tmp_path))


PHASES = [
    ("TemporalPositionIndex", (1, 2), "time point 2"),
    ("FrameAcquisitionNumber", (1, 2), "acquisition 2"),
    ("FrameAcquisitionDateTime", ("20260102120000", "20260102120045"), "acquired at 12:00:45"),
    ("StackID", ("1", "2"), "stack 2"),
]


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize(("keyword", "values", "part"), PHASES, ids=[each[0] for each in PHASES])
def test_phases_of_one_file_are_told_apart(tmp_path, keyword, values, part, interleaved):
    arterial, venous = series(HU), series(HU + 7)
    frames = [ds for pair in zip(arterial, venous, strict=True) for ds in pair] if interleaved else arterial + venous
    phases = list(values) * 6 if interleaved else [values[0]] * 6 + [values[1]] * 6
    write([enhanced(frames, [{keyword: phase} for phase in phases])], tmp_path)
    with pytest.raises(InputError, match="holds 2 volumes") as refused:
        load(tmp_path)
    assert part in str(refused.value)
    for number, values_of_phase in ((1, HU), (2, HU + 7)):
        assert np.array_equal(load(tmp_path, series=number).array, values_of_phase)


def test_phases_are_told_apart_by_the_dimensions_of_the_file(tmp_path):
    whole = enhanced(
        series(HU) + series(HU + 7), [{"DimensionIndexValues": [n // 6 + 1, n % 6 + 1]} for n in range(12)]
    )
    whole.DimensionIndexSequence = [item(DimensionIndexPointer=0x00189074), item(DimensionIndexPointer=0x00200032)]
    write([whole], tmp_path)
    assert [found.part for found in load_study(tmp_path).series] == ["dimension index 1", "dimension index 2"]
    assert np.array_equal(load(tmp_path, series=2).array, HU + 7)


def test_two_files_of_one_series_are_told_apart(tmp_path):
    first, second = enhanced(series(HU)), enhanced(series(HU + 7))
    second.SeriesInstanceUID, second.FrameOfReferenceUID = first.SeriesInstanceUID, first.FrameOfReferenceUID
    second.StudyInstanceUID = first.StudyInstanceUID
    write([first, second], tmp_path)
    assert [found.part for found in load_study(tmp_path).series] == ["file IM0000.dcm", "file IM0001.dcm"]
    assert np.array_equal(load(tmp_path / "IM0001.dcm").array, HU + 7)


def test_stacks_at_different_places_are_told_apart(tmp_path):
    upper, lower = series(HU), series(HU + 7, origin=(-10, -20, 300))
    content = [{"StackID": str(1 + n // 6)} for n in range(12)]
    study = load_study(write([enhanced(upper + lower, content)], tmp_path))
    assert [(found.part, found.is_volume) for found in study.series] == [("stack 1", True), ("stack 2", True)]


def test_frames_without_a_position_form_no_volume(tmp_path):
    """A CT slice class with several frames, as dental scanners export it."""
    slices = series(HU)
    whole = slices[0]
    whole.NumberOfFrames, whole.SpacingBetweenSlices = 6, 5
    whole.PixelData = b"".join(ds.PixelData for ds in slices)
    with pytest.raises(InputError, match="has 6 frames but does not say where each lies in the patient"):
        load(write([whole], tmp_path))


@pytest.mark.parametrize("step", [5, -5])
def test_reconstructed_nuclear_medicine_is_read_along_its_normal(tmp_path, step):
    slices = series(HU)
    whole = slices[0]
    whole.SOPClassUID, whole.Modality = "1.2.840.10008.5.1.4.1.1.20", "NM"
    whole.ImageType = ["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"]
    whole.NumberOfFrames, whole.SpacingBetweenSlices = 6, step
    whole.PixelData = b"".join(ds.PixelData for ds in slices)
    detector = item(
        ImagePositionPatient=whole.ImagePositionPatient, ImageOrientationPatient=whole.ImageOrientationPatient
    )
    whole.DetectorInformationSequence = [detector]
    del whole.ImagePositionPatient, whole.ImageOrientationPatient
    volume = load(write([whole], tmp_path))
    for n in range(6):  # frame n lies n steps from the first
        k = round(volume.geometry.to_ijk((10, 20, -30 + n * step))[2])
        assert np.array_equal(volume.array[k], HU[n])


def test_a_cut_file_is_named(tmp_path):
    folder = write([enhanced(series(HU))], tmp_path)
    file = folder / "IM0000.dcm"
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(InputError, match=r"IM0000\.dcm is damaged: it is cut short"):
        load(folder)
