"""SUV of PET for the ways in which vendors store uptake, from headers made here and from reference phantoms."""

import json
import subprocess

import numpy as np
import pytest
from pydicom.dataset import Dataset
from small_pet import AN_HOUR, PHILIPS, WEIGHT, after, header, private, write_pet

import oncotrack
from oncotrack.errors import InputError
from oncotrack.images.body_size import Body
from oncotrack.images.geometry import Geometry
from oncotrack.images.suv import as_kind, suv_factors, to_suv
from oncotrack.images.volume import Volume


def factor(data, **options):
    return suv_factors(data, **options)[0][0]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (header(), after(3600)),
        (header(DecayCorrection="ADMIN"), after(0)),
        (header({"RadionuclideTotalDose": 370.0}), after(3600)),
        (header({"RadionuclideHalfLife": 4062.6, "Radiopharmaceutical": "Ga68-PSMA"}), after(3600, half_life=4062.6)),
        # times
        (header({"RadiopharmaceuticalStartTime": "1100"}), after(3600)),
        (header({"RadiopharmaceuticalStartTime": "11"}), after(3600)),
        (header({"RadiopharmaceuticalStartTime": "11:00:00.5"}), after(3599.5)),
        (header({"RadiopharmaceuticalStartTime": "0930"}), after(9000)),
        (header(SeriesTime="1200", AcquisitionTime="1215"), after(3600)),
        (header(SeriesDate="2020.01.02", AcquisitionDate="2020.01.02"), after(3600)),
        (header({"RadiopharmaceuticalStartTime": None, "RadiopharmaceuticalStartDateTime": "20200102113000.00"}), after(1800)),
        (header({"RadiopharmaceuticalStartTime": "090000", "RadiopharmaceuticalStartDateTime": "202001021130"}), after(1800)),
        (header({"RadiopharmaceuticalStartDateTime": "20200102103000+0000"}, TimezoneOffsetFromUTC="+0100"), after(1800)),
        (header({"RadiopharmaceuticalStartDateTime": "20200102113000+0100"}), after(1800)),
        # midnight
        (header({"RadiopharmaceuticalStartTime": "233000"}, SeriesTime="003000", AcquisitionTime="003500"), after(3600)),
        (header({"RadiopharmaceuticalStartDateTime": "20200101233000"}, SeriesTime="003000", AcquisitionTime="0031"), after(3600)),
        (header({"RadiopharmaceuticalStartTime": "225000"}, SeriesTime="235000", AcquisitionTime="000500", AcquisitionDate=None), after(3600)),
        # dates that an anonymiser changed: the time of day is left
        (header({"RadiopharmaceuticalStartDateTime": "20190305110000"}), after(3600)),
        # a series time that was overwritten with a later one
        (header(SeriesTime="150000"), after(4500)),
        (header(SeriesTime="150000", FrameReferenceTime=959_937, ActualFrameDuration=120000), after(3600)),
        (private(header(SeriesTime="150000"), 0x0009, "GEMS_PETD_01", x0d="20200102120500"), after(3900)),
        (header(SeriesTime="121500.000004", AcquisitionTime="121500"), after(4500)),
        # units
        (header(Units="GML"), 1.0),
        (private(header(Units="CNTS"), 0x7053, PHILIPS[1], x00="0.000587"), 0.000587),
        (private(header(Units="CNTS"), 0x7053, PHILIPS[1], x00="0", x09="2.5"), 2.5 * after(3600)),
        (header(Units="GML", SUVType="LBMJANMA"), WEIGHT / (9270 * WEIGHT / (6680 + 216 * WEIGHT / 1.75**2))),
        (header(Units="GML", SUVType="LBM"), WEIGHT / (1.1 * WEIGHT - 120 * (WEIGHT / 175) ** 2)),
        (header(Units="GML", SUVType="LBMJAMES128"), WEIGHT / (1.1 * WEIGHT - 128 * (WEIGHT / 175) ** 2)),
        (header(Units="GML", SUVType="LBM", PatientSex="F"), WEIGHT / (1.07 * WEIGHT - 148 * (WEIGHT / 175) ** 2)),
        (header(Units="GML", SUVType="IBW"), WEIGHT / (48.0 + 1.06 * (175 - 152))),
        (header(Units="GML", SUVType="IBW", PatientSex="O"), WEIGHT / (46.75 + 0.985 * (175 - 152))),
        (header(Units="CM2ML"), 1000 * WEIGHT / (71.84 * WEIGHT**0.425 * 175**0.725)),
        (header(Units="GML", SUVType="BSA", PatientSize=175), 1000 * WEIGHT / (71.84 * WEIGHT**0.425 * 175**0.725)),
    ],
)  # fmt: skip
def test_the_factor_of_a_header_is_as_calculated_by_hand(data, expected):
    assert factor(data) == pytest.approx(expected, rel=1e-4)


