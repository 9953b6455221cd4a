"""Patients of an archive are computed stage by stage: never twice, never lost, and a failing one does not stop the others."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pydicom
import pytest
import stand_in_stages
from interrupted_runs import tables
from pydicom.encaps import encapsulate

from oncotrack.archive.cases import BASE_BYTES, Case, cases_of
from oncotrack.archive.compute import Turns, compute
from oncotrack.archive.entries import write_index
from oncotrack.archive.estimate import estimate
from oncotrack.archive.index import index_archive
from oncotrack.archive.patient_folder import PatientFolder
from oncotrack.archive.plan import JOBS, KeyMaker, Plan
from oncotrack.archive.run import locked, run_archive
from oncotrack.archive.selection import Rules
from oncotrack.archive.tables import TABLES, json_schema, markdown, read_table
from oncotrack.errors import Cancelled, InputError, OutputError
from oncotrack.findings.finding_list import FindingList

REPOSITORY = Path(__file__).resolve().parents[2]
RULES = Rules(least_slices=4)
PLAN = Plan(method="affine")


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    return stand_in_stages.write_cohort(tmp_path_factory.mktemp("archive") / "root", 3)


@pytest.fixture
def cases(scans) -> list[Case]:
    return cases_of(index_archive(scans, RULES, processes=1).entries, scans)


@pytest.fixture
def quick(monkeypatch, tmp_path) -> Path:
    """Use quick stages, and return the file in which they write what they compute."""
    monkeypatch.setenv("ONCOTRACK_TEST_LOG", str(tmp_path / "computed.txt"))
    stand_in_stages.install(monkeypatch.setattr)
    return tmp_path / "computed.txt"


def stages_in(log: Path) -> list[str]:
    """Return the names of the stages that were computed since the last call."""
    names = [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []
    log.unlink(missing_ok=True)
    return names


def test_a_run_gives_findings_matches_measurements_and_responses_of_all_patients(cases, tmp_path, quick):
    summary = run_archive(cases, PLAN, tmp_path / "out")
    assert (summary.computed, summary.failed, summary.known) == (3, 0, 0)
    found = tables(tmp_path / "out")
    assert [row["patient"] for row in found["patients"]] == ["P000", "P001", "P002"]
    assert {name: len(rows) for name, rows in found.items()} == {
        "patients": 3, "findings": 6, "matches": 6, "measurements": 12, "responses": 3, "failures": 0}  # fmt: skip
    sizes = {(row["label"], row["visit"]): row["short_mm"] for row in found["measurements"] if row["patient"] == "P001"}
    assert sizes["LN 1", 0] == pytest.approx(20, abs=3) and sizes["LN 1", 1] == pytest.approx(24, abs=3)
    assert all(row["detected"] and row["found"] for row in found["matches"])
    response = found["responses"][0]
    assert (response["overall"], response["days"]) == ("PD", 1) and response["baseline_percent"] > 20
    patient = tmp_path / "out" / "patients" / "P000" / "findings.json"
    listed = FindingList.open(patient)
    assert [point.label for point in listed.time_points] == ["baseline", "follow-up"]
    assert all(observation.mask for finding in listed for observation in finding.observations.values())
    page = (tmp_path / "out" / "summary.html").read_text()
    assert "Waterfall" in page and "<td>3</tr>" in page


def test_nothing_is_computed_twice_and_a_changed_setting_computes_what_depends_on_it(cases, tmp_path, quick):
    out = tmp_path / "out"
    run_archive(cases, replace(PLAN, jobs=("detect",)), out)
    assert stages_in(quick) == ["detect"] * 6
    run_archive(cases, PLAN, out)
    assert set(stages_in(quick)) == {"follow"}, "detections of the earlier run are used"
    before = tables(out)
    assert run_archive(cases, PLAN, out).known == 3
    assert stages_in(quick) == [] and tables(out) == before
    run_archive(cases, replace(PLAN, criteria="irecist"), out)
    assert stages_in(quick) == [], "other criteria need no image"
    assert {row["overall"] for row in tables(out)["responses"]} == {"iUPD"}
    run_archive(cases, replace(PLAN, method="selfsim"), out)
    assert set(stages_in(quick)) == {"follow"}
    run_archive(cases, replace(PLAN, most=1), out)
    assert stages_in(quick).count("detect") == 6


def test_a_changed_scan_computes_its_patient_again_and_an_old_index_is_refused(scans, tmp_path, quick):
    root = shutil.copytree(scans, tmp_path / "root")
    cases = cases_of(index_archive(root, RULES, processes=1).entries, root)
    out = tmp_path / "out"
    run_archive(cases, PLAN, out)
    stages_in(quick)
    file = next((root / "P001" / "v1").iterdir())
    file.write_bytes(file.read_bytes() + b"\0\0")
    assert run_archive(cases, PLAN, out).known == 3, "results of the index's scans stay"
    shutil.rmtree(out)
    summary = run_archive(cases, PLAN, out)
    assert (summary.computed, summary.failed) == (2, 1)
    (failure,) = read_table(out, "failures")
    assert failure["patient"] == "P001" and "have changed since the index was made" in failure["reason"]


def test_a_truncated_series_is_left_out_with_a_reason(scans, tmp_path, quick):
    root = shutil.copytree(scans, tmp_path / "root")
    file = sorted((root / "P000" / "v1").iterdir())[5]
    file.write_bytes(file.read_bytes()[:-200])
    entries = index_archive(root, RULES, processes=1).entries
    (left_out,) = [each for each in entries if not each.is_read]
    assert left_out.patient == "P000" and left_out.reason.endswith(".")
    assert run_archive(cases_of(entries, root), PLAN, tmp_path / "out").computed == 3


def test_a_corrupt_series_is_one_sentence_and_stops_nobody(scans, tmp_path, quick):
    root = shutil.copytree(scans, tmp_path / "root")
    file = sorted((root / "P000" / "v1").iterdir())[5]
    slice_of = pydicom.dcmread(file)
    slice_of.compress(pydicom.uid.RLELossless)
    slice_of.PixelData = encapsulate([b"\xff" * 1000])
    slice_of.save_as(file)  # headers do not show it
    summary = run_archive(cases_of(index_archive(root, RULES, processes=1).entries, root), PLAN, tmp_path / "out")
    assert (summary.computed, summary.failed) == (2, 1)
    (failure,) = read_table(tmp_path / "out", "failures")
    assert (failure["patient"], failure["stage"]) == ("P000", "read")
    assert failure["reason"].endswith(".") and "\n" not in failure["reason"]


def test_a_patient_that_failed_is_tried_again_and_leaves_the_table_of_failures(cases, tmp_path, quick, monkeypatch):
    out = tmp_path / "out"

    def broken(*_arguments, **_options):
        raise InputError("The scans could not be aligned.")

    with monkeypatch.context() as context:
        context.setattr("oncotrack.archive.stages.follow_chains", broken)
        summary = run_archive(cases, PLAN, out)
    assert summary.failed == 3 and summary.reasons == {"The scans could not be aligned.": 3}
    assert {row["stage"] for row in read_table(out, "failures")} == {"follow"}
    assert "could not be aligned" in (out / "summary.html").read_text()
    stages_in(quick)
    assert run_archive(cases, PLAN, out).computed == 3
    assert "detect" not in stages_in(quick), "what was written before the failure is used"
    assert read_table(out, "failures") == []


def test_an_error_of_the_program_is_a_failure_too(cases, tmp_path, quick, monkeypatch):
    monkeypatch.setattr("oncotrack.archive.stages.measure", lambda *_arguments: 1 / 0)
    assert run_archive(cases[:1], PLAN, tmp_path / "out").failed == 1
    assert "ZeroDivisionError" in read_table(tmp_path / "out", "failures")[0]["reason"]


def test_a_patient_too_large_for_the_memory_is_one_sentence(cases, tmp_path, quick):
    turns = Turns(BASE_BYTES + cases[0].bytes // 2)
    (tmp_path / "out").mkdir()
    outcome = compute(cases[0], PLAN, KeyMaker(PLAN).keys(cases[0]), tmp_path / "out", turns)
    assert "need about" in outcome.problem and "Use fewer workers" in outcome.problem
    assert stages_in(quick) == []


def test_a_full_disk_ends_the_run_with_a_sentence_and_a_later_run_continues(cases, tmp_path, quick, monkeypatch):
    import errno

    original, written = Path.write_text, []

    def full(path, *arguments, **options):
        written.append(path)
        if len(written) > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(path, *arguments, **options)

    with monkeypatch.context() as context:
        context.setattr(Path, "write_text", full)
        with pytest.raises(OutputError, match="is full"):
            run_archive(cases, PLAN, tmp_path / "out")
    assert not list((tmp_path / "out").rglob(".oncotrack-*")), "no temporary file stays"
    assert run_archive(cases, PLAN, tmp_path / "out").failed == 0
    undisturbed = tmp_path / "undisturbed"
    run_archive(cases, PLAN, undisturbed)
    assert tables(tmp_path / "out") == tables(undisturbed)


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """Mount a disk of 128 KiB, which only the administrator of a Linux system can."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("A small disk cannot be mounted here.")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_small_disk_that_is_really_full_keeps_what_was_computed(cases, tmp_path, quick, small_disk):
    with pytest.raises(OutputError, match="is full"):
        run_archive(cases, PLAN, small_disk / "out")
    assert not list(small_disk.rglob(".oncotrack-*")), "no temporary file stays"
    for path in small_disk.rglob("*.json"):
        json.loads(path.read_text())
    computed = stages_in(quick)
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert run_archive(cases, PLAN, small_disk / "out").failed == 0
    assert "detect" in computed and len(stages_in(quick)) < 3 * 4, "what was written is not computed again"
    run_archive(cases, PLAN, tmp_path / "undisturbed")
    assert tables(small_disk / "out") == tables(tmp_path / "undisturbed")


