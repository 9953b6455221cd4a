"""Mouse and keys of a reading room: wheel, drags, double click, slices, presets and cine, by real mouse and keys."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from oncotrack.images.windows import CT_WINDOWS
from oncotrack.scene.views.mouse_mode import LEFT_DRAGS, PAN, SCROLL, SELECT, WINDOW, ZOOM

VIEW = "BaselineAxial"


@pytest.fixture
def hands(reader):
    """Point at the baseline's axial view; afterwards the left button selects, all views are shown, nothing plays."""
    point_at(reader, VIEW)
    show(reader, VIEW, 20)
    yield reader
    reader.tab("Findings")
    reader.page.evaluate("trame.trigger('oncotrack.stop_cine')")
    reader.page.evaluate("trame.trigger('oncotrack.command', ['choose_mouse', 'select'])")
    if reader.state("maximised"):
        reader.page.locator(f"[data-maximise='{reader.state('maximised')}']").click()
    reader.until("s('mouse_mode') === 'select' && !s('maximised') && !s('cine') && s('is_following')")
    for view in (VIEW, "BaselineCoronal", "FollowUpAxial"):
        reader.page.locator(f"[data-view='{view}']").click()


def point_at(reader, view: str, dx: float = 0, dy: float = 0) -> None:
    x, y = reader._middle(view)
    reader.page.mouse.move(x + dx, y + dy)


def number(reader, view: str = VIEW) -> int:
    """Return the number of the slice that a view shows."""
    return int(re.search(r"Slice (\d+)", reader.state("views")[view]["number"]).group(1))


def until_slice(reader, number: int, view: str = VIEW) -> None:
    reader.until(f"s('views').{view}.number.startsWith('Slice {number} of')")


def show(reader, view: str, wanted: int) -> None:
    """Go to a slice by keys."""
    point_at(reader, view)
    reader.page.keyboard.press("Home")
    until_slice(reader, 1, view)
    for _ in range(wanted - 1):
        reader.page.keyboard.press("ArrowDown")
    until_slice(reader, wanted, view)


def zoom(reader, view: str = VIEW) -> int:
    return int(re.search(r"(\d+) %", reader.state("views")[view]["zoom"]).group(1))


def centre(reader, view: str = VIEW) -> np.ndarray:
    """Return the position (RAS mm) in the middle of a view."""
    shown = reader.state("views")[view]
    matrix = np.linalg.inv(np.reshape(shown["ras_to_xy"], (4, 4)))
    return (matrix @ [*np.divide(shown["size"], 2), 0, 1])[:3]


def choose(reader, mode: str) -> None:
    """Choose by the bar what the left button does."""
    reader.page.locator("[data-left-button]").click()
    reader.page.get_by_role("option", name=LEFT_DRAGS[mode]).click()
    reader.until(f"s('mouse_mode') === '{mode}' && !document.querySelector('.v-menu.v-overlay--active')")


def drag(reader, by: tuple[float, float], button: str = "left", view: str = VIEW) -> None:
    """Drag from beside the middle of a view."""
    x, y = reader._middle(view)
    mouse = reader.page.mouse
    mouse.move(x - 40, y + 20)
    mouse.down(button=button)
    for part in (0.3, 0.6, 1.0):
        mouse.move(x - 40 + part * by[0], y + 20 + part * by[1])
    mouse.up(button=button)


def turn(reader, notches: int) -> None:
    """Turn the wheel over the view by so many notches at once, down for a positive number."""
    reader.page.evaluate(
        """([view, notches]) => {
            const picture = document.querySelector(`.layout-grid-item:has([data-view='${view}']) img`);
            for (let notch = 0; notch < Math.abs(notches); notch++)
                picture.dispatchEvent(new WheelEvent("wheel", {deltaY: 120 * Math.sign(notches), bubbles: true, cancelable: true}));
        }""",
        [VIEW, notches],
    )


def test_one_notch_is_one_slice_and_a_quick_turn_moves_further(hands):
    for delta, shown in ((120, 21), (100, 22), (-120, 21)):
        hands.page.mouse.wheel(0, delta)
        until_slice(hands, shown)
    turn(hands, 6)
    until_slice(hands, 21 + 1 + 1 + 2 + 2 + 3 + 3)
    turn(hands, -100)
    until_slice(hands, 1)


