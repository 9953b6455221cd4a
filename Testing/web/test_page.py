"""The page itself: help, look, accessible names, keys of the open tab, several findings at once, a lost connection."""

from __future__ import annotations

import pytest


def tabs(reader) -> list[str]:
    """Return the titles of all tabs."""
    return reader.page.get_by_role("tab").all_inner_texts()


@pytest.fixture
def followed(reader, pair):
    """Follow two lesions."""
    for number in (0, 1):
        reader.follow(pair, number)
    return reader


def test_help_shows_the_keys_under_their_tabs_and_closes_by_escape(reader):
    reader.page.keyboard.press("?")
    dialog = reader.page.locator("[data-help]")
    dialog.wait_for()
    text = dialog.inner_text()
    assert "five minutes" in text and "Find lymph nodes" in text
    assert all(tab in text.split("What the tabs are for")[1].split("Mouse")[0] for tab in tabs(reader)[1:])
    assert "Tab Masks" in text and "Draw diameters" in text.split("Tab Masks")[1]
    reader.page.keyboard.press("a")  # no command while the dialog is open
    reader.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    reader.command("help")
    dialog.wait_for()
    reader.page.locator("[data-help-close]").click()
    dialog.wait_for(state="detached")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_no_tab_has_a_serious_fault_of_accessibility(followed, theme):
    reader = followed
    reader.use_theme(theme)
    found = {}
    assert len(tabs(reader)) == 7
    for title in tabs(reader):
        reader.tab(title)
        reader.page.locator(f"[data-panel='{title.lower()}']").wait_for()
        found[title] = reader.faults()
    reader.tab("Findings")
    reader.page.locator("[data-choose='L 1']").click()
    found["several"] = reader.faults()
    reader.page.locator("[data-choose='L 1']").click()
    reader.page.keyboard.press("?")
    reader.page.locator("[data-help]").wait_for()
    found["help"] = reader.faults()
    reader.page.keyboard.press("Escape")
    reader.command("show_studies")
    reader.until("s('browser_visits').length === 2")
    reader.page.locator("[data-hang='visit:1']").wait_for()
    found["studies"] = reader.faults()
    reader.command("show_studies")
    reader.until("!s('is_browser_open')")
    assert not any(found.values()), "\n".join(
        f"{place}: {fault}" for place, faults in found.items() for fault in faults
    )
    reader.use_theme("dark")


def test_the_theme_is_changed_by_its_button(reader):
    reader.tab("View")
    for theme in ("light", "dark"):
        reader.page.locator("[data-page-command='change_theme']").click()
        reader.page.locator(f".v-application.v-theme--{theme}").wait_for()


def test_saving_needs_no_scrolling_and_a_pet_has_no_choices_before_it_is_open(followed):
    reader = followed
    reader.tab("Files")
    for name in ("save_findings", "save_scene", "save_report", "export_dicom"):
        box = reader.page.locator(f"[data-save='{name}']").bounding_box()
        assert box["y"] + box["height"] < reader.page.viewport_size["height"]
    reader.tab("View")
    reader.page.get_by_label("Window/level").wait_for()
    assert not reader.page.get_by_label("PET window").count()


def test_all_tabs_are_in_sight_without_arrows(reader):
    assert reader.tabs_in_sight() == tabs(reader)


def test_a_narrow_window_shows_text_of_eleven_pixels_and_makes_room_for_the_studies(reader):
    size = reader.page.viewport_size
    reader.page.set_viewport_size({"width": 683, "height": 384})  # 1366 x 768 at 200 %
    reader.until_shown(7)
    texts = reader.page.locator(".view-text, .view-buttons button")
    assert min(texts.evaluate_all("all => all.map(each => parseFloat(getComputedStyle(each).fontSize))")) >= 11
    reader.page.locator("[data-more]").click()
    reader.page.locator("[data-in-menu='show_studies']").click()
    reader.until("s('is_browser_open') && !s('is_panel_open')")
    reader.page.keyboard.press("Escape")
    reader.page.evaluate("trame.trigger('oncotrack.command', ['show_studies'])")
    reader.page.locator("[data-panel-button]").click()
    reader.until("!s('is_browser_open') && s('is_panel_open')")
    reader.page.set_viewport_size(size)
    reader.until_shown(7)


