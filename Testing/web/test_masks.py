"""Masks in the browser: diameters drawn and dragged with the mouse, 3D masks, undo, saving, export and import."""

from __future__ import annotations

import csv

import numpy as np
import pytest

VIEW = "BaselineAxial"
LONG, SHORT = ((-9.0, 0, 0), (9.0, 0, 0)), ((0, -8.0, 0), (0, 8.0, 0))


@pytest.fixture(scope="module")
def mask_server(start, pair, tmp_path_factory):
    """Start the viewer with one scan, whose detector has damaged weights."""
    folder = tmp_path_factory.mktemp("masks")
    (folder / "lntracker-compact.safetensors").write_bytes(b"nonsense")
    prelude = f"import os; os.environ['ONCOTRACK_WEIGHTS'] = {str(folder)!r}\n"
    server = start([pair.baseline], folder / "out", prelude=prelude)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def mask_context(browser, mask_server):
    """Open the one browser that the server admits."""
    context = browser.new_context(viewport={"width": 1366, "height": 900})
    assert context.request.get(mask_server.url).ok
    yield context
    context.close()


@pytest.fixture
def masks(mask_context, mask_server, page_of):
    """Open a page at the Masks tab, with an empty list."""
    reader = page_of(mask_context, lambda reader: reader.open_one_scan(mask_server.url.split("?")[0]))
    reader.clear()
    reader.tab("Masks")
    return reader


def press(reader, command: str) -> None:
    """Click a button of the panel."""
    reader.page.locator(f"[data-panel='masks'] [data-mask-command='{command}']").click()


def place(lesion) -> np.ndarray:
    """Return a lesion's centre (RAS mm) in the slice that is shown after scrolling to it."""
    return np.array((lesion[0], lesion[1], 4.5))


def draw(reader, at, axes=(LONG, SHORT)) -> None:
    """Click the ends of both diameters."""
    press(reader, "draw_axes")
    for number, axis in enumerate(axes):
        reader.until(f"s('mask_hint').includes('{('one diameter', 'other diameter')[number]}')")
        for end in axis:
            x, y = reader.pixel(VIEW, np.add(at, end))
            reader.page.mouse.move(x - 3, y)
            reader.page.mouse.click(x, y)
        reader.page.mouse.move(x + 8, y)  # the last click acts at once


def row(reader, label: str = "L 1") -> dict:
    return next(each for each in reader.state("masks") if each["label"] == label)


def autosaved(server, label: str = "L 1") -> dict:
    """Return a finding's observation as autosaved, read from disk and not from the page."""
    finding = next(each for each in server.autosaved["findings"] if each["label"] == label)
    return next(iter(finding["observations"].values()))


@pytest.fixture
def drawn(masks, pair):
    """Draw both diameters of the first lesion: a mask in one slice."""
    masks.scroll_to(VIEW, place(pair.lesions[0]))
    draw(masks, place(pair.lesions[0]))
    masks.until("s('masks').length === 1 && s('masks')[0].mask === 'in one slice'")
    return masks


@pytest.fixture
def extended(drawn):
    """Extend the drawn mask to 3D."""
    press(drawn, "extend_to_3d")
    drawn.until("s('masks')[0].mask.includes('slices') && !s('job').text")
    return drawn


def test_two_diameters_become_a_mask(masks, pair, mask_server):
    at = place(pair.lesions[0])
    masks.scroll_to(VIEW, at)
    before = masks.picture(VIEW)
    draw(masks, at)
    masks.until("s('masks').length === 1 && s('masks')[0].mask === 'in one slice'")
    masks.picture(VIEW, other_than=before)
    assert float(row(masks)["long"]) == pytest.approx(18, abs=1.5)
    assert f"{row(masks)['long']} mm x" in masks.state("mask_words")
    seen = autosaved(mask_server)
    assert seen["mask"]["bits"] and seen["state"] == "proposed"