def test_uncorrected_slices_have_a_factor_each():
    frame = {"ActualFrameDuration": 600_000, "CorrectedImage": ["ATTN"], "DecayCorrection": "NONE"}
    slices = [header(AcquisitionTime=time, **frame) for time in ("122500", "121500")]
    mean = 298.4  # of a frame of 600 s: a little before its middle, as more was counted early
    assert suv_factors(slices)[0] == pytest.approx([after(5100 + mean), after(4500 + mean)], rel=1e-5)
    pet = Volume(np.full((2, 2, 2), 1000, np.float32), Geometry((2, 2, 2)), "pet")
    assert to_suv(pet, slices).array[:, 0, 0] == pytest.approx(1000 * suv_factors(slices)[0])
    first = slices[0]
    first.slices = slices
    assert np.array_equal(to_suv(pet, first).array, to_suv(pet, slices).array)
    with pytest.raises(InputError, match=r"\(1\) differs from that of its PET headers \(2\)"):
        to_suv(pet.cropped((0, 0, 0), (2, 2, 1)), slices)


def test_other_kinds_of_suv_are_named_options():
    pet = Volume(np.array([[[0.0, 5000.0]]], np.float32), Geometry((2, 1, 1)), "pet", "PT", {"date": "20200102"})
    by_weight, by_lean_mass = to_suv(pet, header()), to_suv(pet, header(), kind="LBMJANMA")
    assert by_weight.array[0, 0, 1] == pytest.approx(5000 * AN_HOUR) and by_weight.modality == "PT"
    assert (
        by_weight.metadata.items() >= {"date": "20200102", "suv": "BW"}.items()
        and by_lean_mass.metadata["suv"] == "LBMJANMA"
    )
    lean = 9270 * WEIGHT / (6680 + 216 * WEIGHT / 1.75**2)
    assert by_lean_mass.array[0, 0, 1] == pytest.approx(by_weight.array[0, 0, 1] * lean / WEIGHT)
    stored = header(Units="GML", SUVType="LBMJANMA", PatientWeight=None)
    assert factor(stored, kind="LBMJANMA") == 1.0
    philips = private(header(Units="CNTS"), 0x7053, PHILIPS[1], x00="0.000587")
    assert factor(philips, kind="LBMJANMA") == pytest.approx(0.000587 * lean / WEIGHT)


def test_a_weight_height_and_sex_can_be_given():
    unknown = header(PatientWeight=None, PatientSize=None, PatientSex=None)
    assert factor(unknown, weight_kg=WEIGHT) == pytest.approx(AN_HOUR)
    given = factor(unknown, kind="LBM", weight_kg=WEIGHT, height_cm=175, sex="F")
    assert given == pytest.approx(factor(header(PatientSex="F"), kind="LBM"))


def test_uptake_by_weight_becomes_uptake_by_lean_mass_and_back():
    data = header()
    pet = Volume(np.full((1, 1, 2), 1000.0, np.float32), Geometry((2, 1, 1)), "pet", "PT")
    by_weight, by_mass = to_suv(pet, data), to_suv(pet, data, kind="LBMJANMA")
    assert {name: by_weight.metadata[name] for name in ("weight", "height", "sex")} == {
        "weight": "74",
        "height": "1.75",
        "sex": "M",
    }
    assert as_kind(by_weight, "LBMJANMA").array == pytest.approx(by_mass.array, rel=1e-5)
    assert as_kind(by_mass, "BW").array == pytest.approx(by_weight.array, rel=1e-5)
    assert as_kind(by_weight, "BW") is by_weight
    unknown = to_suv(pet, header(PatientSize=None))
    assert Body.from_text(unknown.metadata).kinds == ("BW",)
    with pytest.raises(InputError, match="height"):
        as_kind(unknown, "LBM")
    with pytest.raises(InputError, match="Choose one of BW"):
        as_kind(by_weight, "lean")


