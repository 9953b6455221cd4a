"""Editing of slice boxes on real nodes: each edit is undone, redone, saved and reopened."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stand_in_detector import KnownNodes

from oncotrack.errors import InputError, WeightsError
from oncotrack.findings.finding import State
from oncotrack.findings.tracklet_edits import Rerun
from oncotrack.images.geometry import Geometry
from oncotrack.scene.detection.detection import DetectionScene
from oncotrack.scene.detection.panel import mergeable, possible_methods, slice_text
from oncotrack.scene.files.storage import open_scene, save_scene
from oncotrack.scene.nodes.volumes import add_volume
from oncotrack.scene.views.application import new_scene

MIDDLE = 22
"""Slice number of the first node's middle: 5 mm S."""
PLACES = (((12.0, -8.0, 5.0), 8.5), ((-15.0, 5.0, 5.0), 6.0))


class Reading:
    """A session with two detected nodes, and one axial view that shows a slice by its number."""

    def __init__(self, scene, volume, view, places=PLACES) -> None:
        self.detector = KnownNodes(places)
        self.session = DetectionScene(scene, detectors={"known": lambda: self.detector})
        self.session.set_scan(add_volume(scene, volume))
        self.session.detect().run()
        self.view = view
        self.show(MIDDLE)

    @property
    def editor(self):
        return self.session.editor

    def show(self, index: int) -> None:
        self.view.JumpSliceByCentering(0, 0, -39.0 + 2.0 * index)

    def of(self, label: str):
        return next(each for each in self.session.detected if each.label == label).at(self.session.time_point)

    def slices(self, label: str) -> list[int]:
        return [box.slice_index for box in self.of(label).tracklet.boxes]


@pytest.fixture
def reading(scene, make_phantom, add_slice_node):
    reading = Reading(scene, make_phantom(), add_slice_node("Red"))
    yield reading
    reading.session.close()


def check_one_undoable_edit(reading, edit):
    """Check that an edit is one step of undo: undo restores the list, redo repeats the edit."""
    before = reading.session.findings.findings
    outcome = edit()
    after = reading.session.findings.findings
    assert after != before
    reading.session.undo()
    assert reading.session.findings.findings == before
    reading.session.redo()
    assert reading.session.findings.findings == after
    return outcome


def test_the_handles_lie_on_the_box_of_the_slice_in_view(reading):
    assert reading.editor.slice_index == MIDDLE
    roi = reading.session.scene.GetFirstNodeByName("Slice box")
    low, high = reading.editor.box.low, reading.editor.box.high
    assert np.allclose(roi.GetSize()[:2], np.subtract(high, low))
    assert roi.GetDisplayVisibility()
    reading.view.JumpSliceByCentering(0, 0, 5.6)
    assert reading.editor.slice_index == MIDDLE
    assert roi.GetCenterWorld()[2] == pytest.approx(5.6), (
        "they lie in the plane of the view, so that they can be dragged"
    )
    reading.show(30)
    assert reading.editor.box is None
    assert not roi.GetDisplayVisibility()
    assert "no box on slice 10 of 40" in slice_text(reading.session)


def test_the_handles_leave_a_node_of_10_mm_in_sight(scene, make_phantom, view, add_slice_node):
    axial = view("Green")
    reading = Reading(scene, make_phantom(), add_slice_node("Red"))
    editor = reading.editor
    axial.node.JumpSliceByCentering(0, 0, 5)
    middle = np.add(editor.box.low, editor.box.high) / 2
    editor.set_box(replace(editor.box, low=tuple(middle - 5), high=tuple(middle + 5)))
    roi = scene.GetFirstNodeByName("Slice box")
    shown = axial.picture()
    roi.SetDisplayVisibility(False)
    hidden = axial.picture()
    pixels = [axial.pixel(corner) for corner in editor.tracklet.corners(editor.box)]
    (left, low), (right, high) = np.min(pixels, 0), np.max(pixels, 0)
    inside = (shown != hidden).any(-1)[::-1][round(low) : round(high), round(left) : round(right)]
    assert inside.size > 500 and 0 < inside.mean() < 0.3  # 0.44 with the size of Slicer's own
    reading.session.close()


