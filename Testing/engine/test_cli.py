"""The command line, as scripts and people use it.

Most tests run `main` in this process, with the arguments in ``sys.argv``. Clean standard output, the exit codes and Ctrl+C
are tested in processes of their own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from typer.main import get_command

from oncotrack.background import isolation
from oncotrack.cli.app import app
from oncotrack.cli.commands import COMMANDS, GROUPS, RENAMED, option_hint, overview
from oncotrack.cli.output import program
from oncotrack.cli.results import FOLLOWUP
from oncotrack.errors import InputError
from oncotrack.findings.finding_list import FindingList
from oncotrack.images.files import load, save
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.phantom.dicom_series import write_series

LEAVES = [(group, name) for group, names in COMMANDS.items() for name in names if name not in GROUPS]


def process(*arguments, **settings) -> subprocess.CompletedProcess:
    """Run a command in a process of its own."""
    command = [sys.executable, "-m", "oncotrack", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **settings)


@dataclass
class Scans:
    """Files of two scans that differ by a known motion, and points (N, 3) of both, RAS mm."""

    baseline: Path
    followup: Path
    points: np.ndarray
    truths: np.ndarray


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Scans:
    """Write two scans of a textured ellipsoid of water in air; the follow-up is shifted and deformed by up to 10 mm."""
    geometry = Geometry((72, 64, 36), (3.0, 3.0, 4.0), (-100.0, -90.0, -70.0))
    shift, bent = np.array([6.0, -5.0, 4.0]), np.array([0.0, 10.0, 0.0])
    rng = np.random.default_rng(5)
    texture = ndimage.gaussian_filter(rng.normal(size=geometry.shape), 1.2)
    k, j, i = np.indices(geometry.shape)
    centres = np.stack([i, j, k], -1) - (np.array(geometry.size) - 1) / 2
    body = (centres**2 / (np.array(geometry.size) * 0.42) ** 2).sum(-1) < 1
    array = np.where(body, 40 + 60 * texture / texture.std(), -1000).astype(np.float32)

    def to_baseline(ras: np.ndarray) -> np.ndarray:
        weight = np.exp(-((ras - geometry.centre) ** 2).sum(-1, keepdims=True) / (2 * 45.0**2))
        return ras - shift - bent * weight

    ijk = geometry.to_ijk(to_baseline(geometry.to_ras(np.stack([i, j, k], -1).reshape(-1, 3))))
    moved = ndimage.map_coordinates(array, ijk[:, ::-1].T, order=1, cval=-1000).reshape(array.shape)
    moved += rng.normal(0, 5, moved.shape)
    truths = geometry.centre + shift + np.array([[0, 0, 0], [25, 10, 8], [-20, 15, -12]])
    folder = tmp_path_factory.mktemp("scans")
    return Scans(
        save(Volume(array.astype(np.int16), geometry), folder / "baseline.nii.gz"),
        save(Volume(moved.astype(np.int16), geometry), folder / "followup.nrrd"),
        to_baseline(truths),
        truths,
    )


def pair(scans: Scans) -> tuple[Path, Path]:
    return scans.baseline, scans.followup


# follow


def test_follow_prints_one_json_object_and_nothing_else(scans, tmp_path):
    arguments = ("--radius", 8, "--method", "selfsim", "--json", "-")
    done = process("follow", *pair(scans), "--at", *scans.points[0], *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["position_ras"] == answer["match_ras"] and answer["expected_ras"] == answer["affine_ras"]
    assert {"found", "match_ras", "affine_ras", "score", "cycle_error_mm", "alternatives", "seconds"} <= set(answer)
    assert set(answer["seconds"]) == {"load", "register", "match"}
    assert answer["found"]
    assert np.linalg.norm(np.subtract(answer["match_ras"], scans.truths[0])) < 2
    assert all(set(other) == {"position_ras", "match_ras", "score"} for other in answer["alternatives"])
    assert not list(tmp_path.iterdir()), "without --out no file is written"


def test_follow_writes_findings_a_report_and_a_scene(oncotrack, scans, tmp_path):
    files = ("--out", tmp_path / "out", "--json", tmp_path / "match.json")
    done = oncotrack("follow", *pair(scans), "--at", *scans.points[1], "--method", "affine", *files)
    assert done.code == 0, done.err
    answer = json.loads((tmp_path / "match.json").read_text())
    (finding,) = FindingList.open(tmp_path / "out" / "findings.json")
    assert np.allclose(finding.at(FOLLOWUP).centre, answer["match_ras"])
    assert (tmp_path / "out" / "scene.mrb").stat().st_size > 1000
    assert "data:image/png" in (tmp_path / "out" / "report.html").read_text()
    for head in ("Position in follow-up", "Position from registration alone", "Reverse check", "off (good below 5)"):
        assert head in done.out
    assert str(tmp_path / "match.json") in done.err.replace("\n", "")


def test_more_than_two_scans_are_matched_one_after_the_other(oncotrack, scans, tmp_path):
    arguments = ("--at", *scans.points[0], "--method", "affine", "--json", "-", "--out", tmp_path)
    done = oncotrack("follow", *pair(scans), scans.baseline, *arguments)
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    steps = [(visit["visit"], visit["from"], visit["found"]) for visit in answer["visits"]]
    assert steps == [(1, 0, True), (2, 1, True)]
    assert answer["match_ras"] == answer["visits"][1]["match_ras"]
    assert np.linalg.norm(np.subtract(answer["match_ras"], scans.points[0])) < 6, (
        "the third scan is the first one again"
    )
    (finding,) = FindingList.open(tmp_path / "findings.json")
    assert set(finding.observations) == {"t0", "t1", "t2"}
    assert "<th>follow-up 2" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "scene.mrb").stat().st_size > 1000
    done = oncotrack("follow", scans.baseline, "--at", *scans.points[0])
    assert (done.code, "One scan is not enough" in done.err) == (2, True)


# errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--at", 5000, 0, 0), "lies outside baseline.nii.gz"),
        (("--at", 0, 0, 0, "--method", "magic"), 'no follow-up method "magic"'),
        (("--at", 0, 0, 0, "--radius", -3), "lesion radius of -3 mm is not plausible"),
    ],
)
def test_bad_options_get_a_message_and_exit_2(oncotrack, scans, arguments, message):
    done = oncotrack("follow", *pair(scans), *arguments)
    assert done.code == 2
    assert message in done.err
    assert done.out == ""


def test_a_missing_scan_gets_one_line_and_exit_2_in_a_process(scans, tmp_path):
    done = process("follow", tmp_path / "none.nii", scans.followup, "--at", 0, 0, 0, "--method", "affine")
    assert (done.returncode, done.stdout) == (2, "")
    assert "does not exist" in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("oncotrack: ")


def test_an_unwritable_output_gets_a_message(oncotrack, scans, tmp_path):
    (tmp_path / "file").write_text("x")
    arguments = ("--method", "affine", "--json", tmp_path / "file" / "match.json")
    done = oncotrack("follow", *pair(scans), "--at", *scans.points[0], *arguments)
    assert (done.code, "cannot be written" in done.err) == (2, True)


@pytest.mark.parametrize("command", [("detect",), ("train", "mr"), ("bench", "phantom")])
def test_a_file_in_place_of_the_results_folder_is_reported_at_once(oncotrack, command, scans):
    done = oncotrack(*command, *pair(scans)[: command == ("detect",)], "--out", scans.baseline)
    assert (done.code, "is a file" in done.err) == (2, True), done.err


@pytest.mark.parametrize(("option", "message"), [("device", "no device"), ("method", "no detector")])
def test_an_error_that_names_a_parameter_ends_with_the_option_to_use(oncotrack, scans, option, message):
    done = oncotrack("detect", scans.baseline, f"--{option}", "abacus")
    assert done.code == 2
    assert f'{message} "abacus"' in done.err and done.err.endswith(f"Use the option --{option}.\n")


def test_the_hint_names_the_option_as_it_is_spelled_on_the_command_line():
    assert option_hint(InputError("Wrong.", parameter="learning_rate")) == " Use the option --learning-rate."
    assert option_hint(InputError("Wrong.", parameter="part")) == " Use the option --stage."
    assert option_hint(InputError("Wrong.")) == ""


@pytest.mark.parametrize("command", [("phantom",), ("train", "mr")])
@pytest.mark.parametrize("seed", ["-1", "99999999999999999999"])
def test_a_seed_out_of_its_range_is_refused_before_anything_is_written(oncotrack, command, seed, tmp_path):
    done = oncotrack(*command, "--seed", seed, "--out", tmp_path / "out")
    assert (done.code, "--seed" in done.err, (tmp_path / "out").exists()) == (2, True, False), done.err


def test_a_name_that_no_disk_can_hold_gets_a_message(oncotrack, scans, tmp_path):
    long = tmp_path / ("n" * 300 + ".nii")
    for arguments, words in (
        (("series", long), "has 304 characters"),
        (
            ("follow", *pair(scans), "--at", *scans.points[0], "--method", "affine", "--json", long),
            "longer than a disk allows",
        ),
    ):
        done = oncotrack(*arguments)
        assert done.code == 2 and words in done.err, done.err


def test_commands_read_scans_in_a_helper_process_unless_told_otherwise(oncotrack, scans, monkeypatch):
    monkeypatch.setenv(isolation.SWITCH, "")
    assert "holds one image" in oncotrack("series", scans.baseline).err and isolation.is_isolated()
    assert "holds one image" in oncotrack("--unsafe-in-process", "series", scans.baseline).err
    assert not isolation.is_isolated()


def test_ctrl_c_ends_with_one_line_and_exit_130():
    code = """
