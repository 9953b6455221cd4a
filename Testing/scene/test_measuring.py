"""Measurements by real clicks and drags in real slice views, kept in the list, the scene file and the undo history."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oncotrack.findings.finding import Kind
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.measurement import Tool
from oncotrack.scene.measuring.measurement_nodes import MAIN, SHORT
from oncotrack.scene.measuring.measuring import Measuring
from oncotrack.scene.measuring.values import position_text, unit_of, value_at
from oncotrack.scene.nodes.node_registry import NodeKey
from oncotrack.scene.nodes.volumes import add_volume, to_volume
from oncotrack.scene.views.application import new_scene
from oncotrack.scene.views.slab import MAXIMUM, set_slab
from oncotrack.scene.views.view_rows import BASELINE_VIEWS

AT = (12.0, -8.0, 6.0)


@pytest.fixture
def measuring(session):
    """Open the measurements of the follow-up session's scene; what it refuses is collected in `said`."""
    measuring = Measuring(session.scene, session.name_time_points)
    measuring.said = []
    measuring.refused.connect(lambda error: measuring.said.append(str(error)))
    yield measuring
    measuring.close()


@pytest.fixture
def opened(view, session):
    """Return a function that opens a view of the baseline, or of the follow-up, at the lesion."""

    def open_view(orientation: str = "Axial", scan: str = "Baseline"):
        each = view(f"{scan}{orientation}", orientation)
        volume = session.baseline if scan == "Baseline" else session.followup
        each.composite.SetBackgroundVolumeID(volume.GetID())
        each.node.JumpSliceByCentering(*AT)
        return each

    return open_view


def place(measuring, opened, tool: Tool, *clicks):
    """Place a measurement by clicks at shifts from the lesion, mm, and return it."""
    measuring.begin(tool)
    assert measuring.tool is tool and measuring.hint
    for shift in clicks:
        opened.click(np.add(AT, shift))
    assert measuring.tool is None, measuring.said
    return next(reversed(list(measuring.measurements)), None)


def drag(opened, start, stop) -> None:
    opened.drag(start, stop)


def test_a_ruler_is_placed_by_two_clicks_dragged_and_undone(measuring, opened, session):
    axial = opened()
    ruler = place(measuring, axial, Tool.RULER, (-10, 0, 0), (10, 0, 0))
    assert ruler.label == "M 1" and ruler.time_point == session.baseline_id
    assert ruler.lengths_mm[0] == pytest.approx(20, abs=0.5)
    assert [each.id for each in session.findings.time_points] == [session.baseline_id, session.followup_id]
    drag(axial, ruler.points_ras[1], np.add(ruler.points_ras[1], (10, 0, 0)))
    assert measuring.measurements[ruler.uid].lengths_mm[0] == pytest.approx(30, abs=1)
    session.undo()
    assert measuring.measurements[ruler.uid].points_ras == ruler.points_ras
    node = session.nodes.registry.find(NodeKey(MAIN, session.baseline_id, ruler.uid))
    assert node.GetLineLengthWorld() == pytest.approx(ruler.lengths_mm[0])
    session.undo()
    assert len(measuring.measurements) == 0
    assert session.nodes.registry.find(NodeKey(MAIN, session.baseline_id, ruler.uid)) is None
    session.redo()
    assert measuring.measurements[ruler.uid].label == "M 1"


@pytest.mark.parametrize("orientation", ["Axial", "Coronal", "Sagittal"])
def test_every_tool_works_in_every_plane(measuring, opened, orientation):
    each = opened(orientation)
    rows = each.node.GetSliceToRAS().GetData()
    right, up = np.array(rows[0:12:4]), np.array(rows[1:12:4])
    assert place(measuring, each, Tool.RULER, -10 * right, 10 * right).lengths_mm[0] == pytest.approx(20, abs=0.5)
    two = place(measuring, each, Tool.BIDIRECTIONAL, -10 * up, 10 * up)
    assert two.lengths_mm == pytest.approx((20, 10), abs=0.5)
    right_angle = place(measuring, each, Tool.ANGLE, 12 * right, 0 * right, 12 * up)
    assert right_angle.angle_degrees == pytest.approx(90, abs=2)
    region = place(measuring, each, Tool.ELLIPSE, -6 * right - 4 * up, 6 * right + 4 * up)
    assert region.area_mm2 == pytest.approx(math.pi * 6 * 4, rel=0.1)
    assert region.statistics.unit == "HU" and region.statistics.voxels > 10
    assert measuring.said == []