def test_slices_turned_while_one_is_drawn_are_added_up(hands):
    hands.page.evaluate(
        """() => { window.requests = [];
            window.trigger = window.trame.trigger;
            window.trame.trigger = (name, ...more) => { if (name === "oncotrack.scroll") window.requests.push(more[0][1]);
                return window.trigger(name, ...more); }; }"""
    )
    before = number(hands)
    turn(hands, 8)
    hands.until(f"requests.reduce((sum, each) => sum + each, 0) === {1 + 1 + 2 + 2 + 3 + 3 + 4 + 4}")
    until_slice(hands, before + 20)
    requests = hands.page.evaluate("window.trame.trigger = window.trigger, window.requests")
    assert len(requests) <= 2, "the first notch at once, all others together once its picture was drawn"


def test_fine_steps_of_a_touchpad_are_added_up(hands):
    for _ in range(6):
        hands.page.mouse.wheel(0, 10)
    until_slice(hands, 22)


def test_keys_move_the_view_under_the_mouse_and_no_other(hands):
    press = hands.page.keyboard.press
    other = number(hands, "BaselineCoronal")
    for key, shown in (("ArrowDown", 21), ("ArrowRight", 22), ("PageDown", 23), ("ArrowUp", 22), ("ArrowLeft", 21),
                       ("PageUp", 20), ("Home", 1), ("ArrowUp", 1), ("End", 48)):  # fmt: skip
        press(key)
        until_slice(hands, shown)
    assert number(hands, "BaselineCoronal") == other
    point_at(hands, "BaselineCoronal")
    press("ArrowDown")
    until_slice(hands, other + 1, "BaselineCoronal")
    assert number(hands) == 48
    assert hands.page.locator(".is-used").count() == 1


def test_keys_stay_with_the_field_that_uses_them(hands):
    hands.tab("View")
    slider = hands.page.locator("[data-cine-speed] [role=slider]")
    slider.focus()
    hands.page.mouse.move(*(slider.bounding_box()[side] for side in "xy"))
    speed = hands.state("cine_speed")
    hands.page.keyboard.press("ArrowRight")
    hands.until(f"s('cine_speed') === {speed + 1}")
    hands.page.keyboard.press("ArrowLeft")
    hands.until(f"s('cine_speed') === {speed}")
    assert number(hands) == 20


def test_digits_are_window_presets(hands):
    hands.tab("View")
    for digit, window in reversed(list(enumerate(CT_WINDOWS, 1))):
        hands.page.keyboard.press(str(digit))
        hands.until(f"s('window_name') === '{window.name}' && s('window_width') === {window.width:g}")
    hands.page.locator("[data-preset='Angio']").click()
    hands.until("s('window_name') === 'Angio' && s('window_level') === 300")
    hands.page.keyboard.press("1")
    hands.until("s('window_name') === 'Soft tissue'")


@pytest.mark.parametrize("by_key", [False, True])
def test_the_left_button_sets_the_window(hands, by_key):
    hands.page.keyboard.press("w") if by_key else choose(hands, WINDOW)
    before = hands.state("window_width")
    drag(hands, (60, 0))
    hands.until(f"s('window_width') > {before}")
    hands.page.keyboard.press("1")
    hands.until("s('window_name') === 'Soft tissue'")
    assert number(hands) == 20 and hands.state("findings") == []


def test_the_left_button_scrolls(hands):
    choose(hands, SCROLL)
    drag(hands, (0, 40))
    hands.until(f"Number(s('views').{VIEW}.number.split(' ')[1]) > 24")
    assert number(hands) <= 40
    drag(hands, (0, -400))
    until_slice(hands, 1)
    assert hands.state("findings") == []


def test_the_left_button_pans_and_zooms_and_so_do_the_others(hands):
    def until_moved(before: np.ndarray) -> np.ndarray:
        hands.until(
            f"JSON.stringify(s('views').{VIEW}.ras_to_xy) !== {json.dumps(json.dumps(shown['ras_to_xy'], separators=(',', ':')))}"
        )
        return centre(hands) - before

    for mode, button in ((PAN, "left"), (SELECT, "middle")):
        choose(hands, mode)
        shown, before = hands.state("views")[VIEW], centre(hands)
        drag(hands, (30, 0), button)
        moved = until_moved(before)
        assert abs(moved[0]) > 1 and np.allclose(moved[1:], 0, atol=1e-3), "to the side only"
    for mode, button in ((ZOOM, "left"), (SELECT, "right")):
        choose(hands, mode)
        before = zoom(hands)
        drag(hands, (0, 60), button)
        hands.until(f"s('views').{VIEW}.zoom !== 'Zoom {before} %'")
    assert number(hands) == 20 and hands.state("findings") == []


