"""The reader's settings are those of the last session; a damaged file is reported in a sentence."""

from __future__ import annotations

import json

from three_visits import scan

from oncotrack.images.files import save


def test_the_next_session_begins_with_the_choices_of_the_last_one(start, pair, browser, make_reader, tmp_path):
    folder = tmp_path / "out"
    file = folder.with_suffix(".config") / "reader.json"

    def open_page(server):
        reader = make_reader(browser.new_page())
        reader.open_one_scan(server.url)
        return reader

    server = start([pair.baseline], folder)
    reader = open_page(server)
    reader.tab("View")
    reader.page.locator("[data-mouse-modes]").get_by_label("Pan").click()
    reader.page.keyboard.press("z")
    reader.until("s('mouse_mode') === 'pan' && s('image_text') === 'without names'")
    reader.page.close()
    assert server.stop() == 0
    kept = json.loads(file.read_text())
    assert (kept["mouse_mode"], kept["image_text"], kept["cine_speed"]) == ("pan", "without names", 10)

    server = start([pair.baseline], folder)
    reader = open_page(server)
    assert reader.state("mouse_mode") == "pan" and reader.state("image_text") == "without names"
    before = reader.state("views")["BaselineAxial"]["ras_to_xy"]
    x, y = reader._middle("BaselineAxial")
    reader.drag_pixels((x, y), (x + 30, y))
    reader.until(
        f"JSON.stringify(s('views').BaselineAxial.ras_to_xy) !== '{json.dumps(before, separators=(',', ':'))}'"
    )
    assert reader.state("findings") == []
    reader.page.close()
    assert server.stop() == 0

    file.write_text("{")
    server = start([pair.baseline], folder)
    reader = open_page(server)
    reader.message("could not be read, so the usual ones are used")
    assert reader.state("mouse_mode") == "select"
    reader.page.close()
    assert server.stop() == 0


def test_three_visits_hang_again_in_the_next_session(start, browser, make_reader, tmp_path):
    scans = [save(scan(visit), tmp_path / f"visit{visit + 1}.nii.gz") for visit in range(3)]
    for session in range(2):
        server = start(scans, tmp_path / "out")
        reader = make_reader(browser.new_page())
        reader.page.goto(server.url)
        reader.until("s('has_registration') && !s('job').text")
        if session == 0:
            reader.page.locator("[data-do='third_visit']").click()
        reader.until("s('third_visit') && s('view_scans').ThirdVisitAxial?.visit === 'Follow-up 2' && !s('job').text")
        reader.until_shown(6)
        place = reader.state("views")["ThirdVisitAxial"]["place"]
        reader.page.mouse.move(*reader._middle("BaselineAxial"))
        reader.page.mouse.wheel(0, -100)
        reader.until(f"s('views').ThirdVisitAxial.place !== {json.dumps(place)}")
        reader.page.close()
        assert server.stop() == 0
