"""Following lesions with the mouse and the keyboard."""

from __future__ import annotations

import math

import numpy as np
import pytest


def test_a_click_on_a_lesion_shows_its_match_within_five_millimetres(searching, server, pair):
    searching.scroll_to("BaselineAxial", pair.lesions[0])
    searching.page.mouse.click(*searching.pixel("BaselineAxial", pair.lesions[0]))  # and the mouse stays where it is
    searching.until("s('findings').length === 1 && s('match').label && !s('job').text")
    searching.rest()
    row = searching.state("findings")[0]
    assert row["state"] == "proposed" and row["trust"].startswith("Reverse check: ")
    assert math.dist(row["baseline"], pair.lesions[0]) < 3
    assert math.dist(row["followup"], pair.truth[0]) < 5
    kept = server.autosaved["findings"][-1]["observations"]
    assert math.dist(kept["t1"]["position_ras"], pair.truth[0]) < 5
    assert abs(searching.slice_of("FollowUpAxial") - row["followup"][2]) < 2, "the follow-up jumped to the match"


def test_a_dragged_match_is_edited_and_undo_restores_it(reader, server, pair):
    row = reader.follow(pair, 1)
    before = row["followup"]
    goal = np.add(before, (12.0, -8.0, 0.0))
    reader.drag("FollowUpAxial", before, goal)
    reader.until("s('findings')[0].state === 'edited'")
    assert math.dist(reader.state("findings")[0]["followup"], goal) < 3
    assert server.autosaved["findings"][0]["observations"]["t1"]["state"] == "edited"
    reader.page.keyboard.press("Control+z")
    reader.until("s('findings')[0].state === 'proposed'")
    assert math.dist(reader.state("findings")[0]["followup"], before) < 0.01
    reader.page.keyboard.press("Control+y")
    reader.until("s('findings')[0].state === 'edited'")


def test_a_match_is_moved_to_another_slice_by_key_and_a_click_in_the_follow_up_says_so(reader, pair):
    match = reader.follow(pair, 1)["followup"]
    reader.scroll_to("FollowUpAxial", np.add(match, (0, 0, 9)))
    reader.click("FollowUpAxial", np.add(match, (25, 0, 9)))
    assert "press Match is here" in reader.message("A click in the baseline")
    assert len(reader.state("findings")) == 1
    reader.page.keyboard.press(";")
    reader.until("s('findings')[0].state === 'edited'")
    assert abs(reader.state("findings")[0]["followup"][2] - match[2] - 9) < 2
    reader.page.keyboard.press("Control+z")
    reader.until("s('findings')[0].state === 'proposed'")


def test_fit_keeps_the_slice(reader, pair):
    reader.scroll_to("BaselineAxial", pair.lesions[2])

    def slices() -> list[float]:
        return [reader.slice_of(view) for view in ("BaselineAxial", "FollowUpAxial")]

    before = slices()
    reader.page.mouse.move(*reader._middle("BaselineAxial"))
    reader.page.locator(".layout-grid-item:has([data-view='BaselineAxial'])").get_by_role("button", name="Fit").click()
    reader.rest()
    np.testing.assert_allclose(slices(), before, atol=0.3, err_msg="nor does the linked view move")


def test_a_lesion_is_enlarged_in_both_scans_at_one_scale_and_again_for_the_whole_scans(reader, pair):
    found = reader.follow(pair, 1)

    def scales() -> list[float]:
        matrices = (
            np.reshape(reader.state("views")[view]["ras_to_xy"], (4, 4)) for view in ("BaselineAxial", "FollowUpAxial")
        )
        return [float(np.linalg.norm(each[0, :3])) for each in matrices]

    before = scales()
    reader.page.keyboard.press("0")
    reader.until(f"Math.abs(s('views').BaselineAxial.ras_to_xy[0]) > {2 * before[0]}")
    reader.rest()
    assert scales()[0] == pytest.approx(scales()[1], rel=0.01) and scales()[0] > 2 * before[0]
    for view, at in (("BaselineAxial", pair.lesions[1]), ("FollowUpAxial", found["followup"])):
        np.testing.assert_allclose(reader.pixel(view, at), reader._middle(view), atol=3)
    reader.tab("View")
    reader.page.locator("[data-view-command='enlarge']").click()
    reader.until(f"Math.abs(s('views').FollowUpAxial.ras_to_xy[0]) < {1.1 * before[1]}")
    reader.rest()
    np.testing.assert_allclose(scales(), before, rtol=0.01)
    reader.tab("Findings")


def test_keys_accept_reject_and_step_through_the_list(reader, pair):
    first, second = reader.follow(pair, 0), reader.follow(pair, 2)
    reader.page.keyboard.press("a")
    reader.until("s('findings')[1].state === 'accepted'")
    reader.page.keyboard.press("n")
    reader.until("s('findings')[0].is_current")
    reader.page.keyboard.press("x")
    reader.until("s('findings')[0].state === 'rejected'")
    reader.page.keyboard.press("p")
    reader.until("s('findings')[1].is_current")
    assert [row["uid"] for row in reader.state("findings")] == [first["uid"], second["uid"]]
    row = reader.page.locator("[data-finding='L 1']")
    assert "Rejected" in row.inner_text(), "the state is shown as text"


