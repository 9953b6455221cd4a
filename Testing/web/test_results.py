"""Results of one session are safe from the next one, from a second server, and from a damaged file."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oncotrack.errors import OutputError
from oncotrack.findings.finding import Observation, State, TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.web import record as record_module
from oncotrack.web.autosave import Autosave
from oncotrack.web.record import Record
from oncotrack.web.results import Results, folder_name


def a_list(*labels: str) -> FindingList:
    """Return a list with unsaved findings of these labels."""
    findings = FindingList([TimePoint("t0", "baseline")])
    for label in labels:
        findings.add("t0", Observation(centre=(1, 2, 3), state=State.ACCEPTED), label=label)
    return findings


def scan(name: str = "ct", value: int = 1, **metadata: str) -> Volume:
    """Return a small scan."""
    array = np.full((3, 4, 5), value, np.int16)
    return Volume(array, Geometry((5, 4, 3), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0)), name, "CT", metadata)


@pytest.fixture
def results(tmp_path):
    """Yield a function that starts a session on the same folder, each after the one before has ended."""
    used = []

    def start() -> Results:
        if used:
            used[-1].close()
        used.append(Results(tmp_path / "out"))
        return used[-1]

    yield start
    used[-1].close()


def test_a_new_session_keeps_the_files_of_the_one_before(results):
    first = a_list("of the first session")
    first.save(results().folder / "findings.json")
    second = results()
    for label in ("second", "second again"):
        second.add_saved([a_list(label).save(second.folder / "findings.json")])
    kept = [path for path in second.folder.glob("findings.*.json") if path.name != "findings.json"]
    assert [FindingList.open(path).findings[0].label for path in kept] == ["of the first session"]
    assert FindingList.open(second.folder / "findings.json").findings[0].label == "second again"


def test_the_reader_is_told_under_which_name_an_earlier_file_was_kept(results):
    a_list("first").save(results().folder / "findings.json")
    second = results()
    (said,) = second.add_saved([a_list("second").save(second.folder / "findings.json")])
    assert "The earlier findings.json was kept as findings.2" in said
    assert second.add_saved([a_list("third").save(second.folder / "findings.json")]) == []


def test_what_an_earlier_session_saved_is_offered_and_what_this_one_saved_is_not(results):
    path = a_list("first").save(results().folder / "findings.json")
    second = results()
    text, when = second.earlier_findings()
    assert FindingList.from_json(text).findings[0].label == "first" and ":" in when
    second.add_saved([path])
    assert second.earlier_findings() == ("", "")


def test_findings_that_cannot_be_read_are_not_offered_and_are_kept(results):
    (results().folder / "findings.json").write_text("{]")
    second = results()
    assert second.earlier_findings() == ("", "")
    a_list("new").save(second.folder / "findings.json")
    assert {path.read_text() for path in second.folder.glob("findings.2*.json")} == {"{]"}


def test_every_patient_and_study_has_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known = {"patient_id": "ID 7/../x", "patient_name": "DOE^JANE", "date": "20260103"}
    scans = [
        scan(**known),
        scan(**{**known, "date": "20260402"}),
        scan(**{**known, "patient_name": "ROE^JOHN"}),
        scan(value=2),
        scan(value=3),
    ]
    names = [folder_name(each) for each in scans]
    assert len(set(names)) == 5 and names[0].parent == names[1].parent != names[2].parent
    assert names[0].name == "20260103" and "DOE" not in str(names[0]), "no name of a patient in a file name"
    results = Results()
    try:
        for name, each in zip(names, scans, strict=True):
            results.choose_for(each)
            assert results.folder == tmp_path / "oncotrack-results" / name
    finally:
        results.close()


def test_a_scan_has_the_same_folder_when_it_comes_from_a_scene():
    original = scan(value=-5)
    stored = replace(original, array=original.array.astype(np.float32))
    assert folder_name(stored) == folder_name(original)


_HOLD = "import sys, time; from oncotrack.web.results import Results; r = Results(sys.argv[1]); print(r.folder, flush=True); time.sleep(60)"


def test_two_servers_never_write_into_one_folder_and_a_killed_one_leaves_it_free(tmp_path):
    out = tmp_path / "out"
    other = subprocess.Popen([sys.executable, "-c", _HOLD, str(out)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline().strip() == str(out)
        mine = Results(out)
        said = mine.news()
        assert mine.folder == tmp_path / "out-2" and f"is using {out}, so this one saves in {mine.folder}" in said
        assert mine.news() == ""
        mine.close()
        other.send_signal(signal.SIGKILL)
        other.wait(10)
        again = Results(out)
        assert again.folder == out and again.news() == ""
        again.close()
    finally:
        other.kill()
        other.wait(10)


def test_a_folder_that_cannot_be_written_to_gets_a_message(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Choose another folder"):
        Results(tmp_path / "file" / "out")


def test_an_autosave_that_cannot_be_read_is_kept_under_another_name_and_the_reader_is_told(results):
    (results().autosave.path).write_text('{"schema": "oncotrack-findings", "version": 3, "find')
    second = results()
    said = second.news()
    (kept,) = second.folder.glob("findings.2*.autosave.json")
    assert "could not be read" in said and str(kept) in said
    second.autosave.keep(a_list("new"))
    assert kept.read_text().endswith('"find')


def test_the_autosave_of_a_list_that_was_replaced_is_kept(tmp_path):
    autosave = Autosave(tmp_path)
    autosave.keep(a_list("unsaved work"))
    autosave.keep(FindingList())  # a scene was opened, or could not be read completely
    (kept,) = tmp_path.glob("findings.*.autosave.json")
    assert FindingList.open(kept).findings[0].label == "unsaved work" and not autosave.path.exists()


def test_the_autosave_is_removed_once_its_findings_are_saved(tmp_path):
    autosave, findings = Autosave(tmp_path), a_list("work")
    autosave.keep(findings)
    findings.mark_saved()
    autosave.keep(findings)
    assert list(tmp_path.iterdir()) == []


def test_temporary_files_of_a_killed_viewer_are_removed_at_the_next_start_and_those_of_a_running_one_stay(tmp_path):
    hold = (
        "import time; from pathlib import Path; from oncotrack.web.private_files import scratch_folder; import tempfile\n"
        "with scratch_folder() as folder:\n"
        "    Path(tempfile.mkdtemp(prefix='oncotrack-upload-'), 'scan.nii').write_text('voxels')\n"
        "    print(folder, flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    viewers = [
        subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(2)
    ]
    try:
        killed, running = (Path(viewer.stdout.readline().strip()) for viewer in viewers)
        viewers[0].send_signal(signal.SIGKILL)
        viewers[0].wait(10)
        assert killed.is_dir() and list(killed.rglob("scan.nii")), "a killed process leaves its files"
        assert stat.S_IMODE(killed.stat().st_mode) == 0o700
        hour_ago = time.time() - 3600
        for folder in (killed, running):
            os.utime(folder, (hour_ago, hour_ago))
        start = "from oncotrack.web.private_files import scratch_folder\nwith scratch_folder(): pass"
        subprocess.run([sys.executable, "-c", start], env=environment, check=True, timeout=60)
        assert not killed.exists() and list(running.rglob("scan.nii"))
        assert [path for path in tmp_path.iterdir() if path.is_dir()] == [running]
    finally:
        for viewer in viewers:
            viewer.kill()
            viewer.wait(10)


def test_the_log_says_what_was_opened_saved_and_failed_and_nothing_about_the_patient(tmp_path):
    secret = tmp_path / "DOE JANE 1960.json"
    secret.write_text("findings of JANE")
    record = Record(tmp_path / "log")
    other = Record(tmp_path / "log")
    record.opened_scan(scan("DOE JANE", patient_name="DOE^JANE", patient_id="4711", date="20260103"))
    record.file("opened", secret)
    record.add("failed", error="InputError")
    for thread in threading.enumerate():
        if thread.name == "oncotrack-record":
            thread.join(10)
    record.close()
    other.close()
    text = (tmp_path / "log" / "oncotrack.log").read_text()
    assert sorted(line.split()[1] for line in text.splitlines()) == ["ended", "failed", "opened", "opened", "started"]
    assert hashlib.sha256(secret.read_bytes()).hexdigest() in text and "modality=CT size=5x4x3 voxels_sha256=" in text
    for word in ("DOE", "JANE", "4711", "20260103", str(tmp_path)):
        assert word not in text
    assert "started" in (tmp_path / "log" / "oncotrack-2.log").read_text(), "two sessions do not share a file"


def test_the_log_rotates_and_a_folder_that_cannot_be_written_to_stops_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(record_module, "_LARGEST_BYTES", 2000)
    record = Record(tmp_path / "log")
    for number in range(800):
        record.add("opened", number=number)
    record.close()
    files = sorted((tmp_path / "log").glob("oncotrack.log*"))
    assert len(files) == 10 and all(path.stat().st_size <= 2000 for path in files)
    (tmp_path / "file").write_text("")
    without = Record(tmp_path / "file" / "log")
    without.add("opened")
    without.close()
    assert "No log is kept" in without.problem
