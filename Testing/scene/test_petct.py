"""A PET beside the CT: fusion, tumour, detection, uptake, correction, undo, saving and reopening, in a real scene."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer
from petct_toy import GRID, NODES, TUMOUR, toy_scan
from stand_in_detector import KnownPETNodes

from oncotrack.errors import InputError
from oncotrack.findings.finding import Kind, State
from oncotrack.findings.finding_list import FindingList
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.scene.commands import PETCT, commands_of
from oncotrack.scene.detection import panel
from oncotrack.scene.detection.detection import DetectionScene
from oncotrack.scene.files.storage import open_scene, save_scene
from oncotrack.scene.measuring.values import value_at
from oncotrack.scene.nodes.volumes import add_volume
from oncotrack.scene.views import fusion
from oncotrack.scene.views.application import new_scene
from oncotrack.scene.views.mouse_mode import adjust_window, stop_placing
from oncotrack.scene.views.projection import link_crosshair
from oncotrack.scene.views.view_rows import BASELINE_GROUP, ViewRow

HOT = ("2R", "para-aortic left")
PLACES = [(NODES[name][0], NODES[name][1]) for name in HOT]
PATIENT = {"weight": "74", "height": "175", "sex": "M", "suv": "BW"}


@pytest.fixture(scope="module")
def images():
    scan = toy_scan()
    return scan.case.images["ct"], replace(scan.case.images["pet"], metadata=PATIENT), scan.tumour


@pytest.fixture
def detector():
    return KnownPETNodes(PLACES)


@pytest.fixture
def session(scene, images, detector):
    """Return a session with a CT and its PET."""
    session = DetectionScene(scene, detectors={"petct": lambda: detector})
    session.set_scan(add_volume(scene, images[0]))
    session.pet.add(images[1]).run()
    yield session
    session.close()


@pytest.fixture
def detected(session, images):
    """Give the tumour's mask and detect both nodes."""
    session.tumour.use(images[2])
    session.detect().run()
    return session


def table(session, order="score"):
    """Return the cells of each line, from SUVmax on."""
    return [(line.cells[0], *line.cells[9:]) for line in panel.lines(session, order=order)]


def test_a_pet_is_shown_over_the_ct_with_its_own_window(session, view, images):
    axial = view("BaselineAxial")
    ViewRow(session.scene, ("BaselineAxial",), BASELINE_GROUP).show(session.scan, None, 0.0)
    axial.node.JumpSliceByCentering(*TUMOUR)
    axial.node.SetFieldOfView(300, 300, 1)
    fused = axial.picture().astype(float)
    hottest = np.unravel_index(fused[..., 0].argmax(), fused.shape[:2])
    red, green, blue = fused[hottest]
    assert red > green > blue, "uptake is shown in the colours of the map"
    session.pet.is_shown = False
    grey = axial.picture().astype(float)
    assert np.abs(grey[..., 0] - grey[..., 2]).max() < 2, "the CT alone is grey"
    session.pet.is_shown = True
    cold = np.abs(axial.picture().astype(float) - grey).sum(-1) < 12
    assert cold.mean() > 0.4, "tissue without uptake keeps the grey of the CT"
    session.pet.opacity = 0.1
    assert np.abs(axial.picture().astype(float) - grey).max() < np.abs(fused - grey).max()


def test_the_mouse_sets_the_window_of_the_pet_and_not_that_of_the_ct(session, view):
    axial = view("BaselineAxial")
    ViewRow(session.scene, ("BaselineAxial",), BASELINE_GROUP).show(session.scan, None, 0.0)
    axial.node.JumpSliceByCentering(*TUMOUR)
    bars = axial._view.get_displayable_manager_by_class(slicer.vtkMRMLScalarBarDisplayableManager)
    bars.SetAdjustForegroundWindowLevelEnabled(True)
    bars.SetAdjustBackgroundWindowLevelEnabled(False)
    adjust_window(session.scene)
    ct, changes = fusion.window(session.scan), []
    session.pet.changed.connect(lambda: changes.append(session.pet.window))
    axial.drag(TUMOUR, np.add(TUMOUR, (20, 10, 0)))
    stop_placing(session.scene)
    assert session.pet.window != fusion.SUV_WINDOW and changes[-1] == session.pet.window
    assert fusion.window(session.scan) == ct
    with pytest.raises(InputError, match="is empty"):
        session.pet.set_window(5, 5)


