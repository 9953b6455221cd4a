"""The response to treatment over three visits: the whole course once by mouse alone and once by keyboard alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from three_visits import LESIONS

NEW = (0.0, 25.0, 6.0)
MOST_TABS = 160


@pytest.fixture
def reader(three_visit_page):
    three_visit_page[0].page.evaluate("trame.trigger('oncotrack.command', ['show_visit', 1, ''])")
    three_visit_page[0].until("s('visits').shown === 1 && !s('job').text")
    three_visit_page[0].clear()
    three_visit_page[0].page.evaluate("trame.state.set('response_as', 'target'); trame.state.set('saved', '')")
    three_visit_page[0].tab("Response")
    return three_visit_page[0]


def cells(reader, head: str) -> list[str]:
    return next(line["cells"] for line in reader.state("response")["lines"] if line["head"].startswith(head))


def choose(reader, field: str, title: str) -> None:
    reader.page.locator(f".v-select:has([data-response='{field}']), .v-select[data-response='{field}']").first.click()
    reader.page.get_by_role("option", name=title, exact=True).click()


def test_dates_in_headings_are_whole_and_targets_without_a_size_give_no_plot(reader):
    page = reader.page
    page.locator("[data-do='response_click']").click()
    reader.until("s('response_picks')")
    reader.scroll_to("BaselineAxial", LESIONS[0])
    reader.click("BaselineAxial", LESIONS[0])
    reader.until("s('findings').length === 1 && !s('job').text")
    page.locator("[data-do='response_click']").click()
    page.locator("[data-response='no-plot']").wait_for()
    assert "No target lesion is measured yet" in page.locator("[data-response='no-plot']").inner_text()
    assert not page.locator("[data-response='plot']").count()
    page.evaluate(
        "trame.state.set('response', {...trame.state.get('response'), heads: Array(3).fill('follow-up 2026-01-15')})"
    )
    words = page.locator("[data-response='table'] .unbroken")
    page.wait_for_function("document.querySelectorAll(\"[data-response='table'] .unbroken\").length === 6")
    heights = words.evaluate_all("all => all.map(each => each.getBoundingClientRect().height)")
    assert max(heights) < 24, "each word is on one line"


def test_by_mouse_alone(reader, three_visit_page):
    page, server = reader.page, three_visit_page[1]
    page.locator("[data-response='organ'] input, input[data-response='organ']").first.fill("liver")
    page.locator("[data-do='response_click']").click()
    reader.until("s('response_picks')")
    for number, at in enumerate(LESIONS):
        reader.scroll_to("BaselineAxial", at)
        reader.click("BaselineAxial", at)
        reader.until(f"s('findings').length === {number + 1} && !s('job').text")
    page.locator("[data-do='response_click']").click()
    assert [line["head"] for line in reader.state("response")["lines"][:2]] == [
        "L 1, liver, target",
        "L 2, liver, target",
    ]
    reader.tab("Findings")
    page.locator("[data-do='measure_matches']").click()
    reader.until("!s('job').text && s('findings').every(row => row.change.includes('mm'))")
    page.locator("[data-do='find_all_in_every_visit']").click()
    reader.until("!s('job').text && s('visits').rows.every(row => row.cells[2].includes('mm'))")
    reader.tab("Response")
    reader.until("s('response').headline.includes('follow-up 2')")
    assert reader.page.locator("[data-response='plot']").get_attribute("alt").startswith("Sum of diameters in mm")
    assert any("no reader accepted" in text for text in reader.state("response")["warnings"])
    # correct one diameter: drag an end, the mask and the sum follow
    page.locator("[data-response-cell='L 1 2']").click()
    reader.until("s('response').shown === 2 && s('judged').label === 'L 1' && !s('job').text")
    before = cells(reader, "Sum")[2]
    axis = observations(server)["L 1"]["follow-up 2"]["long_axis"]
    start, end = np.array(axis["start"]), np.array(axis["end"])
    reader.scroll_to("FollowUpAxial", end)
    reader.drag("FollowUpAxial", end, end + 0.4 * (end - start))
    reader.until("!s('job').text && !s('response').lines[0].cells[2].includes('proposed')")
    seen = observations(server)["L 1"]["follow-up 2"]
    assert seen["state"] == "edited" and seen["mask"] and cells(reader, "Sum")[2] != before
    # a new lesion: progression; undo takes it back
    choose(reader, "role", "New")
    page.locator("[data-do='response_click']").click()
    reader.until("s('response_picks')")
    reader.scroll_to("FollowUpAxial", NEW)
    reader.click("FollowUpAxial", NEW)
    reader.until("s('findings').length === 3")
    page.locator("[data-do='response_click']").click()
    assert cells(reader, "New lesions")[2] == "L 3" and cells(reader, "Response")[2] == "PD"
    reader.command("undo")
    reader.until("s('findings').length === 2")
    reader.command("redo")
    reader.until("s('findings').length === 3")
    # save, reopen, report
    reader.command("save_findings")
    reader.until("!s('unsaved') && s('saved').includes('findings.json')")
    shown = reader.state("response")["text"]
    reader.clear()
    reader.until("!s('response').headline")
    reader.tab("Files")
    page.locator("[data-upload='followup'] input, input[data-upload]").first.set_input_files(
        server.out / "findings.json"
    )
    reader.until("s('findings').length === 3")
    reader.tab("Response")
    reader.until("s('response').headline")
    assert reader.state("response")["text"] == shown
    page.locator("[data-do='response_report']").click()
    reader.until("s('saved').includes('response.pdf') && !s('job').text")
    assert (server.out / "response.pdf").read_bytes().startswith(b"%PDF")
    assert (server.out / "response.txt").read_text() == shown
    assert "L 3 at each visit" in (server.out / "response.html").read_text()


def test_by_keyboard_alone(reader, three_visit_page):
    keys, server = reader.page.keyboard, three_visit_page[1]
    reader.tab_to(".layout-grid-item:has([data-view='BaselineAxial'])", MOST_TABS)
    pan_to(reader, "BaselineAxial", LESIONS[0])
    keys.press("1")  # a window: the keys of the views work on this tab too
    reader.tab_to("[role=tab]", MOST_TABS)
    keys.press("ArrowLeft")
    keys.press("Enter")
    reader.until("s('tab') === 'findings' && s('keys')['='] === 'measure_match'")
    reader.tab_to(".layout-grid-item:has([data-view='BaselineAxial'])", MOST_TABS)
    keys.press("+")
    reader.until("s('findings').length === 1 && s('match').label && !s('job').text")
    keys.press("=")
    reader.until("!s('job').text && s('findings')[0].change.includes('mm')")
    keys.press("a")
    reader.until("s('findings')[0].state === 'accepted'")
    reader.tab_to("[data-do='find_all_in_every_visit']", MOST_TABS)
    keys.press("Enter")
    reader.until("!s('job').text && s('visits').rows[0].cells[2].includes('mm')")
    reader.tab_to("[role=tab]", MOST_TABS)
    keys.press("ArrowRight")
    keys.press("Enter")
    reader.until("s('tab') === 'response' && s('keys')['*'] === 'response_target'")
    keys.press("*")
    reader.until("s('response').headline")
    reader.tab_to("[data-response-cell='L 1 2']", MOST_TABS)
    keys.press("Enter")
    reader.until("s('response').shown === 2 && s('judged').long_mm && !s('job').text")
    before = reader.state("judged")["long_mm"]
    reader.tab_to("[data-response='long_mm']", MOST_TABS)
    keys.press("Control+a")
    keys.type(f"{float(before) + 4:.1f}")
    keys.press("Tab")
    reader.until(f"!s('job').text && Math.abs(s('judged').long_mm - {before} - 4) < 0.2")
    reader.tab_to(".layout-grid-item:has([data-view='FollowUpAxial'])", MOST_TABS)
    keys.press("!")
    reader.until("s('findings').length === 2")
    assert cells(reader, "New lesions")[2] == "L 2"
    keys.press("Control+z")
    reader.until("s('findings').length === 1 && s('judged').label === 'L 1'")
    keys.press("-")
    reader.until("s('response').lines[0].cells[2] === 'absent'")
    assert cells(reader, "Response")[2] == "CR"
    keys.press("Control+z")
    keys.press("Control+s")
    reader.until("!s('unsaved') && s('saved').includes('findings.json')")
    reader.tab_to("[data-do='response_report']", MOST_TABS)
    keys.press("Enter")
    reader.until("s('saved').includes('response.html') && !s('job').text")
    assert list(observations(server, "findings.json")) == ["L 1"]


def test_judgements_criteria_and_accessibility_in_both_themes(reader):
    page = reader.page
    reader.scroll_to("BaselineAxial", LESIONS[0])
    page.locator("[data-do='response_click']").click()
    reader.until("s('response_picks')")
    reader.click("BaselineAxial", LESIONS[0])
    reader.until("s('findings').length === 1 && !s('job').text")
    page.locator("[data-do='response_click']").click()
    reader.until("s('judged').label === 'L 1'")
    choose(reader, "judgement", "not evaluable")
    reader.until("s('judged').judgement === 'not evaluable'")
    assert "not evaluable" in cells(reader, "L 1")[reader.state("response")["shown"]]
    choose(reader, "criteria", "iRECIST")
    reader.until("s('response').criteria === 'irecist'")
    reader.command("undo")
    reader.until("s('response').criteria === 'recist11'")
    for theme in ("light", "dark"):
        reader.use_theme(theme)
        assert not reader.faults()


def test_a_fragment_of_another_lesion_is_chosen_from_the_list(reader):
    reader.page.locator("[data-do='response_click']").click()
    reader.until("s('response_picks')")
    for number, at in enumerate(LESIONS):
        reader.scroll_to("BaselineAxial", at)
        reader.click("BaselineAxial", at)
        reader.until(f"s('findings').length === {number + 1} && !s('job').text")
    reader.page.locator("[data-do='response_click']").click()
    reader.until("s('judged').label === 'L 2' && !s('response_picks')")
    choose(reader, "split", "L 1")
    reader.until("s('judged').split_from === s('findings')[0].uid")
    reader.command("undo")
    reader.until("s('judged').split_from === ''")


def observations(server, file: str = "findings.autosave.json") -> dict:
    """Return the stored observations by the labels of finding and visit."""
    document = json.loads((server.out / file).read_text())
    labels = {each["id"]: each["label"] for each in document["time_points"]}
    return {
        finding["label"]: {labels[key]: seen for key, seen in finding["observations"].items()}
        for finding in document["findings"]
    }


def pan_to(reader, view: str, at) -> None:
    """Show a position in the middle of a view by keys."""
    for axis, forward, backward in ((2, "ArrowUp", "ArrowDown"), (0, "Shift+ArrowLeft", "Shift+ArrowRight"),
                                    (1, "Shift+ArrowUp", "Shift+ArrowDown")):  # fmt: skip
        for _ in range(40):
            shown = reader.state("views")[view]
            inverse = np.linalg.inv(np.reshape(shown["ras_to_xy"], (4, 4)))
            away = at[axis] - (inverse @ [*np.divide(shown["size"], 2), 0, 1])[axis]
            if abs(away) < 5:
                break
            before = json.dumps(shown["ras_to_xy"], separators=(",", ":"))
            reader.page.keyboard.press(forward if away > 0 else backward)
            reader.until(f"JSON.stringify(s('views').{view}.ras_to_xy) !== '{before}'")
