"""A patient with three visits, read from the first lesion to the report: once by keyboard alone, once by mouse alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from three_visits import LESIONS, place, scan

from oncotrack.images.files import save


@pytest.fixture(scope="module")
def walk(start, browser, make_reader, tmp_path_factory):
    """Open a page with three visits."""
    folder = tmp_path_factory.mktemp("walk")
    scans = [save(scan(visit), folder / f"visit{visit + 1}.nii.gz") for visit in range(3)]
    server = start(scans, folder / "out")
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    reader = make_reader(context.new_page())
    reader.open(server.url)
    reader.page.evaluate("trame.state.set('method', 'affine')")
    reader.until("s('method_tip').includes('registration') && !s('job').text")
    yield reader, server
    context.close()
    assert server.stop() == 0


@pytest.fixture
def reader(walk):
    walk[0].clear()
    return walk[0]


def seen(server) -> dict:
    """Return the first finding as it was saved, by the label of the visit."""
    document = json.loads((server.out / "findings.json").read_text())
    labels = {each["id"]: each["label"] for each in document["time_points"]}
    return {labels[key]: value for key, value in document["findings"][0]["observations"].items()}


def tab_to(reader, selector: str, limit: int = 120) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(limit):
        if reader.page.evaluate("selector => !!document.activeElement?.closest(selector)", selector):
            return
        reader.page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reaches {selector}")


def middle(reader) -> np.ndarray:
    shown = reader.state("views")["BaselineAxial"]
    inverse = np.linalg.inv(np.reshape(shown["ras_to_xy"], (4, 4)))
    return (inverse @ [*np.divide(shown["size"], 2), 0, 1])[:3]


def test_by_keyboard_alone(reader, walk):
    keys = reader.page.keyboard
    tab_to(reader, ".layout-grid-item:has([data-view='BaselineAxial'])")
    for axis, forward, backward in ((2, "ArrowUp", "ArrowDown"), (0, "Shift+ArrowLeft", "Shift+ArrowRight"),
                                    (1, "Shift+ArrowUp", "Shift+ArrowDown")):  # fmt: skip
        for _ in range(40):
            away = LESIONS[0][axis] - middle(reader)[axis]
            if abs(away) < 5:
                break
            before = json.dumps(reader.state("views")["BaselineAxial"]["ras_to_xy"], separators=(",", ":"))
            keys.press(forward if away > 0 else backward)
            reader.until(f"JSON.stringify(s('views').BaselineAxial.ras_to_xy) !== '{before}'")
    keys.press("+")
    reader.until("s('findings').length === 1 && s('match').label && !s('job').text")
    keys.press("a")
    reader.until("s('findings')[0].state === 'accepted'")
    tab_to(reader, "[data-do='find_all_in_every_visit']")
    keys.press("Enter")
    reader.until("!s('job').text && s('visits').rows[0].cells[2] === 'proposed'")
    tab_to(reader, "[data-visit='2']")
    keys.press("Enter")
    reader.until("s('visits').shown === 2 && !s('job').text")
    keys.press("a")
    reader.until("s('visits').rows[0].cells[2] === 'accepted'")
    keys.press("o")
    reader.until("s('findings')[0].state === 'absent'")
    keys.press("Control+z")
    reader.until("s('findings')[0].state === 'accepted'")
    keys.press("Control+s")
    reader.until("!s('unsaved') && s('saved').includes('findings.json')")
    states = {label: each["state"] for label, each in seen(walk[1]).items()}
    assert states == {"baseline": "accepted", "follow-up": "accepted", "follow-up 2": "accepted"}


def test_by_mouse_alone(reader, walk):
    page = reader.page
    page.locator("[data-visit='1']").click()
    reader.until("s('visits').shown === 1 && !s('job').text && s('has_registration')")
    row = follow(reader, LESIONS[1])
    reader.drag("FollowUpAxial", row["followup"], np.add(row["followup"], (6.0, 0, 0)))
    reader.until("s('findings')[0].state === 'edited'")
    page.locator("[data-do='find_all_in_every_visit']").click()
    reader.until("!s('job').text && s('visits').rows[0].cells[2] === 'proposed'")
    page.locator("[data-cell='L 1 2']").click()
    reader.until("s('visits').shown === 2 && !s('job').text")
    reader.command("accept")
    reader.until("s('visits').rows[0].cells[2] === 'accepted'")
    reader.tab("Files")
    page.locator("[data-save='save_findings']").click()
    reader.until("!s('unsaved') && s('saved').includes('findings.json')")
    page.locator("[data-save='save_report']").click()
    reader.until("s('saved').includes('report.html') && !s('job').text")
    report = (walk[1].out / "report.html").read_text()
    assert "L 1" in report and "follow-up 2" in report
    course = seen(walk[1])
    assert np.linalg.norm(np.subtract(course["follow-up 2"]["position_ras"], place(1, 2))) < 12
    assert course["follow-up"]["state"] == "edited" and course["follow-up 2"]["state"] == "accepted"


def follow(reader, at) -> dict:
    reader.tab("Findings")
    reader.scroll_to("BaselineAxial", at)
    reader.click("BaselineAxial", at)
    reader.until("s('findings').length === 1 && s('match').label && !s('job').text")
    return reader.state("findings")[0]
