"""What a folder of DICOM holds: its series, what sets them apart, and which one is taken."""

import numpy as np
import pytest
from pydicom.uid import generate_uid
from small_dicom import changed, hounsfield, series, set_stored, write

from oncotrack import InputError, load, load_study

HU = hounsfield((6, 4, 5))
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def new_series(slices, **tags):
    """Return copies of slices as another series."""
    uid = generate_uid()
    return [changed(ds, SeriesInstanceUID=uid, **tags) for ds in slices]


def without_position(ds, **tags):
    page = changed(ds, **tags)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(page, keyword)
    return page


def test_a_series_says_what_it_is(tmp_path):
    slices = series(
        HU, ConvolutionKernel="B30f", ContrastBolusAgent="Iomeron", PatientBirthDate="19500101", PatientSex="F"
    )
    study = load_study(write(slices, tmp_path))
    (found,) = study.series
    assert (found.modality, found.kind, found.description, found.number) == ("CT", "CT", "Chest", 3)
    assert (found.date, found.time) == ("20260102", "120000")
    assert (found.patient_id, found.patient_name, found.birth_date, found.sex) == ("P1", "Doe^Jane", "19500101", "F")
    assert (found.slices, found.size, found.spacing) == (6, (5, 4, 6), pytest.approx((0.7, 0.8, 5.0)))
    assert (found.thickness, found.kernel, found.contrast) == (5.0, "B30f", "Iomeron")
    assert (found.uid, found.key, found.study_uid) == (slices[0].SeriesInstanceUID,) * 2 + (slices[0].StudyInstanceUID,)
    assert found.is_volume and not found.problem and not found.needs_resampling and found.deviation < 1e-6
    assert [path.name for path in found.files] == [f"IM{n:04d}.dcm" for n in range(6)]
    assert str(found) == 'CT "Chest", 6 slices of 5 mm'


def test_the_volume_knows_its_patient_and_series(tmp_path):
    volume = load(write(series(HU), tmp_path / "ct"))
    assert (volume.name, volume.modality) == ("ct", "CT")
    expected = {
        "date": "20260102",
        "patient_id": "P1",
        "patient_name": "Doe^Jane",
        "description": "Chest",
        "thickness": "5",
    }
    assert expected.items() <= volume.metadata.items()
    assert "chosen" not in volume.metadata


def test_one_series_in_several_folders_of_a_disc_is_one_series(tmp_path):
    slices = series(HU)
    for n in range(3):
        write(slices[2 * n : 2 * n + 2], tmp_path / f"SER{n:05d}", f"IMG{{}}{n}")
    assert np.array_equal(load(tmp_path).array, HU)


@pytest.mark.parametrize("same_uid", [False, True])
def test_a_localizer_beside_the_slices_is_set_apart(tmp_path, same_uid):
    slices = series(HU)
    localizer = changed(
        slices[0], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], ImageOrientationPatient=[1, 0, 0, 0, 0, -1]
    )
    if not same_uid:
        localizer.SeriesInstanceUID = generate_uid()
    write(slices, tmp_path)
    write([localizer], tmp_path, "LOC.dcm")
    study = load_study(tmp_path)
    assert [found.kind for found in study.series] == ["CT", "localizer"]
    assert "localizer" in study.series[1].problem
    volume = load(tmp_path)
    assert np.array_equal(volume.array, HU)
    assert volume.metadata["chosen"] == 'Series 1 of 2: CT "Chest", 6 slices of 5 mm.'
    with pytest.raises(InputError, match="This is a localizer"):
        load(tmp_path, series=2)


