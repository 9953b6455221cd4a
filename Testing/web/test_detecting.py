"""Lymph nodes in the browser with one scan: detecting, correcting with the mouse, saving. The detector returns known nodes."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

NEW = (-4.0, 8.0, 4.5)
"""A position in the slice of the first node where nothing was detected (RAS mm)."""
RADIUS = 9.0
"""Radius of the detected nodes, mm; as in conftest."""


@pytest.fixture(scope="module")
def node_server(start, pair, known_nodes, tmp_path_factory):
    """Start the viewer with one scan."""
    server = start([pair.baseline], tmp_path_factory.mktemp("nodes") / "out", prelude=known_nodes)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def node_context(browser, node_server):
    """Open the one browser that the server admits."""
    context = browser.new_context(viewport={"width": 1366, "height": 900})
    assert context.request.get(node_server.url).ok
    yield context
    context.close()


@pytest.fixture
def nodes(node_context, node_server, page_of):
    """Open a page at the Nodes tab, before detection."""
    reader = page_of(node_context, lambda reader: reader.open_one_scan(node_server.url.split("?")[0]))
    reader.clear()
    reader.tab("Nodes")
    reader.page.evaluate("trame.state.set('node_threshold', 0); trame.state.set('node_shown', 'all')")
    return reader


@pytest.fixture
def found(nodes):
    """Detect four nodes; the first, of the best score, is current and in view."""
    press(nodes, "detect")
    nodes.until("s('nodes').length === 4 && !s('job').text && s('node_possible').includes('editor.delete_box')")
    nodes.close_message()
    return nodes


def press(reader, command: str) -> None:
    """Click a button of the panel."""
    reader.page.locator(f"[data-panel='nodes'] [data-node-command='{command}']").click()


def row(reader, label: str) -> dict:
    return next(each for each in reader.state("nodes") if each["label"] == label)


def size(reader, label: str) -> tuple[float, float]:
    return float(row(reader, label)["long"]), float(row(reader, label)["short"])


def autosaved(server, label: str) -> dict:
    """Return a node's observation as autosaved, read from disk and not from the page."""
    finding = next(each for each in server.autosaved["findings"] if each["label"] == label)
    return next(iter(finding["observations"].values()))


def corner(at, u: float = 1.0, v: float = 1.0) -> np.ndarray:
    """Return a corner of the slice box that was detected around a position (RAS mm)."""
    return np.add(at, (u * RADIUS, v * RADIUS, 0))


def test_one_scan_uses_the_whole_page(nodes):
    nodes.until("Object.keys(s('view_scans')).includes('FollowUp3D')")
    titles = nodes.page.locator(".view-title").all_inner_texts()
    assert sorted(titles) == ["Baseline · 3D", "Baseline · axial", "Baseline · coronal", "Baseline · sagittal"]
    axial, page = nodes.page.locator(".layout-grid-item").first.bounding_box(), nodes.page.viewport_size
    assert axial["width"] > 0.7 * page["width"]


def test_detecting_shows_each_slice_can_be_stopped_and_then_lists_every_node(nodes, pair, node_server):
    with node_server.slow_detection():
        press(nodes, "detect")
        nodes.until("s('job').text?.includes('Slice ') && s('job').percent > 0")
        nodes.page.locator("[data-cancel]").click()
        nodes.until("!s('job').text")
    assert nodes.state("nodes") == [] and nodes.state("findings") == []
    before = nodes.picture("BaselineAxial")
    press(nodes, "detect")
    nodes.until("s('nodes').length === 4 && !s('job').text")
    assert "Check every one, and look for missed nodes." in nodes.message("4 unchecked proposals")
    nodes.picture("BaselineAxial", other_than=before)
    first = row(nodes, "LN 1")
    assert (first["state"], first["score"], first["size"], first["is_current"]) == (
        "proposed",
        "0.90",
        "not measured",
        True,
    )
    assert first["tip"].startswith("LN 1, right at 35.0, 20.0")
    for label in ("LN 1", "LN 4"):
        assert nodes.page.locator(f"[data-node='{label}']").inner_text().splitlines()[0].startswith(label)
    assert "4 unchecked proposals" in nodes.page.locator("[data-node-summary]").inner_text()


