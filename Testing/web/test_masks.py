"""Masks in the browser: axes drawn and dragged with a real mouse, carried, undone, saved, reopened, exported, taken up."""

from __future__ import annotations

import csv

import numpy as np
import pytest

VIEW = "BaselineAxial"
LONG, SHORT = ((-9.0, 0, 0), (9.0, 0, 0)), ((0, -8.0, 0), (0, 8.0, 0))


@pytest.fixture(scope="module")
def mask_server(start, pair, tmp_path_factory):
    """The viewer with one scan."""
    return start([pair.baseline], tmp_path_factory.mktemp("masks") / "out")


@pytest.fixture(scope="module")
def mask_context(browser, mask_server):
    context = browser.new_context(viewport={"width": 1366, "height": 900})
    page = context.new_page()
    page.goto(mask_server.url)
    page.close()
    yield context
    context.close()


@pytest.fixture
def masks(mask_context, mask_server, make_reader):
    """A reader at the tab of masks, with nothing found yet."""
    reader = make_reader(mask_context.new_page())
    reader.page.goto(mask_server.url.split("?")[0])
    reader.until(f"s('scan_names')[0] && !s('job').text && s('views').{VIEW}")
    reader.page.wait_for_function("document.querySelector('.layout-grid-item img')?.naturalWidth > 0")
    reader.clear()
    reader.tab("Masks")
    yield reader
    reader.page.close()


def press(reader, command: str) -> None:
    """Press a button of the panel."""
    reader.page.locator(f"[data-panel='masks'] [data-mask-command='{command}']").click()


def place(lesion) -> np.ndarray:
    """A lesion's middle in the slice that is shown when one scrolls to it."""
    return np.array((lesion[0], lesion[1], 4.5))


def draw(reader, at, axes=(LONG, SHORT)) -> None:
    """Click the ends of both axes."""
    press(reader, "draw")
    for number, axis in enumerate(axes):
        reader.until(f"s('mask_hint').includes('{('one diameter', 'other diameter')[number]}')")
        for end in axis:
            x, y = reader.pixel(VIEW, np.add(at, end))
            reader.page.mouse.move(x - 3, y)
            reader.page.mouse.move(x, y)
            reader.page.wait_for_timeout(120)
            reader.page.mouse.click(x, y)
            reader.page.wait_for_timeout(120)


def row(reader, label: str = "L 1") -> dict:
    return next(each for each in reader.state("masks") if each["label"] == label)


def kept(server, label: str = "L 1") -> dict:
    """What the server keeps of a finding on disk: read there and not from the page."""
    finding = next(each for each in server.kept["findings"] if each["label"] == label)
    return next(iter(finding["observations"].values()))


def test_two_lines_become_a_mask_that_follows_a_dragged_end_is_carried_and_undone(masks, pair, mask_server):
    at = place(pair.lesions[0])
    masks.scroll_to(VIEW, at)
    before = masks.picture(VIEW)
    draw(masks, at)
    masks.until("s('masks').length === 1 && s('masks')[0].mask === 'in one slice'")
    drawn = masks.picture(VIEW, other_than=before)
    assert float(row(masks)["long"]) == pytest.approx(18, abs=1.5)
    assert "18" in masks.state("mask_words")
    seen = kept(mask_server)
    assert seen["mask"]["bits"] and seen["state"] == "proposed"

    masks.drag(VIEW, at + LONG[1], at + LONG[1] + np.array((5, 0, 0)))
    masks.until("s('masks')[0].state === 'edited'")
    longer = kept(mask_server)
    assert longer["mask"] != seen["mask"] and float(row(masks)["long"]) > 21
    masks.picture(VIEW, other_than=drawn)
    masks.page.keyboard.press("Control+z")
    masks.until("s('masks')[0].state === 'proposed'")
    assert kept(mask_server)["mask"] == seen["mask"]

    press(masks, "carry")
    masks.until("s('masks')[0].mask.includes('slices') && !s('job').text")
    assert kept(mask_server)["mask"]["geometry"]["size"][2] >= 3
    assert kept(mask_server)["volume_mm3"] > seen["volume_mm3"]

    masks.drag(VIEW, at + LONG[1], at + LONG[1] + np.array((5, 0, 0)))
    masks.until("s('masks')[0].state === 'edited' && !s('job').text")
    assert "slices" in row(masks)["mask"] and float(row(masks)["long"]) > 21, "carried again from the new axes"
    masks.page.keyboard.press("Control+z")
    masks.until("s('masks')[0].state === 'proposed' && s('masks')[0].mask.includes('slices')")

    masks.page.keyboard.press("a")
    masks.until("s('masks')[0].state === 'accepted'")
    masks.page.keyboard.press("Control+z")
    masks.page.keyboard.press("Control+z")
    masks.until("s('masks')[0].mask === 'in one slice'")

    masks.page.wait_for_timeout(500)  # until the views are at rest
    draw(masks, at, (LONG, tuple(np.add(end, (16, 0, 0)) for end in SHORT)))
    assert "do not cross" in masks.message("cross")
    assert len(masks.state("masks")) == 1 and "Drag the ends" in masks.state("mask_hint")
    masks.page.keyboard.press("Escape")
    masks.until("s('mask_hint') === ''")