def test_the_mask_is_updated_when_an_end_is_dragged_and_undo_restores_it(drawn, pair, mask_server):
    at, seen, before = place(pair.lesions[0]), autosaved(mask_server), drawn.picture(VIEW)
    drawn.drag(VIEW, at + LONG[1], at + LONG[1] + np.array((5, 0, 0)))
    drawn.until("s('masks')[0].state === 'edited'")
    assert autosaved(mask_server)["mask"] != seen["mask"] and float(row(drawn)["long"]) > 21
    drawn.picture(VIEW, other_than=before)
    drawn.page.keyboard.press("Control+z")
    drawn.until("s('masks')[0].state === 'proposed'")
    assert autosaved(mask_server)["mask"] == seen["mask"]


def test_a_mask_is_extended_to_3d_and_undo_restores_the_slice(drawn, mask_server):
    seen = autosaved(mask_server)
    press(drawn, "extend_to_3d")
    drawn.until("s('masks')[0].mask.includes('slices') && !s('job').text")
    assert autosaved(mask_server)["mask"]["geometry"]["size"][2] >= 3
    assert autosaved(mask_server)["volume_mm3"] > seen["volume_mm3"]
    drawn.page.keyboard.press("Control+z")
    drawn.until("s('masks')[0].mask === 'in one slice'")


def test_a_3d_mask_is_extended_again_when_an_end_is_dragged(extended, pair):
    at = place(pair.lesions[0])
    extended.drag(VIEW, at + LONG[1], at + LONG[1] + np.array((5, 0, 0)))
    extended.until("s('masks')[0].state === 'edited' && !s('job').text")
    assert "slices" in row(extended)["mask"] and float(row(extended)["long"]) > 21
    extended.page.keyboard.press("Control+z")
    extended.until("s('masks')[0].state === 'proposed' && s('masks')[0].mask.includes('slices')")


def test_a_key_accepts_the_mask(drawn):
    drawn.page.keyboard.press("a")
    drawn.until("s('masks')[0].state === 'accepted'")
    drawn.page.keyboard.press("Control+z")
    drawn.until("s('masks')[0].state === 'proposed'")


def test_diameters_that_do_not_cross_are_refused_and_can_be_corrected_or_discarded(drawn, pair):
    draw(drawn, place(pair.lesions[0]), (LONG, tuple(np.add(end, (16, 0, 0)) for end in SHORT)))
    assert "do not cross" in drawn.message("cross")
    assert len(drawn.state("masks")) == 1 and "Drag the ends" in drawn.state("mask_hint")
    drawn.page.keyboard.press("Escape")
    drawn.until("s('mask_hint') === ''")


def test_damaged_weights_of_the_detector_get_a_message_that_says_what_to_do(masks):
    masks.command("nodes.detect")
    assert "Install them again" in masks.message("damaged")
    masks.until("!s('job').text && s('nodes').length === 0")


def test_masks_are_exported_imported_saved_and_reopened(extended, mask_server):
    masks = extended
    press(masks, "accept")
    masks.until("s('masks')[0].state === 'accepted'")
    saved = autosaved(mask_server)

    press(masks, "export_masks")
    masks.until("s('saved').includes('masks.seg.nrrd') && !s('job').text")
    table = list(csv.DictReader((mask_server.out / "masks.csv").read_text().splitlines()))
    assert [line["label"] for line in table] == ["L 1"]
    assert list((mask_server.out / "pairs").iterdir())

    masks.tab("Files")
    masks.page.locator("[data-save='save_scene']").click()
    masks.until("s('saved').includes('scene.mrb') && !s('job').text")
    masks.tab("Masks")
    press(masks, "remove_from_scan")
    masks.until("s('masks').length === 0")
    masks.page.locator("[data-mask-file] input").fill(str(mask_server.out / "masks.seg.nrrd"))
    press(masks, "import_masks")
    masks.until("s('masks').length === 1 && !s('job').text")
    assert "1 new finding" in masks.message("new finding")
    assert autosaved(mask_server)["mask"]["bits"] == saved["mask"]["bits"]

    masks.tab("Files")
    masks.page.locator("[data-path] input").fill(str(mask_server.out / "scene.mrb"))
    masks.page.locator("[data-open='baseline']").click()
    masks.page.locator("[data-answer='yes']").click()
    masks.tab("Masks")
    masks.until("!s('job').text && s('masks')[0]?.state === 'accepted'")
    assert row(masks)["mask"] == f"in {saved['mask']['geometry']['size'][2]} slices"