def test_dragging_a_corner_resizes_the_box_of_the_slice_and_undo_restores_it(found, pair, node_server):
    middle = (*pair.lesions[0][:2], 4.5)
    before = size(found, "LN 1")
    found.drag("BaselineAxial", corner(middle), np.add(corner(middle), (8, 6, 0)))
    found.until("s('nodes').find(n => n.label === 'LN 1').state === 'edited'")
    wide = sorted((before[0] + 8, before[1] + 6))
    assert np.allclose(sorted(size(found, "LN 1")), wide, atol=1.5)
    boxes = autosaved(node_server, "LN 1")["tracklet"]["boxes"]
    assert sum(np.ptp([b["low"][0], b["high"][0]]) > before[0] + 4 for b in boxes) == 1, "the other slices stay"
    found.page.keyboard.press("Control+z")
    found.until("s('nodes').find(n => n.label === 'LN 1').state === 'proposed'")
    assert size(found, "LN 1") == before
    found.page.keyboard.press("Control+y")
    found.until("s('nodes').find(n => n.label === 'LN 1').state === 'edited'")


def test_dragging_the_middle_moves_the_box(found, pair, node_server):
    middle = np.array((*pair.lesions[0][:2], 4.5))
    found.drag("BaselineAxial", middle, np.add(middle, (-7, -5, 0)))
    found.until("s('nodes').find(n => n.label === 'LN 1').state === 'edited'")
    low, high = autosaved(node_server, "LN 1")["box"]["low"], autosaved(node_server, "LN 1")["box"]["high"]
    assert low[0] == pytest.approx(middle[0] - RADIUS - 7, abs=1.5)
    assert high[0] == pytest.approx(middle[0] + RADIUS, abs=1.5), "where the boxes of the other slices are still"


def test_the_score_slider_hides_at_once_and_deletes_nothing(found, pair):
    found.scroll_to("BaselineAxial", pair.lesions[0])
    track = found.page.locator("[data-threshold]").bounding_box()
    found.page.mouse.move(track["x"] + 0.8 * track["width"], track["y"] + track["height"] / 2)
    before = found.picture("BaselineAxial")
    found.page.mouse.click(track["x"] + 0.8 * track["width"], track["y"] + track["height"] / 2)
    found.until("s('node_threshold') > 0.6 && s('nodes').length < 4")
    threshold = found.state("node_threshold")
    assert {each["label"] for each in found.state("nodes")} == {
        label for label, score in zip(("LN 1", "LN 2", "LN 3", "LN 4"), (0.9, 0.75, 0.6, 0.35), strict=True)
        if score >= threshold
    }  # fmt: skip
    assert len(found.state("findings")) == 4
    assert "less probable hidden" in found.state("node_summary")
    hidden = found.page.locator("[data-node-hidden]").inner_text()
    assert hidden.startswith(str(4 - len(found.state("nodes")))) and "to the left to show more" in hidden
    found.page.evaluate("trame.state.set('node_threshold', 0.95)")
    found.until("s('nodes').length === 0")
    found.picture("BaselineAxial", other_than=before)
    found.page.evaluate("trame.state.set('node_threshold', 0)")
    found.until("s('nodes').length === 4")


def test_a_row_goes_to_its_node_and_a_click_in_a_slice_chooses_it(found, pair):
    found.page.locator("[data-node='LN 2']").click()
    found.until("s('views').BaselineAxial.place === 'S 19.5 mm' || s('views').BaselineAxial.place === 'S 20.0 mm'")
    assert row(found, "LN 2")["is_current"]
    found.page.locator("[data-node='LN 1']").click()
    found.until("s('nodes').find(n => n.label === 'LN 1').is_current")
    third = (*pair.lesions[2][:2], pair.lesions[2][2])
    found.scroll_to("BaselineAxial", third)
    found.click("BaselineAxial", np.add(third, (3, 2, 0)))
    found.until("s('nodes').find(n => n.label === 'LN 3').is_current")
    assert len(found.state("findings")) == 4, "a click on this tab follows no lesion"


def test_the_list_is_renamed_reversed_and_filtered(found):
    third = found.page.locator("[data-node='LN 3']")
    third.locator("[data-node-action='rename']").click()
    third.locator("[data-node-rename] input").fill("left axilla")
    found.page.keyboard.press("Enter")
    found.until("s('nodes').some(n => n.label === 'left axilla') && s('renaming') === ''")
    found.page.locator("[data-node-reverse]").click()
    found.until("s('nodes')[0].score === '0.35' && s('nodes')[3].score === '0.90'")
    found.page.locator("[data-node-reverse]").click()
    found.until("s('nodes')[0].score === '0.90'")
    found.page.keyboard.press("a")
    found.until("s('nodes')[0].state === 'accepted'")
    found.page.locator("[data-node-filter='shown']").click()
    found.page.get_by_role("option", name="accepted").click()
    found.until("s('nodes').length === 1 && s('nodes')[0].state === 'accepted'")
    found.page.evaluate("trame.state.set('node_shown', 'to review')")
    found.until("s('nodes').length === 3")
    found.page.locator("[data-node-reverse]").click()
    found.until("s('nodes')[0].label === 'LN 4'")
    found.page.keyboard.press("n")
    found.until("s('nodes').find(n => n.is_current)?.label === 'LN 4'")
    found.page.keyboard.press("n")
    found.until("s('nodes').find(n => n.is_current)?.label === 'left axilla'")
    found.page.locator("[data-node-reverse]").click()
    found.page.evaluate("trame.state.set('node_shown', 'all')")
    found.until("s('nodes').length === 4")