def test_the_short_diameter_follows_the_long_one(measuring, opened, session):
    axial = opened()
    two = place(measuring, axial, Tool.BIDIRECTIONAL, (-10, 0, 0), (10, 0, 0))
    assert session.nodes.registry.find(NodeKey(SHORT, two.time_point, two.uid)).GetLineLengthWorld() == pytest.approx(
        two.lengths_mm[1]
    )
    drag(axial, two.points_ras[1], np.add(AT, (0, 15, 0)))
    turned = measuring.measurements[two.uid]
    long, short = (np.subtract(*turned.points_ras[n : n + 2]) for n in (0, 2))
    assert abs(long @ short) < 1e-6 and turned.lengths_mm[1] == pytest.approx(two.lengths_mm[1])
    drag(axial, turned.points_ras[3], np.add(turned.points_ras[3], turned.points_ras[3]) - turned.points_ras[2])
    assert measuring.measurements[two.uid].lengths_mm[1] == pytest.approx(2 * two.lengths_mm[1], rel=0.2)


def test_statistics_of_a_region_follow_its_end_and_are_those_of_the_voxels(measuring, opened, session):
    axial = opened()
    axial.node.SetSliceOffset(7.0)  # the middle of a slice
    region = place(measuring, axial, Tool.ELLIPSE, (-9, -9, 1), (9, 9, 1))
    drag(axial, region.points_ras[1], np.add(region.points_ras[1], (6, 0, 0)))
    dragged = measuring.measurements[region.uid]
    assert dragged.lengths_mm[0] == pytest.approx(24, abs=1)
    middle = np.mean(dragged.points_ras, axis=0)
    scan = to_volume(session.baseline)
    k, j, i = np.meshgrid(*(np.arange(n) for n in scan.array.shape), indexing="ij")
    away = scan.geometry.to_ras(np.stack([i, j, k], -1)) - middle
    inside = (away[..., 0] / dragged.lengths_mm[0]) ** 2 + (away[..., 1] / dragged.lengths_mm[1]) ** 2 <= 0.25
    values = scan.array[inside & (np.abs(away[..., 2]) < 0.9)]
    assert dragged.statistics.voxels == len(values)
    assert dragged.statistics.mean == pytest.approx(values.mean())
    assert session.findings.undo_text == "change M 1"
    node = session.nodes.registry.find(NodeKey(MAIN, session.baseline_id, region.uid))
    assert f"M 1: {values.mean():.1f} ± {values.std():.1f} HU" in "".join(
        node.GetNthControlPointLabel(n) for n in range(8)
    )


def test_clicks_that_do_not_fit_are_refused_in_a_sentence(measuring, opened):
    axial, other = opened(), opened(scan="FollowUp")
    measuring.begin(Tool.RULER)
    axial.click(AT)
    other.click(np.add(AT, (10, 0, 0)))
    assert "on two scans" in measuring.said.pop()
    measuring.begin(Tool.ELLIPSE)
    axial.click(AT)
    axial.node.SetSliceOffset(20.0)
    axial.click((AT[0] + 10, AT[1] + 10, 20.0))
    assert "in two slices" in measuring.said.pop()
    assert len(measuring.measurements) == 0 and measuring.tool is None


def test_placing_ends_when_it_is_begun_again_or_cancelled(measuring, opened):
    axial = opened()
    measuring.begin(Tool.RULER)
    axial.click(AT)
    measuring.begin(Tool.RULER)
    assert measuring.tool is None and measuring.hint == ""
    measuring.begin(Tool.ANGLE)
    measuring.cancel()
    axial.click(AT)
    assert len(measuring.measurements) == 0


