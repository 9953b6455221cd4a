"""Saving, opening, uploading, cancelling, and what survives a crash."""

from __future__ import annotations

import json
import math
import signal

import numpy as np
import pytest

from oncotrack.images.files import load, save
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.phantom.dicom_series import write_series


@pytest.fixture
def visit(browser, make_reader):
    """Opens a page on a server of the test's own; every one is a new browser."""
    contexts = []

    def go(server):
        contexts.append(browser.new_context(viewport={"width": 1366, "height": 768}))
        return make_reader(contexts[-1].new_page())

    yield go
    for context in contexts:
        context.close()


def test_findings_and_scene_are_saved_and_the_scene_reopens_with_everything(reader, server, pair):
    row = reader.follow(pair, 0)
    reader.tab("Files")
    reader.page.locator("[data-save='save']").click()
    reader.until("!s('unsaved') && s('saved').includes('findings.csv')")
    assert not (server.out / "findings.autosave.json").exists()
    saved = json.loads((server.out / "findings.json").read_text())
    assert saved["findings"][0]["uid"] == row["uid"]
    assert "L 1" in (server.out / "findings.csv").read_text()
    reader.page.locator("[data-save='save scene']").click()
    reader.until("s('saved').includes('scene.mrb') && !s('job').text", 60_000)
    with reader.page.expect_download() as download:
        reader.page.locator("[data-saved='scene.mrb']").click()
    assert download.value.suggested_filename == "scene.mrb"

    reader.page.evaluate("uid => trame.trigger('oncotrack.command', ['delete', uid])", row["uid"])
    reader.until("s('findings').length === 0")
    reader.page.locator("[data-path] input, input[data-path]").first.fill(str(server.out / "scene.mrb"))
    reader.page.locator("[data-open='baseline']").click()
    reader.page.locator("[data-answer='yes']").click()
    reader.until("s('findings').length === 1 && s('has_registration')", 60_000)
    assert reader.state("findings")[0]["uid"] == row["uid"]
    assert math.dist(reader.state("findings")[0]["followup"], row["followup"]) < 0.01
    reader.tab("Findings")
    reader.follow(pair, 2)


def test_the_report_opens_in_the_browser(reader, server, pair):
    reader.follow(pair, 0)
    reader.tab("Files")
    reader.page.locator("[data-save='report']").click()
    reader.until("s('saved').includes('report.html')", 60_000)
    assert "L 1" in (server.out / "report.html").read_text()
    reader.tab("Findings")


def test_a_corrupt_upload_is_refused_with_a_sentence_and_changes_nothing(reader, pair, tmp_path):
    row = reader.follow(pair, 0)
    names = reader.state("scan_names")
    broken = tmp_path / "scan.nii.gz"
    broken.write_bytes(pair.baseline.read_bytes()[:3000])
    reader.tab("Files")
    reader.page.locator("input[data-upload='followup']").first.set_input_files(broken)
    said = reader.message("could not be read")
    assert "damaged" in said and "Traceback" not in said
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


def test_an_uploaded_follow_up_takes_the_place_of_the_old_one(start, visit, pair, tmp_path):
    server = start([pair.baseline], tmp_path / "out")
    reader = visit(server)
    reader.page.goto(server.url)
    reader.until("s('scan_names')[0] && !s('job').text")
    assert not reader.state("has_scans")
    reader.tab("Files")
    reader.page.locator("input[data-upload='followup']").first.set_input_files(pair.followup)
    reader.until("s('has_registration') && !s('job').text", 60_000)
    reader.tab("Findings")
    assert math.dist(reader.follow(pair, 0)["followup"], pair.truth[0]) < 5
    assert server.stop() == 0


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


_UNHURRIED = """
import time
from oncotrack.registration import alignment
aligned = alignment.starting_translations
alignment.starting_translations = lambda *scans: time.sleep(2.5) or aligned(*scans)
"""


def test_a_running_registration_is_cancelled_and_can_be_asked_for_again(start, visit, pair, tmp_path):
    server = start([pair.baseline, pair.followup], tmp_path / "out", cache=tmp_path / "no-cache", prelude=_UNHURRIED)
    reader = visit(server)
    reader.page.goto(server.url)
    reader.cancel("Registering")
    reader.message("Cancelled")
    reader.until("!s('job').text")
    assert not reader.state("has_registration")
    reader.tab("View")
    reader.page.locator("[data-register]").click()
    reader.until("s('has_registration') && !s('job').text")


def test_two_quick_clicks_are_both_followed(reader, pair):
    reader.scroll_to("BaselineAxial", pair.lesions[0])
    place = reader.pixel("BaselineAxial", pair.lesions[0])
    other = reader.pixel("BaselineAxial", np.add(pair.lesions[0], (0, -30, 0)))
    reader.page.mouse.click(*place)
    reader.page.mouse.click(*other)
    reader.until("s('findings').length === 2 && !s('job').text")


def test_a_crash_loses_nothing(start, visit, pair, tmp_path):
    first = start([pair.baseline, pair.followup], tmp_path / "out")
    reader = visit(first)
    reader.open(first.url)
    row = reader.follow(pair, 1)
    first.stop(signal.SIGKILL)
    second = start([pair.baseline, pair.followup], tmp_path / "out")
    reader = visit(second)
    reader.open(second.url)
    assert "1 finding of" in reader.state("autosaved")["text"]
    reader.page.locator("[data-autosave='take']").click()
    reader.until("s('findings').length === 1 && !s('autosaved').text")
    assert reader.state("findings")[0]["followup"] == row["followup"]
    assert reader.state("unsaved")