def test_keys_decide_about_the_node_while_its_tab_is_open(found):
    found.page.keyboard.press("a")
    found.until("s('nodes').find(n => n.label === 'LN 1').state === 'accepted'")
    found.page.keyboard.press("n")
    found.until("s('nodes').find(n => n.label === 'LN 2').is_current")
    found.page.keyboard.press("x")
    found.until("s('node_summary').includes('1 rejected')")
    assert found.state("findings")[1]["label"] == "LN 2"


def test_a_click_adds_a_node_that_is_followed_through_the_slices(found, node_server):
    found.scroll_to("BaselineAxial", NEW)
    press(found, "add_node")
    found.click("BaselineAxial", NEW)
    found.until("s('nodes').length === 5 && !s('job').text")
    found.until("s('nodes').find(n => n.label === 'LN 5').slices === '5'")
    seen = autosaved(node_server, "LN 5")
    assert np.allclose(seen["position_ras"], NEW, atol=2.0) and seen["state"] == "edited"
    found.command("undo")
    found.until("s('nodes').find(n => n.label === 'LN 5').slices === '1'")
    found.command("undo")
    found.until("s('nodes').length === 4")


def test_a_message_shown_while_the_previous_one_closes_stays_for_its_full_time(node_context, node_server, make_reader):
    reader = make_reader(node_context.new_page())
    reader.page.clock.install()
    reader.open_one_scan(node_server.url.split("?")[0])
    reader.clear()
    reader.tab("Nodes")

    def say() -> int:
        """Show a message, and return its number."""
        number = reader.state("message")["number"] + 1
        press(reader, "add_node")
        reader.until(f"s('message').number === {number}")
        press(reader, "add_node")  # back to navigation
        reader.page.get_by_role("alert").filter(has_text="Click the middle").wait_for()
        return number

    say()
    reader.page.clock.run_for(3000)
    second = say()
    reader.page.clock.run_for(2500)
    assert reader.state("message_closed") < second, "the five seconds of the first have passed, not of the second"
    reader.page.clock.run_for(2600)
    reader.until(f"s('message_closed') === {second}")
    reader.page.close()


def test_boxes_are_deleted_split_and_merged(found):
    def slices(label: str) -> str:
        return f"s('nodes').find(n => n.label === '{label}')?.slices"

    press(found, "split")
    found.until(f"{slices('LN 1')} === '2' && {slices('LN 5')} === '3'")
    press(found, "merge")
    found.until(f"s('nodes').length === 4 && {slices('LN 5')} === '5'")
    press(found, "delete_box")
    found.until(f"{slices('LN 5')} === '4'")
    press(found, "add_box")
    found.until(f"{slices('LN 5')} === '5'")
    press(found, "trim_below")
    found.until(f"{slices('LN 5')} === '3'")
    press(found, "extend_down")
    found.until(f"{slices('LN 5')} === '5' && !s('job').text")
    press(found, "trim_above")
    found.until(f"{slices('LN 5')} === '3'")
    press(found, "extend_up")
    found.until(f"{slices('LN 5')} === '5' && !s('job').text")
    for _step in range(8):
        found.command("undo")
    found.until(f"s('nodes').length === 4 && {slices('LN 1')} === '5'")
    assert row(found, "LN 1")["state"] == "proposed"
    for _step in range(8):
        found.command("redo")
    found.until(f"s('nodes').length === 4 && {slices('LN 5')} === '5'")
    assert row(found, "LN 5")["state"] == "edited"