import signal, sys, time
import oncotrack.samples
from oncotrack.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and their children too

def wait():
    print("waiting", flush=True)
    time.sleep(60)

oncotrack.samples.catalogue = wait
sys.argv = ["oncotrack", "samples"]
main()
"""
    running = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout.readline() == "waiting\n"
    running.send_signal(signal.SIGINT)
    _out, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "stopped by Ctrl+C" in err and "Traceback" not in err


# detect


@pytest.fixture(scope="module")
def mr(tmp_path_factory) -> Path:
    """Write a DICOM series of MR: a textured ellipsoid on eight slices."""
    geometry = Geometry((64, 64, 8), (3.0, 3.0, 5.0))
    _k, j, i = np.indices(geometry.shape)
    body = (i - 32) ** 2 / 26**2 + (j - 32) ** 2 / 20**2 < 1
    texture = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=geometry.shape), 1.5)
    array = np.where(body, 300 + 400 * texture, 5).clip(0).astype(np.float32)
    folder = tmp_path_factory.mktemp("mr") / "series"
    write_series(Volume(array, geometry, "made", "MR"), folder, patient="MADE", visit=0)
    return folder


def test_detect_chooses_the_mr_detector_for_an_mr_and_prints_which(oncotrack, mr):
    assert load(mr).modality == "MR"
    done = oncotrack("detect", mr, "--device", "cpu", "--json", "-")
    assert done.code == 0, done.err
    assert json.loads(done.out)["method"].split()[0] == "mr"
    done = oncotrack("detect", mr, "--device", "cpu")
    assert re.search(r"Method +mr.*the default for MR", done.out), done.out
    done = oncotrack("detect", mr, "--device", "cpu", "--method", "lntracker")
    assert done.code == 2 and done.out == "", "a method that is named is used"


@pytest.mark.real
def test_detect_chooses_the_mr_detector_for_a_real_mr(oncotrack, shared_data, tmp_path):
    archives = sorted((shared_data / "cmb_crc_mr").glob("*.tar.xz"))
    if not archives:
        pytest.skip("the real MR is not here")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(tmp_path, filter="data")
    by_folder: dict[Path, list[Path]] = {}
    for file in sorted(tmp_path.rglob("*.dcm")):
        by_folder.setdefault(file.parent, []).append(file)
    series = max(by_folder.values(), key=len)
    few = tmp_path / "few"
    few.mkdir()
    for file in _neighbours(series, 5):
        shutil.copy(file, few)
    done = oncotrack("detect", few, "--device", "cpu", "--json", "-")
    assert done.code == 0, done.err
    assert json.loads(done.out)["method"].split()[0] == "mr"


def _neighbours(files: list[Path], count: int) -> list[Path]:
    """Return some files of neighbouring slices from the middle of a series."""
    import pydicom

    def height(file: Path) -> float:
        return float(pydicom.dcmread(file, stop_before_pixels=True).ImagePositionPatient[2])

    ordered = sorted(files, key=height)
    first = (len(ordered) - count) // 2
    return ordered[first : first + count]


# evaluate landmarks


def test_landmarks_are_evaluated_from_elastix_files_of_both_kinds(oncotrack, scans, tmp_path):
    indices = load(scans.baseline).geometry.to_ijk(scans.points)
    truths = scans.truths * [-1, -1, 1]
    for name, kind, points in (("a.txt", "index", indices), ("b.txt", "point", truths)):
        (tmp_path / name).write_text("\n".join([kind, "3", *(" ".join(map(str, p)) for p in points)]) + "\n")
    arguments = ("evaluate", "landmarks", *pair(scans), tmp_path / "a.txt", tmp_path / "b.txt")
    done = oncotrack(*arguments, "--method", "selfsim", "--json", "-")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert {"mean_mm", "median_mm", "max_mm", "per_point_mm", "seconds_register", "seconds_per_point"} <= set(result)
    assert len(result["per_point_mm"]) == 3
    assert result["mean_mm"] == pytest.approx(np.mean(result["per_point_mm"]))
    assert result["mean_mm"] < 2
    affine = json.loads(oncotrack(*arguments, "--method", "affine", "--json", "-").out)
    assert affine["mean_mm"] > result["mean_mm"]
    (tmp_path / "b.txt").write_text("point\n4\n1 2 3\n")
    done = oncotrack(*arguments)
    assert (done.code, "announces 4 points but holds 1" in done.err) == (2, True)


@pytest.mark.real
def test_landmarks_of_the_real_pair(oncotrack, shared_data):
    folder = shared_data / "elastix_lung_pair"
    files = [folder / f"3DCT_lung_{name}" for name in ("baseline.mha", "followup.mha", "baseline.txt", "followup.txt")]
    result = json.loads(oncotrack("evaluate", "landmarks", *files, "--json", "-").out)
    assert result["mean_mm"] <= 2.0
    assert len(result["per_point_mm"]) == 10


# demo


@pytest.mark.real
def test_demo_on_the_real_pair(oncotrack, tmp_path, shared_data, monkeypatch):
    monkeypatch.setenv("ONCOTRACK_SAMPLES", str(shared_data))
    done = oncotrack("demo", "--out", tmp_path / "demo")
    assert done.code == 0, done.err
    assert "Real data" in done.err


# info, samples, help


def test_info_and_samples_print_their_results(oncotrack):
    assert "selfsim" in oncotrack("info").out
    assert json.loads(oncotrack("info", "selfsim", "--json", "-").out)["method"] == "selfsim"
    assert "lung-pair" in json.loads(oncotrack("samples", "--json", "-").out)
    done = oncotrack("info", "nothing")
    assert (done.code, "Choose one of" in done.err) == (2, True)


def test_version_and_unknown_commands(oncotrack):
    from oncotrack import __version__

    assert oncotrack("--version").out.strip() == __version__
    done = oncotrack("fellow")
    assert (done.code, "No such command 'fellow'" in done.err) == (2, True)
    done = oncotrack()
    assert (done.code, overview("oncotrack").strip() in done.out + done.err) == (2, True)


def test_without_typer_a_command_names_what_to_install(oncotrack, monkeypatch):
    monkeypatch.setitem(sys.modules, "typer", None)
    done = oncotrack("info")
    assert (done.code, 'pip install "oncotrack[cli]"' in done.err) == (2, True)


@pytest.mark.parametrize("group", GROUPS)
def test_the_help_of_a_group_lists_its_commands_on_lines_of_a_terminal(oncotrack, group):
    done = oncotrack(*[group][: group != "oncotrack"], "--help")
    assert (done.code, done.out) == (0, overview(group))
    assert all(f"  {name} " in done.out and line in done.out for name, line in COMMANDS[group].items())
    assert all(len(line) < 80 for line in done.out.splitlines())


@pytest.mark.parametrize(("group", "name"), LEAVES, ids=lambda word: word)
def test_the_help_of_a_command_begins_with_its_line_in_the_overview(group, name):
    tree = get_command(app)
    tree = tree if group == "oncotrack" else tree.get_command(None, group)
    command = tree.get_command(None, name)
    assert command.help.splitlines()[0] == COMMANDS[group][name]
    assert all(getattr(parameter, "help", "") for parameter in command.params), "every option has a help text"


def test_two_weights_of_the_same_name_are_refused():
    with pytest.raises(InputError, match="Two weights are called best"):
        app(["evaluate", "detector", "--weights", "a/best.pt", "--weights", "b/best.pt"], standalone_mode=False)


@pytest.mark.parametrize(
    ("arguments", "parameter", "value"),
    [
        (("train", "lntracker", "--out", "x", "--part", "queries"), "stage", "queries"),
        (("train", "unet", "--out", "x", "--insert=a.nii"), "insert", [Path("a.nii")]),
        (
            ("evaluate", "detector", "--insert", "a.nii", "--insert-into", "b.nii"),
            "insert",
            [Path("a.nii"), Path("b.nii")],
        ),
        (("evaluate", "masks", "--wobble=1.5"), "jitter", 1.5),
    ],
)
def test_earlier_names_of_options_are_accepted_and_not_shown(arguments, parameter, value):
    group, name, *rest = arguments
    command = get_command(app).get_command(None, group).get_command(None, name)
    context = command.make_context(name, list(rest))
    assert context.params[parameter] == value
    assert not set(re.findall(r"--[\w-]+", command.get_help(context))) & set(RENAMED)


def test_help_imports_no_heavy_library_and_the_overview_not_even_typer():
    code = """
