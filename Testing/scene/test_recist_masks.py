"""Masks in the scene: extended to 3D, painted, measured, undone, saved, reopened, exported and imported."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import slicer

from oncotrack.background.jobs import silent
from oncotrack.errors import Cancelled, InputError
from oncotrack.findings.finding import Axis, Observation, State
from oncotrack.findings.finding_list import FindingList
from oncotrack.masks.axes import RecistAxes
from oncotrack.scene.detection.detection import DetectionScene
from oncotrack.scene.files.storage import open_scene, save_scene
from oncotrack.scene.masks.panel import lines, outcome_text, possible_methods
from oncotrack.scene.masks.recist import RecistScene
from oncotrack.scene.nodes.mask_segments import MASKS, from_segment, to_oriented
from oncotrack.scene.nodes.node_registry import NodeKey
from oncotrack.scene.nodes.shapes import LONG_AXIS
from oncotrack.scene.nodes.volumes import add_volume
from oncotrack.scene.views.application import new_scene

MIDDLE = np.array((12.0, -8.0, 5.0))


def axes(at=MIDDLE, long: float = 18.0, short: float = 14.0) -> dict[str, Axis]:
    """Return axes of a lesion as fields of an observation."""
    along, across = np.array((long / 2, 0, 0)), np.array((0, short / 2, 0))
    return {
        name: Axis(tuple(np.subtract(at, half)), tuple(np.add(at, half)))
        for name, half in (("long_axis", along), ("short_axis", across))
    }


@pytest.fixture
def submitted():
    """Return the tasks that edits in the views have submitted; the tests run them."""
    return []


@pytest.fixture
def session(scene, make_phantom, submitted):
    """Return a session with one lesion and its mask in one slice."""
    session = RecistScene(scene, submit=submitted.append)
    session.set_scan(add_volume(scene, make_phantom()))
    session.nodes.select(session.add(Observation(centre=tuple(MIDDLE), **axes())).uid)
    session.rebuild()
    yield session
    session.close()


def shown(session, label: str = "L 1"):
    """Return the voxels of a finding's segment."""
    finding = next(each for each in session.findings if each.label == label)
    return from_segment(session.segmentation, finding.uid)


def paint(session, inside: np.ndarray) -> None:
    """Replace the segment's labelmap, as the Segment Editor does at the end of a stroke."""
    mask = session.observation.mask.volume()
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    image = to_oriented(replace(mask, array=inside.astype(np.uint8)))
    assert logic.SetBinaryLabelmapToSegment(image, session.segmentation, session.current.uid, logic.MODE_REPLACE)


def undone_and_redone(session, edit):
    before = session.findings.findings
    outcome = edit()
    after = session.findings.findings
    assert after != before
    session.undo()
    assert session.findings.findings == before
    if session.current and session.observation.mask:
        assert shown(session, session.current.label).array.sum() == session.observation.mask.volume().array.sum()
    session.redo()
    assert session.findings.findings == after
    return outcome


def test_a_mask_is_extended_to_3d_as_one_command_with_progress(session):
    messages = []
    flat = session.observation
    finding = undone_and_redone(
        session, lambda: session.extend_to_3d().run(lambda part, text: messages.append((part, text)))
    )
    seen = finding.at(session.time_point)
    layers = seen.mask.geometry.size[2]
    assert layers >= 3 and f"in {layers} slices" in outcome_text(session, finding)
    assert seen.volume_mm3 > 2 * flat.volume_mm3
    assert (seen.long_axis, seen.state) == (flat.long_axis, flat.state)
    assert np.ptp([seen.box.low[2], seen.box.high[2]]) == pytest.approx(2.0 * layers)
    assert shown(session).array.sum() == seen.mask.volume().array.sum()
    assert session.segmentation.GetSegmentation().ContainsRepresentation("Closed surface"), "3D views show it"
    assert len(messages) > 1 and all(0 <= part <= 1 for part, _text in messages)


def test_extending_can_be_cancelled_and_does_not_overwrite_newer_edits(session):
    before = session.findings.findings

    def stop(_part, _text):
        raise Cancelled

    with pytest.raises(Cancelled):
        session.extend_to_3d().run(stop)
    assert session.findings.findings == before
    task = session.extend_to_3d()
    mask = task.work(silent)
    session.remove_mask()
    with pytest.raises(InputError, match="changed meanwhile"):
        task.apply(mask)
    assert session.observation.mask is None


@pytest.fixture
def in_3d(session):
    """Return the session, with the mask in 3D."""
    session.extend_to_3d().run()
    return session


def test_an_extension_that_adds_nothing_is_no_step_of_undo(session, in_3d):
    session.accept()
    before, text = session.findings.findings, session.findings.undo_text
    finding = session.extend_to_3d().run()
    assert session.findings.findings == before and session.findings.undo_text == text
    assert "slices" in outcome_text(session, finding)