def test_moving_a_view_along_a_node_updates_the_panel(reading):
    messages = []
    reading.session.changed.connect(lambda: messages.append(reading.editor.slice_index))
    reading.show(MIDDLE + 1)
    assert messages == [MIDDLE + 1]
    reading.view.JumpSliceByCentering(30, 0, 7.3)
    assert messages == [MIDDLE + 1], "the same slice, elsewhere"


def test_a_corner_and_the_middle_can_be_dragged(scene, make_phantom, view, add_slice_node):
    axial = view("Green")
    reading = Reading(scene, make_phantom(), add_slice_node("Red"))
    session, editor = reading.session, reading.editor
    axial.node.JumpSliceByCentering(0, 0, 5)
    axial.picture()
    old = editor.box
    corner = editor.tracklet.corners(old)[2]
    axial.drag(corner, np.add(corner, (4, 6, 0)))
    assert np.allclose(np.subtract(editor.box.high, old.high), (4, 6), atol=0.5)
    assert np.allclose(editor.box.low, old.low, atol=1e-3)
    seen = reading.of("LN 1")
    assert seen.state is State.EDITED
    assert seen.provenance.reader == "reader"
    assert seen.box.high[1] == pytest.approx(editor.tracklet.corners(editor.box)[2][1])
    assert seen.long_axis.length_mm == pytest.approx(editor.box.high[1] - editor.box.low[1])
    assert len(seen.tracklet.boxes) == len(editor.tracklet.boxes) > 1, "the other slices stay"
    dragged = editor.box
    middle = np.mean(editor.tracklet.corners(dragged), axis=0)
    axial.drag(middle, np.add(middle, (-5, 3, 0)))
    assert np.allclose(np.subtract(editor.box.low, dragged.low), (-5, 3), atol=0.5)
    assert np.allclose(np.subtract(editor.box.high, dragged.high), (-5, 3), atol=0.5)
    session.undo()
    assert editor.box == dragged
    session.undo()
    assert editor.box == old
    assert reading.of("LN 1").state is State.PROPOSED
    roi = scene.GetFirstNodeByName("Slice box")
    assert np.allclose(roi.GetSize()[:2], np.subtract(old.high, old.low)), "the handles were restored too"
    session.close()


def test_a_box_dragged_while_another_node_was_chosen_changes_neither(reading):
    """A run that ends while a box is being dragged makes another node the current one."""
    session, messages = reading.session, []
    session.refused.connect(lambda error: messages.append(str(error)))
    roi = session.scene.GetFirstNodeByName("Slice box")
    known = session.findings.findings
    roi.InvokeEvent(roi.PointStartInteractionEvent)
    roi.SetSize(30, 30, 0.5)
    session.nodes.select(known[1].uid)
    roi.InvokeEvent(roi.PointEndInteractionEvent)
    assert session.findings.findings == known
    assert "Another node" in messages[0]
    session.nodes.select(known[0].uid)
    assert roi.GetSize()[0] < 30


def test_the_handles_are_hidden_while_the_module_is_left(reading):
    roi = reading.session.scene.GetFirstNodeByName("Slice box")
    reading.session.enter()
    assert roi.GetDisplayVisibility()
    reading.session.leave()
    assert not roi.GetDisplayVisibility()
    reading.session.enter()
    assert roi.GetDisplayVisibility()
    reading.session.set_scan(None)
    assert not roi.GetDisplayVisibility()


def test_a_click_adds_a_node_that_is_followed_through_the_slices(scene, make_phantom, view, add_slice_node):
    axial = view("Green")
    reading = Reading(scene, make_phantom(), add_slice_node("Red"))
    session = reading.session
    session.placed.connect(lambda finding: session.follow_new(finding.uid).run())
    axial.node.JumpSliceByCentering(0, 0, 5)
    session.begin_placing()
    axial.click((20, 15, 5))
    assert session.current.label == "LN 3"
    assert reading.slices("LN 3") == [MIDDLE + n for n in (-2, -1, 0, 1, 2)]
    assert np.allclose(reading.of("LN 3").centre, (20, 15, 5), atol=1.0)
    assert reading.of("LN 3").state is State.EDITED
    session.undo()
    assert reading.slices("LN 3") == [MIDDLE]
    session.undo()
    assert len(session.detected) == 2
    axial.click((-20, -15, 5))
    assert len(session.detected) == 2, "one click, one node"
    session.close()