import sys
from oncotrack.cli import main
def heavy(): return [m for m in ("torch", "numpy", "SimpleITK", "itk", "vtk", "rich", "nibabel") if m in sys.modules]
sys.argv = ["oncotrack", "--help"]
main()
print("typer" in sys.modules, heavy())
sys.argv = ["oncotrack", "follow", "--help"]
try:
    main()
except SystemExit:
    print(heavy())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "False []" in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_program_is_called_by_the_command_beside_the_interpreter(tmp_path, monkeypatch):
    beside, elsewhere = tmp_path / "my env" / "bin", tmp_path / "bin"
    for folder in (beside, elsewhere):
        folder.mkdir(parents=True)
        (folder / "oncotrack").write_text("#!/bin/sh\n")
        (folder / "oncotrack").chmod(0o755)
    monkeypatch.setattr("sys.executable", str(beside / "python"))
    monkeypatch.setenv("PATH", str(elsewhere))
    assert program() == f'"{beside / "oncotrack"}"', "not another installation's"
    monkeypatch.setenv("PATH", str(beside))
    assert program() == "oncotrack"
    (beside / "oncotrack").unlink()
    assert program() == f"{beside / 'python'} -m oncotrack"
    monkeypatch.setenv("PATH", str(elsewhere))
    assert program() == "oncotrack"


def test_the_package_is_a_program():
    done = process("--help", env={**os.environ, "COLUMNS": "200"})
    assert (done.returncode, done.stdout, done.stderr) == (0, overview("oncotrack"), "")