def test_an_alternative_is_used_by_a_click_in_the_list_and_swapped_back_by_key(searching, pair):
    searching.follow(pair, 0)
    match = searching.state("match")
    assert match["alternatives"]
    searching.page.locator("[data-take='b']").click()
    searching.until("s('findings')[0].state === 'edited'")
    assert searching.state("match")["ras"] == match["alternatives"][0]["ras"]
    searching.page.keyboard.press("s")
    searching.until(f"Math.abs(s('match').ras[0] - {match['ras'][0]}) < 0.01")


def test_an_alternative_is_used_by_a_click_on_its_mark(searching, pair):
    searching.follow(pair, 0)
    other = searching.state("match")["alternatives"][0]["ras"]
    searching.scroll_to("FollowUpAxial", other)
    searching.click("FollowUpAxial", other)
    searching.until(f"Math.abs(s('match').ras[0] - {other[0]}) < 0.01")


def test_the_list_renames_filters_deletes_and_undoes(reader, pair):
    reader.follow(pair, 0)
    reader.follow(pair, 3)
    reader.page.keyboard.press("a")
    reader.until("s('findings')[1].state === 'accepted'")
    row = reader.page.locator("[data-finding='L 1']")
    row.locator("[data-row-action='rename']").click()
    reader.page.locator("[data-rename] input, input[data-rename]").first.fill("Segment 8")
    reader.page.keyboard.press("Enter")
    reader.until("s('findings')[0].label === 'Segment 8' && s('renaming') === ''")
    row = reader.page.locator("[data-finding='L 2']")
    row.locator("[data-row-action='rename']").click()
    field = reader.page.locator("[data-rename] input, input[data-rename]").first
    field.fill("Segment 8")
    reader.page.keyboard.press("Enter")
    assert "choose another label" in reader.message("already called")
    assert field.input_value() == "Segment 8", "the typed name stays, to be corrected"
    reader.page.keyboard.press("Escape")
    reader.until("s('renaming') === ''")
    reader.page.evaluate("trame.state.set('shown_state', 'accepted')")
    reader.page.wait_for_function("document.querySelectorAll('[data-finding]').length === 1")
    reader.page.evaluate("trame.state.set('shown_state', 'all')")
    reader.page.locator("[data-finding='Segment 8'] [data-row-action='remove']").click()
    reader.until("s('findings').length === 1")
    reader.command("undo")
    reader.until("s('findings').length === 2")
    reader.page.locator("[data-finding='Segment 8']").click()
    reader.until("s('findings')[0].is_current")


def test_scrolling_one_scan_moves_the_other_to_the_corresponding_slice(reader, pair):
    def source_of(view: str) -> str:
        return reader.page.locator(f".layout-grid-item:has([data-view='{view}']) img").get_attribute("src")

    row = reader.follow(pair, 2)
    assert abs(reader.slice_of("FollowUpAxial") - row["followup"][2]) < 0.1
    reader.scroll_to("BaselineAxial", np.add(pair.lesions[2], (0, 0, 21)))
    assert 15 < reader.slice_of("FollowUpAxial") - row["followup"][2] < 27
    reader.command("link_views")
    reader.until("!s('is_linked')")
    before = reader.slice_of("FollowUpAxial")
    reader.picture("BaselineSagittal")
    drawn = {view: source_of(view) for view in ("BaselineAxial", "BaselineSagittal", "FollowUpAxial")}
    reader.scroll_to("BaselineAxial", pair.lesions[2])
    assert reader.slice_of("FollowUpAxial") == before, "unlinked, the follow-up stays"
    reader.picture("BaselineAxial")
    assert [view for view in drawn if source_of(view) != drawn[view]] == ["BaselineAxial"], "no other view is drawn"
    reader.tab("View")
    reader.page.locator("[data-link-here]").click()
    reader.until("s('is_linked') && s('is_link_held') && s('link_text').includes('mm from the registration')")
    away = reader.slice_of("FollowUpAxial") - reader.slice_of("BaselineAxial")
    reader.scroll_to("BaselineAxial", np.add(pair.lesions[2], (0, 0, 9)))
    assert abs(reader.slice_of("FollowUpAxial") - reader.slice_of("BaselineAxial") - away) < 3, (
        "linked as the reader has placed them"
    )
    reader.page.locator("[data-link-here]").click()
    reader.until("s('is_linked') && !s('is_link_held') && s('link_text').includes('similarity')")
    reader.until("/residual [0-9.]+ mm by local matching/.test(s('link_text'))")  # it comes by itself


def test_a_window_preset_shows_in_both_scans(reader):
    before = reader.picture("FollowUpAxial")
    reader.page.keyboard.press("3")
    reader.until("s('window_name') === 'Bone' && s('window_width') === 1800")
    reader.picture("FollowUpAxial", other_than=before)
    reader.page.keyboard.press("1")
    reader.until("s('window_name') === 'Soft tissue'")


def test_a_reload_shows_everything_as_before(reader, pair):
    row = reader.follow(pair, 1)
    reader.page.reload()
    reader.until("s('findings').length === 1 && s('has_registration')")
    assert reader.state("findings")[0] == row
    reader.page.locator("[data-finding='L 1']").wait_for()