def test_a_measurement_is_shown_in_the_slices_of_its_scan_alone(measuring, opened, session):
    ruler = place(measuring, opened(scan="FollowUp"), Tool.RULER, (-10, 0, 0), (10, 0, 0))
    assert ruler.time_point == session.followup_id
    display = session.nodes.registry.find(NodeKey(MAIN, ruler.time_point, ruler.uid)).GetDisplayNode()
    assert not any(display.IsDisplayableInView(f"vtkMRMLSliceNode{name}") for name in BASELINE_VIEWS)
    assert display.IsDisplayableInView("vtkMRMLSliceNodeFollowUpAxial") and not display.GetVisibility3D()


def test_two_diameters_become_the_current_lesion(measuring, opened, session):
    two = place(measuring, opened(), Tool.BIDIRECTIONAL, (-10, 0, 0), (10, 0, 0))
    lesion = measuring.make_finding(two.uid)
    assert session.current == lesion and lesion.kind is Kind.LESION
    assert lesion.at(session.baseline_id).long_axis.length_mm == pytest.approx(20, abs=0.5)
    assert session.nodes.registry.find(NodeKey(SHORT, two.time_point, two.uid)) is None
    session.undo()
    assert len(session.findings) == 0 and len(measuring.measurements) == 1


def test_a_markup_deleted_in_the_scene_leaves_the_list(measuring, opened, session):
    ruler = place(measuring, opened(), Tool.RULER, (-10, 0, 0), (10, 0, 0))
    session.scene.RemoveNode(session.nodes.registry.find(NodeKey(MAIN, ruler.time_point, ruler.uid)))
    assert len(measuring.measurements) == 0
    session.undo()
    assert session.nodes.registry.find(NodeKey(MAIN, ruler.time_point, ruler.uid)) is not None


def test_a_saved_scene_opens_with_its_measurements(measuring, opened, session, tmp_path):
    axial = opened()
    for tool, clicks in ((Tool.BIDIRECTIONAL, 2), (Tool.ELLIPSE, 2), (Tool.ANGLE, 3)):
        place(measuring, axial, tool, *[(-9, -6, 0), (9, 6, 0), (0, 9, 0)][:clicks])
    saved = tuple(measuring.measurements)
    assert session.scene.WriteToMRB(str(tmp_path / "scene.mrb"))
    application = new_scene()
    again = Measuring(application.scene, lambda: None)
    assert application.scene.ReadFromMRB(str(tmp_path / "scene.mrb"))
    assert tuple(again.measurements) == saved
    markups = application.scene.GetNodesByClass("vtkMRMLMarkupsNode")
    markups.UnRegister(None)
    names = [markups.GetItemAsObject(n).GetName() for n in range(markups.GetNumberOfItems())]
    assert sorted(name for name in names if name.startswith("M ")) == ["M 1", "M 1", "M 2", "M 3"], "each once"
    again.remove(saved[0].uid)
    assert len(again.measurements) == 2
    again.close()
    assert FindingList.from_json(session.findings.to_json()).measurements == saved


def test_the_value_under_the_mouse_has_its_unit_and_its_place(opened, session):
    axial = opened()
    x, y = axial.node.GetDimensions()[0] / 2, axial.node.GetDimensions()[1] / 2
    scan = to_volume(session.baseline)
    i, j, k = np.floor(scan.geometry.to_ijk(AT) + 0.5).astype(int)
    assert value_at(axial.node, x, y) == f"{scan.array[k, j, i]} HU at R 12.0 P 8.0 S 6.0 mm"
    assert value_at(axial.node, -900, y) == ""
    set_slab([axial.node], MAXIMUM, 10)
    assert "HU in the middle of the slab at" in value_at(axial.node, x, y)


def test_the_unit_of_a_pet_is_suv_only_when_it_was_converted(scene, make_phantom):
    from dataclasses import replace

    pet = replace(make_phantom(), modality="PT")
    assert unit_of(add_volume(scene, replace(pet, metadata={"suv": "bw"}))) == "SUV"
    assert unit_of(add_volume(scene, replace(pet, metadata={"units": "BQML"}))) == "Bq/ml"
    assert unit_of(add_volume(scene, replace(pet, modality="MR"))) == ""
    assert position_text((1.0, 2.0, -3.0)) == "R 1.0 A 2.0 I 3.0 mm"
