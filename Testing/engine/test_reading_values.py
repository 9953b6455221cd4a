"""The values of DICOM slices: slopes, bits, encodings, compressed pixels, damaged files."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.data import get_testdata_file
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)
from small_dicom import enhanced, hounsfield, series, set_stored, write

from oncotrack import InputError, load, load_study
from oncotrack.images.dicom.frames import frames_of
from oncotrack.images.dicom.headers import read_header
from oncotrack.images.dicom.pixels import PixelReader

HU = hounsfield((4, 16, 18))


def test_each_slice_has_its_own_slope_and_intercept(tmp_path):
    slopes, intercepts = (1, 0.5, 2.25, 3), (0, -1000, 12.5, -1024)
    slices = series(HU)
    for ds, image, slope, intercept in zip(slices, HU, slopes, intercepts, strict=True):
        ds.RescaleSlope, ds.RescaleIntercept = slope, intercept
        set_stored(ds, image)
    expected = HU * np.reshape(slopes, (4, 1, 1)) + np.reshape(intercepts, (4, 1, 1))
    volume = load(write(slices, tmp_path))
    assert volume.array.dtype == np.float32
    assert np.array_equal(volume.array, expected)


def test_an_empty_first_slice_with_slope_1_does_not_decide_for_the_others(tmp_path):
    """A real PET: the lowest slice is empty and has slope 1; all others are fractions."""
    slices = series(HU, Modality="PT", PixelRepresentation=0, RescaleIntercept=0)
    for n, ds in enumerate(slices):
        ds.RescaleSlope = 1 if n == 0 else 3.410262
        set_stored(ds, np.full((16, 18), 0 if n == 0 else 36000 + n))
    volume = load(write(slices, tmp_path))
    assert volume.array[3].max() == pytest.approx(36003 * 3.410262, rel=1e-6)


@pytest.mark.parametrize(("slope", "intercept"), [(None, None), ("", ""), (0, 0)])
def test_without_slope_the_stored_values_are_taken(tmp_path, slope, intercept):
    slices = series(HU)
    for ds in slices:
        ds.RescaleSlope, ds.RescaleIntercept = slope, intercept
        if slope is None:
            del ds.RescaleSlope, ds.RescaleIntercept
    volume = load(write(slices, tmp_path))
    assert np.array_equal(volume.array, HU + 1024)
    assert ("slope of 4 slices is 0" in volume.metadata.get("notice", "")) == (slope == 0)


def test_a_ct_in_monochrome1_keeps_its_values(tmp_path):
    assert np.array_equal(load(write(series(HU, PhotometricInterpretation="MONOCHROME1"), tmp_path)).array, HU)


@pytest.mark.parametrize("signed", [True, False])
def test_bits_beyond_the_stored_ones_are_cut_off(tmp_path, signed):
    """Overlays or rubbish in the high bits, and signed values of 12 bits whose sign is not extended."""
    slices = series(HU, PixelRepresentation=int(signed), BitsStored=12, HighBit=11)
    for ds, image in zip(slices, HU, strict=True):
        ds.RescaleIntercept = 0 if signed else -1024
        stored = (image if signed else image + 1024) & 0x0FFF
        stored[:3] |= 0x8000
        stored[1:4] |= 0x1000
        set_stored(ds, stored.astype(np.uint16).astype(np.int16) if signed else stored)
    assert np.array_equal(load(write(slices, tmp_path)).array, HU)


def test_bits_stored_at_the_top_are_moved_down(tmp_path):
    slices = series(HU, PixelRepresentation=0, BitsStored=12, HighBit=15)
    for ds, image in zip(slices, HU, strict=True):
        set_stored(ds, (image + 1024) << 4)
    assert np.array_equal(load(write(slices, tmp_path)).array, HU)


def test_padding_outside_the_circle_is_rescaled_as_every_pixel(tmp_path):
    padded = HU.copy()
    padded[:, 0] = -3024
    slices = series(padded, PixelPaddingValue=-2000)
    assert load(write(slices, tmp_path)).array.min() == -3024


@pytest.mark.parametrize("bits", [8, 32])
def test_other_numbers_of_bits(tmp_path, bits):
    slices = series(HU, BitsAllocated=bits, BitsStored=bits, HighBit=bits - 1, PixelRepresentation=0)
    stored = np.abs(HU) % 200 if bits == 8 else np.abs(HU) * 100_000
    for ds, image in zip(slices, stored, strict=True):
        ds.PixelData = image.astype(f"<u{bits // 8}").tobytes()
    assert np.array_equal(load(write(slices, tmp_path)).array, (stored - 1024).astype(np.float32))


@pytest.mark.parametrize("multi_frame", [False, True])
@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEGLSLossless],
    ids=lambda syntax: syntax.name,
)
def test_every_encoding_gives_the_same_values(tmp_path, syntax, multi_frame):
    if syntax == JPEGLSLossless:
        pytest.importorskip("jpeg_ls")
    slices = series(HU, PhotometricInterpretation="MONOCHROME1")
    for n, ds in enumerate(slices):
        ds.RescaleSlope = 0.5 + n
    expected = np.stack([(image + 1024) * (0.5 + n) - 1024 for n, image in enumerate(HU)])
    files = [enhanced(slices)] if multi_frame else slices
    for ds in files:
        if syntax.is_compressed and syntax != DeflatedExplicitVRLittleEndian:
            ds.compress(syntax)
        else:
            ds.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            ds.PixelData = np.frombuffer(ds.PixelData, "<i2").byteswap().tobytes()
    assert np.array_equal(load(write(files, tmp_path)).array, expected)


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000"])
def test_lossless_jpeg_gives_the_same_values(tmp_path, compressor):
    slices = series(HU)
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(tmp_path / "compressed.dcm"))
    writer.SetUseCompression(True)
    writer.SetCompressor(compressor)
    for ds, image in zip(slices, HU, strict=True):
        writer.Execute(sitk.GetImageFromArray((image + 1024).astype(np.int16)[None]))
        compressed = pydicom.dcmread(tmp_path / "compressed.dcm")
        assert compressed.file_meta.TransferSyntaxUID.is_compressed
        ds.file_meta.TransferSyntaxUID = compressed.file_meta.TransferSyntaxUID
        ds.PixelData = compressed.PixelData
        ds["PixelData"].is_undefined_length = True
        ds["PixelData"].VR = "OB"
    assert np.array_equal(load(write(slices, tmp_path / "ct")).array, HU)


@pytest.mark.parametrize(
    "name",
    ["MR_small_RLE", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless", "MR_small_bigendian", "MR_small_implicit"],
)
def test_one_slice_in_many_encodings(name):
    """pydicom's own test files: the same MR slice in every encoding."""
    expected = pydicom.dcmread(get_testdata_file("MR_small.dcm", download=False)).pixel_array
    file = get_testdata_file(f"{name}.dcm", download=False)
    if file is None:
        pytest.skip(f"this pydicom has no {name}.dcm")
    found = read_header(Path(file), {})
    assert found is not None
    out = np.empty(expected.shape, np.float32)
    PixelReader().read(frames_of(found)[0], np.empty(out.nbytes, np.uint8)).write(out)
    assert np.array_equal(out, expected)