def test_a_cancelled_patient_keeps_what_was_written(cases, tmp_path, quick):
    (tmp_path / "out").mkdir()
    keys = KeyMaker(PLAN).keys(cases[0])

    def cancelling(_fraction, text):
        if text.startswith("Measuring"):
            raise Cancelled

    with pytest.raises(Cancelled):
        compute(cases[0], PLAN, keys, tmp_path / "out", progress=cancelling)
    stages_in(quick)
    assert compute(cases[0], PLAN, keys, tmp_path / "out").problem == ""
    assert stages_in(quick) == []


def test_jobs_are_the_first_ones_and_every_setting_is_known():
    for jobs in ((), ("follow",), ("detect", "measure"), ("detect", "detect")):
        with pytest.raises(InputError, match="each uses the result of the one before"):
            Plan(jobs=jobs)
    for setting in ({"detector": "petct"}, {"method": "guess"}, {"criteria": "who"}):
        with pytest.raises(InputError, match="Choose one of"):
            Plan(**setting)
    assert Plan().jobs == JOBS


def test_names_of_folders_are_kept_apart():
    def folder(patient: str) -> str:
        return Case(patient, Path("/"), ()).folder

    assert folder("P001") == "P001"
    odd = ["p001", "P/001", "P 001", "", "..", "x" * 300, "Jöhn"]
    names = [folder(each) for each in odd]
    assert len({name.casefold() for name in [*names, "P001"]}) == len(odd) + 1
    assert all(len(name) < 60 and "/" not in name and not name.startswith(".") for name in names)


