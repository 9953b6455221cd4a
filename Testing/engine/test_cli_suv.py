"""SUV on the command line: the maximum, the image, and which values of the header were replaced."""

from __future__ import annotations

import json

import numpy as np
import pytest
from small_pet import AN_HOUR, WEIGHT, header, write_pet
from study_folder import ellipsoid, write_study

from oncotrack.images.body_size import KINDS
from oncotrack.images.files import load, load_suv, save
from oncotrack.images.suv import suv_factors

MAXIMUM = 5000 * AN_HOUR


@pytest.fixture(scope="module")
def pet(tmp_path_factory):
    return write_pet(tmp_path_factory.mktemp("pet") / "pet")


def answer(done) -> dict:
    """Return the JSON object of a command that succeeded and printed nothing else."""
    assert (done.code, done.err) == (0, ""), done.err
    return json.loads(done.out)


def test_the_maximum_its_unit_and_its_position_are_printed(oncotrack, pet):
    done = oncotrack("suv", pet)
    assert (done.code, done.err) == (0, "")
    assert "body weight" in done.out and f"{MAXIMUM:.2f} g/ml at R " in done.out
    assert "Decisions" not in done.out, "nothing had to be decided"


def test_the_answer_is_one_json_object_for_scripts(oncotrack, pet):
    found = answer(oncotrack("suv", pet, "--json", "-"))
    volume = load_suv(pet)
    assert (found["kind"], found["unit"], found["decisions"]) == ("BW", "g/ml", [])
    assert found["maximum"] == pytest.approx(MAXIMUM, rel=1e-5)
    assert volume.sample(found["maximum_ras"]) == pytest.approx(found["maximum"])
    assert found["series_uid"] == volume.metadata["series_uid"] and found["path"] == str(pet)


def test_the_image_is_written_in_suv(oncotrack, pet, tmp_path):
    done = oncotrack("suv", pet, "--out", tmp_path / "suv.nii.gz", "--json", tmp_path / "suv.json")
    assert done.code == 0 and str(tmp_path / "suv.nii.gz") in done.err and str(tmp_path / "suv.json") in done.err
    written, expected = load(tmp_path / "suv.nii.gz"), load_suv(pet)
    assert np.array_equal(written.array, expected.array) and written.array.dtype == np.float32
    assert np.allclose(written.ijk_to_ras, expected.ijk_to_ras, atol=1e-5)
    assert json.loads((tmp_path / "suv.json").read_text())["maximum"] == pytest.approx(MAXIMUM, rel=1e-5)
    refused = oncotrack("suv", pet, "--out", tmp_path / "suv.jpg")
    assert (refused.code, "no supported file extension" in refused.err) == (2, True)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_suv_is_an_option(oncotrack, pet, kind):
    found = answer(oncotrack("suv", pet, "--kind", kind.lower(), "--json", "-"))
    expected = 5000 * suv_factors(header(), kind=kind)[0][0]
    assert found["maximum"] == pytest.approx(expected, rel=1e-5)
    assert (found["kind"], found["unit"]) == (kind, "cm²/ml" if kind == "BSA" else "g/ml")


def test_weight_height_and_sex_replace_those_of_the_header(oncotrack, pet):
    given = ("--weight", 2 * WEIGHT, "--height", 190, "--sex", "f")
    found = answer(oncotrack("suv", pet, *given[:2], "--json", "-"))
    assert found["maximum"] == pytest.approx(2 * MAXIMUM, rel=1e-5)
    assert found["decisions"] == ["The patient's weight is 148 kg as given; the header states 74 kg."]
    found = answer(oncotrack("suv", pet, "--kind", "LBM", *given, "--json", "-"))
    expected = suv_factors(header(PatientWeight=2 * WEIGHT, PatientSize=1.9, PatientSex="F"), kind="LBM")[0][0]
    assert found["maximum"] == pytest.approx(5000 * expected, rel=1e-5)
    assert found["decisions"][1:] == [
        "The patient's height is 190 cm as given; the header states 1.75 m.",
        "The patient's sex is F as given; the header states M.",
    ]
    table = oncotrack("suv", pet, "--weight", 80).out
    assert "Decisions" in table and "80 kg as given" in " ".join(table.split())


def test_what_the_kind_does_not_need_is_no_decision(oncotrack, pet):
    assert answer(oncotrack("suv", pet, "--height", 190, "--sex", "F", "--json", "-"))["decisions"] == []


def test_a_weight_for_a_series_that_is_suv_already_changes_nothing(oncotrack, tmp_path):
    stored = write_pet(tmp_path / "stored", Units="GML", PatientWeight=None)
    found = answer(oncotrack("suv", stored, "--weight", 80, "--json", "-"))
    assert found["maximum"] == pytest.approx(5000)
    assert found["decisions"] == [
        "The series holds SUV by body weight already; weight, height and sex do not change it."
    ]


@pytest.mark.parametrize(
    ("changes", "arguments", "sentence"),
    [
        ({"PatientWeight": None}, (), "Give the weight, or export the series with all tags. Use the option --weight."),
        ({"PatientSize": None}, ("--kind", "BSA"), "Use the option --height."),
        ({"PatientSex": None}, ("--kind", "IBW"), "Use the option --sex."),
        ({}, ("--weight", 0), "weight of 0 kg is not possible. Correct it. Use the option --weight."),
        ({}, ("--weight", 74000), "weight of 74000 kg is not possible"),
        ({}, ("--kind", "LBM", "--sex", "X"), 'sex is "X"; for SUV by lean body mass (James) it has to be M, F or O.'),
        ({}, ("--kind", "lean"), "Choose one of BW, LBM, LBMJAMES128, LBMJANMA, BSA, IBW. Use the option --kind."),
        ({"Units": "PROPCPS"}, (), "is in PROPCPS"),
    ],
)
def test_what_is_missing_or_impossible_is_named_with_its_option(oncotrack, tmp_path, changes, arguments, sentence):
    done = oncotrack("suv", write_pet(tmp_path / "pet", **changes), *arguments)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err


def test_the_pet_of_a_study_is_taken_and_other_files_are_refused(oncotrack, tmp_path):
    study = write_study(tmp_path / "study")
    write_pet(study / "pet")
    found = answer(oncotrack("suv", study, "--series", "chest", "--json", "-"))
    assert found["decisions"][0].startswith("Series ") and found["maximum"] == pytest.approx(MAXIMUM, rel=1e-5)
    several = oncotrack("suv", study)
    assert several.code == 2 and several.err.endswith("Use the option --series.\n")
    image = save(ellipsoid(), tmp_path / "pet.nii.gz")
    refused = oncotrack("suv", image)
    assert (refused.code, "pet.nii.gz states neither dose nor injection time" in refused.err) == (2, True)
    missing = oncotrack("suv", tmp_path / "none")
    assert missing.code == 2 and "does not exist" in missing.err
