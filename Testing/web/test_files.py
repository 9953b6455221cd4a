"""Saving, opening, uploading, cancelling, and restoring after a crash."""

from __future__ import annotations

import json
import math
import shutil
import signal

import numpy as np
import pytest

from oncotrack.images.files import load
from oncotrack.phantom.dicom_series import write_series


@pytest.fixture
def visit(browser, make_reader):
    """Yield a function that creates a reader in a new browser, for a server of the test's own."""
    contexts = []

    def new_reader():
        contexts.append(browser.new_context(viewport={"width": 1366, "height": 768}))
        return make_reader(contexts[-1].new_page())

    yield new_reader
    for context in contexts:
        context.close()


def test_a_saved_scene_opens_on_the_page_and_at_start_as_it_was_saved(reader, server, start, visit, pair, tmp_path):
    first, current = reader.follow(pair, 0), reader.follow(pair, 2)
    reader.follow(pair, 1)
    reader.page.locator("[data-finding='L 2']").click()
    reader.until("s('findings')[1].is_current")
    saved = reader.state("findings")
    reader.tab("Files")
    reader.page.locator("[data-save='save_findings']").click()
    reader.until("!s('unsaved') && s('saved').includes('findings.csv')")
    assert not (server.out / "findings.autosave.json").exists()
    written = json.loads((server.out / "findings.json").read_text())
    assert [each["uid"] for each in written["findings"]] == [row["uid"] for row in saved]
    assert "L 1" in (server.out / "findings.csv").read_text()
    reader.page.locator("[data-save='save_scene']").click()
    reader.until("s('saved').includes('scene.mrb') && !s('job').text")
    with reader.page.expect_download() as download:
        reader.page.locator("[data-saved='scene.mrb']").click()
    assert download.value.suggested_filename == "scene.mrb"

    again = start([server.out / "scene.mrb"], tmp_path / "out")  # while it starts, this page opens the same scene
    reader.delete(first["uid"])
    reader.until("s('findings').length === 2")
    reader.page.locator("[data-path] input, input[data-path]").first.fill(str(server.out / "scene.mrb"))
    reader.page.locator("[data-open='baseline']").click()
    reader.page.locator("[data-answer='yes']").click()
    reader.until("s('findings').length === 3 && s('has_registration')")
    assert [row["uid"] for row in reader.state("findings")] == [row["uid"] for row in saved]
    assert math.dist(reader.state("findings")[0]["followup"], first["followup"]) < 0.01
    reader.tab("Findings")
    reader.follow(pair, 3)

    second = visit()
    second.open(again.url)
    assert [each["is_current"] for each in second.state("findings")] == [False, True, False]
    assert second.state("findings")[0]["followup"] == first["followup"]
    for view, axis in (("FollowUpAxial", 2), ("FollowUpCoronal", 1)):
        assert abs(second.slice_of(view, axis) - current["followup"][axis]) < 0.5
    again.stop()


def test_the_report_opens_in_the_browser(reader, server, pair):
    reader.follow(pair, 0)
    reader.tab("Files")
    reader.page.locator("[data-save='save_report']").click()
    reader.until("s('saved').includes('report.html')")
    assert "L 1" in (server.out / "report.html").read_text()
    reader.tab("Findings")


def test_a_corrupt_upload_is_refused_with_a_message_and_changes_nothing(reader, pair, tmp_path):
    row = reader.follow(pair, 0)
    names = reader.state("scan_names")
    broken = tmp_path / "scan.nii.gz"
    broken.write_bytes(pair.baseline.read_bytes()[:3000])
    reader.tab("Files")
    reader.page.locator("input[data-upload='followup']").first.set_input_files(broken)
    message = reader.message("could not be read")
    assert "damaged" in message and "Traceback" not in message
    assert reader.state("scan_names") == names and reader.state("findings") == [row]
    not_findings = tmp_path / "findings.json"
    not_findings.write_text("{]")
    reader.page.locator("input[data-upload='baseline']").first.set_input_files(not_findings)
    reader.message("is not JSON")
    scene = tmp_path / "scene.mrb"
    scene.write_bytes(b"PK\x03\x04 cut off")
    reader.page.locator("input[data-upload='baseline']").first.set_input_files(scene)
    reader.page.locator("[data-answer='yes']").click()
    reader.message("is not an .mrb file")
    assert reader.state("findings") == [row]
    reader.tab("Findings")