def test_two_runs_do_not_write_into_one_folder(cases, tmp_path, quick):
    (tmp_path / "out").mkdir()
    with locked(tmp_path / "out"), pytest.raises(OutputError, match="Another run is writing"):
        run_archive(cases, PLAN, tmp_path / "out")


def test_the_tables_are_those_of_the_schema(cases, tmp_path, quick):
    run_archive(cases[:1], PLAN, tmp_path / "out")
    schema = json.loads((tmp_path / "out" / "tables.schema.json").read_text())
    assert schema == json_schema()
    kinds = {"string": str, "number": (int, float), "integer": int, "boolean": bool}
    for name in TABLES:
        known = schema["$defs"][name]["properties"]
        written = pyarrow.parquet.read_table(tmp_path / "out" / f"{name}.parquet")
        assert written.column_names == list(known)
        for row in written.to_pylist():
            for column, value in row.items():
                kind = known[column]["type"]
                assert (value is None and "null" in kind) or isinstance(value, kinds[kind if isinstance(kind, str) else kind[0]])  # fmt: skip


def test_the_documents_hold_the_schema():
    assert markdown() in (REPOSITORY / "docs" / "archive.md").read_text(encoding="utf-8")
    assert json.loads((REPOSITORY / "docs" / "archive_tables.schema.json").read_text()) == json_schema()


