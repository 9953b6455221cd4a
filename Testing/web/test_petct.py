"""A PET/CT in the browser with a real mouse: fusion, projection, the click into the tumour, detection, saving, reopening."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from petct_toy import NODES, TUMOUR, toy_scan

from oncotrack.images.files import save
from oncotrack.images.windows import SOFT_TISSUE

AT = np.array([TUMOUR[0], TUMOUR[1], -92.0])
"""The middle of the tumour in the plane of a slice (RAS mm)."""
PLACES = [(NODES[name][0], NODES[name][1]) for name in ("2R", "para-aortic left")]
_KNOWN = """
import sys
sys.path.insert(0, {testing!r})
from stand_in_detector import KnownPETNodes
from oncotrack.scene.detection import detection
detection.FACTORIES = {{"petct": lambda: KnownPETNodes({places})}}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Write CT, PET in SUV and the mask of the tumour."""
    folder, scan = tmp_path_factory.mktemp("petct"), toy_scan()
    images = {"ct": scan.case.images["ct"], "pet": scan.case.images["pet"], "tumour": scan.tumour}
    images["ct"] = replace(images["ct"], array=images["ct"].array.astype(np.int16))
    return {name: save(image, folder / f"{name}.nii.gz") for name, image in images.items()}


@pytest.fixture(scope="module")
def pet_server(start, study, tmp_path_factory):
    """Start the viewer with CT and PET."""
    testing = Path(__file__).resolve().parents[1]
    prelude = _KNOWN.format(testing=str(testing), places=[([float(v) for v in at], radius) for at, radius in PLACES])
    server = start([study["ct"]], tmp_path_factory.mktemp("petct") / "out", prelude=prelude, pet=str(study["pet"]))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def pet_context(browser, pet_server):
    """Open the one browser that the server admits."""
    context = browser.new_context(viewport={"width": 1366, "height": 900})
    assert context.request.get(pet_server.url).ok
    yield context
    context.close()


@pytest.fixture
def reader(pet_context, pet_server, page_of):
    """Open the page at the tab Nodes with the PET over the CT."""
    reader = page_of(pet_context, lambda reader: reader.open_one_scan(pet_server.url.split("?")[0]))
    reader.until("s('pet').name && !s('job').text")
    reader.clear()
    reader.tab("Nodes")
    reader.page.evaluate("trame.state.set('mouse_mode', 'select')")
    return reader


def press(reader, command: str, kind: str = "pet") -> None:
    reader.page.locator(f"[data-panel='nodes'] [data-{kind}-command='{command}']").click()


def sorted_labels(reader, order: str) -> list[str]:
    reader.page.evaluate(f"trame.state.set('node_order', '{order}')")
    reader.page.wait_for_timeout(300)
    return [row["label"] for row in reader.state("nodes")]


def test_the_pet_is_fused_with_its_own_window_legend_and_value(reader):
    reader.scroll_to("BaselineAxial", AT)
    fused = reader.picture("BaselineAxial")
    assert "SUV" in reader.page.locator("[data-pet-legend='BaselineAxial']").inner_text()
    legend = reader.state("pet_legend")
    assert (legend["low"], legend["high"]) == (0, 10)
    reader.page.mouse.move(*reader.pixel("BaselineAxial", AT))
    reader.until("s('cursor').text.includes('SUV')")
    assert "g/ml at" in reader.state("cursor")["text"]
    press(reader, "show_pet")
    reader.until("!s('pet').is_shown && !s('pet_legend').views.length")
    grey = reader.picture("BaselineAxial", other_than=fused)
    press(reader, "show_pet")
    reader.until("s('pet').is_shown")
    reader.picture("BaselineAxial", other_than=grey)
    fused_name = reader.page.locator("[data-fused='BaselineAxial']")
    assert fused_name.inner_text() == f"PET: {reader.state('pet')['name']}", "a view names every scan that it shows"
    assert reader.page.get_by_role("slider", name="SUV up to").count() == 1
    for theme in ("light", "dark"):
        reader.use_theme(theme)
        assert not reader.faults()
    reader.page.locator("[data-pet-window]").click()
    reader.until("s('mouse_mode') === 'suv-window'")
    reader.drag("BaselineAxial", AT, np.add(AT, (60, 30, 0)))
    reader.until("s('pet_range')[1] !== 10")
    assert reader.state("message")["kind"] != "error", "the settings are kept without this choice"
    assert (reader.state("window_width"), reader.state("window_level")) == (SOFT_TISSUE.width, SOFT_TISSUE.level)
    reader.page.locator("[data-pet-window]").click()
    reader.page.evaluate("trame.state.set('pet_range', [0, 10])")


def test_the_projection_is_shown_in_the_3d_view_and_turned_by_the_mouse(reader):
    reader.until("s('view_scans').FollowUp3D")
    solid = reader.picture("FollowUp3D")
    press(reader, "show_projection")
    reader.until("s('pet').is_projected")
    projected = reader.picture("FollowUp3D", other_than=solid)
    reader.until("s('view_scans').FollowUp3D.visit === 'pet.nii.gz'")
    box = reader.page.locator(".layout-grid-item:has([data-view='FollowUp3D'])").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    reader.drag_pixels(middle, (middle[0] + 60, middle[1]))
    turned = reader.picture("FollowUp3D", other_than=projected)
    press(reader, "show_projection")
    reader.until("!s('pet').is_projected")
    reader.picture("FollowUp3D", other_than=turned)


def test_a_tumour_is_clicked_nodes_are_detected_corrected_saved_and_reopened(reader, pet_server):
    press(reader, "detect", "node")
    assert "Click the tumour" in reader.message("needs the primary tumour")
    reader.close_message()
    reader.scroll_to("BaselineAxial", AT)
    press(reader, "click_tumour")
    reader.message("Click into the primary tumour")
    reader.click("BaselineAxial", np.add(AT, (4, 3, 0)))
    assert "41 % of the highest uptake" in reader.message("The primary tumour has")
    reader.until("s('tumour_uid')")
    press(reader, "detect", "node")
    reader.until("s('nodes').length === 2 && !s('job').text")
    reader.close_message()
    rows = {row["label"]: row for row in reader.state("nodes")}
    assert [rows[label]["reach"] for label in ("LN 1", "LN 2")] == ["proximal", "distal"]
    shown = reader.page.locator("[data-uptake='LN 1']").inner_text()
    assert f"SUVmax {rows['LN 1']['suv_max']}" in shown and "TLG" in shown
    assert sorted_labels(reader, "distance") == ["LN 1", "LN 2"]
    by_uptake = sorted(rows, key=lambda label: -float(rows[label]["suv_max"]))
    assert sorted_labels(reader, "SUVmax") == by_uptake
    assert sorted_labels(reader, "score") == ["LN 1", "LN 2"]
    reader.page.locator("[data-node='LN 2']").click()
    press(reader, "reject", "node")
    reader.until("s('nodes').find(n => n.label === 'LN 2').state === 'rejected'")
    reader.page.keyboard.press("Control+z")
    reader.until("s('nodes').find(n => n.label === 'LN 2').state === 'proposed'")
    reader.tab("Files")
    reader.page.locator("[data-save='save_scene']").click()
    reader.until("s('saved').includes('scene.mrb') && !s('job').text")
    reader.tab("Nodes")
    press(reader, "remove_pet")
    reader.until("!s('pet').name && !s('nodes')[0].suv_max && !s('job').text")
    reader.page.evaluate("path => trame.trigger('oncotrack.command', ['open', path, 'baseline'])",
                         str(pet_server.out / "scene.mrb"))  # fmt: skip
    reader.until("s('nodes').length === 2 && s('tumour_uid') && s('pet').name && !s('job').text")
    assert {row["label"]: row["suv_max"] for row in reader.state("nodes")} == {
        label: row["suv_max"] for label, row in rows.items()
    }
    assert pet_server.out.joinpath("scene.mrb").is_file()
    assert "Traceback" not in pet_server.faults
