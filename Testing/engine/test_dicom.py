"""DICOM series as archives export them: complete ones, and the faults that occur."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from oncotrack.errors import InputError
from oncotrack.images.files import load

TILTED = (1.0, 0.0, 0.0, 0.0, np.cos(0.3), np.sin(0.3))


def write_series(
    folder, positions=range(0, 25, 5), rows=16, spacing=0.8, orientation=(1, 0, 0, 0, 1, 0), shear=0.0, series=None
):
    """Write slices of 10 n HU at the n-th position along the normal."""
    folder.mkdir(exist_ok=True)
    series = series or generate_uid()
    normal = np.cross(orientation[:3], orientation[3:])
    for n, along in enumerate(positions):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        ds.SeriesInstanceUID, ds.StudyInstanceUID, ds.FrameOfReferenceUID = series, "1.2.3", "1.2.4"
        ds.Modality, ds.AcquisitionDate, ds.PatientID = "CT", "20260102", "test"
        ds.Rows = ds.Columns = rows
        ds.PixelSpacing, ds.SliceThickness = [spacing, spacing], 5
        ds.ImageOrientationPatient = [float(x) for x in orientation]
        ds.ImagePositionPatient = [float(x) for x in normal * along + np.array([shear * n, 0, 0])]
        ds.InstanceNumber = n + 1
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation = 15, 0
        ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
        pixels = np.full((rows, rows), 1024 + 10 * n, np.uint16)
        pixels[0, 0] = 0
        ds.PixelData = pixels.tobytes()
        ds.save_as(folder / f"slice_{n:02d}.dcm", enforce_file_format=True)
    return folder


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), TILTED, (0, 1, 0, 0, 0, -1)])
def test_a_series_is_read_in_hu_at_its_position(tmp_path, orientation):
    volume = load(write_series(tmp_path / "ct", orientation=orientation))
    assert volume.modality == "CT"
    assert volume.metadata["date"] == "20260102"
    normal = np.cross(orientation[:3], orientation[3:]) * [-1, -1, 1]
    for n in range(5):
        ijk = np.round(
            volume.geometry.to_ijk(normal * 5 * n + 0.8 * 4 * np.array(orientation[:3]) * [-1, -1, 1])
        ).astype(int)
        assert volume.array[tuple(ijk[::-1])] == 10 * n


def test_a_missing_slice_is_named(tmp_path):
    folder = write_series(tmp_path / "ct")
    (folder / "slice_02.dcm").unlink()
    with pytest.raises(
        InputError, match=r"1 slice is missing between slice_01.dcm .* and slice_03.dcm .* gap is 10.00 mm"
    ):
        load(folder)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda d: write_series(d, positions=(0, 5, 10, 17, 22)), "slice distances are mixed: 7.00 mm"),
        (lambda d: write_series(d, positions=(0, 5, 5, 10, 15)), "same position"),
        (lambda d: write_series(d, shear=1.5), "tilted gantry"),
    ],
)
def test_uneven_slices_are_refused(tmp_path, damage, sentence):
    with pytest.raises(InputError, match=sentence):
        load(damage(tmp_path / "ct"))


def rewrite(path, **tags):
    ds = pydicom.dcmread(path)
    for tag, value in tags.items():
        setattr(ds, tag, value)
    ds.save_as(path)


def test_mixed_pixel_spacing_is_refused(tmp_path):
    folder = write_series(tmp_path / "ct")
    rewrite(folder / "slice_03.dcm", PixelSpacing=[0.9, 0.9])
    with pytest.raises(InputError, match=r"mixes pixel spacings \(0.8 mm, 0.9 mm\)|series"):
        load(folder)


def test_several_series_are_listed(tmp_path):
    write_series(tmp_path / "ct")
    write_series(tmp_path / "other", rows=8)
    with pytest.raises(InputError, match="holds 2 DICOM series"):
        load(tmp_path)


def test_a_segmentation_in_the_folder_of_the_scan_is_ignored(tmp_path):
    folder = write_series(tmp_path / "ct")
    other = write_series(tmp_path / "seg", positions=[0])
    marks = pydicom.dcmread(other / "slice_00.dcm")
    marks.Modality = "SEG"
    marks.save_as(folder / "seg.dcm")
    volume = load(folder)
    assert volume.array.shape == (5, 16, 16)
    assert volume.modality == "CT"


def test_a_damaged_slice_is_named(tmp_path):
    folder = write_series(tmp_path / "ct")
    file = folder / "slice_03.dcm"
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"slice_03\.dcm is damaged"):
        load(folder)


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "notes.txt").write_text("none")
    with pytest.raises(InputError, match="DICOM images"):
        load(tmp_path)


def test_one_slice_file_asks_for_its_folder(tmp_path):
    folder = write_series(tmp_path / "ct")
    (folder / "slice_00.dcm").rename(folder / "IM0")
    with pytest.raises(InputError, match="Give the folder"):
        load(folder / "IM0")
