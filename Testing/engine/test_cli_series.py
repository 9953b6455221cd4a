"""Choosing one of several DICOM series in the commands."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from study_folder import SERIES, ellipsoid, write_study, write_tilted

from oncotrack.cli.scans import read_scan, read_visits, series_of_followups
from oncotrack.datasets.real_cts import read_cts
from oncotrack.errors import InputError
from oncotrack.images.dicom import load_study
from oncotrack.images.files import load, save
from oncotrack.masks.axes_table import ENDS

SOFT, LUNG, FDG, *_ = SERIES


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("visit") / "study")


@pytest.fixture
def one_ct(study, tmp_path):
    """Return a study without its second CT."""
    folder = shutil.copytree(study, tmp_path / "one")
    shutil.rmtree(folder / "b")
    return folder


def said(capsys) -> str:
    return capsys.readouterr().err


# the list


def test_the_list_names_every_series_and_why_it_is_no_volume(oncotrack, study):
    done = oncotrack("series", study)
    assert done.code == 0
    for words in (*SERIES, "2026-01-15", "4 x 4 x 5 mm", "Br40", "Iohexol", "localizer", "segmentation", "RTSTRUCT"):
        assert words in done.out, words
    assert "Patient" not in done.out, "all are of one patient"
    assert done.err == "6 series, 3 volumes\n"


def test_the_list_is_one_json_object_for_scripts(oncotrack, study):
    done = oncotrack("series", study, "--json", "-")
    assert (done.code, done.err) == (0, "")
    rows = json.loads(done.out)["series"]
    assert [row["number"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["description"] for row in rows] == SERIES
    assert [row["modality"] for row in rows] == ["CT", "CT", "PT", "CT", "SEG", "RTSTRUCT"]
    assert [row["is_volume"] for row in rows] == [True, True, True, False, False, False]
    assert rows[0]["spacing_mm"] == [4, 4, 5] and rows[0]["thickness_mm"] == 5 and rows[0]["slices"] == 8
    assert rows[3]["problem"].startswith("This is a localizer")


def test_the_list_of_an_archive_and_of_a_tilted_series(oncotrack, study, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "study"), "zip", study)
    assert oncotrack("series", archive).err == "6 series, 3 volumes\n"
    done = oncotrack("series", write_tilted(tmp_path / "tilted"))
    assert "if resampled: The gantry was tilted" in done.out


def test_an_image_file_has_no_list(oncotrack, tmp_path):
    done = oncotrack("series", save(ellipsoid(), tmp_path / "ct.nii.gz"))
    assert (done.code, "ct.nii.gz holds one image and no DICOM series" in done.err) == (2, True)


# choosing


@pytest.mark.parametrize("wanted", ["2", "lung 5", LUNG, "uid"])
def test_a_series_is_chosen_by_number_uid_or_words(study, wanted, capsys):
    wanted = load_study(study).series[1].uid if wanted == "uid" else wanted
    volume = read_scan(study, wanted)
    assert volume.metadata["description"] == LUNG
    assert np.array_equal(volume.array, ellipsoid().array + 1)
    assert said(capsys) == f'{study}: Series 2 of 6: CT "{LUNG}", 8 slices of 5 mm.\n'


@pytest.mark.parametrize(
    "command",
    [
        ("detect",),
        ("mask", "axes.json"),
        ("follow", "--at", 0, 0, 0),
        ("evaluate", "landmarks", "a.txt", "b.txt"),
        ("bench", "detect"),
    ],
    ids=lambda command: " ".join(map(str, command[:2])),
)
def test_several_volumes_are_listed_with_the_option_that_chooses(oncotrack, study, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "axes.json").write_text(json.dumps(AXES))
    scans = [study, study] if command[0] in ("follow", "evaluate") else [study]
    split = 2 if command[0] in ("evaluate", "bench") else 1
    done = oncotrack(*command[:split], *scans, *command[split:])
    assert (done.code, done.out) == (2, "")
    assert f'holds 2 CT volumes: 1) CT "{SOFT}"' in done.err and f'2) CT "{LUNG}"' in done.err
    assert done.err.endswith("words from its description. Use the option --series.\n")


def test_the_one_ct_of_a_study_is_taken_and_named(one_ct, capsys):
    assert read_scan(one_ct).metadata["description"] == SOFT
    assert said(capsys) == f'{one_ct}: Series 1 of 5: CT "{SOFT}", 8 slices of 5 mm.\n'
    assert read_scan(one_ct, "FDG").modality == "PT", "what is named is taken, whatever it is"


def test_a_damaged_ct_is_not_passed_over_for_the_other_one(study, tmp_path):
    folder = shutil.copytree(study, tmp_path / "damaged")
    (folder / "b" / "slice0003.dcm").unlink()
    with pytest.raises(InputError, match=r"holds 2 CT series: .* \(1 slice is missing") as refused:
        read_scan(folder)
    assert refused.value.parameter == "series"


def test_follow_ups_have_an_option_of_their_own(study, one_ct, capsys):
    baseline, followup = read_visits((study, one_ct), "1", None)
    assert (baseline.metadata["description"], followup.metadata["description"]) == (SOFT, SOFT)
    with pytest.raises(InputError, match="holds 2 CT volumes") as refused:
        read_visits((one_ct, study), None, None)
    assert refused.value.parameter == "followup_series"
    volumes = read_visits((study, study, study), "1", ["2", "1"])
    assert [volume.metadata["description"] for volume in volumes] == [SOFT, LUNG, SOFT]
    assert [volume.modality for volume in read_visits((study, one_ct), "FDG", None)] == ["PT", "PT"]
    assert series_of_followups(2, ["lung"]) == ["lung", "lung"]
    with pytest.raises(InputError, match="2 series are named for 3 follow-ups"):
        series_of_followups(3, ["1", "2"])


def test_a_detector_that_is_named_reads_its_own_modality(oncotrack, study):
    done = oncotrack("detect", study, "--method", "mr")
    assert done.code == 2 and "holds no MR. It holds: 1) CT" in done.err


def test_a_series_of_an_image_file_is_refused_without_naming_the_option_again(oncotrack, tmp_path):
    done = oncotrack("detect", save(ellipsoid(), tmp_path / "ct.nii.gz"), "--series", "2")
    assert done.code == 2 and done.err.endswith("Open it without naming a series.\n")


AXES = {"coordinates": "RAS", "long": [[-20, 0, 0], [20, 0, 0]], "short": [[0, -15, 0], [0, 15, 0]]}


def test_a_mask_is_made_on_the_chosen_series(oncotrack, study, tmp_path):
    (tmp_path / "axes.json").write_text(json.dumps(AXES))
    done = oncotrack("mask", study, tmp_path / "axes.json", "--series", "lung", "--json", "-")
    assert done.code == 0, done.err
    assert json.loads(done.out)["voxels"] > 0
    assert "Series 2 of 6" in done.err
    table = tmp_path / "axes.csv"
    ends = [value for line in (AXES["long"], AXES["short"]) for point in line for value in point]
    table.write_text(f"label,{','.join(ENDS)}\na,{','.join(map(str, ends))}\n")
    done = oncotrack("mask", study, "--batch", table, "--series", 2, "--json", "-")
    assert done.code == 0 and json.loads(done.out)["masks"] == 1, done.err + done.out


def test_a_tilted_series_is_resampled_only_with_the_option(oncotrack, tmp_path):
    folder = write_tilted(tmp_path / "tilted")
    (tmp_path / "axes.json").write_text(json.dumps(AXES))
    arguments = ("mask", folder, tmp_path / "axes.json", "--json", "-")
    done = oncotrack(*arguments)
    assert done.code == 2
    assert "The gantry was tilted" in done.err and done.err.endswith("Use the option --resample.\n")
    done = oncotrack(*arguments, "--resample")
    assert done.code == 0, done.err
    assert "Resampled to a regular grid" in done.err


def test_commands_without_the_option_name_another_way(oncotrack, study, one_ct, tmp_path):
    assert [volume.metadata["description"] for volume in read_cts([one_ct])] == [SOFT]
    done = oncotrack("bench", "phantom", "--real", study, "--out", tmp_path / "out")
    assert done.code == 2 and "--series" not in done.err
    assert done.err.endswith("Here, give the path of one of its files instead of the folder.\n")
    (volume,) = read_cts([next((study / "b").iterdir())])
    assert volume.metadata["description"] == LUNG


def test_scripts_list_once_and_load_several(study):
    listed = load_study(study)
    soft, fdg = load(listed, 1), load(listed, modality="PT")
    assert soft.metadata["description"] == SOFT and fdg.metadata["description"] == FDG
