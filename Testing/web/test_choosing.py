"""Choosing one of several DICOM series: at the start, by path and by upload, with mouse and keyboard."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from study_folder import SERIES, write_study, write_tilted

from oncotrack.images.files import load

SOFT, LUNG, *_ = SERIES
_ENDED = "!s('series').title && !s('job').text"


@dataclass
class Folders:
    """Studies on disk."""

    all: Path
    study: Path
    tilted: Path
    cut: Path


@pytest.fixture(scope="module")
def folders(pair, tmp_path_factory) -> Folders:
    root, ct = tmp_path_factory.mktemp("studies"), load(pair.baseline)
    study, tilted = write_study(root / "study", ct), write_tilted(root / "tilted", ct)
    return Folders(root, study, tilted, shutil.copytree(study, root / "cut"))


@dataclass
class Start:
    """What the page asked when the viewer was started, and what came of the answer."""

    question: str
    rows: list[str]
    is_open: bool
    scans: list[str]
    message: str


@pytest.fixture(scope="module")
def reader(start, browser, make_reader, folders, tmp_path_factory):
    """Open the viewer with a study as baseline, whose series is named, and as follow-up, which asks, and answer it."""
    scans = [folders.study, folders.study]
    server = start(scans, tmp_path_factory.mktemp("choosing") / "out", series=["lung"], folders=[str(folders.all)])
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    reader = make_reader(context.new_page())
    reader.page.goto(server.url)
    reader.start = answer(reader)
    yield reader
    context.close()
    assert server.stop() == 0
    assert "Traceback" not in server.faults


def row(reader, number: int):
    return reader.page.locator(f"[data-series='{number}']")


def press_mouse(reader, place) -> None:
    """Click in the middle of an element with the mouse, as a reader does."""
    box = place.bounding_box()
    reader.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def answer(reader) -> Start:
    """Read the question of the start, press what cannot be opened, then choose the first series."""
    dialog = reader.page.locator("[data-series-dialog]")
    dialog.wait_for()
    rows = [row(reader, number).inner_text() for number in range(1, 7)]
    reader.page.wait_for_function(
        "[...document.querySelectorAll('.series-picture img')].filter(p => p.naturalWidth > 40).length === 5"
    )
    question = dialog.inner_text()
    for number in (4, 5):
        press_mouse(reader, row(reader, number))
    is_open = bool(reader.state("series")["title"] and not reader.state("job"))
    press_mouse(reader, row(reader, 1))
    reader.until(f"{_ENDED} && s('has_registration')")
    return Start(question, rows, is_open, reader.state("scan_names"), reader.message("Series 1 of 6"))


def open_path(reader, path: Path, role: str = "followup") -> None:
    reader.tab("Files")
    reader.page.locator("[data-path] input, input[data-path]").first.fill(str(path))
    reader.page.locator(f"[data-open='{role}']").click()
    reader.page.locator("[data-series-dialog]").wait_for()


def test_the_start_asks_only_for_the_scan_whose_series_is_not_named(reader):
    start = reader.start
    assert "Open the follow-up" in start.question and "study holds 3 volumes" in start.question
    for text, words in zip(start.rows, SERIES, strict=True):
        assert words in text
    assert "48 slices" in start.rows[0] and "thickness 3 mm" in start.rows[0] and "Iohexol" in start.rows[0]
    assert "localizer" in start.rows[3] and "segmentation" in start.rows[4] and "RTSTRUCT" in start.rows[5]
    assert start.is_open, "what is no volume cannot be opened"
    assert [name.endswith(words) for name, words in zip(start.scans, (LUNG, SOFT), strict=True)] == [True, True]
    assert "Series 2 of 6" in start.message


def test_cancel_leaves_everything_as_it_was(reader, folders):
    reader.until(_ENDED)
    names, findings = reader.state("scan_names"), reader.state("findings")
    for cancel in (
        lambda: press_mouse(reader, reader.page.locator("[data-series-cancel]")),
        lambda: reader.page.keyboard.press("Escape"),
    ):
        open_path(reader, folders.study, "baseline")
        cancel()
        reader.until(_ENDED)
        reader.page.locator("[data-series-dialog]").wait_for(state="detached")
    assert (reader.state("scan_names"), reader.state("findings")) == (names, findings)
    assert reader.state("has_registration")


def test_a_series_of_an_uploaded_archive_becomes_the_follow_up(reader, folders, tmp_path):
    reader.until(_ENDED)
    archive = shutil.make_archive(str(tmp_path / "from the clinic"), "zip", folders.study)
    reader.tab("Files")
    reader.page.locator("input[data-upload='followup']").first.set_input_files(archive)
    reader.page.locator("[data-series-dialog]").wait_for()
    press_mouse(reader, row(reader, 2).locator("button"))
    reader.until(f"{_ENDED} && s('scan_names')[1].startsWith('from the clinic')")
    assert reader.state("scan_names")[1].endswith(LUNG)
    reader.until("s('has_registration')")


def test_the_keyboard_chooses_and_a_tilted_series_is_resampled_by_one_key(reader, folders):
    reader.until(_ENDED)
    open_path(reader, folders.study)
    reader.page.wait_for_function("document.activeElement.innerText.includes('1. CT')")
    for key in ("ArrowDown", "ArrowDown", "ArrowUp", "Enter"):
        reader.page.keyboard.press(key)
    reader.until(f"{_ENDED} && s('scan_names')[1].startsWith('study')")
    assert reader.state("scan_names")[1].endswith(LUNG)

    open_path(reader, folders.tilted)
    assert "gantry was tilted" in row(reader, 1).inner_text()
    reader.page.wait_for_function("document.activeElement.hasAttribute('data-series-resample')")
    reader.page.keyboard.press("Enter")
    reader.until(f"{_ENDED} && s('scan_names')[1] === 'tilted'")
    reader.message("Resampled to a regular grid")


def test_a_series_that_cannot_be_read_leaves_the_choice_of_the_others(reader, folders):
    reader.until(_ENDED)
    names = reader.state("scan_names")
    open_path(reader, folders.cut)
    file = folders.cut / "a" / "slice0002.dcm"
    file.write_bytes(file.read_bytes()[:-300])  # after it was listed
    press_mouse(reader, row(reader, 1))
    assert "slice0002.dcm is damaged" in reader.message("damaged")
    reader.until("!!s('series').title && !s('job').text")
    reader.page.locator(".v-overlay--active [data-series-dialog]").wait_for()
    assert reader.state("scan_names") == names
    reader.page.evaluate("document.activeElement.blur()")  # the focus need not be in the list
    reader.page.keyboard.press("Escape")
    reader.until(_ENDED)


def test_an_error_about_a_folder_closes_when_a_series_is_opened(reader, folders):
    reader.until(_ENDED)
    reader.page.evaluate("trame.trigger('oncotrack.command', ['open', '/nowhere/study', 'followup'])")
    assert "not opened" in reader.message("/nowhere/study")
    number = reader.state("message")["number"]
    reader.until(f"s('message').kind === 'error' && s('message_closed') < {number}")
    open_path(reader, folders.study)
    press_mouse(reader, row(reader, 1))
    reader.until(f"{_ENDED} && s('message_closed') >= {number}")
    assert reader.state("message")["kind"] == "info"