def stretched(session, by_mm: float):
    """Lengthen the long axis, as a reader who drags its end."""
    line = session.nodes.registry.find(NodeKey(LONG_AXIS, session.time_point, session.current.uid))
    line.SetNthControlPointPositionWorld(1, *np.add(session.observation.long_axis.end, (by_mm, 0, 0)))


def test_a_dragged_diameter_of_a_3d_mask_submits_the_task_that_makes_the_mask_again(session, in_3d, submitted):
    was = session.observation
    stretched(session, -4.0)
    (task,) = submitted
    assert session.observation == was, "nothing changes before the task has succeeded"
    finding = undone_and_redone(session, task.run)
    seen = finding.at(session.time_point)
    assert seen.long_axis.length_mm == pytest.approx(14.0)
    assert seen.state is State.EDITED
    assert seen.mask.geometry.size[2] >= 3 and seen.mask != was.mask
    assert seen.volume_mm3 < was.volume_mm3


def test_when_that_task_is_cancelled_diameters_and_mask_stay(session, in_3d, submitted):
    was, voxels = session.observation, shown(session).array.sum()
    stretched(session, -4.0)

    def stop(_part, _text):
        raise Cancelled

    with pytest.raises(Cancelled):
        submitted[0].run(stop)
    line = session.nodes.registry.find(NodeKey(LONG_AXIS, session.time_point, session.current.uid))
    assert session.observation == was and line.GetLineLengthWorld() == pytest.approx(18.0)
    assert shown(session).array.sum() == voxels


def test_a_3d_mask_stays_in_3d_when_its_diameters_are_made_perpendicular_and_one_slice_stays_one(
    session, in_3d, submitted
):
    session.make_perpendicular()
    assert len(submitted) == 1
    session.rebuild()
    session.make_perpendicular()
    assert len(submitted) == 1 and session.observation.mask.geometry.size[2] == 1


def test_without_a_submit_a_dragged_diameter_makes_the_3d_mask_again_at_once(scene, session, in_3d, submitted):
    again = RecistScene(scene)
    stretched(again, -4.0)
    assert len(submitted) == 1, "the other session has its own queue"
    assert again.observation.long_axis.length_mm == pytest.approx(14.0)
    assert again.observation.mask.geometry.size[2] >= 3
    again.close()


def test_diameters_drawn_on_a_second_slice_submit_the_task_that_uses_both(session, submitted, view):
    axial = view("Red")
    axial.composite.SetBackgroundVolumeID(session.scan.GetID())
    axial.node.JumpSliceByCentering(*(MIDDLE + np.array((0, 0, 4.0))))
    session.add_diameters()
    for end in ((-7.0, 0, 4.0), (7.0, 0, 4.0), (0, -5.0, 4.0), (0, 5.0, 4.0)):
        axial.click(MIDDLE + end)
    (task,) = submitted
    seen = task.run().at(session.time_point)
    assert seen.long_axis.length_mm == pytest.approx(18.0), "the longer pair is the finding's"
    assert seen.mask.geometry.size[2] >= 3


def test_a_mask_is_extended_from_axes_on_two_slices(session):
    alone = session.extend_to_3d().run().at(session.time_point)
    session.undo()
    more = RecistAxes(*axes(MIDDLE + np.array((0, 0, 4.0)), 14.0, 11.0).values())
    both = session.extend_to_3d(session.current.uid, more).run().at(session.time_point)
    assert both.long_axis.length_mm == pytest.approx(18.0), "the longer pair is the finding's"
    assert both.mask.geometry.size[2] >= 3
    assert both.mask != alone.mask