def test_what_was_assumed_is_told():
    def notes(*args, **changes):
        return " ".join(suv_factors(header(*args, **changes))[1])

    assert notes() == ""
    assert "370 is taken as MBq" in notes({"RadionuclideTotalDose": 370.0})
    assert "175 is taken as cm" in notes(Units="CM2ML", PatientSize=175)
    assert "mean of the formulas" in notes(Units="GML", SUVType="IBW", PatientSex="O")
    assert "2019-03-05 and the scan 2020-01-02" in notes({"RadiopharmaceuticalStartDateTime": "20190305110000"})
    pet = Volume(np.zeros((1, 1, 2), np.float32), Geometry((2, 1, 1)), metadata={"notice": "A doubt."})
    notice = to_suv(pet, header({"RadionuclideTotalDose": 370.0})).metadata["notice"]
    assert notice == "A doubt.\nThe dose of 370 is taken as MBq, not Bq."


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (header(PatientWeight=None), r"does not state the patient's weight \(PatientWeight\)"),
        (header(PatientWeight=0), "does not state the patient's weight"),
        (header(PatientWeight=74000), "weight of 74000 kg"),
        (header(Units="GML", SUVType="LBM", PatientSize=None), "height"),
        (header(Units="GML", SUVType="LBM", PatientSize=1750), "height of 1750 cm"),
        (header(Units="GML", SUVType="LBM", PatientSex=None), "sex"),
        (header(Units="GML", SUVType="LEAN"), '"LEAN"'),
        (header(Units="PROPCPS"), "is in PROPCPS"),
        (header(Units="CNTS"), "CNTS without the scale factors of Philips"),
        (header(Units=None), "lacks the tag Units"),
        (header(CorrectedImage=["DECY"]), "not corrected for attenuation"),
        (header(CorrectedImage=None), "not corrected for attenuation"),
        (header(CorrectedImage=["ATTN"]), "contradicts itself about decay"),
        (header(DecayCorrection="NONE"), "contradicts itself about decay"),
        (header(DecayCorrection=None), "lacks the tag DecayCorrection"),
        (header(CorrectedImage="ATTN", DecayCorrection="NONE"), "lacks the tag ActualFrameDuration"),
        (header({"RadionuclideTotalDose": None}), "RadionuclideTotalDose"),
        ({"RadionuclideTotalDose": "much"}, '"much" for RadionuclideTotalDose'),
        (header({"RadionuclideTotalDose": 10.0}), "dose of 10 Bq"),
        (header({"RadionuclideTotalDose": 3.7e5}), "dose of 370000 Bq"),
        (header({"RadionuclideHalfLife": None}), "RadionuclideHalfLife"),
        (header({"RadionuclideHalfLife": 0}), "half-life of 0 s"),
        (header({"RadionuclideHalfLife": 109.8, "Radiopharmaceutical": "FDG"}), "109.8 s .* which has 6586 s"),
        (header({"RadiopharmaceuticalStartTime": None}), "RadiopharmaceuticalStartTime"),
        (header({"RadiopharmaceuticalStartTime": "123000"}), "does not fit the scan"),
        (header({"RadiopharmaceuticalStartDateTime": "20200102123000"}), r"12:30:00\) does not fit"),
        (header({"RadiopharmaceuticalStartTime": "93000"}), '"93000" are not a valid DICOM date and time'),
        (header({"RadiopharmaceuticalStartDateTime": "2020010211h0"}), "is not a valid DICOM date and time"),
        (header({"RadionuclideHalfLife": 282_240}), "date of injection"),
        (header(SeriesDate="20200230"), '"20200230"'),
    ],
)
def test_what_is_missing_or_impossible_is_named(data, sentence):
    if isinstance(data, dict):  # what pydicom does not let a header say
        data = {name: header().get(name) for name in header().dir()} | {
            "RadiopharmaceuticalInformationSequence": [data]
        }
    with pytest.raises(InputError, match=sentence):
        suv_factors(data)


def test_no_injection_two_injections_and_an_unknown_kind_are_refused():
    none, two = header(), header()
    none.RadiopharmaceuticalInformationSequence = []
    two.RadiopharmaceuticalInformationSequence = [*two.RadiopharmaceuticalInformationSequence] * 2
    for data, sentence in ((none, "lacks the tag"), (two, "lists 2 injections")):
        with pytest.raises(InputError, match=sentence):
            suv_factors(data)
    with pytest.raises(InputError, match="Choose one of BW, LBM"):
        suv_factors(header(), kind="bw")
    with pytest.raises(InputError, match="is not positive"):
        Body(400.0, 150.0, "F").size("LBM")


