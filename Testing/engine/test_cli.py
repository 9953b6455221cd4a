"""The command line as scripts and people use it, in processes of its own."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from oncotrack.cli.results import FOLLOWUP
from oncotrack.findings.finding_list import FindingList
from oncotrack.images.files import load, save


def oncotrack(*arguments, **environment):
    command = [sys.executable, "-c", "from oncotrack.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=300)


@pytest.fixture(scope="module")
def scans(known_pair, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    return save(known_pair.baseline, folder / "baseline.nii.gz"), save(known_pair.followup, folder / "followup.nrrd")


def test_follow_prints_one_json_object_and_nothing_else(known_pair, scans):
    centre, radius = known_pair.lesions[0]
    done = oncotrack("follow", *scans, "--at", *centre, "--radius", radius, "--json", "-")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert {"found", "match_ras", "affine_ras", "score", "cycle_error_mm", "alternatives", "seconds"} <= set(answer)
    assert set(answer["seconds"]) == {"load", "register", "match"}
    assert answer["found"]
    assert np.linalg.norm(np.subtract(answer["match_ras"], known_pair.truth(centre))) < 2
    assert all(set(other) == {"match_ras", "score"} for other in answer["alternatives"])


def test_follow_writes_findings_a_report_and_a_scene(known_pair, scans, tmp_path):
    centre, _ = known_pair.lesions[1]
    done = oncotrack("follow", *scans, "--at", *centre, "--out", tmp_path / "out", "--json", tmp_path / "match.json")
    assert done.returncode == 0, done.stderr
    answer = json.loads((tmp_path / "match.json").read_text())
    (finding,) = FindingList.open(tmp_path / "out" / "findings.json")
    assert np.allclose(finding.at(FOLLOWUP).centre, answer["match_ras"])
    assert (tmp_path / "out" / "scene.mrb").stat().st_size > 1000
    assert "data:image/png" in (tmp_path / "out" / "report.html").read_text()
    assert "Match" in done.stdout


def test_more_than_two_scans_are_followed_through(known_pair, scans, tmp_path):
    centre, _ = known_pair.lesions[0]
    arguments = ("--at", *centre, "--method", "affine", "--json", "-", "--out", tmp_path)
    done = oncotrack("follow", *scans, scans[0], *arguments)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [(visit["visit"], visit["from"], visit["found"]) for visit in answer["visits"]] == [
        (1, 0, True),
        (2, 1, True),
    ]
    assert answer["match_ras"] == answer["visits"][1]["match_ras"]
    assert np.linalg.norm(np.subtract(answer["match_ras"], centre)) < 6, "the third scan is the first one again"
    (finding,) = FindingList.open(tmp_path / "findings.json")
    assert set(finding.observations) == {"t0", "t1", "t2"}
    assert "<th>follow-up 2" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "scene.mrb").stat().st_size > 1000
    done = oncotrack("follow", scans[0], "--at", *centre)
    assert (done.returncode, "One scan is not enough" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--at", 5000, 0, 0), "lies outside baseline.nii.gz"),
        (("--at", 0, 0, 0, "--method", "magic"), 'no follow-up method "magic"'),
        (("--at", 0, 0, 0, "--radius", -3), "lesion radius of -3 mm is not plausible"),
    ],
)
def test_bad_options_get_a_sentence_and_exit_2(scans, arguments, sentence):
    done = oncotrack("follow", *scans, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_scan_and_an_unwritable_output_get_a_sentence(scans, tmp_path):
    done = oncotrack("follow", tmp_path / "none.nii", scans[1], "--at", 0, 0, 0)
    assert (done.returncode, "does not exist" in done.stderr) == (2, True)
    (tmp_path / "file").write_text("x")
    done = oncotrack("follow", *scans, "--at", 0, 0, 0, "--json", tmp_path / "file" / "match.json")
    assert (done.returncode, "cannot be written" in done.stderr) == (2, True)


def test_landmarks_are_evaluated_from_elastix_files_of_both_kinds(known_pair, scans, tmp_path):
    centres = np.array([centre for centre, _ in known_pair.lesions[:3]])
    indices = load(scans[0]).geometry.to_ijk(centres)
    truths = known_pair.motion.to_followup(centres) * [-1, -1, 1]
    lines = ["index", "3", *(" ".join(map(str, p)) for p in indices)]
    (tmp_path / "a.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "b.txt").write_text("\n".join(["point", "3", *(" ".join(map(str, p)) for p in truths)]) + "\n")
    arguments = ("evaluate", "landmarks", *scans, tmp_path / "a.txt", tmp_path / "b.txt")
    done = oncotrack(*arguments, "--json", "-")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {"mean_mm", "median_mm", "max_mm", "per_point_mm", "seconds_register", "seconds_per_point"} <= set(result)
    assert len(result["per_point_mm"]) == 3
    assert result["mean_mm"] == pytest.approx(np.mean(result["per_point_mm"]))
    assert result["mean_mm"] < 2
    affine = json.loads(oncotrack(*arguments, "--method", "affine", "--json", "-").stdout)
    assert affine["mean_mm"] > result["mean_mm"]
    (tmp_path / "b.txt").write_text("point\n4\n1 2 3\n")
    done = oncotrack(*arguments)
    assert (done.returncode, "announces 4 points and holds 1" in done.stderr) == (2, True)


def test_demo_without_any_data_uses_the_synthetic_patient(tmp_path):
    done = oncotrack("demo", "--out", tmp_path / "demo", ONCOTRACK_SAMPLES=str(tmp_path), XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == ["findings.json", "report.html", "scene.mrb"]
    assert "Synthetic patient" in done.stderr
    page = (tmp_path / "demo" / "report.html").read_text()
    assert page.count("<section>") == len(FindingList.open(tmp_path / "demo" / "findings.json")) >= 3
    assert "http" not in re.sub(r'data:image/png;base64,[^"]*', "", page), "it needs no network"


@pytest.mark.real
def test_demo_on_the_real_pair(tmp_path, shared_data):
    done = oncotrack("demo", "--out", tmp_path / "demo", ONCOTRACK_SAMPLES=str(shared_data))
    assert done.returncode == 0, done.stderr
    assert "Real data" in done.stderr


@pytest.mark.real
def test_landmarks_of_the_real_pair(shared_data):
    folder = shared_data / "elastix_lung_pair"
    files = [folder / f"3DCT_lung_{name}" for name in ("baseline.mha", "followup.mha", "baseline.txt", "followup.txt")]
    result = json.loads(oncotrack("evaluate", "landmarks", *files, "--json", "-").stdout)
    assert result["mean_mm"] <= 2.0
    assert len(result["per_point_mm"]) == 10


@pytest.mark.parametrize("command", [("detect",), ("train", "mr"), ("bench", "phantom")])
def test_a_file_in_the_place_of_the_folder_for_results_is_told_at_once(command, scans):
    done = oncotrack(*command, *scans[: command == ("detect",)], "--out", scans[0])
    assert (done.returncode, "is a file" in done.stderr) == (2, True), done.stderr


def test_info_and_samples_answer():
    assert "selfsim" in oncotrack("info").stdout
    assert json.loads(oncotrack("info", "selfsim", "--json", "-").stdout)["method"] == "selfsim"
    assert "lung-pair" in json.loads(oncotrack("samples", "--json", "-").stdout)
    done = oncotrack("info", "nothing")
    assert (done.returncode, "Choose one of" in done.stderr) == (2, True)


def test_help_loads_no_heavy_library():
    code = "import sys; from oncotrack.cli.app import app; print(*[m for m in ('torch', 'numpy', 'SimpleITK', 'itk', 'vtk') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
