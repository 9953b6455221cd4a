"""Measurements on the page by real mouse: placed, dragged, listed, renamed, undone, saved, and made a lesion."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest

VIEW = "BaselineAxial"
VALUE = r"-?\d+ HU at [RL] [\d.]+ [AP] [\d.]+ [SI] [\d.]+ mm"


@pytest.fixture
def measuring(reader):
    """Open the tab Measure; afterwards the list of measurements is empty."""
    reader.tab("Measure")
    yield reader
    reader.tab("Measure")
    for row in reader.state("measurements"):
        reader.page.evaluate("uid => trame.trigger('oncotrack.command', ['measure_remove', uid])", row["uid"])
    reader.until("s('measurements').length === 0 && !s('measure_tool')")
    reader.tab("Findings")
    reader.until("s('is_following')")


def centre(reader, view: str = VIEW) -> np.ndarray:
    """Return the position (RAS mm) in the middle of a view."""
    shown = reader.state("views")[view]
    matrix = np.linalg.inv(np.reshape(shown["ras_to_xy"], (4, 4)))
    return (matrix @ [*np.divide(shown["size"], 2), 0, 1])[:3]


def place(reader, tool: str, *clicks, view: str = VIEW) -> dict:
    """Place a measurement by clicks at shifts (mm) from the middle of a view, and return its row."""
    count, middle = len(reader.state("measurements")), centre(reader, view)
    reader.page.locator(f"[data-measure='{tool}']").click()
    reader.until(f"s('measure_tool') === '{tool}'")
    assert reader.page.locator("[data-measure-hint]").inner_text().startswith("Click")
    for shift in clicks:
        x, y = reader.pixel(view, middle + shift)
        reader.page.mouse.move(x - 3, y)
        reader.page.mouse.click(x, y)
    reader.page.mouse.move(x + 8, y)  # the last click acts at once
    reader.until(f"s('measurements').length === {count + 1} && !s('measure_tool')")
    return reader.state("measurements")[-1]


def numbers(text: str) -> list[float]:
    return [float(each) for each in re.findall(r"\d+\.?\d*", text)]


def test_a_distance_is_measured_dragged_renamed_and_undone(measuring):
    row = place(measuring, "ruler", (-15, 0, 0), (15, 0, 0))
    assert row["label"] == "M 1" and numbers(row["text"])[0] == pytest.approx(30, abs=1.5)
    assert row["more"] == ["baseline"] and measuring.state("findings") == []
    measuring.drag(VIEW, row["points"][1], np.add(row["points"][1], (10, 0, 0)))
    measuring.until(f"s('measurements')[0].text !== '{row['text']}' && s('undo_text') === 'Undo change M 1'")
    assert numbers(measuring.state("measurements")[0]["text"])[0] == pytest.approx(40, abs=2)
    measuring.page.locator("[data-measurement='M 1'] [data-measure-action='measure_rename']").click()
    measuring.page.keyboard.press("Control+a")
    measuring.page.keyboard.type("Aorta")
    measuring.page.keyboard.press("Enter")
    measuring.until("s('measurements')[0].label === 'Aorta'")
    measuring.page.keyboard.press("Control+z")
    measuring.until("s('measurements')[0].label === 'M 1'")
    measuring.page.keyboard.press("Control+z")
    measuring.until(f"s('measurements')[0].text === '{row['text']}'")
    measuring.page.locator("[data-measurement='M 1'] [data-measure-action='measure_remove']").click()
    measuring.until("s('measurements').length === 0")
    measuring.page.keyboard.press("Control+z")
    measuring.until("s('measurements').length === 1")


def slow_double_click(reader, view: str = VIEW) -> None:
    """Double click with a pause between the clicks."""
    reader.page.mouse.move(*reader._middle(view))
    for count in (1, 2):
        reader.page.mouse.down(click_count=count)
        reader.page.mouse.up(click_count=count)
        if count == 1:
            reader.page.wait_for_timeout(150)


def test_a_double_click_while_placing_maximises_and_places_nothing_and_a_drag_draws_a_line(measuring):
    measuring.page.locator("[data-measure='ruler']").click()
    measuring.until("s('measure_tool') === 'ruler'")
    for maximised in (VIEW, ""):
        slow_double_click(measuring)
        measuring.until(f"s('maximised') === '{maximised}'")
        measuring.rest()
    measuring.picture(VIEW)
    assert measuring.state("measurements") == [] and measuring.state("measure_tool") == "ruler"
    middle = centre(measuring)
    measuring.drag(VIEW, np.add(middle, (-15, 10, 0)), np.add(middle, (15, 10, 0)))
    measuring.until("s('measurements').length === 1 && !s('measure_tool')")
    assert numbers(measuring.state("measurements")[0]["text"])[0] == pytest.approx(30, abs=1.5)


def test_angle_and_region_in_other_planes(measuring):
    angle = place(measuring, "angle", (0, 0, 15), (0, 0, 0), (15, 0, 0), view="BaselineCoronal")
    assert numbers(angle["text"])[0] == pytest.approx(90, abs=4)
    region = place(measuring, "ellipse", (0, -9, -7), (0, 9, 7), view="FollowUpSagittal")
    assert re.fullmatch(r"mean -?[\d.]+, SD [\d.]+ HU; [\d.]+ cm²", region["text"])
    assert region["more"][0] == "follow-up" and "maximum" in region["more"][1] and "voxels" in region["more"][2]
    assert numbers(region["text"])[2] == pytest.approx(np.pi * 9 * 7 / 100, rel=0.15)


def test_two_diameters_become_a_lesion_and_files_hold_the_rest(measuring, server):
    place(measuring, "ruler", (-15, 20, 0), (15, 20, 0))
    two = place(measuring, "bidirectional", (-15, 0, 0), (15, 0, 0))
    assert numbers(two["text"]) == pytest.approx([30, 15], abs=1.5)
    measuring.page.locator("[data-measurement='M 2'] [data-measure-action='measure_make_lesion']").click()
    measuring.until("s('findings').length === 1 && s('measurements').length === 1")
    assert numbers(measuring.state("findings")[0]["axes"]) == pytest.approx([30, 15], abs=1.5)
    measuring.page.keyboard.press("Control+s")
    measuring.message("measurements.csv")
    rows = list(csv.DictReader((server.out / "measurements.csv").open(encoding="utf-8")))
    assert [(each["Label"], each["Tool"], each["Scan"]) for each in rows] == [("M 1", "ruler", "baseline")]
    saved = json.loads((server.out / "findings.json").read_text())
    assert [each["label"] for each in saved["measurements"]] == ["M 1"]
    measuring.page.keyboard.press("Control+z")
    measuring.until("s('findings').length === 0 && s('measurements').length === 2")


def test_leaving_the_tab_ends_placing(measuring):
    measuring.page.locator("[data-measure='ruler']").click()
    measuring.until("s('measure_tool') === 'ruler'")
    measuring.tab("Findings")
    measuring.until("!s('measure_tool')")
    measuring.tab("Measure")


def test_the_value_under_the_mouse_stands_in_the_corner_and_nothing_is_drawn(measuring):
    source = measuring.page.locator(f".layout-grid-item:has([data-view='{VIEW}']) img")
    middle = centre(measuring)
    measuring.page.mouse.move(*measuring.pixel(VIEW, middle))
    measuring.until(f"s('cursor').view === '{VIEW}' && s('cursor').text")
    measuring.picture(VIEW)
    before, text = source.get_attribute("src"), measuring.state("cursor")["text"]
    measuring.page.mouse.move(*measuring.pixel(VIEW, np.add(middle, (20, 0, 0))))
    measuring.until(f"s('cursor').text !== '{text}'")
    shown = measuring.page.locator(f"[data-value='{VIEW}']")
    assert re.fullmatch(VALUE, shown.inner_text())
    assert numbers(shown.inner_text())[1] == pytest.approx(abs(middle[0] + 20), abs=1)
    assert source.get_attribute("src") == before
    for view in ("BaselineCoronal", "FollowUpSagittal"):
        measuring.page.mouse.move(*measuring._middle(view))
        measuring.until(f"s('cursor').view === '{view}' && s('cursor').text")
        assert re.fullmatch(VALUE, measuring.page.locator(f"[data-value='{view}']").inner_text())