def test_a_dry_run_says_what_is_missing_and_how_long_it_takes(cases, tmp_path, quick):
    out = tmp_path / "out"
    found = estimate(cases, PLAN, out, workers=2, sample=1)
    assert not out.exists()
    assert (found.patients, found.known, found.scans, found.measured) == (3, 0, 6, 1)
    assert found.stages == {"detect": 6, "follow": 3, "measure": 3, "respond": 3}
    assert 0 < found.seconds <= 3 * found.seconds_per_patient
    run_archive(cases, replace(PLAN, jobs=("detect", "follow")), out)
    stages_in(quick)
    found = estimate(cases, PLAN, out, workers=2, sample=1)
    assert found.stages == {"detect": 0, "follow": 0, "measure": 3, "respond": 3} and found.measured == 3
    assert stages_in(quick) == [], "the time is taken from the patients of the earlier run"


def test_the_command_runs_an_index(oncotrack, scans, tmp_path, quick):
    index = write_index(tmp_path / "index.parquet", list(index_archive(scans, RULES, processes=1).entries), scans)
    command = ("archive", "run", index, "--out", tmp_path / "out", "--workers", "0", "--method", "affine")
    dry = oncotrack(*command, "--dry-run", "--sample", "1", "--json", "-")
    assert (dry.code, json.loads(dry.out)["patients"]) == (0, 3)
    done = oncotrack(*command, "--patient", "P001", "--json", "-")
    assert (done.code, json.loads(done.out)["computed"]) == (0, 1), done.err
    done = oncotrack(*command)
    assert "2 computed, 0 failed, 1 done before" in done.out and "patients.parquet" in done.err
    wrong = oncotrack(*command, "--patient", "P9")
    assert (wrong.code, "has no patient P9 to read" in wrong.err) == (2, True)


def test_dicom_objects_are_written_once_and_sent_once(cases, tmp_path, quick):
    from oncotrack.archive.sending import send_results
    from oncotrack.pacs.outbox import Outbox

    class Recording:
        name, taken = "PACS", ()

        def send(self, path):
            self.taken = (*self.taken, path.stem)

    plan, out, archive = replace(PLAN, reports=True, segmentations=True), tmp_path / "out", Recording()
    run_archive(cases[:1], plan, out)
    (folder,) = PatientFolder(out, cases[0]).dicom.iterdir()
    names = sorted(path.name.partition("-")[0] for path in folder.iterdir())
    assert names.count("seg") >= 2 and names.count("sr") >= 2
    box = Outbox("PACS", tmp_path / "outbox")
    assert send_results(cases[:1], plan, out, archive, outbox=box).sent == len(names)
    assert run_archive(cases[:1], plan, out).known == 1
    assert send_results(cases[:1], plan, out, archive, outbox=box).sent == 0
    assert len(set(archive.taken)) == len(names)