def test_a_path_outside_the_given_folders_is_refused(reader, pair, tmp_path_factory):
    secret = tmp_path_factory.mktemp("elsewhere") / "scan.nii.gz"
    secret.write_bytes(pair.baseline.read_bytes())
    reader.tab("Files")
    path = reader.page.locator("[data-path] input, input[data-path]").first
    for typed in (str(secret), "/etc/passwd", "../../etc/passwd"):
        path.fill(typed)
        reader.page.locator("[data-open='baseline']").click()
        reader.message("lies outside the folders")
        reader.close_message()
        reader.page.get_by_role("alert").wait_for(state="detached")
    reader.tab("Findings")


_SLOW = """
import time
from oncotrack.registration import alignment
from oncotrack.scene.files import storage
align, pack = alignment.starting_translations, storage._pack
alignment.starting_translations = lambda *scans: time.sleep(2.5) or align(*scans)

def slow_pack(parts, packed, progress):
    def report(fraction, text):
        progress(fraction, text)
        time.sleep(0.5)
    report(0.05, "first part")
    pack(parts, packed, report)

storage._pack = slow_pack
"""


@pytest.fixture(scope="module")
def slow(start, pair, tmp_path_factory):
    """Start a viewer whose registration and saving take seconds, without cached registrations."""
    folder = tmp_path_factory.mktemp("slow")
    server = start([pair.baseline, pair.followup], folder / "out", cache=folder / "cache", prelude=_SLOW)
    yield server
    server.stop()


def test_running_work_shows_progress_and_can_be_cancelled_and_repeated(slow, visit):
    reader = visit()
    reader.page.goto(slow.url)
    reader.cancel("Registering")
    reader.message("Cancelled")
    reader.until("!s('job').text")
    assert not reader.state("has_registration")
    reader.tab("View")
    reader.page.locator("[data-register]").click()
    reader.until("s('has_registration') && !s('job').text")

    reader.tab("Files")
    reader.page.locator("[data-save='save_scene']").click()
    reader.until("(s('job').text ?? '').startsWith('Saving') && s('job').percent > 0")
    reader.cancel("Saving")
    reader.message("Cancelled")
    reader.until("!s('job').text")
    assert [path.name for path in slow.out.iterdir()] == [".oncotrack.lock"], "a cancelled save leaves no file"


def test_two_quick_clicks_are_both_followed(reader, pair):
    reader.scroll_to("BaselineAxial", pair.lesions[0])
    place = reader.pixel("BaselineAxial", pair.lesions[0])
    other = reader.pixel("BaselineAxial", np.add(pair.lesions[0], (0, -30, 0)))
    reader.page.mouse.click(*place)
    reader.page.mouse.click(*other)
    reader.until("s('findings').length === 2 && !s('job').text")


def test_uploads_become_the_follow_up(start, visit, pair, tmp_path):
    series = write_series(load(pair.followup), tmp_path / "series")
    server = start([pair.baseline], tmp_path / "out")
    reader = visit()
    reader.open_one_scan(server.url)
    assert not reader.state("has_scans")
    reader.tab("Files")
    inputs = reader.page.locator("input[data-upload='followup']")

    def upload(field, files) -> None:
        with reader.page.expect_response(lambda response: "/upload" in response.url) as answer:
            field.set_input_files(files)
        assert answer.value.ok
        reader.until("s('has_registration') && !s('job').text")

    upload(inputs.nth(1), series)
    assert reader.page.locator(".view-title").count() == 7, "a DICOM folder: the views of the follow-up appear"
    box = reader.page.locator(".layout-grid-item:has([data-view='BaselineCoronal'])").bounding_box()
    reader.until(f"Math.abs(s('views').BaselineCoronal.size[0] - {box['width']}) < 4")
    for edge in ((-95, 0, 0), (96, 0, 0), (0, 0, -70), (0, 0, 72)):
        x, y = reader.pixel("BaselineCoronal", edge)
        assert box["x"] <= x <= box["x"] + box["width"] and box["y"] <= y <= box["y"] + box["height"]
    names = [reader.state("scan_names")[1]]
    upload(inputs.first, sorted(path for path in series.rglob("*") if path.is_file()))
    names.append(reader.state("scan_names")[1])
    reader.tab("Findings")
    assert math.dist(reader.follow(pair, 0)["followup"], pair.truth[0]) < 5, "several DICOM files"
    reader.tab("Files")
    upload(inputs.first, pair.followup)
    # an image file takes the place of the old follow-up
    reader.until(f"!{names}.includes(s('scan_names')[1]) && s('has_registration') && !s('job').text")
    reader.tab("Findings")
    assert math.dist(reader.follow(pair, 1)["followup"], pair.truth[1]) < 5
    assert server.stop() == 0


