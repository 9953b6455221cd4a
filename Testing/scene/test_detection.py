"""Detection in a scene: detecting, filtering, deciding, detecting again, saving."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from stand_in_detector import KnownNodes

from oncotrack.background.jobs import Worker
from oncotrack.errors import Cancelled, InputError
from oncotrack.findings.finding import Axis, Kind, Observation, State
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.node_files import BOXES, FINDINGS, LABELS, TABLE
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.findings.tracklet_edits import Rerun, replace_tracklet
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.scene.choices import NODE_COLUMNS
from oncotrack.scene.detection.detection import DetectionScene
from oncotrack.scene.detection.panel import lines, navigation_order, outcome_text, possible_methods, summary
from oncotrack.scene.files.storage import open_scene, save_scene
from oncotrack.scene.followup.follow_up import FollowUpScene
from oncotrack.scene.nodes.mask_segments import MASKS
from oncotrack.scene.nodes.node_registry import NodeKey
from oncotrack.scene.nodes.shapes import BOX, OUTLINE
from oncotrack.scene.nodes.volumes import add_volume
from oncotrack.scene.views.application import new_scene

SIZE = NODE_COLUMNS.index("RECIST size")
PLACES = (((12.0, -8.0, 6.0), 8.5), ((-15.0, 5.0, -4.0), 6.0), ((-10.0, -12.0, 10.0), 4.5), ((0.0, 14.0, 0.0), 4.0))


@pytest.fixture
def nodes_at():
    """Return a detector of known nodes, whose positions can be changed between runs."""
    return KnownNodes(PLACES)


@pytest.fixture
def session(scene, make_phantom, nodes_at):
    """Return a session with one CT, before detection."""
    session = DetectionScene(scene, detectors={"known": lambda: nodes_at})
    session.set_scan(add_volume(scene, make_phantom()))
    yield session
    session.close()


@pytest.fixture
def found(session):
    """Detect the four nodes."""
    session.detect().run()
    return session


def test_a_scan_is_read_by_the_detector_that_suits_it(scene, make_phantom):
    detectors = {"lntracker": lambda: KnownNodes(PLACES), "mr": lambda: KnownNodes(PLACES[:1])}
    for modality, count in (("CT", 4), ("MR", 1), ("", 4)):
        session = DetectionScene(scene, detectors=detectors)
        session.set_scan(add_volume(scene, replace(make_phantom(), modality=modality)))
        session.detect().run()
        assert len(session.detected) == count
        session.close()


def labels(session):
    return [finding.label for finding in session.detected]


def named(session, label):
    return next(finding for finding in session.detected if finding.label == label)


def is_drawn(session, label, part="outline"):
    return bool(session.scene.GetFirstNodeByName(f"{label} {part}").GetDisplayVisibility())


def test_one_task_finds_every_node_with_progress_by_slice(session):
    messages = []
    taken = session.detect().run(lambda fraction, text: messages.append(text))
    assert labels(session) == ["LN 1", "LN 2", "LN 3", "LN 4"]
    assert [finding.uid for finding in taken] == [finding.uid for finding in session.detected]
    assert "Slice 1 of 40" in messages
    assert "Slice 40 of 40" in messages
    assert session.current.label == "LN 1"
    assert session.findings.time_points[0].fingerprint, "the list identifies the scan"
    session.undo()
    assert len(session.findings) == 0
    session.redo()
    assert len(session.findings) == 4


def test_each_node_is_drawn_as_a_box_outlines_and_a_row(found):
    scene = found.scene
    roi = scene.GetFirstNodeByName("LN 1 right box 0.90")
    assert roi.IsA("vtkMRMLMarkupsROINode")
    bounds = np.zeros(6)
    roi.GetRASBounds(bounds)
    seen = found.current.at(found.time_point)
    assert np.allclose(bounds[0::2], seen.box.low)
    assert np.allclose(bounds[1::2], seen.box.high)
    outline = scene.GetFirstNodeByName("LN 1 outline")
    assert outline.GetPolyData().GetNumberOfCells() == 4 * len(seen.tracklet.boxes)
    table = scene.GetFirstNodeByClass("vtkMRMLTableNode").GetTable()
    assert table.GetNumberOfRows() == 4


def test_cancelling_leaves_the_scene_as_it_was(session, nodes_at):
    posted, reached, may_go_on = [], threading.Event(), threading.Event()

    def on_slice(index):
        if index == 3:
            reached.set()
            may_go_on.wait(10)

    nodes_at._on_slice = on_slice
    worker, failed = Worker(posted.append), []
    job = session.detect().submit(worker, failed.append)
    assert reached.wait(10)
    job.cancel()
    may_go_on.set()
    worker.stop()
    for each in posted:
        each()
    assert [type(error) for error in failed] == [Cancelled]
    assert len(session.findings) == 0
    assert not session.findings.can_undo


def test_the_threshold_hides_proposals_and_deletes_none(found):
    before = found.findings.findings
    found.threshold = 0.7
    assert [finding.label for finding in found.shown] == ["LN 1", "LN 2"]
    assert (is_drawn(found, "LN 2"), is_drawn(found, "LN 3")) == (True, False)
    points = found.nodes.fiducials(found.time_point)
    shown = [bool(points.GetNthControlPointVisibility(n)) for n in range(4)]
    assert shown[1:] == [True, False, False]
    assert [line.cells[0] for line in lines(found)] == ["LN 1", "LN 2"]
    assert "2 less probable hidden" in summary(found)
    found.threshold = 0.0
    assert is_drawn(found, "LN 3")
    assert found.findings.findings == before
    assert found.findings.undo_text == "detect lymph nodes", "showing and hiding are not edits"


class ProbableNodes(KnownNodes):
    """Detector of 18 proposals with probability and region."""

    def detect(self, volume, progress, *, time_point="t0"):
        four = super().detect(volume, progress, time_point=time_point)
        return [
            replace(
                four[n % 4],
                uid=f"2.25.{n + 1}",
                region=("neck", "axilla", "region unknown")[n % 3],
                observations={time_point: replace(four[n % 4].observations[time_point], probability=0.9 - n / 50)},
            )
            for n in range(18)
        ]


def test_the_fifteen_most_probable_are_shown_at_first_and_the_slider_shows_more(scene, make_phantom):
    session = DetectionScene(scene, detectors={"probable": lambda: ProbableNodes(PLACES)})
    session.set_scan(add_volume(scene, make_phantom()))
    session.detect().run()
    assert (len(session.detected), len(session.shown), session.hidden_count) == (18, 15, 3)
    assert session.threshold == pytest.approx(0.9 - 14 / 50)
    assert lines(session)[0].cells[2:4] == ("0.90", "neck, right"), "probability and region"
    assert "3 less probable hidden" in summary(session)
    session.threshold = 0.0
    assert (len(session.shown), session.hidden_count) == (18, 0)
    assert len(lines(session)) == 18
    regions = [line.cells[3].split(",")[0] for line in lines(session, order="region")]
    assert regions == ["axilla"] * 6 + ["neck"] * 6 + ["region unknown"] * 6
    session.close()


def test_what_a_reader_accepted_is_shown_whatever_its_score(found):
    found.accept(named(found, "LN 4").uid)
    found.threshold = 0.95
    assert [finding.label for finding in found.shown] == ["LN 4"]
    assert is_drawn(found, "LN 4")


def test_rejected_nodes_are_not_drawn_but_listed_as_such(found):
    found.reject(named(found, "LN 2").uid)
    assert not is_drawn(found, "LN 2")
    assert [line.cells[0] for line in lines(found, "rejected")] == ["LN 2"]
    assert "1 rejected" in summary(found)


def test_a_new_run_keeps_decisions_and_proposes_no_rejected_node(found, nodes_at):
    found.accept(named(found, "LN 1").uid)
    found.reject(named(found, "LN 2").uid)
    kept = named(found, "LN 1"), named(found, "LN 2")
    moved = [(tuple(np.add(centre, (1.0, 0.0, 0.0))), radius) for centre, radius in PLACES[:2]]
    nodes_at.places = [*moved, ((20.0, 15.0, -12.0), 5.0)]
    with pytest.raises(InputError, match="keeps or replaces"):
        found.detect()
    found.detect(Rerun.KEEP).run()
    assert (named(found, "LN 1"), named(found, "LN 2")) == kept
    others = [finding for finding in found.detected if finding not in kept]
    assert [finding.at(found.time_point).centre[0] for finding in others] == [20.0], "old proposals are replaced"
    found.undo()
    assert labels(found) == ["LN 1", "LN 2", "LN 3", "LN 4"]


def give_mask(found, reader=""):
    """Give "LN 2" a mask, by a reader or by a detector."""
    seen = named(found, "LN 2").at(found.time_point)
    cube = Volume(np.ones((2, 2, 2), np.uint8), Geometry((2, 2, 2), (1, 1, 1), seen.centre), "mask")
    provenance = replace(seen.provenance, reader=reader)
    masked = replace(seen, mask=PackedMask.of(cube), provenance=provenance)
    found.findings.observe(named(found, "LN 2").uid, found.time_point, masked)


def test_masks_that_the_detector_proposed_are_replaced_with_their_nodes(found):
    give_mask(found)
    uid = named(found, "LN 2").uid
    assert not found.has_decisions
    found.detect().run()
    assert uid not in found.findings and len(found.detected) == 4


def test_the_mask_of_a_hidden_proposal_is_hidden_with_it(found):
    give_mask(found)
    uid = named(found, "LN 2").uid
    display = found.nodes.registry.find(NodeKey(MASKS, found.time_point)).GetDisplayNode()
    assert display.GetSegmentVisibility(uid)
    for threshold, is_shown in ((1.0, False), (0.0, True)):
        found.threshold = threshold
        assert display.GetSegmentVisibility(uid) == is_shown
        found.nodes.draw()
        assert display.GetSegmentVisibility(uid) == is_shown


def test_a_sentence_on_a_detection_counts_what_is_unchecked_now(found):
    proposed = found.detected
    assert outcome_text(found, proposed).startswith("4 unchecked proposals.")
    found.accept()
    assert outcome_text(found, proposed).startswith("3 unchecked proposals.")
    found.undo()
    found.undo()
    assert outcome_text(found, proposed) == "", "the detection is undone"
    assert outcome_text(found, ()) == "0 unchecked proposals. Look for missed nodes."


def test_marks_stay_in_the_views_of_the_scan_where_no_other_are_shown(found):
    found.enter()
    seen = found.nodes.views
    found.leave(restores_views=False)
    assert found.nodes.views == seen == {found.time_point: ()}


def test_a_name_a_mask_and_an_absent_node_are_decisions_too(found):
    def named_by_hand():
        found.findings.rename(named(found, "LN 2").uid, "Hilar")

    def with_mask():
        give_mask(found, reader="reader")

    def absent():
        found.findings.set_state(named(found, "LN 2").uid, found.time_point, State.ABSENT, "reader")

    uid = named(found, "LN 2").uid
    for work in (named_by_hand, with_mask, absent):
        assert not found.has_decisions
        work()
        assert found.has_decisions
        with pytest.raises(InputError, match="keeps or replaces"):
            found.detect()
        found.detect(Rerun.KEEP).run()
        assert uid in found.findings and len(found.detected) == 4
        found.undo()
        found.undo()


def test_a_new_run_proposes_nothing_over_a_node_that_was_trimmed_to_one_slice(found):
    first = named(found, "LN 1")
    seen = first.at(found.time_point)
    middle = (seen.tracklet.first + seen.tracklet.last) // 2
    replace_tracklet(found.findings, first.uid, found.time_point, seen.tracklet.trim(middle, middle))
    found.detect(Rerun.KEEP).run()
    assert len(found.detected) == 4 and len(named(found, "LN 1").at(found.time_point).tracklet.boxes) == 1


def test_deleting_a_nodes_box_or_outline_in_the_scene_deletes_the_node(found, tmp_path):
    for part in (BOX, OUTLINE):
        node = found.nodes.registry.find(NodeKey(part, found.time_point, named(found, "LN 2").uid))
        found.scene.RemoveNode(node)
        assert labels(found) == ["LN 1", "LN 3", "LN 4"]
        found.export(tmp_path).run()
        found.undo()
        assert labels(found) == ["LN 1", "LN 2", "LN 3", "LN 4"]


def test_an_edited_list_is_replaced_on_request(found):
    found.accept(named(found, "LN 1").uid)
    found.detect(Rerun.REPLACE).run()
    assert [finding.at(found.time_point).state for finding in found.detected] == [State.PROPOSED] * 4
    found.undo()
    assert named(found, "LN 1").at(found.time_point).state is State.ACCEPTED


def test_a_decision_made_while_a_run_goes_on_is_kept(found):
    task = found.detect()
    found.reject(named(found, "LN 3").uid)
    task.run()
    assert [finding.at(found.time_point).state for finding in found.detected].count(State.REJECTED) == 1
    assert len(found.detected) == 4


def test_followed_lesions_and_other_scans_are_left_alone(found, make_phantom):
    lesion = found.findings.add(found.time_point, Observation(centre=(1, 2, 3)))
    elsewhere = found.findings.add("t9", Observation(centre=(1, 2, 3)), kind=Kind.LYMPH_NODE)
    followed = named(found, "LN 2")
    found.findings.observe(followed.uid, "t9", Observation(centre=(0, 0, 0)))
    found.detect(Rerun.REPLACE).run()
    assert {lesion.uid, elsewhere.uid, followed.uid} <= {finding.uid for finding in found.findings}
    first = found.scan
    found.set_scan(add_volume(found.scene, make_phantom(name="later")))
    assert found.detected == ()
    assert found.time_point not in ("", "t9")
    found.set_scan(first)
    assert len(found.detected) == 4


def test_a_sentence_on_a_node_ends_with_the_node(found):
    finding = found.editor.add_node((5.0, 5.0, 5.0))
    assert outcome_text(found, finding).endswith("has boxes on 1 slice now.")
    found.undo()
    assert outcome_text(found, finding) == ""


def test_removing_a_node_goes_to_the_one_after_it_in_the_list(found):
    found.threshold = 0.5  # the fourth is hidden
    found.listed = [finding.uid for finding in found.shown]
    found.go_to(named(found, "LN 2").uid)
    found.remove_from_scan()
    assert found.current.label == "LN 3"
    found.remove_from_scan()
    assert found.current.label == "LN 1"


def test_the_current_node_is_enlarged_in_the_middle_of_the_views(found, view):
    opened = view("Red")
    opened.node.SetFieldOfView(300, 300, 1)
    found.enlarge()
    seen = found.current.at(found.time_point)
    assert np.allclose(opened.centre(), seen.centre, atol=1e-3)
    assert min(opened.node.GetFieldOfView()[:2]) == pytest.approx(max(60.0, 4 * seen.long_axis.length_mm))


def test_the_list_is_sorted_and_filtered(found):
    found.accept(named(found, "LN 4").uid)

    def order(*arguments, **options):
        return [line.cells[0] for line in lines(found, *arguments, **options)]

    assert order(order="score") == ["LN 1", "LN 2", "LN 3", "LN 4"]
    assert order(order="score", is_reversed=True) == ["LN 4", "LN 3", "LN 2", "LN 1"]
    assert order(order="position") == ["LN 3", "LN 1", "LN 4", "LN 2"]
    found.rename("LN 10", named(found, "LN 1").uid)
    assert order(order="label") == ["LN 2", "LN 3", "LN 4", "LN 10"]
    assert order("accepted") == ["LN 4"]
    assert order("to review", order="size") == ["LN 10", "LN 2", "LN 3"]
    assert order(size="10 mm or more") == ["LN 10", "LN 2"]
    assert order(size="15 mm or more") == ["LN 10"]
    tip = lines(found)[0].tip
    assert "right" in tip
    assert "by known" in tip


def test_measured_sizes_have_recist_names_and_boxes_have_none(found):
    assert {line.cells[SIZE] for line in lines(found)} == {"not measured"}
    finding = named(found, "LN 1")
    for short, word in ((15.0, "measurable"), (10.0, "enlarged"), (9.9, "")):
        axes = {"long_axis": Axis((0, 0, 6), (20, 0, 6)), "short_axis": Axis((0, 0, 6), (0, short, 6))}
        found.findings.observe(finding.uid, found.time_point, replace(finding.at(found.time_point), **axes))
        assert next(line.cells[SIZE] for line in lines(found) if line.uid == finding.uid) == word


def test_going_to_a_node_moves_the_views_and_makes_it_current(found, add_slice_node):
    node = add_slice_node("Red")
    found.go_to(named(found, "LN 3").uid)
    assert node.GetSliceToRAS().GetElement(2, 3) == pytest.approx(named(found, "LN 3").at(found.time_point).centre[2])
    found.threshold = 0.7
    found.next()
    assert found.current.label == "LN 1", "hidden nodes are skipped"
    found.previous()
    assert found.current.label == "LN 2"


def test_next_continues_in_the_list_after_a_decision_removed_a_node_from_it(found):
    def show() -> None:
        found.listed = [line.uid for line in lines(found, "to review", order="position")]

    found.changed.connect(show)
    show()
    assert found.current.label == "LN 1", "the second of LN 3, 1, 4, 2"
    found.accept()
    found.next()
    assert found.current.label == "LN 4"
    found.reject()
    found.previous()
    assert found.current.label == "LN 3"
    found.previous()
    found.accept()
    found.next()
    assert found.current.label == "LN 3", "after the last comes the first"
    found.accept()
    found.next()
    assert found.listed == ()
    assert not {"next", "previous"} & possible_methods(found)
    found.changed.disconnect(show)


def test_next_continues_where_a_decision_moved_the_node(found):
    def show() -> None:
        found.listed = navigation_order(lines(found, order="state"), "all")

    found.changed.connect(show)
    show()
    found.next()
    assert found.current.label == "LN 2"
    found.accept()
    found.next()
    assert found.current.label == "LN 3", "not the node after the place that the accepted one moved to"
    found.reject()
    assert (
        navigation_order(lines(found, "rejected"), "rejected") == [named(found, "LN 3").uid] and len(found.listed) == 3
    )
    found.next()
    assert found.current.label == "LN 4"
    found.changed.disconnect(show)
    found.listed = [named(found, label).uid for label in ("LN 2", "LN 1")]
    found.next()
    assert found.current.label == "LN 2"


def test_a_click_on_a_mark_goes_to_its_node(found, view):
    axial = view("Red")
    place = named(found, "LN 2").at(found.time_point).centre
    axial.node.JumpSliceByCentering(*place)
    axial.picture()
    axial.click(place)
    assert found.current.label == "LN 2"


def test_the_node_at_a_position_is_found(found):
    assert found.at(PLACES[2][0]).label == "LN 3"
    assert found.at((25.0, 20.0, 0.0)) is None
    found.threshold = 0.7
    assert found.at(PLACES[2][0]) is None, "it is hidden"


def test_only_possible_methods_are_offered(session):
    assert possible_methods(session) == {"detect", "begin_placing", "pet.choose", "tumour.use"}
    session.detect().run()
    assert {"accept", "reject", "remove_from_scan", "next", "undo", "editor.merge"} <= possible_methods(session)
    session.set_scan(None)
    assert "detect" not in possible_methods(session)


def test_no_scan_and_a_changed_scan_are_refused(session):
    task = session.detect()
    session.set_scan(None)
    with pytest.raises(InputError, match="changed meanwhile"):
        task.run()
    with pytest.raises(InputError, match="no scan"):
        session.detect()


def test_a_saved_scene_reopens_with_nodes_boxes_and_decisions(found, tmp_path, nodes_at):
    found.accept(named(found, "LN 1").uid)
    found.reject(named(found, "LN 4").uid)
    kept = found.findings.findings
    path = save_scene(found.scene, tmp_path / "scene.mrb")
    other = new_scene()
    again = DetectionScene(other.scene, detectors={"known": lambda: nodes_at})
    open_scene(other.scene, path)
    assert again.findings.findings == kept
    assert again.scan.GetName() == "CT"
    assert (is_drawn(again, "LN 1"), is_drawn(again, "LN 4")) == (True, False)
    assert other.scene.GetFirstNodeByName("Slice box") is None
    again.detect(Rerun.KEEP).run()
    assert [finding.at(again.time_point).state for finding in again.detected].count(State.REJECTED) == 1
    again.close()


def test_following_and_detecting_share_one_list(found):
    follow_up = FollowUpScene(found.scene)
    assert follow_up.findings is found.findings
    follow_up.findings.add("t7", Observation(centre=(0, 0, 0)))
    assert len(found.findings) == 5
    follow_up.close()
    found.findings.undo()
    assert found.scene.GetFirstNodeByName("LN 1 outline") is not None
    assert named(found, "LN 1").label == "LN 1"


def test_the_export_can_be_read_by_other_programs(found, tmp_path):
    found.reject(named(found, "LN 4").uid)
    found.threshold = 0.7
    paths = found.export(tmp_path / "out").run()
    assert {path.name for path in paths} == {BOXES, TABLE, LABELS, FINDINGS}
    other = new_scene()
    markups = other.logic.GetModuleLogic("Markups")
    markups.LoadMarkups(str(tmp_path / "out" / BOXES), "")
    rois = other.scene.GetNodesByClass("vtkMRMLMarkupsROINode")
    rois.UnRegister(None)
    assert [rois.GetItemAsObject(n).GetName() for n in range(rois.GetNumberOfItems())] == ["LN 1", "LN 2"]
    bounds = np.zeros(6)
    rois.GetItemAsObject(1).GetRASBounds(bounds)
    box = named(found, "LN 2").at(found.time_point).box
    assert np.allclose(bounds[0::2], box.low, atol=1e-3)
    assert np.allclose(bounds[1::2], box.high, atol=1e-3)
    image = sitk.ReadImage(str(tmp_path / "out" / LABELS))
    label_map = sitk.GetArrayFromImage(image)
    assert set(np.unique(label_map)) == {0, 1, 2}
    voxel = np.prod(image.GetSpacing())
    for number, label in ((1, "LN 1"), (2, "LN 2")):
        tracklet = named(found, label).at(found.time_point).tracklet
        assert (label_map == number).sum() * voxel == pytest.approx(tracklet.volume_mm3, rel=0.1)
        k, j, i = np.argwhere(label_map == number).mean(0)
        place = image.TransformContinuousIndexToPhysicalPoint((i, j, k))
        centre = np.multiply(place, (-1, -1, 1))
        assert np.allclose(centre, named(found, label).at(found.time_point).centre, atol=1.0)
    assert len(FindingList.open(tmp_path / "out" / FINDINGS)) == 4, "the list is complete"
    assert (tmp_path / "out" / TABLE).read_text().count("\n") == 3


def test_nothing_to_export_is_refused(session, tmp_path):
    with pytest.raises(InputError, match="no nodes"):
        session.export(tmp_path).run()