def cut(file, size):
    file.write_bytes(file.read_bytes()[:size])


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        (-20, r"IM0003\.dcm is damaged: it is cut short"),
        (1100, r"IM0003\.dcm is damaged: it is cut short"),
        (400, r"IM0003\.dcm in the folder of the slices is damaged: it is cut short"),
        (0, r"IM0003\.dcm in the folder of the slices is damaged: it is empty \(0 bytes\)"),
    ],
)
def test_the_last_slice_is_damaged(tmp_path, size, sentence):
    write(series(HU), tmp_path)
    cut(tmp_path / "IM0003.dcm", size)
    with pytest.raises(InputError, match=sentence):
        load(tmp_path)
    assert load_study(tmp_path).series[0].is_damaged


def test_a_slice_cut_after_any_element_is_told(tmp_path):
    """A file that ends exactly after an element looks whole: only what is missing tells."""
    write(series(HU), tmp_path)
    file = tmp_path / "IM0003.dcm"
    whole = file.read_bytes()
    ds = pydicom.dcmread(file)
    raw = [ds.get_item(tag) for tag in tuple(ds.keys())]
    ends = [element.value_tell + element.length for element in raw]
    assert len(ends) > 30
    for end in [132, *ends[:-1]]:
        file.write_bytes(whole[:end])
        with pytest.raises(InputError, match=r"IM0003\.dcm"):
            load(tmp_path)