def test_the_crosshair_starts_in_the_scan(session):
    crosshair = session.scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    crosshair.SetCrosshairRAS(0.0, 0.0, 900.0)
    link_crosshair(session.scene, session.scan, True)
    bounds = [0.0] * 6
    session.scan.GetRASBounds(bounds)
    assert bounds[4] < crosshair.GetCrosshairRAS()[2] < bounds[5]
    assert crosshair.GetCrosshairMode() == crosshair.ShowBasic
    link_crosshair(session.scene, session.scan, False)
    assert crosshair.GetCrosshairMode() == crosshair.NoCrosshair


def test_the_value_under_the_cursor_has_both_units(session, view, images):
    axial = view("BaselineAxial")
    ViewRow(session.scene, ("BaselineAxial",), BASELINE_GROUP).show(session.scan, None, 0.0)
    axial.node.JumpSliceByCentering(*TUMOUR)
    x, y = (size / 2 for size in axial.node.GetDimensions()[:2])
    text = value_at(axial.node, x, y)
    suv = float(images[1].sample(TUMOUR)[0])
    assert " HU, SUV " in text and "g/ml at" in text
    assert float(text.split("SUV ")[1].split()[0]) == pytest.approx(suv, abs=0.6)
    session.pet.set_kind("LBM")
    assert "SUV by lean body mass (James)" in value_at(axial.node, x, y)


def test_uptake_can_be_related_to_the_lean_body_mass(detected):
    before = float(table(detected)[0][1])
    assert set(detected.pet.kinds) >= {"BW", "LBM", "LBMJANMA"}
    detected.pet.set_kind("LBM")
    lean = 1.10 * 74 - 120 * (74 / 175) ** 2
    assert float(table(detected)[0][1]) == pytest.approx(before * lean / 74, abs=0.06)
    assert detected.pet.unit == "SUV (lean body mass (James)), g/ml"
    detected.pet.set_kind("BW")
    assert float(table(detected)[0][1]) == pytest.approx(before)


def test_without_height_only_body_weight_is_offered(scene, images):
    session = DetectionScene(scene, detectors={})
    session.set_scan(add_volume(scene, images[0]))
    session.pet.add(replace(images[1], metadata={"suv": "BW", "weight": "74"})).run()
    assert list(session.pet.kinds) == ["BW"]
    with pytest.raises(InputError, match="height"):
        session.pet.set_kind("LBM")
    session.close()


def test_without_a_tumour_nothing_runs_and_the_click_is_offered(session):
    assert "needs the primary tumour" in panel.tumour_text(session)
    with pytest.raises(InputError, match="Press Click the tumour"):
        session.detect()
    assert "tumour.begin_click" in panel.possible_methods(session)


def test_one_click_in_a_view_grows_the_tumour_which_can_be_undone(session, view):
    axial = view("BaselineAxial")
    ViewRow(session.scene, ("BaselineAxial",), BASELINE_GROUP).show(session.scan, None, 0.0)
    axial.node.JumpSliceByCentering(*TUMOUR)
    said = []
    session.tumour.found.connect(said.append)
    session.tumour.begin_click()
    axial.click(np.add(TUMOUR, (3, 2, 0)))
    assert "41 % of the highest uptake" in said[0]
    grown = session.tumour.finding
    assert (grown.label, grown.kind) == ("Primary tumour", Kind.LESION)
    assert session.editor.finding is None, "its mask is no matter of slice boxes"
    volume = grown.observation(session.time_point).volume_mm3
    assert volume == pytest.approx(4 / 3 * np.pi * 18**3, rel=0.8)
    session.tumour.fixed_suv = 7.0
    session.tumour.grow(TUMOUR)
    assert session.tumour.finding.uid == grown.uid
    assert session.tumour.finding.observation(session.time_point).volume_mm3 < volume
    session.undo()
    assert session.tumour.finding.observation(session.time_point).volume_mm3 == volume
    session.undo()
    assert session.tumour.finding is None and not len(session.findings)
    refused = []
    session.refused.connect(refused.append)
    session.tumour.begin_click()
    axial.click((-100.0, 60.0, TUMOUR[2]))
    assert "Click into the tumour" in str(refused[0])