def test_text_is_enlarged_in_steps(reader):
    reader.tab("View")
    button, panel = (
        reader.page.locator("[data-page-command='change_text_size']"),
        reader.page.locator(".v-navigation-drawer"),
    )
    width = panel.last.bounding_box()["width"]
    for size in (115, 130, 100):
        button.click()
        reader.until(f"s('text_size') === {size}")
    assert width == panel.last.bounding_box()["width"]


def test_buttons_of_the_bar_are_named_by_the_words_they_show(reader):
    buttons = reader.page.locator("[data-command]")
    names = buttons.evaluate_all("all => all.map(each => [each.innerText.trim(), each.getAttribute('aria-label')])")
    assert len(names) > 12 and all(text and not label for text, label in names)
    reader.page.get_by_role("button", name="Accept", exact=True).first.wait_for()


def test_a_key_acts_only_where_it_is_shown(followed):
    reader = followed
    for title, missing in (("Masks", "mu"), ("Files", "cuim")):
        reader.tab(title)
        reader.until(f"s('tab') === '{title.lower()}' && ![...'{missing}'].some(key => key in s('keys'))")
    reader.tab("Findings")
    reader.until("s('keys').m === 'search_again'")


def test_several_findings_are_searched_chosen_and_decided_in_one_step(followed):
    reader = followed
    reader.tab("Findings")
    reader.page.locator("[data-search] input").fill("l 2")
    reader.page.wait_for_function("document.querySelectorAll('[data-finding]').length === 1")
    reader.page.locator("[data-search] input").fill("")
    reader.page.wait_for_function("document.querySelectorAll('[data-finding]').length === 2")
    reader.page.locator("[data-choose='L 1']").click()
    assert "1 chosen" in reader.page.locator("[data-chosen]").inner_text()
    reader.page.locator("[data-several='all']").click()
    reader.page.locator("[data-several='accept_several']").click()
    reader.until("s('findings').every(each => each.state === 'accepted') && !s('chosen').length")
    reader.command("undo")
    reader.until("s('findings').every(each => each.state === 'proposed')")
    for label in ("L 1", "L 2"):
        reader.page.locator(f"[data-choose='{label}']").click()
    reader.page.locator("[data-several='remove_several']").click()
    reader.until("!s('findings').length && !s('chosen').length")
    reader.command("undo")
    reader.until("s('findings').length === 2")


def test_a_visit_is_dragged_from_the_study_browser_into_a_view(reader):
    names = reader.state("scan_names")
    reader.command("show_studies")
    visit = reader.page.locator("[data-hang='visit:1']")
    visit.wait_for()
    reader.page.wait_for_function("document.querySelector(\"[data-hang='visit:1'] img\").naturalWidth > 40")
    visit.drag_to(reader.page.locator(".layout-grid-item:has([data-view='BaselineAxial'])"))
    reader.until(f"s('scan_names')[0] === {names[1]!r} && s('has_registration') && !s('job').text")
    assert reader.state("scan_names") == names[::-1], "the two swapped places"
    reader.page.locator(
        "[data-hang='visit:0'] [data-hang-as='baseline'], [data-hang='visit:1'] [data-hang-as='baseline']"
    ).last.click()
    reader.until("!s('job').text")
    if reader.state("scan_names") != names:
        reader.page.locator("[data-hang='visit:0'] [data-hang-as='baseline']").click()
    reader.until(f"s('scan_names')[0] === {names[0]!r} && s('has_registration') && !s('job').text")
    reader.command("show_studies")


def test_a_lost_connection_is_said_and_made_again(followed):
    reader = followed
    uids = [row["uid"] for row in reader.state("findings")]
    reader.page.evaluate("window.before = true; sockets.forEach(each => each.close())")
    reader.page.locator("[data-connection='lost']").wait_for()
    reader.page.wait_for_function("!window.before")
    reader.until("s('has_registration') && !s('job').text")
    assert [row["uid"] for row in reader.state("findings")] == uids
    reader.until_shown(7)


def test_a_window_is_chosen_from_the_list(reader):
    reader.page.locator(".v-select:has([data-windows]), [data-windows]").first.click()
    reader.page.get_by_role("option", name="Lung").click()
    reader.until("s('window_name') === 'Lung' && s('window_width') === 1500")
    reader.page.locator("[data-panel='findings']").click(position={"x": 5, "y": 5})
    reader.page.keyboard.press("1")
    reader.until("s('window_name') === 'Soft tissue'")
