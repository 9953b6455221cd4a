"""Choosing a method, finding all lesions in all visits, correcting one and undoing."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from three_visits import LESIONS, STEP, place


@pytest.fixture(scope="module")
def page(three_visit_page):
    """Return a page with three visits."""
    return three_visit_page[0]


@pytest.fixture
def reader(page):
    """Match both lesions in the second visit by affine registration."""
    page.page.evaluate("trame.trigger('oncotrack.command', ['show_visit', 1, ''])")
    page.until("s('visits').shown === 1 && !s('job').text")
    page.clear()
    page.page.locator(".v-select:has([data-method]), [data-method]").first.click()
    page.page.get_by_role("option", name="Affine registration").click()
    page.until("s('method') === 'affine' && s('method_tip').includes('registration') && !s('job').text")
    for number, at in enumerate(LESIONS):
        page.scroll_to("BaselineAxial", at)
        page.click("BaselineAxial", at)
        page.until(f"s('findings').length === {number + 1} && !s('job').text")
    return page


def press(reader, name: str) -> None:
    reader.page.locator(f"[data-do='{name}']").click()


def cells(reader, row: int = 0) -> list[str]:
    return reader.state("visits")["rows"][row]["cells"]


def test_a_dragged_window_is_shown_although_nothing_was_marked_yet(page):
    before = page.picture("FollowUpAxial")
    page.page.keyboard.press("w")
    page.until("s('mouse_mode') === 'window'")
    x, y = page._middle("BaselineAxial")
    page.drag_pixels((x - 90, y + 60), (x - 30, y + 60))
    page.until("s('window_width') > 400")
    page.picture("FollowUpAxial", other_than=before)
    page.page.keyboard.press("l")
    page.page.keyboard.press("1")
    page.until("s('mouse_mode') === 'select' && s('window_name') === 'Soft tissue'")


def test_a_chosen_method_finds_all_lesions_in_every_visit_in_one_undo(reader):
    assert all(row["state"] == "proposed" for row in reader.state("findings"))
    assert reader.state("match")["method"] == "affine"
    press(reader, "find_all_in_every_visit")
    reader.until("!s('job').text && s('visits').rows.every(row => row.cells[2] === 'proposed')")
    reader.command("undo")
    reader.until("s('visits').rows.every(row => row.cells[2] === '-' && row.cells[1] === 'proposed')")


def test_later_visits_are_searched_again_from_a_corrected_one(reader):
    press(reader, "find_all_in_every_visit")
    reader.until("!s('job').text && s('visits').rows.every(row => row.cells[2] === 'proposed')")
    reader.page.locator("[data-cell='L 1 1']").click()
    reader.until("s('visits').shown === 1 && s('findings')[0].is_current && !s('job').text")
    before = reader.state("findings")[0]["followup"]
    assert math.dist(before, place(0, 1)) < 6
    reader.drag("FollowUpAxial", before, np.add(before, (12.0, -9.0, 0.0)))
    reader.until("s('findings')[0].state === 'edited'")
    corrected = reader.state("findings")[0]["followup"]
    undo_text = reader.state("undo_text")
    press(reader, "redo_from_visit")
    reader.until(f"!s('job').text && s('can_undo') && s('undo_text') !== {json.dumps(undo_text)}")
    assert cells(reader) == ["accepted", "edited", "proposed"]
    reader.page.locator("[data-visit='2']").click()
    reader.until("s('visits').shown === 2 && !s('job').text")
    row = reader.state("findings")[0]
    assert math.dist(row["baseline"], corrected) < 0.01, "the previous visit is shown as baseline"
    assert math.dist(row["followup"], corrected + STEP) < 4
    reader.command("undo")
    reader.until(f"s('undo_text') === {json.dumps(undo_text)}")
    assert math.dist(reader.state("findings")[0]["followup"], place(0, 2)) < 6


def test_the_probability_map_is_shown_over_the_follow_up_on_demand(reader):
    reader.page.evaluate("trame.state.set('method', 'selfsim')")
    reader.until("s('method_tip').includes('tissue') && !s('job').text && s('possible').includes('map_probability')")
    before = reader.picture("FollowUpAxial")
    reader.page.locator("[data-probability]").click()
    reader.until("s('is_probability_shown') && !s('job').text")
    reader.picture("FollowUpAxial", other_than=before)
    reader.page.locator("[data-probability]").click()
    reader.until("!s('is_probability_shown')")


def test_a_third_visit_hangs_beside_the_two_and_scrolls_with_them(reader):
    press(reader, "find_all_in_every_visit")
    reader.until("!s('job').text && s('visits').rows.every(row => row.cells[2] === 'proposed')")
    press(reader, "third_visit")
    reader.until("s('view_scans').ThirdVisitAxial?.visit === 'Follow-up 2' && !s('job').text")
    reader.until_shown(6)
    hang_in_order(reader, "BaselineAxial", "FollowUpAxial", "ThirdVisitAxial")
    assert not reader.faults()
    assert "visit3" in reader.page.locator(".layout-grid-item:has([data-view='ThirdVisitAxial'])").inner_text()
    reader.until("s('views').ThirdVisitAxial.zoom === s('views').BaselineAxial.zoom")  # both are fitted to their views
    before = reader.state("views")["ThirdVisitAxial"]["place"]
    reader.page.mouse.move(*reader._middle("BaselineAxial"))
    reader.page.mouse.wheel(0, -100)
    reader.until(f"s('views').ThirdVisitAxial.place !== {json.dumps(before)}")
    reader.page.locator("[data-finding='L 2']").click()
    reader.until("s('findings')[1].is_current")
    reader.click("ThirdVisitAxial", place(1, 2))
    assert len(reader.state("findings")) == 2, "a click in the third visit follows nothing"
    reader.page.locator("[data-visit='2']").click()
    reader.until("s('visits').shown === 2 && s('view_scans').ThirdVisitAxial?.visit === 'Baseline' && !s('job').text")
    reader.page.wait_for_function("document.querySelectorAll('.layout-grid-item').length === 6")
    hang_in_order(reader, "ThirdVisitAxial", "BaselineAxial", "FollowUpAxial")
    reader.page.locator("[data-visit='1']").click()
    reader.until("s('visits').shown === 1 && !s('job').text")
    press(reader, "third_visit")
    reader.until("!s('job').text")
    reader.until_shown(7)


def hang_in_order(reader, *views: str) -> None:
    """Wait until the axial views are these, from left to right."""
    reader.page.wait_for_function(
        """views => views === [...document.querySelectorAll(".layout-grid-item [data-view$='Axial']")]
           .map(each => each.dataset.view).sort((a, b) =>
             picture_of(a).getBoundingClientRect().x - picture_of(b).getBoundingClientRect().x).join()""",
        arg=",".join(views),
    )