def test_a_click_on_a_finding_of_another_tab_proposes_its_mask(reader, server, pair):
    reader.follow(pair, 0)
    reader.tab("Masks")
    reader.until("s('masks').length === 1 && s('masks')[0].mask === 'none' && !s('is_following')")
    reader.click(VIEW, pair.lesions[0])
    reader.until("s('masks')[0].mask === 'in one slice'")
    assert 8 < float(row(reader)["long"]) < 40
    reader.page.locator("[data-mask-scan='followup']").click()
    reader.until("s('mask_scan') === 'followup' && s('masks')[0].mask === 'none'")
    reader.page.locator("[data-mask='L 1'] [data-mask-action='suggest']").click()
    reader.until("s('masks')[0].mask === 'in one slice'")
    assert len(server.autosaved["findings"]) == 1
    reader.page.locator("[data-mask-scan='baseline']").click()
    reader.tab("Findings")
    reader.until("s('is_following')")


def volume(reader) -> float:
    return float(row(reader)["volume"])


def stroke(reader, at, *steps) -> None:
    """Drag with the brush from step to step, mm from a position."""
    points = [reader.pixel(VIEW, np.add(at, step)) for step in steps]
    reader.page.mouse.move(points[0][0] - 2, points[0][1])
    reader.page.mouse.move(*points[0])
    reader.page.mouse.down()
    for point in points[1:]:
        reader.page.mouse.move(*point, steps=3)
    reader.page.mouse.up()


def test_a_mask_is_painted_erased_filled_and_undone(drawn, pair):
    at, before = place(pair.lesions[0]), volume(drawn)
    drawn.page.locator("[data-brush='brush']").click()
    drawn.until("s('brush') === 'brush'")
    stroke(drawn, at, (0, 12, 0), (4, 16, 0))
    drawn.until(f"Number(s('masks')[0].volume) > {before} && s('masks')[0].state === 'edited'")
    painted, findings = volume(drawn), drawn.state("findings")
    assert len(findings) == 1, "no click of the brush follows or suggests anything"
    drawn.page.locator("[data-brush='eraser']").click()
    drawn.until("s('brush') === 'eraser'")
    stroke(drawn, at, (-2, 0, 0), (2, 0, 0))
    drawn.until(f"Number(s('masks')[0].volume) < {painted}")
    holed = volume(drawn)
    press(drawn, "fill")
    drawn.until(f"Number(s('masks')[0].volume) > {holed}")
    press(drawn, "smooth")
    drawn.until("s('undo_text').includes('smooth')")
    for _ in range(4):
        drawn.page.keyboard.press("Control+z")
    drawn.until(f"Number(s('masks')[0].volume) === {before} && s('masks')[0].state === 'proposed'")
    drawn.page.locator("[data-brush='eraser']").click()
    drawn.until("s('brush') === ''")


def test_the_brush_needs_a_mask_and_stops_with_its_tab(drawn):
    drawn.page.locator("[data-brush='brush']").click()
    drawn.until("s('brush') === 'brush'")
    drawn.tab("Files")
    drawn.until("s('brush') === ''")
    drawn.tab("Masks")
    press(drawn, "remove_mask")
    drawn.until("s('masks')[0].mask === 'none'")
    drawn.page.evaluate("trame.trigger('oncotrack.command', ['masks.brush'])")
    drawn.message("There is no mask to paint in")
