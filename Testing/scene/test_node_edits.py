"""A reader's edits of nodes become commands on the list, and the list is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import vtk

from oncotrack.findings.finding import Axis, Box, Observation, State, TimePoint
from oncotrack.findings.tracklet import SliceBox, Tracklet
from oncotrack.scene.nodes.fiducials import label_with_state, label_without_state
from oncotrack.scene.nodes.finding_nodes import FindingNodes

# away from the centre: where two points lie under the mouse, it is undefined which one is dragged
LONG = Axis((-8.0, 5.0, 0.0), (8.0, 7.0, 0.0))
SHORT = Axis((5.0, -4.0, 0.0), (6.0, 5.0, 0.0))
BOX = Box((-10.0, -9.0, -8.0), (10.0, 9.0, 8.0))
TRACKLET = Tracklet(
    (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 2), tuple(SliceBox(n, (-6 - n, -5), (6, 5)) for n in (-1, 0, 1))
)


@pytest.fixture
def nodes(scene):
    """Return the nodes of one finding "LN 1" with all shapes, on one scan, drawn in every view."""
    nodes = FindingNodes(scene)
    nodes.findings.set_time_points([TimePoint("t0", "baseline")])
    nodes.findings.add(
        "t0",
        Observation(
            centre=(0, 0, 0), score=0.87, box=BOX, long_axis=LONG, short_axis=SHORT, tracklet=TRACKLET, volume_mm3=900.0
        ),
        label="LN 1",
    )
    yield nodes
    nodes.close()


def seen(nodes):
    return nodes.findings.findings[0].at("t0")


def only(scene, class_name, name):
    node = scene.GetFirstNodeByName(name)
    assert node.IsA(class_name)
    return node


def test_dragging_the_point_moves_box_and_axes_too(nodes, view):
    axial = view("Red")
    axial.drag((0, 0, 0), (12, -6, 0))
    assert seen(nodes).state is State.EDITED
    by = np.array(seen(nodes).centre)
    assert np.allclose(by, (12, -6, 0), atol=0.5)
    roi = only(nodes.scene, "vtkMRMLMarkupsROINode", "LN 1 box 0.87")
    assert np.allclose(roi.GetCenterWorld(), by)
    line = only(nodes.scene, "vtkMRMLMarkupsLineNode", "LN 1 long axis")
    assert np.allclose(line.GetNthControlPointPositionWorld(0), by + LONG.start)
    assert nodes.scene.GetFirstNodeByName("LN 1 outline") is None, "the outline belonged to the old position"
    nodes.findings.undo()
    assert np.allclose(roi.GetCenterWorld(), (0, 0, 0))
    assert nodes.scene.GetFirstNodeByName("LN 1 outline") is not None


def test_the_end_of_an_axis_can_be_dragged(nodes, view):
    axial = view("Red")
    axial.drag(LONG.end, (14, 8, 0))
    assert np.allclose(seen(nodes).long_axis.end, (14, 8, 0), atol=0.5)
    assert seen(nodes).state is State.EDITED
    assert nodes.findings.undo_text == "change the long axis of LN 1"
    nodes.findings.undo()
    assert seen(nodes).long_axis == LONG
    line = only(nodes.scene, "vtkMRMLMarkupsLineNode", "LN 1 long axis")
    assert np.allclose(line.GetNthControlPointPositionWorld(1), LONG.end)


def test_an_edit_of_a_shape_becomes_a_command_unless_a_listener_handles_it(nodes):
    calls = []
    listeners = [lambda key, _node, name=name: bool(calls.append((name, key.part))) for name in ("first", "second")]
    nodes.shape_listeners += listeners
    line = only(nodes.scene, "vtkMRMLMarkupsLineNode", "LN 1 long axis")
    line.SetNthControlPointPositionWorld(1, 14, 8, 0)
    assert calls == [("first", "long axis"), ("second", "long axis")]
    assert np.allclose(seen(nodes).long_axis.end, (14, 8, 0)), "neither has handled it, so it becomes a command"
    nodes.shape_listeners.append(lambda _key, _node: True)
    line.SetNthControlPointPositionWorld(1, 8, 7, 0)
    assert len(calls) == 4
    assert np.allclose(seen(nodes).long_axis.end, (14, 8, 0)), "it was handled"


def test_a_face_of_a_box_without_slice_boxes_can_be_dragged(nodes, view):
    nodes.findings.observe(nodes.current.uid, "t0", replace(seen(nodes), tracklet=None))
    axial = view("Red")
    axial.picture()
    axial.drag((10, 0, 0), (20, 0, 0))
    assert np.allclose(seen(nodes).box.high, (20, 9, 8), atol=0.5)
    assert np.allclose(seen(nodes).box.low, BOX.low, atol=0.5)
    nodes.findings.undo()
    assert seen(nodes).box == BOX


def test_moves_by_a_program_are_commands_too(nodes):
    nodes.fiducials("t0").SetNthControlPointPositionWorld(0, 3, 4, 5)
    assert seen(nodes).centre == (3, 4, 5)
    roi = nodes.scene.GetFirstNodeByClass("vtkMRMLMarkupsROINode")
    roi.SetSizeWorld(30, 18, 16)
    assert np.allclose(np.subtract(seen(nodes).box.high, seen(nodes).box.low), (30, 18, 16))
    nodes.findings.undo()
    nodes.findings.undo()
    assert seen(nodes).centre == (0, 0, 0)


def test_deleting_a_point_deletes_the_finding_until_undo(nodes):
    centres = nodes.fiducials("t0")
    centres.RemoveNthControlPoint(0)
    assert len(nodes.findings) == 0
    assert nodes.scene.GetFirstNodeByClass("vtkMRMLMarkupsROINode") is None
    nodes.findings.undo()
    assert centres.GetNthControlPointLabel(0).startswith("LN 1 proposed")
    assert nodes.scene.GetFirstNodeByClass("vtkMRMLMarkupsROINode") is not None


def test_deleting_all_points_is_one_step_of_undo(nodes):
    for n in range(3):
        nodes.findings.add("t0", Observation(centre=(n, n, n)))
    nodes.fiducials("t0").RemoveAllControlPoints()
    assert len(nodes.findings) == 0
    nodes.findings.undo()
    assert len(nodes.findings) == 4


def test_deleting_a_follow_up_point_leaves_the_finding_in_the_baseline(nodes):
    nodes.findings.set_time_points([TimePoint("t0", "baseline"), TimePoint("t1", "follow-up")])
    uid = nodes.findings.findings[0].uid
    nodes.findings.observe(uid, "t1", Observation(centre=(1, 1, 1)))
    nodes.fiducials("t1").RemoveNthControlPoint(0)
    assert set(nodes.findings[uid].observations) == {"t0"}


def test_editing_a_label_renames_the_finding(nodes):
    centres = nodes.fiducials("t0")
    centres.SetNthControlPointLabel(0, "Axilla left proposed")
    assert nodes.findings.findings[0].label == "Axilla left"
    assert centres.GetNthControlPointLabel(0) == label_with_state("Axilla left", seen(nodes))


def test_a_label_in_use_is_refused_and_restored(nodes):
    refused = []
    keep = refused.append
    nodes.refused.connect(keep)
    nodes.findings.add("t0", Observation(centre=(30, 0, 0)), label="LN 2")
    nodes.fiducials("t0").SetNthControlPointLabel(1, "LN 1")
    assert nodes.fiducials("t0").GetNthControlPointLabel(1) == "LN 2 proposed"
    assert "already called LN 1" in str(refused[0])


@pytest.mark.parametrize("label", ["LN 1", "ok", "Liver S4 accepted", "what?", "12 mm", "L 1 not found"])
def test_the_label_is_recovered_from_its_text_with_state(label):
    for state in State:
        for axes in ({}, {"long_axis": LONG}, {"long_axis": LONG, "short_axis": SHORT}):
            assert (
                label_without_state(label_with_state(label, Observation(centre=(0, 0, 0), state=state, **axes)))
                == label
            )


def test_a_placed_point_is_pending_and_can_be_discarded(nodes):
    calls = []
    keep = lambda *what: calls.append(what)  # noqa: E731
    nodes.placed.connect(keep)
    centres = nodes.fiducials("t0")
    centres.AddControlPointWorld(vtk.vtkVector3d(20, 20, 0))
    assert calls == [("t0", (20, 20, 0))]
    assert len(nodes.findings) == 1
    nodes.discard_pending("t0", (20, 20, 0))
    assert centres.GetNumberOfControlPoints() == 1


def test_deleting_a_box_node_removes_the_box_until_undo(nodes):
    finding = nodes.findings.findings[0]
    nodes.findings.observe(finding.uid, "t0", replace(finding.at("t0"), tracklet=None))
    nodes.scene.RemoveNode(nodes.scene.GetFirstNodeByClass("vtkMRMLMarkupsROINode"))
    assert seen(nodes).box is None
    nodes.findings.undo()
    assert nodes.scene.GetFirstNodeByClass("vtkMRMLMarkupsROINode") is not None


def test_deleting_the_box_of_slice_boxes_removes_the_finding_until_undo(nodes):
    before = nodes.findings.findings
    nodes.scene.RemoveNode(nodes.scene.GetFirstNodeByClass("vtkMRMLMarkupsROINode"))
    assert len(nodes.findings) == 0
    nodes.findings.undo()
    assert nodes.findings.findings == before
    assert nodes.scene.GetFirstNodeByClass("vtkMRMLMarkupsROINode") is not None


def test_a_deleted_fiducial_node_is_drawn_again_and_loses_nothing(nodes):
    nodes.scene.RemoveNode(nodes.fiducials("t0"))
    assert len(nodes.findings) == 1
    nodes.findings.add("t0", Observation(centre=(9, 9, 9)))
    assert nodes.fiducials("t0").GetNumberOfControlPoints() == 2


def test_closing_the_scene_empties_the_list_which_can_be_filled_again(nodes):
    nodes.scene.Clear(0)
    assert len(nodes.findings) == 0
    nodes.findings.add("t0", Observation(centre=(1, 2, 3)))
    assert nodes.fiducials("t0").GetNumberOfControlPoints() == 1


def test_after_close_nodes_and_list_are_independent(nodes):
    centres = nodes.fiducials("t0")
    nodes.close()
    centres.SetNthControlPointPositionWorld(0, 3, 4, 5)
    assert seen(nodes).centre == (0, 0, 0)
    nodes.findings.set_state(nodes.findings.findings[0].uid, "t0", State.ACCEPTED)
    assert centres.GetNthControlPointLabel(0).startswith("LN 1 proposed")


def test_the_outline_is_shown_on_its_slices_only(nodes, view):
    model = only(nodes.scene, "vtkMRMLModelNode", "LN 1 outline")
    cut = vtk.vtkCutter()
    cut.SetInputData(model.GetPolyData())
    for height, width in ((0.3, 12), (2.1, 13), (-1.9, 11), (5.0, 0)):
        plane = vtk.vtkPlane()
        plane.SetNormal(0, 0, 1)
        plane.SetOrigin(0, 0, height)
        cut.SetCutFunction(plane)
        cut.Update()
        bounds = cut.GetOutput().GetBounds() if cut.GetOutput().GetNumberOfPoints() else (0,) * 6
        assert np.isclose(bounds[1] - bounds[0], width)


def test_the_table_has_label_state_and_measurements(nodes):
    table = nodes.scene.GetFirstNodeByName("Findings table").GetTable()
    row = {table.GetColumnName(n): table.GetValue(0, n).ToString() for n in range(table.GetNumberOfColumns())}
    assert row["Label"] == "LN 1"
    assert row["baseline: state"] == "proposed"
    assert row["baseline: long axis (mm)"] == f"{LONG.length_mm:.1f}"
    nodes.findings.set_state(nodes.findings.findings[0].uid, "t0", State.ACCEPTED)
    table = nodes.scene.GetFirstNodeByName("Findings table").GetTable()
    assert table.GetValueByName(0, "baseline: state").ToString() == "accepted"


def test_nodes_are_in_the_study_of_their_scan(nodes):
    hierarchy = nodes.scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
    item = hierarchy.GetItemByDataNode(nodes.fiducials("t0"))
    study = hierarchy.GetItemParent(item)
    assert (hierarchy.GetItemName(study), hierarchy.GetItemLevel(study)) == ("baseline", "Study")


def test_a_node_that_is_being_dragged_is_updated_on_release(nodes, view):
    axial = view("Red")
    uid = nodes.findings.findings[0].uid

    def meanwhile():
        nodes.findings.update(uid, site="axilla")
        assert not np.allclose(nodes.fiducials("t0").GetNthControlPointPositionWorld(0), (0, 0, 0))

    axial.drag((0, 0, 0), (12, -6, 0), meanwhile)
    assert np.allclose(seen(nodes).centre, (12, -6, 0), atol=0.5)
    assert nodes.findings[uid].site == "axilla"


def test_points_under_a_transform_are_read_in_world_coordinates(nodes):
    transform = nodes.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 10.0)
    transform.SetMatrixTransformToParent(matrix)
    nodes.fiducials("t0").SetAndObserveTransformNodeID(transform.GetID())
    nodes.fiducials("t0").SetNthControlPointPositionWorld(0, 1.0, 2.0, 3.0)
    assert np.allclose(seen(nodes).centre, (1, 2, 3))


def test_a_list_of_a_newer_version_is_kept_and_reported(scene, nodes):
    text = nodes.findings.to_json().replace('"version": 3', '"version": 99')
    node = nodes.list_node()
    nodes.close()
    node.SetText(text)
    again = FindingNodes(scene)
    assert "version 99" in str(again.problem)
    again.findings.add("t0", Observation(centre=(0, 0, 0)))
    assert node.GetText() == text, "what a newer OncoTrack wrote is not overwritten"
    again.close()
