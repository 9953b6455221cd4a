"""Whose scans are opened, in which order, and what every view says of them; one server and one page for all tests."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from oncotrack.findings.finding import State
from oncotrack.findings.finding_list import FindingList
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.phantom.dicom_series import write_series

LESION = np.array([30.0, 10.0, 2.0])
STEP = np.array([4.0, -3.0, 0.0])
NOTICE = "Gantry tilt of 12 degrees removed."
_WITH_NOTICE = f"""
import oncotrack.images.files as files
read = files.load
def load(path, *arguments, **options):
    volume = read(path, *arguments, **options)
    if str(getattr(path, "path", path)).endswith("tilted"):
        volume.metadata.update(notice={NOTICE!r}, resampled="Resampled to 4 mm.")
    return volume
files.load = load
"""


def scan(visit: int) -> Volume:
    """Return a synthetic trunk (HU) with one lesion, displaced by 5 mm from visit to visit."""
    geometry = Geometry((56, 56, 32), (3.0, 3.0, 4.0), (-82.5, -82.5, -62.0))
    k, j, i = np.meshgrid(*(np.arange(n) for n in geometry.shape), indexing="ij")
    place = geometry.to_ras(np.stack([i, j, k], -1)) - visit * STEP
    array = np.where(np.hypot(place[..., 0] / 62, place[..., 1] / 52) < 1, 40.0, -1000.0)
    array[np.hypot(place[..., 0], place[..., 1] + 30) < 10] = 500.0
    array += 60 * np.sin(place / 9).prod(-1) * (array > 0)
    array += 150 * np.exp(-((place - LESION) ** 2).sum(-1) / 72)
    return Volume(np.round(array).astype(np.int16), geometry, "scan", "CT")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write series of one patient at two dates, of another one, and one without patient and date."""
    folder = tmp_path_factory.mktemp("series")
    scans = [scan(0), scan(1)]
    jane = {"patient_id": "A1", "patient_name": "DOE^JANE", "birth_date": "19600102", "sex": "F", "thickness": "5.0"}
    for name, visit, about in (
        ("early", 0, {**jane, "date": "20251102", "description": "Thorax venous"}),
        ("late", 1, {**jane, "date": "20260301", "description": "Thorax late"}),
        ("other", 1, {"patient_id": "B2", "patient_name": "ROE^JOHN", "date": "20260401"}),
        ("tilted", 1, {"patient_id": "", "patient_name": "", "sex": "", "date": ""}),
    ):
        write_series(replace(scans[visit], metadata=about), folder / name, visit=visit)
    return folder