def test_a_node_stays_as_one_box_when_it_cannot_be_followed(reading):
    finding = check_one_undoable_edit(reading, lambda: reading.editor.add_node((20, 15, 5)))

    def fail(*_arguments, **_options):
        raise WeightsError("The weights are missing.")

    reading.detector.retrack = fail
    with pytest.raises(WeightsError):
        reading.session.follow_new(finding.uid).run()
    assert reading.slices("LN 3") == [MIDDLE]


def test_a_position_outside_the_scan_is_refused(reading):
    with pytest.raises(InputError, match="outside"):
        reading.editor.add_node((500, 0, 0))


def test_a_slice_box_is_deleted_and_with_the_last_one_the_node(reading):
    count = len(reading.slices("LN 1"))
    check_one_undoable_edit(reading, lambda: reading.editor.delete_box())
    assert MIDDLE not in reading.slices("LN 1")
    assert len(reading.slices("LN 1")) == count - 1
    assert reading.of("LN 1").long_axis.length_mm < 17.0, "the axes are those of the boxes that are left"
    finding = reading.editor.add_node((20, 15, 5))
    reading.editor.delete_box()
    assert finding.uid not in reading.session.findings


def test_a_box_is_added_on_a_slice_that_has_none(reading):
    last = reading.slices("LN 1")[-1]
    reading.show(last + 2)
    check_one_undoable_edit(reading, lambda: reading.editor.add_box())
    assert reading.slices("LN 1")[-1] == last + 2
    assert reading.editor.box.low == reading.of("LN 1").tracklet.at(last).low
    with pytest.raises(InputError, match="already"):
        reading.editor.add_box()


def test_a_node_is_split_at_the_slice_in_view_and_merged_again(reading):
    slices, box = reading.slices("LN 1"), reading.of("LN 1").box
    check_one_undoable_edit(reading, lambda: reading.editor.split())
    assert reading.slices("LN 1") == [n for n in slices if n < MIDDLE]
    assert reading.slices("LN 3") == [n for n in slices if n >= MIDDLE]
    assert reading.session.current.label == "LN 1", "undo went back to it"
    reading.session.go_to(reading.session.detected[-1].uid)
    assert reading.of("LN 3").state is State.EDITED
    first = next(uid for uid, label in mergeable(reading.session) if label == "LN 1")
    assert mergeable(reading.session)[0][0] == first, "the nearest comes first"
    check_one_undoable_edit(reading, lambda: reading.editor.merge(first))
    assert [each.label for each in reading.session.detected] == ["LN 2", "LN 3"]
    assert reading.slices("LN 3") == slices
    assert reading.of("LN 3").box == box
    assert reading.of("LN 3").score == 0.9


def test_a_merge_covers_the_boxes_of_both_on_a_common_slice(reading):
    other = next(each for each in reading.session.detected if each.label == "LN 2")
    mine, its = reading.editor.box, other.at(reading.session.time_point).tracklet.at(MIDDLE)
    reading.editor.merge(other.uid)
    assert reading.editor.box.low == (min(mine.low[0], its.low[0]), min(mine.low[1], its.low[1]))
    assert reading.editor.box.high == (max(mine.high[0], its.high[0]), max(mine.high[1], its.high[1]))


def test_a_split_at_the_end_and_a_merge_with_itself_are_refused(reading):
    reading.show(reading.slices("LN 1")[0])
    assert "editor.split" not in possible_methods(reading.session)
    with pytest.raises(InputError, match="one side empty"):
        reading.editor.split()
    with pytest.raises(InputError, match="itself"):
        reading.editor.merge(reading.session.current.uid)


def test_a_node_is_trimmed_from_either_end(reading):
    slices = reading.slices("LN 1")
    reading.show(slices[1])
    check_one_undoable_edit(reading, lambda: reading.editor.trim_below())
    assert reading.slices("LN 1") == slices[1:]
    reading.show(slices[-2])
    check_one_undoable_edit(reading, lambda: reading.editor.trim_above())
    assert reading.slices("LN 1") == slices[1:-1]
    assert reading.of("LN 1").box.high[2] == pytest.approx(-39 + 2 * slices[-2] + 1)