def test_a_series_is_read_as_suv_slice_by_slice(tmp_path):
    by_weight = oncotrack.load_suv(write_pet(tmp_path / "start"))
    assert by_weight.modality == "PT" and by_weight.metadata["suv"] == "BW"
    assert by_weight.array == pytest.approx(
        np.broadcast_to(np.diag([0, 1, 1, 1]), (3, 4, 4)) * 5000 * AN_HOUR, rel=1e-5
    )
    uncorrected = {"ActualFrameDuration": 600_000, "CorrectedImage": ["ATTN"], "DecayCorrection": "NONE"}
    folder = write_pet(tmp_path / "none", ("123500", "122500", "121500"), **uncorrected)
    by_slice = oncotrack.load_suv(folder).array[:, 1, 1]
    assert by_slice == pytest.approx([5000 * after(seconds + 298.4) for seconds in (5700, 5100, 4500)], rel=1e-5)
    folder = write_pet(tmp_path / "weightless", PatientWeight=None)
    with pytest.raises(InputError, match="weight"):
        oncotrack.load_suv(folder)
    assert np.allclose(oncotrack.load_suv(folder, weight_kg=WEIGHT).array, by_weight.array)


@pytest.fixture(scope="module")
def phantoms(shared_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dro")
    subprocess.run(["tar", "xf", shared_data / "suv_dro" / "suv_dro.tar.xz", "-C", folder], check=True)
    return folder / "DRO"


@pytest.mark.real
@pytest.mark.parametrize(
    "name",
    ["0_0", "1_0", "2_0", "2_1", "2_2", "2_3", "2_5", "3_0", "3_1", "3_2", "3_4", "4_0", "4_1", "5_0"],
)
def test_a_reference_phantom_has_its_suv(phantoms, name):
    suv = oncotrack.load_suv(phantoms / f"DRO_{name}" / "PT").array
    rounding = 0.0057 if name != "2_3" else 0.03  # stored in steps of 0.01 cm²/ml
    for expected in (0.20, 1.00, 4.00):
        assert np.abs(suv - expected).min() < rounding
    assert np.abs(suv.max() - 4.00) < rounding and np.median(suv[suv > 0]) == pytest.approx(1.0, abs=rounding)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("PHILIPS_BQML", 0.00074637), ("PHILIPS_CNTS_AND_BQML_SUV", 0.000551), ("PHILIPS_CNTS_AND_SUV", 0.000728),
        ("SIEMENS", 0.00042748), ("GE_MEDICAL_AND_BQML", 0.00053674), ("BQML_AC_DT_lessThan_S_DT_SIEMENS", 0.00040692),
        ("CPS_AND_BQML_AC_DT_-_S_DT", 0.00026503), ("RADIOPHARM_DATETIME_UNDEFINED", 0.00037211),
    ],
)  # fmt: skip
def test_a_vendors_header_has_its_factor(shared_data, name, expected):
    """The factors are those of the tests of calculate-suv, MIT, where the headers come from."""
    slices = json.loads((shared_data / "suv_vendor_cases" / f"{name}-instances.json").read_text())
    assert suv_factors([_data_set(each) for each in slices])[0] == pytest.approx([expected] * len(slices), rel=5e-3)


def _data_set(values: dict) -> Dataset:
    data, item = Dataset(), Dataset()
    factors = values.pop("PhilipsPETPrivateGroup")
    elements = {"x00": factors.get("SUVScaleFactor"), "x09": factors.get("ActivityConcentrationScaleFactor")}
    if elements := {key: str(value) for key, value in elements.items() if value}:
        private(data, 0x7053, PHILIPS[1], **elements)
    for keyword, value in values.items():
        setattr(item if keyword.startswith("Radio") else data, keyword, value)
    data.RadiopharmaceuticalInformationSequence = [item]
    return data


@pytest.mark.real
def test_a_whole_body_pet_of_ge_has_the_suv_of_its_publishers(shared_data, tmp_path):
    """`sts_petct_nifti` holds a part of the same scan in SUV, converted by others."""
    subprocess.run(["tar", "xf", shared_data / "sts_001_ge_pet" / "fdg_pet.tar.xz", "-C", tmp_path], check=True)
    part = oncotrack.load(shared_data / "sts_petct_nifti" / "STS_001_PET_image.nii.gz")
    k, j, i = np.unravel_index(part.array.argmax(), part.array.shape)
    suv = oncotrack.load_suv(tmp_path / "FDG_PET")
    at = np.round(suv.geometry.to_ijk(part.geometry.to_ras((i, j, k)))).astype(int)
    assert suv.array[tuple(at[::-1])] == pytest.approx(part.array.max(), rel=1e-5)
