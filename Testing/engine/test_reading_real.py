"""Real series that are hard to read."""

import shutil
import subprocess
import tarfile

import numpy as np
import pydicom
import pytest

from oncotrack import InputError, load, load_study
from oncotrack.images.dicom import read

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def unpacked(shared_data, tmp_path_factory):
    """Return a function that unpacks an archive of the real images."""
    folder = tmp_path_factory.mktemp("real")

    def unpack(name):
        target = folder / name.replace("/", "_")
        if not target.exists():
            with tarfile.open(shared_data / name) as archive:
                archive.extractall(target, filter="data")
        return target

    return unpack


def test_a_whole_body_pet_with_seams_is_loaded(unpacked):
    volume = load(unpacked("sts_001_ge_pet/fdg_pet.tar.xz"))
    assert volume.array.shape == (267, 128, 128)
    assert volume.spacing == pytest.approx((4.6875, 4.6875, 3.27), abs=1e-3)
    assert 0.03 < float(volume.metadata["deviation_mm"]) < 0.05
    assert volume.metadata["chosen"].startswith('Series 1 of 2: PET "PET AC"')


def test_an_empty_first_slice_with_slope_1(unpacked, tmp_path):
    folder = unpacked("sts_001_ge_pet/fdg_pet.tar.xz") / "FDG_PET" / "image"
    slices = sorted((pydicom.dcmread(path) for path in folder.iterdir()), key=lambda ds: ds.ImagePositionPatient[2])
    slices = slices[100:130]
    slices[0].RescaleSlope, slices[0].RescaleIntercept = 1, 0
    slices[0].PixelData = bytes(len(slices[0].PixelData))
    for n, ds in enumerate(slices):
        ds.save_as(tmp_path / f"{n}.dcm")
    volume = load(tmp_path)
    assert volume.array.min() == 0
    assert volume.array.max() == pytest.approx(122788, abs=1)


def test_a_pet_with_a_slope_for_each_slice(unpacked):
    folder = unpacked("qin_hn_0024/pet_dicom.tar.xz")
    volume = load(folder)
    assert volume.array.shape == (299, 128, 128)
    for path in sorted(folder.rglob("*.dcm"))[::50]:
        ds = pydicom.dcmread(path)
        k = round(volume.geometry.to_ijk(np.array(ds.ImagePositionPatient, float) * [-1, -1, 1])[2])
        assert np.allclose(volume.array[k], ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept))


def test_a_tilted_head_ct_with_mixed_slices_is_resampled(unpacked):
    folder = unpacked("tilted_ct/ge_tilt_18deg_mixed_spacing.tar.xz")
    with pytest.raises(
        InputError, match=r"by 18.5 degrees and .* varies: 4.002 mm \(13 times\), then 1.081 mm, then 6.999"
    ):
        load(folder)
    volume = load(folder, resample=True)
    slices = [pydicom.dcmread(path) for path in sorted(folder.rglob("*")) if path.is_file()]
    checked = 0
    for ds in slices[::4]:  # the middle of each slice lies where its header says
        across, down = np.split(np.array(ds.ImageOrientationPatient, float), 2)
        spacing = np.array(ds.PixelSpacing, float)
        hu = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
        for row, column in ((256, 256), (200, 300)):
            at = np.array(ds.ImagePositionPatient, float) + across * column * spacing[1] + down * row * spacing[0]
            near = hu[row - 3 : row + 4, column - 3 : column + 4]
            assert near.min() - 30 <= volume.sample(at * [-1, -1, 1])[0] <= near.max() + 30
            checked += 1
    assert checked == 14


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("gantrytilting", "gantry was tilted by 14.0 degrees"),
        ("notavolume", "Not a volume: 4 images at one position over time"),
        ("sliceincrement/001", "1 slice is missing between IM-0001-0009-0001.dcm"),
        ("sliceincrement/002", "1 slice is missing between IM-0001-0003.dcm"),
        ("sliceorientation", "holds 2 volumes: .*sagittal.*axial"),
    ],
)
def test_odd_series_are_refused_with_the_true_reason(unpacked, case, sentence):
    folder = next(unpacked("odd_series/odd_series.tar.xz").rglob("failing")) / case
    with pytest.raises(InputError, match=sentence):
        load(folder)


def test_a_cut_slice_of_a_real_series_is_named(unpacked):
    with pytest.raises(InputError, match=r"1-51\.dcm is damaged: it is cut short"):
        load(unpacked("crlm_1006/ct_dicom.tar.xz"))


def test_objects_beside_the_slices_are_named(shared_data):
    study = load_study(shared_data / "dcmqi_liver")
    assert sorted(found.kind for found in study.series) == ["CT", "segmentation", "structured report"]
    assert len(load(shared_data / "dcmqi_liver").array) == 3


ARCHIVES = [
    ("cmb_crc_mr/scan_001_1960-04-13.tar.xz", 0.001),
    ("crlm_1004/ct_dicom.tar.xz", 0.001),
    ("qin_hn_0024/pet_dicom.tar.xz", 0.001),
    ("sts_001_ge_pet/fdg_pet.tar.xz", 0.03),  # dcm2niix extends the first step, without the seams between the beds
]


@pytest.mark.parametrize(("name", "tolerance"), ARCHIVES, ids=[name.partition("/")[0] for name, _ in ARCHIVES])
def test_dcm2niix_reads_the_same(unpacked, tmp_path, name, tolerance):
    nibabel = pytest.importorskip("nibabel")
    program = shutil.which("dcm2niix")
    if program is None:
        pytest.skip("dcm2niix is not installed")
    folder = unpacked(name)
    subprocess.run([program, "-z", "n", "-b", "n", "-f", "%j", "-o", tmp_path, folder], check=True, capture_output=True)
    volumes = [series for series in load_study(folder).series if series.is_volume]
    assert volumes
    for series in volumes:
        volume = read(series)
        other = nibabel.load(tmp_path / f"{series.uid}.nii")
        mapping = np.linalg.inv(other.affine) @ volume.ijk_to_ras
        corners = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
        corners[:, :3] *= np.array(volume.array.shape[::-1]) - 1
        indices = corners @ mapping.T
        assert np.abs((np.round(indices) - indices) @ other.affine.T).max() < tolerance
        values = np.asarray(other.get_fdata()).T
        for axis in range(3):  # dcm2niix turns the rows
            if mapping[axis, axis] < 0:
                values = np.flip(values, 2 - axis)
        assert np.allclose(values, volume.array, rtol=1e-6, atol=0.01)
