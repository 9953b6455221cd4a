"""Uptake of annotated lesions in real PET, against computations with SimpleITK and pydicom alone."""

from __future__ import annotations

import tarfile
from datetime import datetime

import numpy as np
import pytest

from oncotrack.detection.petct.uptake import measure_uptake
from oncotrack.dicom_objects.mask_objects import read_seg
from oncotrack.images.files import load, load_suv
from oncotrack.images.volume import Volume

pytestmark = pytest.mark.real


@pytest.mark.parametrize("patient", ["STS_001", "STS_002", "STS_003"])
def test_the_uptake_of_sarcomas_is_that_of_simpleitk(shared_data, patient):
    import SimpleITK as sitk

    folder = shared_data / "sts_petct_nifti"
    files = [str(folder / f"{patient}_PET_{kind}.nii.gz") for kind in ("image", "mask")]
    image, mask = (sitk.ReadImage(file) for file in files)
    statistics = sitk.LabelStatisticsImageFilter()
    statistics.Execute(sitk.Cast(image, sitk.sitkFloat64), sitk.Cast(mask != 0, sitk.sitkUInt8))
    found = measure_uptake(load(files[0]), load(files[1]))
    assert found.suv_max == pytest.approx(statistics.GetMaximum(1), rel=0.01)
    assert found.suv_mean == pytest.approx(statistics.GetMean(1), rel=0.01)
    assert found.suv_mean < found.suv_peak < found.suv_max


@pytest.fixture(scope="module")
def neck(shared_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("qin")
    with tarfile.open(shared_data / "qin_hn_0024" / "pet_dicom.tar.xz", "r|*") as tar:
        tar.extractall(folder, filter="data")
    return folder


def test_the_uptake_of_a_neck_node_is_that_of_pydicom(shared_data, neck):
    import pydicom

    slices = [pydicom.dcmread(path) for path in sorted(neck.rglob("*")) if path.is_file()]
    slices.sort(key=lambda each: float(each.ImagePositionPatient[2]))
    first = slices[0]
    tracer = first.RadiopharmaceuticalInformationSequence[0]

    def clock(text: str) -> datetime:
        return datetime.strptime(str(text)[:6], "%H%M%S")

    waited = (clock(first.SeriesTime) - clock(tracer.RadiopharmaceuticalStartTime)).total_seconds()
    dose = float(tracer.RadionuclideTotalDose) * 2 ** (-waited / float(tracer.RadionuclideHalfLife))
    values = np.stack([each.pixel_array * float(each.RescaleSlope) + float(each.RescaleIntercept) for each in slices])
    suv = values * float(first.PatientWeight) * 1000 / dose
    pet = load_suv(neck)
    structures = read_seg(shared_data / "qin_hn_0024" / "tumor_User1_Manual_Trial1.dcm")
    assert len(structures) == 2
    for structure in structures:
        points = structure.mask.geometry.to_ras(np.argwhere(structure.mask.array)[:, ::-1])
        step = float(slices[1].ImagePositionPatient[2]) - float(first.ImagePositionPatient[2])
        origin, spacing = np.array(first.ImagePositionPatient, float), np.array(first.PixelSpacing, float)
        lps = points * [-1, -1, 1]
        i, j = (np.rint((lps[:, axis] - origin[axis]) / spacing[0]).astype(int) for axis in (0, 1))
        k = np.rint((lps[:, 2] - origin[2]) / step).astype(int)
        found = measure_uptake(pet, Volume(structure.mask.array, structure.mask.geometry))
        assert found.suv_max == pytest.approx(suv[k, j, i].max(), rel=0.01)
        assert found.suv_mean == pytest.approx(suv[k, j, i].mean(), rel=0.01)
        assert 1 < found.suv_max < 60