def test_a_crash_loses_nothing_and_other_scans_do_not_get_its_findings(start, visit, pair, known_nodes, tmp_path):
    scans = [pair.baseline, pair.followup]
    server = start(scans, tmp_path / "out", prelude=known_nodes)
    reader = visit()
    reader.open(server.url)
    reader.choose_method("affine")
    row = reader.follow(pair, 1)
    reader.tab("Nodes")
    reader.page.locator("[data-panel='nodes'] [data-node-command='detect']").click()
    reader.until("s('nodes').length === 4 && !s('job').text")
    reader.page.keyboard.press("a")
    reader.until("s('nodes')[0].state === 'accepted'")
    nodes = reader.state("nodes")
    server.stop(signal.SIGKILL)
    reader.page.locator("[data-connection='lost']").wait_for()
    shutil.copytree(tmp_path / "out", tmp_path / "other")
    again = start(scans, tmp_path / "out", prelude=known_nodes)
    swapped = start(scans[::-1], tmp_path / "other")

    reader = visit()
    reader.open(again.url)
    assert "5 findings of" in reader.state("autosaved")["text"]
    reader.tab("Nodes")
    assert reader.state("nodes") == []
    reader.page.locator("[data-autosave='restore']").click()
    reader.until("s('findings').length === 5 && !s('autosaved').text && s('nodes').length === 4")
    restored = next(each for each in reader.state("findings") if each["uid"] == row["uid"])
    assert restored["followup"] == row["followup"] and reader.state("unsaved")
    assert [each | {"is_current": False} for each in reader.state("nodes")] == [
        each | {"is_current": False} for each in nodes
    ]
    again.stop()

    reader = visit()
    reader.open(swapped.url)
    offer = reader.state("autosaved")
    assert not offer["fits"] and "other scans" in offer["text"]
    assert reader.page.locator("[data-autosave='restore']").count() == 0
    reader.page.locator("[data-autosave='discard']").click()
    reader.until("!s('autosaved').text")
    assert len(list(swapped.out.glob("findings.*.autosave.json"))) == 1, "a backup is kept"
    swapped.stop()


def test_closing_asks_while_findings_are_unsaved_and_not_afterwards(reader, pair):
    dialogs = []
    reader.page.on("dialog", lambda dialog: dialogs.append(dialog.type))
    reader.follow(pair, 0)
    reader.page.reload()
    reader.until("s('findings').length === 1 && s('has_registration')")
    assert dialogs == ["beforeunload"]
    reader.page.locator("[data-finding='L 1']").click()  # the browser asks only after the reader has used the page
    reader.page.locator("[data-command='save_findings']:not([disabled])").wait_for()
    reader.page.keyboard.press("Control+s")
    reader.until("!s('unsaved')")
    reader.page.reload()
    reader.until("s('findings').length === 1")
    assert dialogs == ["beforeunload"]


def test_a_key_does_nothing_while_its_button_is_dimmed(reader, server):
    saved = server.out / "findings.json"
    before = saved.stat().st_mtime_ns if saved.exists() else None
    reader.page.locator("[data-command='save_findings'][disabled]").wait_for()
    reader.page.keyboard.press("Control+s")
    reader.page.keyboard.press("k")
    reader.until("!s('is_linked')")
    reader.page.keyboard.press("k")
    reader.until("s('is_linked')")
    after = saved.stat().st_mtime_ns if saved.exists() else None
    assert after == before, "an empty list must not replace a saved one"