def test_a_saved_scene_opens_at_start(reader, server, start, visit, pair, tmp_path):
    row = reader.follow(pair, 0)
    reader.tab("Files")
    reader.page.locator("[data-save='save scene']").click()
    reader.until("!s('unsaved') && s('saved').includes('scene.mrb') && !s('job').text", 60_000)
    again = start([server.out / "scene.mrb"], tmp_path / "out")
    second = visit(again)
    second.open(again.url)
    assert second.state("findings")[0]["followup"] == row["followup"]


def test_closing_asks_while_findings_are_unsaved_and_not_afterwards(reader, pair):
    asked = []
    reader.page.on("dialog", lambda dialog: asked.append(dialog.type))
    reader.follow(pair, 0)
    reader.page.reload()
    reader.until("s('findings').length === 1 && s('has_registration')")
    assert asked == ["beforeunload"]
    reader.page.locator("[data-finding='L 1']").click()
    reader.page.wait_for_timeout(500)
    reader.page.keyboard.press("Control+s")
    reader.until("!s('unsaved')")
    reader.page.reload()
    reader.until("s('findings').length === 1")
    assert asked == ["beforeunload"]


@pytest.mark.parametrize("is_folder", [True, False], ids=["a folder", "several files"])
def test_uploaded_dicom_becomes_the_follow_up(start, visit, pair, tmp_path, is_folder):
    series = write_series(load(pair.followup), tmp_path / "series")
    server = start([pair.baseline], tmp_path / "out")
    reader = visit(server)
    reader.page.goto(server.url)
    reader.until("s('scan_names')[0] && !s('job').text")
    reader.tab("Files")
    inputs = reader.page.locator("input[data-upload='followup']")
    if is_folder:
        inputs.nth(1).set_input_files(series)
    else:
        inputs.first.set_input_files(sorted(path for path in series.rglob("*") if path.is_file()))
    reader.until("s('has_registration') && !s('job').text", 60_000)
    assert reader.page.locator(".view-title").count() == 7
    box = reader.page.locator(".layout-grid-item:has([data-view='BaselineCoronal'])").bounding_box()
    reader.until(f"Math.abs(s('views').BaselineCoronal.size[0] - {box['width']}) < 4")
    for edge in ((-95, 0, 0), (96, 0, 0), (0, 0, -70), (0, 0, 72)):
        x, y = reader.pixel("BaselineCoronal", edge)
        assert box["x"] <= x <= box["x"] + box["width"] and box["y"] <= y <= box["y"] + box["height"]
    reader.tab("Findings")
    assert math.dist(reader.follow(pair, 0)["followup"], pair.truth[0]) < 5


def test_the_page_tells_how_far_saving_is_and_cancelling_leaves_nothing(start, visit, tmp_path):
    noise = np.random.default_rng(5).integers(-1024, 3000, (240, 512, 512)).astype(np.int16)
    scan = save(
        Volume(noise, Geometry((512, 512, 240), (0.7, 0.7, 1.5), (-180, -180, -180)), "CT", "CT"),
        tmp_path / "large.mha",
    )
    server = start([scan], tmp_path / "out")
    reader = visit(server)
    reader.page.goto(server.url)
    reader.until("s('scan_names')[0] && !s('job').text && s('views').BaselineAxial")
    reader.tab("Files")
    reader.page.locator("[data-save='save scene']").click()
    reader.until("(s('job').text ?? '').startsWith('Saving') && s('job').percent > 0")
    reader.cancel("Saving")
    reader.message("Cancelled")
    reader.until("!s('job').text")
    assert not list(server.out.iterdir())


def test_an_autosave_of_other_scans_is_told_and_not_offered(start, visit, pair, tmp_path):
    first = start([pair.baseline, pair.followup], tmp_path / "out")
    reader = visit(first)
    reader.open(first.url)
    reader.follow(pair, 1)
    first.stop(signal.SIGKILL)
    second = start([pair.followup, pair.baseline], tmp_path / "out")
    reader = visit(second)
    reader.open(second.url)
    told = reader.state("autosaved")
    assert not told["fits"] and "other scans" in told["text"]
    assert reader.page.locator("[data-autosave='take']").count() == 0
    reader.page.locator("[data-autosave='drop']").click()
    reader.until("!s('autosaved').text")
    assert len(list(second.out.glob("findings.*.autosave.json"))) == 1


def test_a_saved_scene_opens_at_the_finding_that_was_worked_on(reader, server, start, visit, pair, tmp_path):
    reader.follow(pair, 0)
    row = reader.follow(pair, 2)
    reader.follow(pair, 1)
    reader.page.locator("[data-finding='L 2']").click()
    reader.until("s('findings')[1].is_current")
    reader.tab("Files")
    reader.page.locator("[data-save='save scene']").click()
    reader.until("!s('unsaved') && !s('job').text", 60_000)
    again = start([server.out / "scene.mrb"], tmp_path / "out")
    second = visit(again)
    second.open(again.url)
    assert [each["is_current"] for each in second.state("findings")] == [False, True, False]
    for view, axis in (("FollowUpAxial", 2), ("FollowUpCoronal", 1)):
        matrix = np.linalg.inv(np.reshape(second.state("views")[view]["ras_to_xy"], (4, 4)))
        assert abs(matrix[axis, 3] - row["followup"][axis]) < 0.5


def test_a_key_does_nothing_while_its_button_is_dimmed(reader, server):
    saved = server.out / "findings.json"
    before = saved.stat().st_mtime_ns if saved.exists() else None
    reader.page.locator("[data-command='save'][disabled]").wait_for()
    reader.page.keyboard.press("Control+s")
    reader.page.keyboard.press("l")
    reader.until("!s('is_linked')")
    reader.page.keyboard.press("l")
    reader.until("s('is_linked')")
    after = saved.stat().st_mtime_ns if saved.exists() else None
    assert after == before, "an empty list must not take the place of a saved one"