def test_a_mask_from_a_file_and_a_finding_can_be_the_tumour(session, images):
    assert "tumour) has" in session.tumour.use(images[2])
    first = session.tumour.finding
    overlap = session.tumour.mask
    assert overlap.array.sum() == images[2].array.sum()
    other = session.findings.insert(replace(first, uid="1.2.3", label="L 7"))
    session.tumour.choose(other.uid)
    assert session.tumour.finding.label == "L 7"
    assert [label for _uid, label in panel.tumour_choices(session)] == ["Primary tumour", "L 7"]
    with pytest.raises(InputError, match="has no mask"):
        session.tumour.choose("nowhere")
    before = session.findings.findings
    for mask, sentence in (
        (replace(images[2], array=np.zeros_like(images[2].array)), "is empty"),
        (replace(images[2], geometry=replace(GRID, origin=(900.0, 0.0, 0.0))), "outside the CT"),
    ):
        with pytest.raises(InputError, match=sentence):
            session.tumour.use(mask)
    assert session.findings.findings is before


def test_nodes_are_detected_with_uptake_and_sorted_by_it(detected, detector, images):
    pet, tumour = detector.read
    assert pet.metadata["suv"] == "BW" and tumour.array.any()
    rows = {row[0]: row[1:] for row in table(detected)}
    assert set(rows) == {"LN 1", "LN 2"}
    for (centre, _radius), (label, row) in zip(PLACES, sorted(rows.items()), strict=True):
        peak = float(images[1].sample(centre)[0])
        assert float(row[0]) == pytest.approx(peak, rel=0.35), label
        straight = np.linalg.norm(np.array(centre) - TUMOUR) - 18
        assert float(row[5]) == pytest.approx(straight, abs=10)
        assert row[6] == ("proximal" if float(row[5]) <= 70 else "distal")
    assert [row[6] for row in rows.values()] == ["proximal", "distal"]
    assert [row[0] for row in table(detected, "distance")] == ["LN 1", "LN 2"]
    for column, order in enumerate(("SUVmax", "SUVpeak", "SUVmean", "metabolic volume", "TLG"), 1):
        values = [float(row[column]) for row in table(detected, order)]
        assert values == sorted(values, reverse=True), order
    assert len(table(detected, "side")) == len(table(detected, "region")) == 2


def test_the_distance_follows_the_tumour(detected):
    far = float(table(detected)[0][6])
    detected.tumour.grow(np.array(NODES["7"][0]))
    assert float(table(detected)[0][6]) != far
    detected.undo()
    assert float(table(detected)[0][6]) == far


def test_a_corrected_node_is_measured_again_and_undo_restores_it(detected, add_slice_node):
    detected.go_to(detected.detected[0].uid)
    before = table(detected)[0]
    box = detected.editor.tracklet.nearest(detected.editor.tracklet.first)
    detected.editor.set_box(replace(box, low=(box.low[0] + 6, box.low[1]), high=(box.high[0] + 40, box.high[1])))
    assert table(detected)[0] != before
    assert detected.detected[0].at(detected.time_point).state is State.EDITED
    detected.undo()
    assert table(detected)[0] == before