def test_head_and_feet_are_right_when_slices_count_downwards(scene, make_phantom, add_slice_node):
    flipped = Geometry((64, 64, 40), (1.5, 1.5, 2.0), (-47.25, -47.25, 39.0), ((1, 0, 0), (0, 1, 0), (0, 0, -1)))
    reading = Reading(scene, make_phantom(geometry=flipped), add_slice_node("Red"), places=[((12.0, -8.0, 5.0), 8.5)])
    reading.view.JumpSliceByCentering(0, 0, 5)
    reading.editor.trim_above()
    assert reading.of("LN 1").box.high[2] == pytest.approx(6.0)
    assert reading.of("LN 1").box.low[2] < -2.0
    reading.editor.extend_up().run()
    assert reading.of("LN 1").box.high[2] == pytest.approx(10.0)
    reading.session.close()


def test_an_edited_slice_is_followed_further(reading):
    slices = reading.slices("LN 1")
    reading.show(slices[-1])
    check_one_undoable_edit(reading, lambda: reading.editor.extend_up().run())
    assert reading.slices("LN 1") == [*slices, slices[-1] + 1, slices[-1] + 2]
    assert reading.session.findings.undo_text == "follow LN 1"
    reading.show(slices[0])
    check_one_undoable_edit(reading, lambda: reading.editor.extend_down().run())
    assert reading.slices("LN 1")[0] == slices[0] - 2


def test_a_search_that_adds_no_box_changes_nothing(reading):
    session, at = reading.session, reading.session.time_point
    reading.show(reading.slices("LN 1")[-1])
    session.accept()
    reading.detector.retrack = lambda image, tracklet, *_arguments, **_options: tracklet
    text = session.findings.undo_text
    reading.editor.extend_up().run()
    assert session.findings.undo_text == text
    assert session.current.at(at).state is State.ACCEPTED


def test_followed_boxes_are_discarded_when_the_node_was_edited_meanwhile(reading):
    task = reading.editor.extend_up()
    reading.editor.delete_box()
    after = reading.session.findings.findings
    with pytest.raises(InputError, match="changed meanwhile"):
        task.run()
    assert reading.session.findings.findings == after


def test_without_a_box_or_a_node_nothing_is_edited(reading):
    reading.show(39)
    with pytest.raises(InputError, match="no box on this slice"):
        reading.editor.delete_box()
    reading.session.remove_from_scan()
    reading.session.remove_from_scan()
    assert reading.session.current is None
    with pytest.raises(InputError, match="chosen"):
        reading.editor.split()
    assert slice_text(reading.session) == ""


def test_a_node_on_a_sagittal_scan_gets_axial_boxes(scene, make_phantom):
    sagittal = Geometry((40, 64, 64), (2.0, 1.5, 1.5), (-47.25, -39.0, -47.25), ((0, 0, 1), (1, 0, 0), (0, 1, 0)))
    volume = make_phantom(geometry=sagittal)
    session = DetectionScene(scene, detectors={"known": lambda: KnownNodes([])})
    session.set_scan(add_volume(scene, volume))
    session.editor.add_node((5, 3, 1))
    assert abs(session.editor.tracklet.step[2]) > 0
    assert session.editor.tracklet.step[:2] == (0, 0)
    session.close()


def test_a_scrolled_view_is_not_an_edit_and_a_rerun_keeps_every_edit(reading, tmp_path):
    for index in range(MIDDLE - 3, MIDDLE + 3):
        reading.show(index)
    assert reading.session.findings.undo_text == "detect lymph nodes"
    reading.show(MIDDLE)
    reading.editor.delete_box()
    reading.editor.set_box(replace(reading.editor.tracklet.nearest(MIDDLE), slice_index=MIDDLE))
    reading.editor.split()
    reading.editor.trim_above()
    reading.editor.add_node((20, 15, 5))
    states = {finding.at(reading.session.time_point).state for finding in reading.session.detected}
    assert states == {State.EDITED, State.PROPOSED}
    edited = [each for each in reading.session.detected if each.at(reading.session.time_point).state is State.EDITED]
    assert len(edited) == 3
    path = save_scene(reading.session.scene, tmp_path / "scene.mrb")
    other = new_scene()
    again = DetectionScene(other.scene, detectors={"known": lambda: reading.detector})
    open_scene(other.scene, path)
    again.detect(Rerun.KEEP).run()
    assert {finding.uid for finding in edited} <= {finding.uid for finding in again.detected}
    assert [again.findings[each.uid] for each in edited] == edited
    assert len(again.detected) == 4, "nothing is proposed where an edited node lies"
    again.close()