def test_protocol_pages_and_other_objects_are_set_apart_and_named(tmp_path):
    slices = series(HU)
    write(slices, tmp_path)
    others = [
        without_position(slices[0], SOPClassUID=SECONDARY_CAPTURE, SeriesDescription="Patient Protocol"),
        changed(slices[0], Modality="SEG", SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4"),
        changed(slices[0], Modality="RTSTRUCT", SOPClassUID="1.2.840.10008.5.1.4.1.1.481.3"),
        changed(slices[0], Modality="SR", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.67"),
        changed(slices[0], Modality="PR", SOPClassUID="1.2.840.10008.5.1.4.1.1.11.1"),
        changed(slices[0], Modality="KO", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.59"),
    ]
    for ds in others[2:]:
        del ds.PixelData, ds.Rows, ds.Columns
    for n, ds in enumerate(others):
        ds.SeriesInstanceUID = generate_uid()
        write([ds], tmp_path, f"other{n}.dcm")
    study = load_study(tmp_path)
    assert np.array_equal(load(tmp_path).array, HU)
    assert sorted(found.kind for found in study.series[1:]) == sorted(
        [
            "key object selection",
            "presentation state",
            "protocol page",
            "segmentation",
            "structure set (RTSTRUCT)",
            "structured report",
        ]
    )
    assert all(not found.is_volume and found.problem.startswith("This is") for found in study.series[1:])


def test_a_secondary_capture_alone_is_refused(tmp_path):
    page = without_position(series(HU)[0], SOPClassUID=SECONDARY_CAPTURE)
    with pytest.raises(
        InputError, match="secondary capture: a picture without a position in the patient, not a volume"
    ):
        load(write([page], tmp_path))


def test_colour_pictures_are_no_slices(tmp_path):
    slices = series(HU, SamplesPerPixel=3, PhotometricInterpretation="RGB", BitsAllocated=8, BitsStored=8, HighBit=7)
    for ds in slices:
        ds.PixelData = bytes(3 * ds.Rows * ds.Columns)
    with pytest.raises(InputError, match="colour pictures"):
        load(write(slices, tmp_path))


@pytest.mark.parametrize("twice", [2, 6])
def test_a_series_exported_twice_is_read_once(tmp_path, twice):
    slices = series(HU[:twice])
    write(slices, tmp_path)
    write(slices, tmp_path / "copy", "copy{}.dcm")
    volume = load(tmp_path)
    assert np.array_equal(volume.array, HU[:twice])
    assert f"{twice} files are copies" in volume.metadata["notice"]


def test_slices_that_share_a_uid_but_not_their_position_are_no_copies(tmp_path):
    slices = series(HU, SOPInstanceUID=generate_uid())
    assert np.array_equal(load(write(slices, tmp_path)).array, HU)


def test_the_whole_copy_of_a_damaged_file_is_taken(tmp_path):
    slices = series(HU)
    write(slices, tmp_path / "b")
    write(slices, tmp_path / "a")
    file = tmp_path / "a" / "IM0002.dcm"
    file.write_bytes(file.read_bytes()[:-10])
    assert np.array_equal(load(tmp_path).array, HU)


def test_images_of_one_position_over_time_are_no_volume(tmp_path):
    base = series(HU[:1])[0]
    slices = [changed(base, AcquisitionNumber=n, AcquisitionTime=f"1200{n:02d}", InstanceNumber=n) for n in range(12)]
    with pytest.raises(InputError, match="Not a volume: 12 images at one position over time"):
        load(write(slices, tmp_path))


ELEMENTS = [
    ("AcquisitionNumber", (1, 2, 3), "acquisition 2"),
    ("AcquisitionTime", ("120000", "120030", "120100"), "acquired at 12:00:30"),
    ("TemporalPositionIdentifier", (1, 2, 3), "time point 2"),
    ("TriggerTime", (0, 30, 60), "trigger time 30 ms"),
    ("EchoTime", (2.3, 4.6, 6.9), "echo time 4.6 ms"),
    ("DiffusionBValue", (0.0, 50.0, 800.0), "b = 50 s/mm²"),
    ("ImageType", (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"], ["ORIGINAL", "PRIMARY", "R"]), "P"),
    ("ConvolutionKernel", ("B30f", "B50f", "B70f"), "kernel B50f"),
    ("KVP", (80, 100, 140), "100 kV"),
    ("FrameReferenceTime", (0, 5000, 9000), "frame time 5000 ms"),
]


@pytest.mark.parametrize(("keyword", "values", "part"), ELEMENTS, ids=[each[0] for each in ELEMENTS])
def test_volumes_at_the_same_place_under_one_uid_are_told_apart(tmp_path, keyword, values, part):
    base = series(HU)
    times = [[changed(ds, **{keyword: value}) for ds in base] for value in values]
    for n, slices in enumerate(times):
        for ds, image in zip(slices, HU + n, strict=True):
            set_stored(ds, image + 1024)
    write([ds for slices in zip(*times, strict=True) for ds in slices], tmp_path)
    with pytest.raises(InputError, match=r"holds 3 CT volumes: 1\) .*; 2\) .*; 3\)") as refused:
        load(tmp_path, modality="CT")
    assert part in str(refused.value)
    assert refused.value.parameter == "series"
    for n in range(3):
        assert np.array_equal(load(tmp_path, series=n + 1).array, HU + n)
    assert len({found.key for found in load_study(tmp_path).series}) == 3


def test_two_elements_together_tell_volumes_apart(tmp_path):
    base = series(HU)
    slices = [
        changed(ds, EchoTime=echo, ImageType=["ORIGINAL", "PRIMARY", kind])
        for ds in base
        for echo in (2.3, 4.6)
        for kind in ("M", "P")
    ]
    study = load_study(write(slices, tmp_path))
    assert [found.slices for found in study.series] == [6] * 4
    assert {found.part for found in study.series} >= {"M, echo time 2.3 ms", "P, echo time 4.6 ms"}


def test_times_that_differ_from_slice_to_slice_are_put_in_order(tmp_path):
    base = series(HU)
    slices = [
        changed(ds, TriggerTime=30 * phase + n / 10, InstanceNumber=n * 3 + phase, SeriesDescription="cine")
        for n, ds in enumerate(base)
        for phase in range(3)
    ]
    study = load_study(write(slices, tmp_path))
    assert [(found.slices, found.part) for found in study.series] == [(6, f"time point {n} of 3") for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("keyword", "values"), [("AcquisitionNumber", (1, 2)), ("AcquisitionTime", ("120000", "120045"))]
)
def test_interleaved_acquisitions_are_two_volumes(tmp_path, keyword, values):
    """Two phases under one UID, the second half a slice further: together they would look like thinner slices."""
    first = series(HU, **{keyword: values[0]})
    second = [changed(ds, **{keyword: values[1]}) for ds in first]
    for ds in second:
        ds.ImagePositionPatient = [*ds.ImagePositionPatient[:2], ds.ImagePositionPatient[2] + 2.5]
    study = load_study(write(first + second, tmp_path))
    assert [found.spacing[2] for found in study.series] == pytest.approx([5, 5])
    with pytest.raises(InputError, match="holds 2 volumes"):
        load(tmp_path)


def test_interleaved_packages_of_an_mr_are_one_volume(tmp_path):
    slices = series(HU, Modality="MR", SliceThickness=4.5)
    for n, ds in enumerate(slices):
        ds.AcquisitionNumber = 1 + n % 2
    assert len(load(write(slices, tmp_path)).array) == 6


def test_acquisitions_one_after_another_along_the_table_are_one_volume(tmp_path):
    slices = series(HU)
    for n, ds in enumerate(slices):
        ds.AcquisitionNumber = 1 + n // 2
    assert np.array_equal(load(write(slices, tmp_path)).array, HU)


def test_stations_of_a_moving_table_are_told_apart(tmp_path):
    first = series(HU)
    second = [changed(ds) for ds in first]
    for ds in second:
        ds.ImagePositionPatient = [ds.ImagePositionPatient[0], 300, ds.ImagePositionPatient[2]]
    study = load_study(write(first + second, tmp_path))
    assert [found.part for found in study.series] == ["station 1", "station 2"]


@pytest.mark.parametrize(
    ("tags", "part"),
    [
        ({"FrameOfReferenceUID": "1.2.3"}, "part 2"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "coronal"),
        ({"PixelSpacing": [0.5, 0.5]}, "0.5 mm pixels"),
        ({"PatientID": "P2"}, "patient P2"),
        ({"Modality": "PT"}, "PT"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_images_that_never_form_one_volume_are_told_apart(tmp_path, tags, part):
    slices = series(HU)
    others = [changed(ds, **tags) for ds in series(HU, SeriesInstanceUID=slices[0].SeriesInstanceUID)]
    for n, ds in enumerate(others):
        ds.FrameOfReferenceUID = tags.get("FrameOfReferenceUID", slices[0].FrameOfReferenceUID)
        if "ImageOrientationPatient" in tags:
            ds.ImagePositionPatient = [0, 5 * n, 0]
    study = load_study(write(slices + others, tmp_path))
    assert [found.slices for found in study.series] == [6, 6]
    assert any(part in found.part for found in study.series)


def test_single_images_in_several_directions_are_no_volume(tmp_path):
    base = series(HU[:1])[0]
    angles = np.radians(range(0, 180, 30))
    views = [changed(base, ImageOrientationPatient=[*(np.cos(a), np.sin(a), 0), 0, 0, -1]) for a in angles]
    with pytest.raises(InputError, match="Not a volume: 6 single images of different orientations"):
        load(write(views, tmp_path))


def test_slices_at_one_position_that_nothing_tells_apart_are_refused(tmp_path):
    slices = series(HU)
    with pytest.raises(InputError, match=r"at the same position as another: 1 of 7 .*IM0002\.dcm and extra\.dcm"):
        write(slices, tmp_path)
        load(write([changed(slices[2])], tmp_path, "extra.dcm"))


@pytest.fixture(scope="module")
def whole_study(tmp_path_factory):
    """A CT in two reconstructions, a PET, a localizer and a segmentation."""
    folder = tmp_path_factory.mktemp("study")
    soft = series(HU)
    write(soft, folder / "1")
    write(new_series(soft, SeriesDescription="Lung 1.0 B70f", SeriesNumber=4), folder / "2")
    write(new_series(soft, SeriesDescription="PET WB", SeriesNumber=5, Modality="PT"), folder / "3")
    write(new_series(soft[:1], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SeriesNumber=1), folder / "4")
    write(new_series(soft[:1], Modality="SEG", SeriesDescription="Lesions", SeriesNumber=9), folder / "5")
    return folder


@pytest.mark.parametrize(
    ("wanted", "modality", "number"),
    [(1, None, 3), ("2", None, 4), ("lung", None, 4), ("b70f LUNG", "CT", 4), ("Chest", "CT", 3), (None, "PT", 5)],
)
def test_the_wanted_series_is_taken(whole_study, wanted, modality, number):
    assert load_study(whole_study).choose(wanted, modality).number == number


def test_a_uid_or_key_names_a_series(whole_study):
    study = load_study(whole_study)
    for found in study.series[:3]:
        assert study.choose(found.uid) is study.choose(found.key) is found


@pytest.mark.parametrize(
    ("wanted", "modality", "sentence"),
    [
        (None, None, 'holds 3 volumes: 1\\) CT "Chest", .*; 2\\) CT "Lung 1.0 B70f", .*; 3\\) PET "PET WB"'),
        (None, "CT", 'holds 2 CT volumes: 1\\) CT "Chest", 6 slices of 5 mm; 2\\)'),
        (None, "MR", "holds no MR. It holds: 1\\) CT"),
        ("T2", None, 'holds no series "T2". It holds: 1\\) CT'),
        ("99", None, 'holds no series "99"'),
        ("3", "CT", "series 3 is not of modality CT: PET"),
        ("Lesions", None, "This is a segmentation, not a scan"),
        (None, "SEG", "This is a segmentation, not a scan"),
    ],
)
def test_what_cannot_be_chosen_is_said(whole_study, wanted, modality, sentence):
    with pytest.raises(InputError, match=sentence):
        load(whole_study, wanted, modality=modality)


def test_volumes_of_one_folder_have_different_names(whole_study):
    names = {load(whole_study, n).name for n in (1, 2, 3)}
    assert names == {f"{whole_study.name} {each}" for each in ("3 Chest", "4 Lung 1.0 B70f", "5 PET WB")}


def test_a_study_is_listed_once_and_then_read(whole_study):
    study = load_study(whole_study)
    assert load(study, "lung").metadata["chosen"].startswith('Series 2 of 5: CT "Lung 1.0 B70f"')


def test_a_damaged_series_is_not_passed_over_for_another(tmp_path):
    slices = series(HU)
    write(slices, tmp_path / "whole")
    write(new_series(slices[:2] + slices[3:], SeriesDescription="Gap"), tmp_path / "gap")
    with pytest.raises(InputError, match=r'holds 2 possible series: .*"Gap", 5 images \(1 slice is missing'):
        load(tmp_path)
    assert np.array_equal(load(tmp_path, "Chest").array, HU)


def test_a_single_image_beside_a_volume_is_not_taken_by_itself(tmp_path):
    slices = series(HU)
    write(slices, tmp_path)
    write(new_series(slices[:1], SeriesDescription="Key image"), tmp_path, "KEY.dcm")
    assert np.array_equal(load(tmp_path).array, HU)


def test_interleaved_acquisitions_that_only_their_numbers_tell_apart(tmp_path):
    first = series(HU)
    second = [changed(ds, InstanceNumber=n + 7) for n, ds in enumerate(first)]
    for ds in second:
        ds.ImagePositionPatient = [*ds.ImagePositionPatient[:2], ds.ImagePositionPatient[2] + 2.5]
    study = load_study(write(first + second, tmp_path))
    assert [found.part for found in study.series] == ["images 1 to 6", "images 7 to 12"]


@pytest.mark.parametrize("noise", [0.05, 0.1])
def test_positions_of_one_place_may_differ_by_their_rounding(tmp_path, noise):
    """A table that comes back to a position within a tenth of a millimetre."""
    base = series(HU)
    slices = [changed(ds, AcquisitionNumber=phase) for ds in base for phase in range(3)]
    for n, ds in enumerate(slices):
        ds.ImagePositionPatient = [*ds.ImagePositionPatient[:2], ds.ImagePositionPatient[2] + noise * (n % 2)]
    study = load_study(write(slices, tmp_path / "4d"))
    assert [found.slices for found in study.series if found.is_volume] == [6, 6, 6]
    for n, ds in enumerate(slices):
        ds.ImagePositionPatient = [-10, -20, noise * (n % 2)]
    with pytest.raises(InputError, match="Not a volume: 18 images at one position over time"):
        load(write(slices, tmp_path / "monitoring"))


def test_the_same_slices_under_new_uids_are_two_sets(tmp_path):
    slices = series(HU)
    study = load_study(write(slices + [changed(ds) for ds in slices], tmp_path))
    assert [found.part for found in study.series] == [f"set {n} of 2 at the same positions" for n in (1, 2)]


@pytest.mark.parametrize(
    ("tags", "sentence"),
    [
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour pictures"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"], "Modality": "MR"}, "mosaic of several slices"),
        ({"Modality": "CR", "ImagePositionPatient": None}, "This is a radiograph, not a volume"),
        ({"Modality": "RTDOSE"}, "This is a radiotherapy dose"),
    ],
)
def test_pictures_that_are_no_slices_are_refused(tmp_path, tags, sentence):
    with pytest.raises(InputError, match=sentence):
        load(write(series(HU, **tags), tmp_path))


@pytest.mark.parametrize(
    ("tags", "note"),
    [
        ({"RescaleType": "Z_EFF"}, "values are given as Z_EFF, not as Hounsfield units"),
        ({"GantryDetectorTilt": 15}, "gantry tilt of 15 degrees, but the slice positions show none"),
        ({"Modality": "PT", "NumberOfSlices": 47}, "The header states 47 slices, but the series has only 6"),
    ],
)
def test_doubts_about_a_series_are_noted(tmp_path, tags, note):
    assert note in load(write(series(HU, **tags), tmp_path)).metadata["notice"]


def test_patients_and_dates_are_listed_where_they_differ(tmp_path):
    write(series(HU), tmp_path / "a")
    write(series(HU, AcquisitionDate="20260401", PatientID="P2"), tmp_path / "b")
    with pytest.raises(InputError, match=r"1\) .* of 5 mm, P1, 20260102; 2\) .* of 5 mm, P2, 20260401"):
        load(tmp_path)