def test_a_painted_mask_is_measured_and_is_one_command(session):
    was = session.observation
    inside = session.observation.mask.volume().array.astype(bool)
    inside[..., inside.shape[2] // 2 :] = False
    undone_and_redone(session, lambda: paint(session, inside))
    seen = session.observation
    assert seen.state is State.EDITED
    assert seen.volume_mm3 == pytest.approx(inside.sum() * 4.5)
    assert seen.long_axis != was.long_axis and seen.long_axis.length_mm < was.long_axis.length_mm
    session.undo()
    assert shown(session).array.sum() == was.mask.volume().array.sum(), "the segment is restored too"


def test_an_emptied_mask_is_refused_and_a_deleted_or_renamed_segment_is_a_command(session):
    messages = []
    session.refused.connect(lambda error: messages.append(str(error)))
    before = session.findings.findings
    paint(session, np.zeros(session.observation.mask.geometry.shape))
    assert session.findings.findings == before and "empty" in messages[-1]
    session.nodes.draw()
    segmentation, uid = session.segmentation.GetSegmentation(), session.current.uid
    segmentation.GetSegment(uid).SetName("left adrenal")
    assert session.current.label == "left adrenal"
    undone_and_redone(session, lambda: segmentation.RemoveSegment(uid))
    assert session.observation.mask is None and session.observation.long_axis is not None
    assert "remeasure" not in possible_methods(session) and "rebuild" in possible_methods(session)
    session.undo()
    assert segmentation.GetSegment(uid) is not None


def test_measuring_gives_the_axes_of_the_mask_and_the_mask_can_be_removed(session):
    drawn = session.observation
    undone_and_redone(session, session.remeasure)
    assert session.observation.mask == drawn.mask
    assert session.observation.long_axis != drawn.long_axis
    undone_and_redone(session, session.remove_mask)
    assert session.segmentation.GetSegmentation().GetNumberOfSegments() == 0
    with pytest.raises(InputError, match="no mask"):
        session.remeasure()


def test_a_segment_that_the_reader_added_is_left_alone(session):
    segmentation = session.segmentation.GetSegmentation()
    segmentation.AddEmptySegment("mine", "mine")
    session.remeasure()
    session.undo()
    assert segmentation.GetSegment("mine") is not None


def test_everything_is_restored_after_saving_and_reopening(session, tmp_path):
    session.extend_to_3d().run()
    session.accept()
    before = session.findings.findings
    save_scene(session.scene, tmp_path / "masks.mrb")
    other = new_scene()
    open_scene(other.scene, tmp_path / "masks.mrb")
    again = RecistScene(other.scene)
    assert again.findings.findings == before
    assert again.scan.GetName() == session.scan.GetName()
    nodes = [node for key, node in again.nodes.registry if key.part == MASKS]
    assert len(nodes) == 1 and nodes[0].GetSegmentation().GetNumberOfSegments() == 1
    assert shown(again).array.sum() == before[0].at(again.time_point).mask.volume().array.sum()
    again.rebuild()
    assert shown(again).array.shape[0] == 1, "it shows the mask that was saved"
    again.close()


def test_masks_are_exported_and_imported_again(session, tmp_path):
    session.extend_to_3d().run()
    other = session.add(Observation(centre=(-20.0, 5.0, 5.0), **axes((-20.0, 5.0, 5.0), 12.0, 9.0)))
    session.suggest(other.uid)
    rejected = session.add(Observation(centre=(0.0, 0.0, 9.0), **axes((0.0, 0.0, 9.0), 12.0, 9.0)))
    session.suggest(rejected.uid)
    session.reject()
    paths = session.export(tmp_path).run()
    assert {path.name for path in paths} >= {"masks.seg.nrrd", "masks.csv", "findings.json"}
    table = list(csv.DictReader((tmp_path / "masks.csv").read_text().splitlines()))
    assert len(table) == 2, "not the rejected one"
    assert len(FindingList.open(tmp_path / "findings.json")) == 3
    assert len([path for path in (tmp_path / "pairs").rglob("*") if path.is_file()]) >= 2
    before = session.findings.findings
    same = session.import_masks(tmp_path / "masks.seg.nrrd").run()
    assert (same.new, same.changed, same.refused) == ((), (), ()), "these masks exist already"
    assert session.findings.findings == before
    held = {each.label: each.at(session.time_point).mask for each in before}
    for finding in before:
        session.remove_from_scan(finding.uid)
    taken = undone_and_redone(session, session.import_masks(tmp_path / "masks.seg.nrrd").run)
    assert set(taken.new) == {"L 1", "L 2"}
    for finding in session.findings:
        seen = finding.at(session.time_point)
        assert seen.mask.is_same(held[finding.label])
        assert seen.long_axis is not None


def test_a_table_of_axes_is_measured_and_a_bad_row_does_not_stop_it(session, tmp_path):
    ends = [[a.start, a.end] for a in axes().values()]
    (tmp_path / "axes.mrk.json").write_text(mrk(ends))
    taken = undone_and_redone(session, session.measure_table(tmp_path / "axes.mrk.json").run)
    assert len(taken.new) == 1 and not taken.refused
    assert "1 new finding" in outcome_text(session, taken)
    assert lines(session)[-1].cells[5] == "in one slice"
    far = [[np.add(end, 500).tolist() for end in line] for line in ends]
    (tmp_path / "far.mrk.json").write_text(mrk(far))
    taken = session.measure_table(tmp_path / "far.mrk.json").run()
    assert not taken.new and "outside the image" in taken.refused[0]


def mrk(ends) -> str:
    """Return two lines as Slicer saves them."""
    line = [
        {"type": "Line", "coordinateSystem": "RAS", "controlPoints": [{"position": list(p)} for p in pair]}
        for pair in ends
    ]
    return json.dumps({"markups": line})


def test_without_a_scan_every_method_is_refused(scene):
    session = RecistScene(scene)
    assert possible_methods(session) == frozenset()
    for call in (session.draw_axes, lambda: session.export("x"), session.rebuild):
        with pytest.raises(InputError, match=r"Load one|No finding is chosen"):
            call()
    assert session.nodes.registry.find(NodeKey(MASKS, "")) is None
    session.close()


def test_without_a_choice_the_scan_is_that_of_the_lymph_nodes(scene, make_phantom):
    nodes, masks = DetectionScene(scene, detectors={}), RecistScene(scene)
    nodes.set_scan(add_volume(scene, make_phantom()))
    assert masks.scan is nodes.scan
    for session in (nodes, masks):
        session.close()
