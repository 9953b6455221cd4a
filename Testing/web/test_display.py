"""Window and level by mouse, and the same position marked in both scans."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest


@pytest.fixture
def windowing(reader):
    """Let the left mouse button set the window; afterwards restore following and the soft tissue window."""
    reader.page.keyboard.press("w")
    reader.until("s('mouse_mode') === 'window'")
    yield reader
    reader.page.keyboard.press("l")
    reader.page.keyboard.press("1")
    reader.until("s('mouse_mode') === 'select' && s('is_following') && s('window_name') === 'Soft tissue'")


def drag(reader, start: tuple[float, float], by: tuple[float, float]) -> None:
    """Drag the left button by so many pixels."""
    reader.drag_pixels(start, (start[0] + by[0], start[1] + by[1]))


def shown(reader) -> tuple[float, float]:
    return reader.state("window_width"), reader.state("window_level")


def corner(reader, view: str) -> tuple[float, float]:
    """Return a position in a view away from all marks."""
    x, y = reader._middle(view)
    return x - 90, y + 60


def test_a_drag_sets_the_window_of_both_scans_and_follows_nothing(windowing):
    before, other = shown(windowing), windowing.picture("FollowUpAxial")
    drag(windowing, corner(windowing, "BaselineAxial"), (60, 0))
    windowing.until(f"s('window_width') > {before[0]}")
    assert windowing.state("window_name") == "" and windowing.state("findings") == []
    windowing.picture("FollowUpAxial", other_than=other)
    level = shown(windowing)[1]
    drag(windowing, corner(windowing, "FollowUpCoronal"), (0, 40))
    windowing.until(f"s('window_level') !== {level}")


def test_each_scan_can_have_its_own_window(windowing):
    windowing.tab("View")
    windowing.page.locator("[data-same-window] input").click()
    windowing.until("!s('is_same_window')")
    before = shown(windowing)
    drag(windowing, corner(windowing, "BaselineAxial"), (10, 0))  # its frame shows that it is the active view
    windowing.until(f"s('window_width') > {before[0]}")
    before, baseline, followup = (
        shown(windowing),
        *(windowing.picture(f"{scan}Axial") for scan in ("Baseline", "FollowUp")),
    )
    drag(windowing, corner(windowing, "BaselineAxial"), (60, -20))
    windowing.until(f"s('window_width') > {before[0]}")
    windowing.picture("BaselineAxial", other_than=baseline)
    assert windowing.picture("FollowUpAxial") == followup
    windowing.page.locator("[data-same-window] input").click()
    windowing.until("s('is_same_window')")
    windowing.picture("FollowUpAxial", other_than=followup)
    windowing.tab("Findings")


def test_a_drag_for_the_window_does_not_move_marks(reader, pair):
    row = reader.follow(pair, 0)
    reader.page.keyboard.press("w")
    reader.until("s('mouse_mode') === 'window'")
    before = shown(reader)
    drag(reader, reader.pixel("FollowUpAxial", row["followup"]), (50, 10))
    reader.until(f"s('window_width') > {before[0]}")
    assert reader.state("findings") == [row]
    reader.page.keyboard.press("l")
    reader.page.keyboard.press("1")
    reader.until("s('mouse_mode') === 'select' && s('window_name') === 'Soft tissue'")
    reader.drag("FollowUpAxial", row["followup"], np.add(row["followup"], (10, 0, 0)))
    reader.until("s('findings')[0].state === 'edited'")


def test_keys_do_not_overtake_the_drag_before_them(windowing):
    x, y = corner(windowing, "BaselineAxial")
    before = windowing.state("mouse_releases")
    windowing.page.mouse.move(x, y)
    windowing.page.mouse.down()
    for step in range(30):
        windowing.page.mouse.move(x + step, y)
    windowing.page.mouse.up()
    windowing.page.keyboard.press("2")
    windowing.until("s('window_name') === 'Lung'")
    assert windowing.state("mouse_releases") == before + 1, "the server has seen the end of the drag"
    windowing.page.keyboard.press("n")  # a later key: all events of the drag have been handled
    windowing.until("!s('job').text")
    assert windowing.state("window_name") == "Lung"


def test_shift_and_move_marks_the_same_place_in_both_scans(reader, pair):
    def marked(ras) -> np.ndarray:
        before = reader.state("views")
        reader.page.mouse.move(*reader.pixel("BaselineCoronal", ras))
        for view in ("FollowUpAxial", "FollowUpSagittal"):
            reader.until(f"s('views').{view}.place !== {json.dumps(before[view]['place'])}")
        reader.picture("FollowUpAxial")  # at rest
        places = (("FollowUpSagittal", 0), ("FollowUpCoronal", 1), ("FollowUpAxial", 2))
        return np.array([reader.slice_of(view, axis) for view, axis in places])

    lesion, truth = pair.lesions[3], pair.truth[3]
    reader.scroll_to("BaselineCoronal", lesion, axis=1)
    reader.page.mouse.move(*reader.pixel("BaselineCoronal", np.add(lesion, (0, 0, 20))))
    reader.page.keyboard.down("Shift")
    far, near = marked(np.add(lesion, (25, 0, 25))), marked(lesion)
    reader.page.keyboard.up("Shift")
    assert np.allclose(far - near, (25, 0, 25), atol=6)
    assert math.dist(near, truth) < 15, "an affine map of tissue that moved by up to 9 mm beside it"
    assert reader.state("findings") == [], "moving the mouse follows no lesion"
