"""A patient with three visits, read from the first lesion to the report: once by keyboard alone, once by mouse alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from three_visits import LESIONS, place

MOST_TABS = 120


@pytest.fixture
def reader(three_visit_page):
    reader = three_visit_page[0]
    reader.page.evaluate("trame.trigger('oncotrack.command', ['show_visit', 1, '']); trame.state.set('saved', '')")
    reader.until("s('visits').shown === 1 && !s('job').text")
    reader.clear()
    reader.tab("Findings")
    return reader


def seen(server) -> dict:
    """Return the first finding as it was saved, by the label of the visit."""
    document = json.loads((server.out / "findings.json").read_text())
    labels = {each["id"]: each["label"] for each in document["time_points"]}
    return {labels[key]: value for key, value in document["findings"][0]["observations"].items()}


def middle(reader) -> np.ndarray:
    shown = reader.state("views")["BaselineAxial"]
    inverse = np.linalg.inv(np.reshape(shown["ras_to_xy"], (4, 4)))
    return (inverse @ [*np.divide(shown["size"], 2), 0, 1])[:3]


def test_by_keyboard_alone(reader, three_visit_page):
    keys = reader.page.keyboard
    reader.tab_to(".layout-grid-item:has([data-view='BaselineAxial'])", MOST_TABS)
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
    reader.tab_to("[data-do='find_all_in_every_visit']", MOST_TABS)
    keys.press("Enter")
    reader.until("!s('job').text && s('visits').rows[0].cells[2] === 'proposed'")
    reader.tab_to("[data-visit='2']", MOST_TABS)
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
    states = {label: each["state"] for label, each in seen(three_visit_page[1]).items()}
    assert states == {"baseline": "accepted", "follow-up": "accepted", "follow-up 2": "accepted"}


def test_by_mouse_alone(reader, three_visit_page):
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
    report = (three_visit_page[1].out / "report.html").read_text()
    assert "L 1" in report and "follow-up 2" in report
    course = seen(three_visit_page[1])
    assert np.linalg.norm(np.subtract(course["follow-up 2"]["position_ras"], place(1, 2))) < 12
    assert course["follow-up"]["state"] == "edited" and course["follow-up 2"]["state"] == "accepted"


def test_a_newcomer_follows_measures_and_exports_with_the_buttons_that_the_help_names(reader, three_visit_page):
    page = reader.page
    page.locator("[data-visit='1']").click()
    reader.until("s('visits').shown === 1 && !s('job').text && s('has_registration')")
    page.get_by_role("button", name="Help").click()
    text = page.locator("[data-help]").inner_text()
    assert all(
        name in text for name in ("Accept it (A)", "Measure (=)", "Measure all", "Save findings (Ctrl+S)", "a report")
    )
    page.locator("[data-help-close]").click()
    page.locator("[data-help]").wait_for(state="detached")
    for number, at in enumerate(LESIONS):
        follow(reader, at, number + 1)
        page.get_by_role("button", name="Accept", exact=True).first.click()
        reader.until(f"s('findings')[{number}].state === 'accepted'")
    page.get_by_role("button", name="Measure all").click()
    reader.until("!s('job').text && s('findings').every(row => row.state_text === 'Size proposed')")
    card = page.locator("[data-match]")
    card.get_by_text("Check the border in both scans, then accept it.").wait_for()
    doubts = reader.state("match")["doubts"]
    assert card.locator("[data-doubt]").count() == len(doubts)
    for _ in LESIONS:
        page.keyboard.press("a")
        reader.until("s('findings').find(row => row.is_current).state_text === 'Accepted'")
        page.keyboard.press("n")
    reader.until("s('findings').every(row => row.state_text === 'Accepted' && row.change.includes('mm'))")
    page.get_by_role("button", name="Save findings").click()
    reader.until("!s('unsaved') && s('saved').includes('findings.csv')")
    reader.tab("Files")
    page.evaluate("messages.length = 0")
    page.get_by_role("button", name="Report of all matches", exact=True).click()
    reader.message("Saved report.html")
    report = (three_visit_page[1].out / "report.html").read_text()
    assert "size proposed" not in report
    for row in reader.state("findings"):
        assert row["axes"].split(" → ")[1] in report


def follow(reader, at, count: int = 1) -> dict:
    reader.tab("Findings")
    reader.scroll_to("BaselineAxial", at)
    reader.click("BaselineAxial", at)
    reader.until(f"s('findings').length === {count} && s('match').label && !s('job').text")
    return reader.state("findings")[count - 1]
