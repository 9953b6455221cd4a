"""The response to treatment over three visits: the whole course once by mouse alone and once by keyboard alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from three_visits import LESIONS, scan

from oncotrack.images.files import save

NEW = (0.0, 25.0, 6.0)


@pytest.fixture(scope="module")
def course(start, browser, make_reader, tmp_path_factory):
    """Open a page with three visits."""
    folder = tmp_path_factory.mktemp("response")
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
def reader(course):
    course[0].page.evaluate("trame.trigger('oncotrack.command', ['show_visit', 1, ''])")
    course[0].until("s('visits').shown === 1 && !s('job').text")
    course[0].clear()
    course[0].page.evaluate("trame.state.set('response_as', 'target')")
    course[0].tab("Response")
    return course[0]


def cells(reader, head: str) -> list[str]:
    return next(line["cells"] for line in reader.state("response")["lines"] if line["head"].startswith(head))


def tab_to(reader, selector: str, limit: int = 160) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(limit):
        if reader.page.evaluate("selector => !!document.activeElement?.closest(selector)", selector):
            return
        reader.page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reaches {selector}")


def choose(reader, field: str, title: str) -> None:
    reader.page.locator(f".v-select:has([data-response='{field}']), .v-select[data-response='{field}']").first.click()
    reader.page.get_by_role("option", name=title, exact=True).click()


def faults(reader) -> list[str]:
    found = Axe().run(reader.page, options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{each['id']}: {node['html'][:150]}" for each in found if each["impact"] in ("serious", "critical")
            for node in each["nodes"]]  # fmt: skip


def test_by_mouse_alone(reader, course):
    page, server = reader.page, course[1]
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


def test_by_keyboard_alone(reader, course):
    keys, server = reader.page.keyboard, course[1]
    tab_to(reader, ".layout-grid-item:has([data-view='BaselineAxial'])")
    pan_to(reader, "BaselineAxial", LESIONS[0])
    keys.press("1")  # a window: the keys of the views work on this tab too
    tab_to(reader, "[role=tab]")
    keys.press("ArrowLeft")
    keys.press("Enter")
    reader.until("s('tab') === 'findings' && s('keys')['='] === 'measure_match'")
    tab_to(reader, ".layout-grid-item:has([data-view='BaselineAxial'])")
    keys.press("+")
    reader.until("s('findings').length === 1 && s('match').label && !s('job').text")
    keys.press("=")
    reader.until("!s('job').text && s('findings')[0].change.includes('mm')")
    keys.press("a")
    reader.until("s('findings')[0].state === 'accepted'")
    tab_to(reader, "[data-do='find_all_in_every_visit']")
    keys.press("Enter")
    reader.until("!s('job').text && s('visits').rows[0].cells[2].includes('mm')")
    tab_to(reader, "[role=tab]")
    keys.press("ArrowRight")
    keys.press("Enter")
    reader.until("s('tab') === 'response' && s('keys')['*'] === 'response_target'")
    keys.press("*")
    reader.until("s('response').headline")
    tab_to(reader, "[data-response-cell='L 1 2']")
    keys.press("Enter")
    reader.until("s('response').shown === 2 && s('judged').long_mm && !s('job').text")
    before = reader.state("judged")["long_mm"]
    tab_to(reader, "[data-response='long_mm']")
    keys.press("Control+a")
    keys.type(f"{float(before) + 4:.1f}")
    keys.press("Tab")
    reader.until(f"!s('job').text && Math.abs(s('judged').long_mm - {before} - 4) < 0.2")
    tab_to(reader, ".layout-grid-item:has([data-view='FollowUpAxial'])")
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
    tab_to(reader, "[data-do='response_report']")
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
    for _ in range(2):
        assert not faults(reader)
        page.evaluate("trame.trigger('oncotrack.command', ['change_theme'])")
        page.wait_for_timeout(300)


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
