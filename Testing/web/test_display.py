"""Window and level by mouse, and the same place marked in both scans."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest


@pytest.fixture
def windowing(reader):
    """The left mouse button sets the window; afterwards it follows again, in soft tissue."""
    reader.page.keyboard.press("w")
    reader.until("s('is_windowing')")
    yield reader
    reader.page.keyboard.press("f")
    reader.page.keyboard.press("1")
    reader.until("!s('is_windowing') && s('is_following') && s('window_name') === 'Soft tissue'")


def drag(reader, start: tuple[float, float], by: tuple[float, float]) -> None:
    """Drag the left button over so many pixels, in steps."""
    x, y = start
    reader.page.mouse.move(x, y)
    reader.page.wait_for_timeout(250)
    reader.page.mouse.down()
    for part in (0.25, 0.5, 0.75, 1.0):
        reader.page.mouse.move(x + part * by[0], y + part * by[1])
        reader.page.wait_for_timeout(60)
    reader.page.mouse.up()


def shown(reader) -> tuple[float, float]:
    return reader.state("window_width"), reader.state("window_level")


def corner(reader, view: str) -> tuple[float, float]:
    """A place in a view away from everything marked."""
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


def test_each_scan_has_its_own_window_when_the_reader_wants_it(windowing):
    windowing.tab("View")
    windowing.page.locator("[data-same-window] input").click()
    windowing.until("!s('is_same_window')")
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


def test_a_drag_for_the_window_leaves_marks_where_they_are(reader, pair):
    row = reader.follow(pair, 0)
    reader.page.keyboard.press("w")
    reader.until("s('is_windowing')")
    before = shown(reader)
    drag(reader, reader.pixel("FollowUpAxial", row["followup"]), (50, 10))
    reader.until(f"s('window_width') > {before[0]}")
    assert reader.state("findings") == [row]
    reader.page.keyboard.press("f")
    reader.page.keyboard.press("1")
    reader.until("!s('is_windowing') && s('window_name') === 'Soft tissue'")
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
    windowing.page.wait_for_timeout(500)
    assert windowing.state("window_name") == "Lung"


def test_shift_and_move_marks_the_same_place_in_both_scans(reader, pair):
    def centre(view: str, axis: int) -> float:
        return np.linalg.inv(np.reshape(reader.state("views")[view]["ras_to_xy"], (4, 4)))[axis, 3]

    def marked(ras) -> np.ndarray:
        before = reader.state("views")["FollowUpAxial"]["place"]
        reader.page.mouse.move(*reader.pixel("BaselineCoronal", ras))
        reader.until(f"s('views').FollowUpAxial.place !== {json.dumps(before)}")
        reader.page.wait_for_timeout(1000)
        places = (("FollowUpSagittal", 0), ("FollowUpCoronal", 1), ("FollowUpAxial", 2))
        return np.array([centre(view, axis) for view, axis in places])

    lesion, truth = pair.lesions[3], pair.truth[3]
    reader.scroll_to("BaselineCoronal", lesion, axis=1)
    reader.page.mouse.move(*reader.pixel("BaselineCoronal", np.add(lesion, (0, 0, 20))))
    reader.page.keyboard.down("Shift")
    far, near = marked(np.add(lesion, (25, 0, 25))), marked(lesion)
    reader.page.keyboard.up("Shift")
    assert np.allclose(far - near, (25, 0, 25), atol=6)
    assert math.dist(near, truth) < 15, "an affine map of tissue that moved by up to 9 mm beside it"
    assert reader.state("findings") == [], "looking is not following"