@pytest.mark.parametrize("size", [-9, -30])
def test_cut_compressed_pixels_are_named(tmp_path, size):
    slices = series(HU)
    for ds in slices:
        ds.compress(RLELossless)
    write(slices, tmp_path)
    cut(tmp_path / "IM0002.dcm", size)
    with pytest.raises(InputError, match=r"IM0002\.dcm is damaged or incomplete"):
        load(tmp_path)


def test_too_few_pixels_are_named(tmp_path):
    slices = series(HU)
    for ds in slices:
        ds.Rows = 40
    with pytest.raises(InputError, match=r"IM0000\.dcm is damaged: its pixel data is too short"):
        load(write(slices, tmp_path))


def test_headers_without_pixels_are_no_volume(tmp_path):
    slices = series(HU)
    for ds in slices:
        del ds.PixelData
    with pytest.raises(InputError, match="has no pixel data"):
        load(write(slices, tmp_path))


def test_an_empty_file_of_another_kind_does_not_matter(tmp_path):
    write(series(HU), tmp_path)
    (tmp_path / "finished").touch()
    (tmp_path / ".nomedia.dcm").touch()
    assert np.array_equal(load(tmp_path).array, HU)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"<html>not found</html>", "it is not a DICOM file"), (bytes(3000), "it holds nothing but zeros")],
)
def test_a_slice_replaced_by_something_else_is_named(tmp_path, content, sentence):
    """A download that failed: an error page, or a file that was made but never filled."""
    write(series(HU), tmp_path)
    (tmp_path / "IM0003.dcm").write_bytes(content)
    with pytest.raises(InputError, match=rf"IM0003\.dcm in the folder of the slices is damaged: {sentence}"):
        load(tmp_path)


def test_floating_point_maps_are_no_scan(tmp_path):
    slices = series(HU, BitsAllocated=32)
    for ds, image in zip(slices, HU, strict=True):
        del ds.PixelData
        ds.FloatPixelData = image.astype("<f4").tobytes()
    with pytest.raises(InputError, match="map of computed values"):
        load(write(slices, tmp_path))


@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
def test_a_slope_that_is_no_number_is_not_taken_as_none(tmp_path, keyword):
    write(series(HU, RescaleSlope="1.23456", RescaleIntercept="-1024.125"), tmp_path)
    file = tmp_path / "IM0002.dcm"
    value = b"1.23456 " if keyword == "RescaleSlope" else b"-1024.125 "
    file.write_bytes(file.read_bytes().replace(value, b"one,two".ljust(len(value))))
    with pytest.raises(InputError, match=rf"IM0002\.dcm is damaged: its {keyword} is not a number"):
        load(tmp_path)


def test_a_multi_frame_file_whose_frames_cannot_be_read_is_named(tmp_path):
    file = write([enhanced(series(HU))], tmp_path) / "IM0000.dcm"
    data = file.read_bytes()
    start = data.index(b"\x00\x52\x30\x92SQ")  # the functional groups of the frames
    file.write_bytes(data[: start + 30] + b"\xff" * 8 + data[start + 38 :])
    with pytest.raises(InputError, match=r"IM0000\.dcm"):
        load(tmp_path)