@pytest.fixture(scope="module")
def server(start, folder, tmp_path_factory):
    """Start the viewer with scans of two patients."""
    out = tmp_path_factory.mktemp("results") / "out"
    server = start([folder / "early", folder / "other"], out, prelude=_WITH_NOTICE, folders=[str(folder)])
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def reader(server, browser, make_reader):
    """Open the page; the server admits one browser."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    reader = make_reader(context.new_page())
    reader.page.goto(server.url)
    reader.until("s('ask').text || s('has_scans')")
    yield reader
    context.close()


def open_scan(reader, folder, name: str, role: str) -> None:
    if reader.state("ask"):  # a question of the start, where a test runs alone
        answer(reader, "no")
        reader.until("!s('ask').text")
    reader.tab("Files")
    reader.page.locator("[data-path] input, input[data-path]").first.fill(str(folder / name))
    reader.page.locator(f"[data-open='{role}']").click()


def answer(reader, value: str, words: str = "") -> None:
    if words:
        reader.page.locator("[data-answer-words] textarea").first.fill(words)
    reader.page.locator(f"[data-answer='{value}']").click()


def text(reader, view: str) -> str:
    """Return all text over a view."""
    return reader.page.locator(f".layout-grid-item:has([data-view='{view}'])").inner_text()


def saved(reader, server) -> FindingList:
    """Save the findings and read them."""
    reader.tab("Files")
    reader.page.locator("[data-save='save_findings']").click()
    reader.until("!s('unsaved')")
    return FindingList.open(server.out / "findings.json")


def course(findings: FindingList) -> list[tuple]:
    (finding,) = findings
    return [(each.label, each.date, finding.observation(each.id).centre) for each in findings.time_points]


def test_scans_of_two_patients_are_opened_only_for_a_reason_in_words(reader, folder):
    assert "the patient ID is A1 in baseline and B2 in follow-up" in reader.state("ask")["text"]
    assert reader.state("scan_names") == ["", ""], "nothing is shown before the answer"
    assert reader.page.locator("[data-answer='yes']").is_disabled()
    reader.page.keyboard.press("a")  # typed into the field, not a command
    answer(reader, "no")
    reader.message("Nothing was opened")
    open_scan(reader, folder, "early", "baseline")
    reader.until("s('scan_names')[0] && !s('job').text")
    open_scan(reader, folder, "other", "followup")
    reader.until("!!s('ask').text")
    answer(reader, "yes", "7 ?")
    reader.message("A reason in words is needed")
    assert reader.state("scan_names")[1] == ""
    answer(reader, "yes", "Name changed by marriage")
    reader.until("s('has_registration') && !s('job').text && !s('ask').text")


def test_the_reason_is_in_the_findings_and_in_the_report(reader, server):
    reader.tab("Findings")
    reader.page.locator(".v-select:has([data-method]), [data-method]").first.click()
    reader.page.get_by_role("option", name="Affine registration").click()
    reader.until("s('method') === 'affine' && !s('job').text")
    reader.until_shown(7)
    reader.click("BaselineAxial", LESION)
    reader.until("s('findings').length === 1 && !s('job').text")
    (note,) = saved(reader, server).notes
    assert note.answer == "Name changed by marriage" and {each.id for each in note.patients} == {"A1", "B2"}
    reader.page.locator("[data-save='save_report']").click()
    reader.until("s('saved').includes('report.html')")
    page = (server.out / "report.html").read_text()
    assert "Name changed by marriage" in page and "DOE, JANE, ID A1, born 1960-01-02, F" in page
    reader.delete(reader.state("findings")[0]["uid"])
    reader.until("s('findings').length === 0")


def test_every_view_carries_visit_patient_date_series_slice_and_window(reader):
    reader.tab("Findings")
    for view in ("BaselineAxial", "BaselineCoronal", "BaselineSagittal"):
        shown = text(reader, view)
        for part in ("Baseline · ", "DOE, JANE", "ID A1", "2025-11-02", "Thorax venous", " of ", " mm", "hickness 5 mm",
                     "Zoom ", "W 400 L 40"):  # fmt: skip
            assert part in shown, f"{part} in {view}"
    assert "Slice 16 of 32" in text(reader, "BaselineAxial") and "S 2.0 mm" in text(reader, "BaselineAxial")
    shown = text(reader, "FollowUpAxial")
    assert "Follow-up · axial" in shown and "ROE, JOHN" in shown and "DOE" not in shown
    place = reader.state("views")["BaselineAxial"]["place"]
    reader.page.mouse.move(*reader._middle("BaselineAxial"))
    reader.page.mouse.wheel(0, -100)
    reader.until(f"s('views').BaselineAxial.place !== {json.dumps(place)}")
    assert reader.state("views")["BaselineAxial"]["number"] in ("Slice 15 of 32", "Slice 17 of 32")
    reader.page.keyboard.press("2")
    reader.until("s('view_scans').FollowUpAxial.window === 'W 1500 L -600'")
    reader.page.keyboard.press("1")


def test_the_text_stays_in_the_corners(reader):
    for view in reader.page.locator(".layout-grid-item").all():
        box, corners = view.bounding_box(), {}
        for corner in ("upper-left", "upper-right", "lower-left", "lower-right"):
            text = view.locator(f".view-{corner}")
            inside = text.bounding_box() if text.count() else None
            if inside and inside["height"]:
                corners[corner] = inside
                assert inside["height"] <= 0.4 * box["height"]
                assert text.evaluate("each => parseFloat(getComputedStyle(each).fontSize)") >= 11
        for left, right in (("upper-left", "upper-right"), ("lower-left", "lower-right")):
            if left in corners and right in corners:
                assert corners[left]["x"] + corners[left]["width"] <= corners[right]["x"]


def test_one_key_and_one_button_hide_names_and_another_choice_hides_the_text(reader):
    reader.page.keyboard.press("z")
    reader.until("s('image_text') === 'without names'")
    assert "DOE" not in text(reader, "BaselineAxial") and "A1" not in text(reader, "BaselineAxial")
    assert "Slice 1" in text(reader, "BaselineAxial") and "2025-11-02" in text(reader, "BaselineAxial")
    reader.command("hide_names")
    reader.until("s('image_text') === 'all'")
    reader.tab("View")
    reader.page.locator("[data-image-text='hide_text'] input").click()
    reader.until("s('image_text') === 'none'")
    assert set(text(reader, "BaselineAxial").split()) == {"R", "L", "A", "P", "Fit", "Maximise"}
    reader.page.locator("[data-image-text='hide_text'] input").click()
    reader.until("s('image_text') === 'all'")


def test_a_notice_stays_visible_and_a_scan_without_identity_is_called_so(reader, folder):
    open_scan(reader, folder, "tilted", "followup")
    reader.until("s('view_scans').FollowUpAxial?.notices.length === 2 && !s('job').text")
    shown = text(reader, "FollowUpAxial")
    assert NOTICE in shown and "Resampled to 4 mm." in shown and "no patient data" in shown and "no date" in shown
    reader.tab("View")
    for name in ("hide_names", "hide_text"):
        reader.page.locator(f"[data-image-text='{name}'] input").click()
        reader.until("s('image_text') !== 'all'")
        assert NOTICE in text(reader, "FollowUpAxial")
        reader.page.locator(f"[data-image-text='{name}'] input").click()
        reader.until("s('image_text') === 'all'")


def test_dates_that_contradict_the_order_are_asked_about_once_and_nothing_is_swapped_silently(reader, server, folder):
    open_scan(reader, folder, "late", "baseline")
    reader.until("s('scan_names')[0] === 'late' && !s('job').text")
    open_scan(reader, folder, "early", "followup")
    reader.until("!!s('ask').text")
    assert "baseline is dated later (2026-03-01)" in reader.state("ask")["text"]
    answer(reader, "yes")
    reader.until("s('has_registration') && !s('job').text && !s('ask').text")
    assert reader.state("scan_names") == ["late", "early"]
    reader.until_shown(7)
    reader.click("BaselineAxial", LESION + STEP)
    reader.until("s('findings').length === 1 && !s('job').text")
    (row,) = reader.state("findings")
    assert "2026-03-01" in text(reader, "BaselineAxial") and "2025-11-02" in text(reader, "FollowUpAxial")
    findings = saved(reader, server)
    assert [(label, date) for label, date, _at in course(findings)] == [
        ("baseline", "20260301"),
        ("follow-up", "20251102"),
    ]
    for (_label, _date, at), scan_name in zip(course(findings), ("baseline", "followup"), strict=True):
        assert np.allclose(at, row[scan_name], atol=0.01)
    with (server.out / "findings.csv").open() as file:
        (line,) = csv.DictReader(file)
    for label, scan_name in (("baseline", "baseline"), ("follow-up", "followup")):
        assert np.allclose([float(v) for v in line[f"{label}: position (R A S)"].split()], row[scan_name], atol=0.06)
    reader.page.locator("[data-save='save_scene']").click()
    reader.until("s('saved').includes('scene.mrb') && !s('job').text")
    reader.page.locator("[data-path] input, input[data-path]").first.fill(str(server.out / "scene.mrb"))
    reader.page.locator("[data-open='baseline']").click()
    reader.message("Opened scene.mrb")
    assert reader.state("ask") == {}, "the scene remembers the answer"
    assert reader.state("scan_names") == ["late", "early"] and reader.state("findings")[0]["uid"] == row["uid"]


def test_the_reader_may_swap_the_scans(reader, server, folder):
    reader.delete(reader.state("findings")[0]["uid"])
    reader.until("s('findings').length === 0")
    open_scan(reader, folder, "early", "baseline")
    reader.until("s('scan_names')[0] === 'early' && !s('job').text")
    open_scan(reader, folder, "late", "baseline")
    reader.until("!!s('ask').text")
    answer(reader, "no")
    reader.until("s('scan_names')[0] === 'early' && s('has_registration') && !s('job').text")
    assert reader.state("scan_names") == ["early", "late"] and reader.state("visit_names") == ["baseline", "follow-up"]
    reader.rest()
    assert "2025-11-02" in text(reader, "BaselineAxial") and "Baseline" in text(reader, "BaselineAxial")
    reader.until("s('view_scans').FollowUp3D?.date === '2026-03-01'")
    reader.until_shown(7)
    reader.tab("Findings")
    reader.click("BaselineAxial", LESION)
    reader.until("s('findings').length === 1 && !s('job').text")


def test_program_and_reader_read_differently_in_the_list_the_card_and_the_filter(reader, server):
    findings = saved(reader, server)
    (finding,) = findings
    follow_up = findings.time_points[1].id
    match = finding.observation(follow_up)
    icons = {}
    for state, words in ((State.PROPOSED, "Proposed"), (State.NOT_FOUND, "Not found (program)")):
        findings.observe(finding.uid, follow_up, replace(match, state=state))
        path = server.out / "states.json"
        findings.save(path)
        reader.tab("Files")
        reader.page.locator("[data-path] input, input[data-path]").first.fill(str(path))
        reader.page.locator("[data-open='baseline']").click()
        reader.until(f"s('findings')[0]?.state === {json.dumps(state.value)}")
        reader.tab("Findings")
        icons[words] = reader.state("findings")[0]["icon"]
        assert words in reader.page.locator("[data-finding='L 1']").inner_text()
        assert words in reader.page.locator("[data-match-state]").inner_text()
    for key, words in (("o", "Absent (reader)"), ("a", "Accepted")):
        reader.page.keyboard.press(key)
        reader.until(f"s('findings')[0].state_text === {json.dumps(words)}")
        icons[words] = reader.state("findings")[0]["icon"]
        assert words in reader.page.locator("[data-finding='L 1']").inner_text()
    assert len(set(icons.values())) == 4, "the icons differ too"
    reader.command("undo")
    reader.until("s('findings')[0].state === 'absent'")
    assert "Former position of L 1" in reader.page.locator("[data-match]").inner_text()
    assert "Reverse check" not in reader.page.locator("[data-match]").inner_text()