def test_saved_and_reopened_everything_is_as_before(detected, tmp_path, detector):
    detected.pet.set_window(1.0, 6.0)
    detected.pet.opacity = 0.3
    detected.accept(detected.detected[0].uid)
    before, unit = table(detected), detected.pet.unit
    path = save_scene(detected.scene, tmp_path / "study.mrb")
    other = new_scene()
    again = DetectionScene(other.scene, detectors={"petct": lambda: detector})
    open_scene(other.scene, path)
    assert table(again) == before
    assert again.pet.window == pytest.approx((1.0, 6.0))
    assert (again.pet.opacity, again.pet.unit) == (pytest.approx(0.3), unit)
    assert again.tumour.finding.label == "Primary tumour"
    assert fusion.overlay_of(again.scan)[0] is again.pet.volume
    again.close()


def test_exported_findings_hold_the_uptake(detected, tmp_path):
    detected.export(tmp_path).run()
    for finding in FindingList.open(tmp_path / "findings.json"):
        if finding.kind is Kind.LYMPH_NODE:
            assert next(iter(finding.observations.values())).uptake.suv_max > 1


def test_the_pet_can_be_removed_and_replaced(session, images):
    pet = session.pet.volume
    session.pet.remove()
    assert session.pet.volume is None and pet.GetScene() is None
    with pytest.raises(InputError, match="no PET yet"):
        session.tumour.grow(TUMOUR)
    node = add_volume(session.scene, images[1])
    session.pet.choose(node).run()
    assert session.pet.volume is node
    session.pet.choose(None).run()
    assert session.pet.volume is None


def test_every_command_of_the_pet_is_possible_in_some_state(session):
    possible = set(panel.possible_methods(session))
    session.tumour.grow(TUMOUR)
    possible |= panel.possible_methods(session)
    assert {command.action for command in commands_of(PETCT).values()} <= possible


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda ct, pet: replace(pet, metadata={"patient_id": "B", "suv": "BW"}), "one examination"),
        (lambda ct, pet: replace(pet, metadata={"date": "20260102", "suv": "BW"}), "2026-01-02"),
        (lambda ct, pet: ct, "but a PET is needed"),
        (lambda ct, pet: replace(pet, metadata={"units": "BQML"}), "not in standardised uptake values"),
        (lambda ct, pet: replace(pet, geometry=replace(pet.geometry, origin=(158.0, 126.0, 900.0))), "less than half"),
    ],
)
def test_a_wrong_pet_is_refused_and_nothing_changes(scene, images, change, sentence):
    ct = replace(images[0], metadata={"patient_id": "A", "date": "20260101"})
    session = DetectionScene(scene, detectors={})
    session.set_scan(add_volume(scene, ct))
    nodes = scene.GetNumberOfNodes()
    with pytest.raises(InputError, match=sentence):
        session.pet.add(change(ct, images[1])).run()
    assert session.pet.volume is None and scene.GetNumberOfNodes() == nodes
    session.close()


def test_a_pet_as_the_ct_is_refused(scene, images):
    session = DetectionScene(scene, detectors={})
    session.set_scan(add_volume(scene, images[1]))
    with pytest.raises(InputError, match="is a PET, but a CT is needed"):
        session.pet.add(images[1]).run()
    session.close()


def test_with_a_reason_scans_of_different_days_are_shown_together(scene, images):
    ct = replace(images[0], metadata={"date": "20260101"})
    session = DetectionScene(scene, detectors={})
    session.set_scan(add_volume(scene, ct))
    pet = replace(images[1], metadata=PATIENT | {"date": "20260102"})
    assert "taken as aligned" in session.pet.add(pet, "midnight between them").run()
    session.close()


def test_a_tumour_outside_the_pet_is_refused(session):
    with pytest.raises(InputError, match="outside the PET"):
        session.tumour.grow((900.0, 0.0, 0.0))
    small = Volume(np.ones((2, 2, 2), np.uint8), Geometry((2, 2, 2), (0.5, 0.5, 0.5), (1.0, 1.5, 2.0)), "dot")
    session.tumour.use(small)
    assert session.tumour.mask.array.sum() == 1