def test_masks_are_saved_reopened_exported_and_taken_up_again(masks, pair, mask_server):
    at = place(pair.lesions[0])
    masks.scroll_to(VIEW, at)
    draw(masks, at)
    masks.until("s('masks').length === 1")
    press(masks, "carry")
    masks.until("s('masks')[0].mask.includes('slices') && !s('job').text")
    press(masks, "accept")
    masks.until("s('masks')[0].state === 'accepted'")
    held = kept(mask_server)

    press(masks, "export")
    masks.until("s('saved').includes('masks.seg.nrrd') && !s('job').text")
    table = list(csv.DictReader((mask_server.out / "masks.csv").read_text().splitlines()))
    assert [line["label"] for line in table] == ["L 1"]
    assert list((mask_server.out / "pairs").iterdir())

    masks.tab("Files")
    masks.page.locator("[data-save='save scene']").click()
    masks.until("s('saved').includes('scene.mrb') && !s('job').text")
    masks.tab("Masks")
    press(masks, "remove_from_scan")
    masks.until("s('masks').length === 0")
    masks.page.locator("[data-mask-file] input").fill(str(mask_server.out / "masks.seg.nrrd"))
    press(masks, "take")
    masks.until("s('masks').length === 1 && !s('job').text")
    assert "1 new finding" in masks.message("new finding")
    assert kept(mask_server)["mask"]["bits"] == held["mask"]["bits"]

    masks.tab("Files")
    masks.page.locator("[data-path] input").fill(str(mask_server.out / "scene.mrb"))
    masks.page.locator("[data-open='baseline']").click()
    masks.page.locator("[data-answer='yes']").click()
    masks.until("!s('job').text && s('masks')[0]?.state === 'accepted'")
    masks.tab("Masks")
    assert row(masks)["mask"] == f"in {held['mask']['geometry']['size'][2]} slices"


def test_a_click_on_a_finding_of_another_tab_proposes_its_mask(start, browser, pair, tmp_path, make_reader):
    server = start([pair.baseline, pair.followup], tmp_path / "out")
    page = browser.new_page(viewport={"width": 1366, "height": 900})
    reader = make_reader(page)
    reader.open(server.url)
    reader.follow(pair, 0)
    reader.tab("Masks")
    reader.until("s('masks').length === 1 && s('masks')[0].mask === 'none' && !s('is_following')")
    reader.click(VIEW, pair.lesions[0])
    reader.until("s('masks')[0].mask === 'in one slice'")
    assert 8 < float(row(reader)["long"]) < 40
    page.locator("[data-mask-scan='followup']").click()
    reader.until("s('mask_scan') === 'followup' && s('masks')[0].mask === 'none'")
    page.locator("[data-mask='L 1'] [data-mask-action='propose']").click()
    reader.until("s('masks')[0].mask === 'in one slice'")
    assert len(server.kept["findings"]) == 1
    reader.tab("Findings")
    reader.until("s('is_following')")
    page.close()
    server.stop()