def test_a_double_click_maximises_and_restores_and_follows_nothing(hands):
    sizes = {view: hands.state("views")[view]["size"] for view in (VIEW, "BaselineCoronal")}
    before = zoom(hands)
    point_at(hands, VIEW)
    for count in (1, 2):  # with a pause between the clicks
        hands.page.mouse.down(click_count=count)
        hands.page.mouse.up(click_count=count)
        hands.page.wait_for_timeout(250 * (count == 1))
    hands.until(f"s('maximised') === '{VIEW}' && s('views').{VIEW}.size[0] > {1.5 * sizes[VIEW][0]}")
    assert not hands.page.locator("[data-view='BaselineCoronal']").is_visible()
    hands.page.keyboard.press("ArrowDown")
    until_slice(hands, 21)
    hands.picture(VIEW)
    hands.page.mouse.dblclick(*hands._middle(VIEW))
    hands.until(
        f"!s('maximised') && JSON.stringify(s('views').{VIEW}.size) === '{json.dumps(sizes[VIEW]).replace(' ', '')}'"
    )
    assert hands.page.locator("[data-view='BaselineCoronal']").is_visible()
    hands.until("!s('job').text")
    assert abs(zoom(hands) - before) <= 1 and hands.state("findings") == []
    assert hands.state("views")["BaselineCoronal"]["size"] == sizes["BaselineCoronal"]


def test_a_button_with_its_name_in_words_maximises(hands):
    button = hands.page.locator("[data-maximise='FollowUpAxial']")
    assert button.inner_text() == "Maximise"
    button.click()
    hands.until("s('maximised') === 'FollowUpAxial'")
    assert button.inner_text() == "Restore"
    button.click()
    hands.until("!s('maximised')")


def test_a_cine_plays_at_its_speed_until_a_key_is_pressed(hands):
    hands.tab("View")
    point_at(hands, VIEW)
    hands.page.keyboard.press(" ")
    hands.until(f"s('cine') === '{VIEW}'")
    until_slice(hands, 24)
    hands.page.keyboard.press("Escape")
    hands.until("!s('cine')")
    hands.page.locator("[data-cine-bounces] input").click()
    show(hands, VIEW, 46)
    hands.page.keyboard.press(" ")
    until_slice(hands, 48)
    until_slice(hands, 45)
    hands.page.keyboard.press("ArrowDown")
    hands.until("!s('cine')")
    hands.page.locator("[data-cine-bounces] input").click()
    hands.until("!s('cine_bounces')")


def test_in_select_mode_marks_are_dragged_and_clicks_follow(hands, pair):
    row = hands.follow(pair, 0)
    choose(hands, PAN)
    hands.drag("FollowUpAxial", row["followup"], np.add(row["followup"], (10, 0, 0)))
    hands.until("s('mouse_releases') === oncotrack.releases()")  # the view has moved to where it stays
    choose(hands, SELECT)
    assert hands.state("findings") == [row]
    hands.drag("FollowUpAxial", row["followup"], np.add(row["followup"], (10, 0, 0)))
    hands.until("s('findings')[0].state === 'edited'")


def test_a_slab_is_named_in_the_corner(hands):
    notice = hands.page.locator(f"[data-slab='{VIEW}']")
    before = hands.picture(VIEW)
    assert notice.count() == 0
    hands.page.keyboard.press(".")
    hands.until("s('slab_mode') === 'average'")
    assert notice.inner_text() == "⚠ Average of 10 mm, not one slice"
    average = hands.picture(VIEW, other_than=before)
    for key, thickness in ((".", 15), (",", 10), (",", 7)):
        hands.page.keyboard.press(key)
        hands.until(f"s('slab_mm') === {thickness} && s('views').{VIEW}.slab.startsWith('Average of {thickness} mm')")
    hands.tab("View")
    hands.page.locator("[data-slab-kind]").click()
    hands.page.get_by_role("option", name="Minimum").click()
    hands.until(f"s('views').{VIEW}.slab.startsWith('Minimum of 7 mm')")
    hands.picture(VIEW, other_than=average)
    hands.page.locator("[data-view-command='project_all']").click()
    hands.until(
        f"s('views').{VIEW}.slab.startsWith('Maximum of 144 mm') && s('views').FollowUpCoronal.slab.startsWith('Max')"
    )
    hands.page.locator("[data-view-command='project_all']").click()
    hands.until("s('slab_mode') === 'off'")
    notice.wait_for(state="detached")  # together with the picture
