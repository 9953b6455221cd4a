"""The results of an archive as a worklist: filtered, sorted, read patient by patient, with the real page."""

from __future__ import annotations

import json
import os

import pytest
import stand_in_stages

from oncotrack.archive.cases import cases_of
from oncotrack.archive.index import index_archive
from oncotrack.archive.plan import Plan
from oncotrack.archive.run import run_archive
from oncotrack.archive.selection import Rules
from oncotrack.archive.worklist import Worklist


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Results of three patients; the second has grown lesions only, the third a single visit."""
    folder = tmp_path_factory.mktemp("archive")
    root = stand_in_stages.write_cohort(folder / "root", 2)
    stand_in_stages.write_cohort(folder / "one", 3, visits=1)
    (folder / "one" / "P002").rename(root / "P002")
    cases = cases_of(index_archive(root, Rules(least_slices=4), processes=1).entries, root)
    with pytest.MonkeyPatch.context() as context:
        stand_in_stages.install(context.setattr)
        run_archive(cases, Plan(method="affine"), folder / "results")
    return folder / "results"


def patients(reader) -> list[str]:
    return [row["patient"] for row in reader.state("worklist")]


def test_patients_are_filtered_opened_one_after_the_other_and_marked_as_read(
    start, browser, make_reader, results, tmp_path
):
    server = start([], tmp_path / "out", worklist=results)
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    reader = make_reader(context.new_page())
    page = reader.page
    page.goto(server.url)
    reader.until("s('worklist') && s('worklist').length === 3")
    assert page.locator("[data-worklist=next_patient]").is_enabled()
    assert page.locator("[data-worklist=mark_read]").is_disabled()
    assert len(reader.tabs_in_sight()) == 8
    assert "3 of 3 patients; 3 not read yet" in page.locator("[data-worklist-text]").inner_text()

    page.locator("[data-patient=P000]").click()
    reader.until("s('has_registration') && !s('job').text && s('findings').length === 2")
    assert reader.state("worklist_patient") == "P000"
    assert not reader.state("unsaved"), "what the run found is saved already"
    reader.until_shown(7)
    if folder := os.environ.get("ONCOTRACK_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/worklist.png")

    page.locator("[data-worklist=mark_read]").click()
    reader.until("s('worklist_is_read')")
    assert json.loads((results / "patients" / "P000" / "read.json").read_text())["key"]
    page.locator("[data-choice=worklist_filter]").click()
    page.get_by_role("option", name="Not read yet").click()
    reader.until("s('worklist').length === 2")
    assert patients(reader) == ["P001", "P002"]

    page.locator("[data-worklist=next_patient]").click()
    reader.until("s('worklist_patient') === 'P001' && s('has_registration') && !s('job').text")
    reader.until("s('findings').length === 2")
    reader.command("accept")
    reader.until("s('unsaved')")
    page.locator("[data-worklist=next_patient]").click()
    reader.until("s('worklist_patient') === 'P002' && !s('job').text && s('scan_names')[0] && !s('scan_names')[1]")
    saved = json.loads((results / "patients" / "P001" / "reading" / "findings.json").read_text())
    states = [each["state"] for finding in saved["findings"] for each in finding["observations"].values()]
    assert "accepted" in states, "changed findings are saved when the next patient is opened"
    assert page.locator("[data-worklist=next_patient]").is_disabled()

    page.locator("[data-worklist=previous_patient]").click()
    reader.until("s('worklist_patient') === 'P001' && s('has_registration') && !s('job').text")
    reader.until("s('findings').length === 2")
    page.locator("[data-field=worklist_words] input, input[data-field=worklist_words]").first.fill("p00")
    reader.until("s('worklist_words') === 'p00' && s('worklist').length === 2")
    context.close()
    assert server.stop() == 0
    assert "Traceback" not in server.faults
    assert [row.patient for row in Worklist(results).select("unread")] == ["P001", "P002"]