def test_a_new_run_asks_before_it_touches_decisions(found, node_server):
    found.page.keyboard.press("x")
    found.until("s('node_summary').includes('1 rejected')")
    found.page.keyboard.press("n")
    found.page.keyboard.press("a")
    found.until("s('nodes').some(n => n.state === 'accepted')")
    accepted = next(each for each in found.state("nodes") if each["state"] == "accepted")
    press(found, "detect")
    found.page.locator("[data-rerun-question]").wait_for()
    assert not found.state("job")
    message = found.state("message")["number"]
    for key in ("Delete", "i", "2"):
        found.page.keyboard.press(key)
        # also a key that was sent before the question opened
        found.page.evaluate("key => trame.trigger('oncotrack.key', [trame.state.get('keys')[key], 0])", key)
    assert len(found.state("nodes")) == 4, "keys do nothing behind a question"
    assert found.state("message")["number"] == message and found.state("window_name") == "Soft tissue"
    found.page.locator("[data-rerun='keep']").click()
    found.until(f"s('message').number > {message} && !s('job').text")
    states = [next(iter(each["observations"].values()))["state"] for each in node_server.autosaved["findings"]]
    assert sorted(states) == ["accepted", "proposed", "proposed", "rejected"], (
        "nothing is proposed at decided positions"
    )
    assert accepted["uid"] in {each["uid"] for each in node_server.autosaved["findings"]}
    press(found, "detect")
    found.page.locator("[data-rerun='replace']").click()
    found.until("!s('job').text && s('nodes').length === 4 && s('nodes').every(n => n.state === 'proposed')")


def test_edits_are_shown_after_a_reload_and_exported(found, pair, node_server):
    middle = (*pair.lesions[0][:2], 4.5)
    found.drag("BaselineAxial", corner(middle), np.add(corner(middle), (8, 6, 0)))
    found.until("s('nodes').find(n => n.label === 'LN 1').state === 'edited'")
    before = size(found, "LN 1")
    press(found, "export_nodes")
    found.until("s('saved').includes('nodes.csv') && !s('job').text")
    out = node_server.out
    table = list(csv.DictReader((out / "nodes.csv").read_text().splitlines()))
    assert [line["label"] for line in table] == ["LN 1", "LN 2", "LN 3", "LN 4"]
    assert float(table[0]["long axis (mm)"]) == pytest.approx(before[0], abs=0.06)
    markups = json.loads((out / "nodes.mrk.json").read_text())["markups"]
    assert [each["type"] for each in markups] == ["ROI"] * 4
    assert {"nodes.nii.gz", "findings.json"} <= set(found.state("saved"))
    found.page.reload()
    found.until("s('nodes')?.length === 4 && s('views')?.BaselineAxial")
    assert size(found, "LN 1") == before and row(found, "LN 1")["state"] == "edited"


def test_an_edited_box_is_kept_by_a_new_run_and_by_the_saved_scene(found, pair, node_server):
    middle = (*pair.lesions[0][:2], 4.5)
    found.drag("BaselineAxial", corner(middle), np.add(corner(middle), (8, 6, 0)))
    found.until("s('nodes').find(n => n.label === 'LN 1').state === 'edited'")
    edited, shown = autosaved(node_server, "LN 1"), row(found, "LN 1")
    press(found, "detect")
    message = found.state("message")["number"]
    found.page.locator("[data-rerun='keep']").click()
    found.until(f"s('message').number > {message} && !s('job').text && s('nodes').length === 4")
    assert autosaved(node_server, "LN 1")["tracklet"] == edited["tracklet"]
    found.tab("Files")
    found.page.locator("[data-save='save_scene']").click()
    found.until("s('saved').includes('scene.mrb') && !s('job').text")
    found.tab("Nodes")
    press(found, "detect")
    found.page.locator("[data-rerun='replace']").click()
    found.until("!s('job').text && s('nodes').length === 4 && s('nodes').every(n => n.state === 'proposed')")
    found.tab("Files")
    found.page.locator("[data-path] input").fill(str(node_server.out / "scene.mrb"))
    found.page.locator("[data-open='baseline']").click()
    found.page.locator("[data-answer='yes']").click()
    found.tab("Nodes")
    found.until("!s('job').text && s('nodes').find(n => n.label === 'LN 1')?.state === 'edited'")
    assert row(found, "LN 1") | {"is_current": True} == shown


def test_with_two_scans_nodes_are_detected_in_the_chosen_one(reader, server):
    reader.tab("Nodes")
    reader.page.locator("[data-node-scan='followup']").click()
    reader.until("s('node_scan') === 'followup'")
    press(reader, "detect")
    reader.until("s('nodes').length === 4 && !s('job').text")
    followup = next(each["id"] for each in server.autosaved["time_points"] if each["image"].startswith("followup"))
    assert all(list(each["observations"]) == [followup] for each in server.autosaved["findings"])
    reader.page.locator("[data-node-scan='baseline']").click()
    reader.until("s('nodes').length === 0")
    reader.tab("Findings")
    reader.until("s('is_following')")
