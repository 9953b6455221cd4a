"""A patient from an archive and back: search, load two visits, follow, measure, send, and open again in a new session."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from oncotrack.bench import orthanc as peer
from oncotrack.dicom_objects import codes, content
from oncotrack.images.files import load
from oncotrack.phantom.dicom_series import write_series

pytest.importorskip("dicomweb_client")
pytest.importorskip("highdicom")


@pytest.fixture(scope="module")
def stored(orthanc, pair, tmp_path_factory):
    """Store both scans in the archive."""
    for visit, (path, date) in enumerate(((pair.baseline, "20250110"), (pair.followup, "20250320"))):
        volume = load(path)
        about = {"date": date, "patient_id": "P7", "patient_name": "Doe^Jane", "birth_date": "19600101", "sex": "F"}
        image = replace(volume, name="chest", modality="CT", metadata={**about, "description": "chest"})
        orthanc.upload(write_series(image, tmp_path_factory.mktemp("dicom"), patient="P7", visit=visit))


def open_viewer(start, orthanc, browser, make_reader, out):
    """Start a viewer without scans that knows the archive, and open its page."""
    settings = out.with_suffix(".config") / "archives.toml"
    settings.parent.mkdir(parents=True)
    text = "\n".join(f"{key} = {json.dumps(value)}" for key, value in orthanc.settings(timeout_s=60.0).items())
    settings.write_text(f"[clinic]\n{text}\n")
    password = f"import os; os.environ['ONCOTRACK_PACS_CLINIC_PASSWORD'] = {peer.PASSWORD!r}"
    server = start([], out, prelude=password)
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    reader = make_reader(context.new_page())
    reader.page.goto(server.url)
    reader.until("s('archives').length === 1")
    return server, context, reader


def load_both(reader):
    """Search for the patient, choose both visits and load them."""
    reader.tab("Files")
    reader.page.locator("[data-field='archive_patient'] input, input[data-field='archive_patient']").first.fill("P7")
    reader.page.locator("[data-search]").click()
    reader.until("s('archive_studies').length === 2 && !s('job').text")
    later, earlier = reader.state("archive_studies")
    assert later["title"].startswith("2025-03-20") and earlier["title"].startswith("2025-01-10")
    for study, role in ((earlier, "baseline"), (later, "followup")):
        (series,) = study["series"]
        assert series["text"].startswith("CT, chest")
        reader.page.locator(f"[data-series='{series['uid']}'] [data-role='{role}']").click()
    reader.until("Object.keys(s('archive_roles')).length === 2")
    if folder := os.environ.get("ONCOTRACK_SCREENSHOTS"):
        reader.page.locator("[data-archive]").scroll_into_view_if_needed()
        reader.page.screenshot(path=f"{folder}/archive-{'results' if later['results'] else 'scans'}.png")
    reader.page.locator("[data-load]").click()
    reader.until("s('has_registration') && !s('job').text")


def test_a_patient_goes_from_the_archive_through_two_sessions(
    start, browser, make_reader, orthanc, stored, pair, tmp_path
):
    server, context, reader = open_viewer(start, orthanc, browser, make_reader, tmp_path / "first")
    load_both(reader)
    reader.until_shown(7)
    reader.tab("Findings")
    reader.follow(pair, 0)
    reader.page.keyboard.press("a")
    reader.until("s('findings')[0].state === 'accepted'")
    reader.tab("Measure")
    reader.page.locator("[data-measure='bidirectional']").click()
    reader.until("s('measure_tool') === 'bidirectional'")
    middle = pair.lesions[0]
    for away in (-7.0, 7.0):
        reader.click("BaselineAxial", np.add(middle, (away, 0, 0)))
    reader.until("s('measurements').length === 1")
    reader.page.locator("[data-measurement] [data-measure-action='measure_make_lesion']").click()
    reader.until("s('measurements').length === 0")
    first = reader.state("findings")
    reader.tab("Files")
    reader.page.locator("[data-send]").click()
    reader.message("sent to clinic")
    stored_objects = [pydicom.dcmread(path) for path in sorted((server.out / "dicom").glob("sr-*.dcm"))]
    uids = {row["uid"] for row in first}
    groups = [group for each in stored_objects for group in content.groups(each)]
    assert {content.text(group, codes.TRACKING_UID) for group in groups if content.item(group, codes.LONG_AXIS)} <= uids
    assert {str(each.SOPInstanceUID) for each in stored_objects} <= set(orthanc.instances())
    context.close()
    server.stop()

    again, context, reader = open_viewer(start, orthanc, browser, make_reader, tmp_path / "second")
    load_both(reader)
    reader.until(f"s('findings').length === {len(first)}")
    reader.until_shown(7)
    second = {row["uid"]: row for row in reader.state("findings")}
    for row in first:
        assert second[row["uid"]]["label"] == row["label"]
        for place in ("baseline", "followup"):
            if row[place]:
                assert np.allclose(second[row["uid"]][place], row[place], atol=1.6)
        assert second[row["uid"]]["axes"] == row["axes"]
    if folder := os.environ.get("ONCOTRACK_SCREENSHOTS"):
        reader.tab("Findings")
        reader.page.screenshot(path=f"{folder}/reopened.png")
    for each in (server, again):
        assert "Doe" not in each.log and "Traceback" not in each.faults
    assert not list(tmp_path.rglob(".oncotrack-*"))
    context.close()
    again.stop()
