"""What the reader is shown says the truth: sizes, states, slices; and what the reader decided is kept."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from stand_in_detector import KnownNodes

from oncotrack.background.jobs import Worker
from oncotrack.errors import InputError
from oncotrack.findings.finding import Axis, Observation, Role, Side, State
from oncotrack.findings.tracklet_edits import Rerun
from oncotrack.scene.detection import panel as node_panel
from oncotrack.scene.detection.detection import DetectionScene
from oncotrack.scene.followup.overlays import ALTERNATIVES
from oncotrack.scene.masks import panel as mask_panel
from oncotrack.scene.masks.recist import RecistScene
from oncotrack.scene.nodes.node_registry import NodeKey
from oncotrack.scene.nodes.table import to_csv
from oncotrack.scene.nodes.volumes import add_volume
from oncotrack.scene.views.mouse_mode import stop_placing
from oncotrack.scene.views.node_placement import CLICK
from oncotrack.scene.views.scan_text import SliceText

PLACES = (((12.0, -8.0, 6.0), 9.0), ((-15.0, 5.0, -4.0), 6.0))


@pytest.fixture
def nodes(scene, make_phantom):
    """Return a session with two detected nodes."""
    session = DetectionScene(scene, detectors={"known": lambda: KnownNodes(PLACES)})
    session.set_scan(add_volume(scene, make_phantom()))
    session.detect().run()
    yield session
    session.close()


@pytest.fixture
def while_it_runs():
    """Return a function that runs a task and calls `act` between its work and its result."""
    posted = []
    worker = Worker(posted.append)

    def run(task, act):
        done, failed = threading.Event(), []

        def work(progress):
            result = task.work(progress)
            done.set()
            return result

        replace(task, work=work).submit(worker, failed.append)
        assert done.wait(30)
        act()
        worker.stop()
        for each in posted:
            each()
        assert not failed, failed

    yield run
    worker.stop()


def drawn_at(lesion) -> Observation:
    """Return a lesion with diameters of 14 x 12 mm on a slice of the scan."""
    middle = np.subtract(lesion, (0, 0, 1))
    ends = [[tuple(np.add(middle, sign * np.array(half))) for sign in (-1, 1)] for half in ((7, 0, 0), (0, 6, 0))]
    return Observation(centre=lesion, long_axis=Axis(*ends[0]), short_axis=Axis(*ends[1]))


# sizes


def test_unchecked_proposals_are_neither_called_nodes_nor_enlarged(nodes):
    assert node_panel.summary(nodes) == "2 unchecked proposals. Check every one, and look for missed nodes."
    assert node_panel.outcome_text(nodes, nodes.detected) == node_panel.summary(nodes)
    first = next(line for line in node_panel.lines(nodes) if line.cells[0] == "LN 1")
    assert first.cells[4:6] == ("18.0", "18.0") and first.cells[8] == "not measured"
    assert "sides of its largest slice box" in first.tip
    nodes.accept()
    assert node_panel.summary(nodes).startswith("1 unchecked proposal, 1 checked node, 1 enlarged.")


def test_a_suggested_mask_keeps_slices_and_size_of_a_node(scene, nodes):
    before = nodes.current.at(nodes.time_point)
    masks = RecistScene(scene)
    masks.set_scan(nodes.scan)
    masks.suggest(nodes.current.uid)
    seen = masks.observation
    assert mask_panel.mask_text(seen) == f"in {len(before.tracklet.boxes)} slices"
    assert seen.volume_mm3 > 0.75 * before.tracklet.volume_mm3
    assert seen.tracklet == before.tracklet and seen.is_measured and seen.state is before.state
    assert seen.long_axis.length_mm > 0.8 * before.long_axis.length_mm
    masks.suggest()
    assert masks.observation.volume_mm3 > 0.75 * before.tracklet.volume_mm3, "a second time neither"
    masks.close()


def test_a_suggestion_does_not_replace_a_mask_in_3d_by_one_slice(scene, make_phantom, lesion):
    masks = RecistScene(scene)
    masks.set_scan(add_volume(scene, make_phantom()))
    masks.nodes.select(masks.add(drawn_at(lesion)).uid)
    masks.extend_to_3d().run()
    volume = masks.observation.volume_mm3
    with pytest.raises(InputError, match="L 1 has a mask in 3D"):
        masks.suggest()
    assert masks.observation.volume_mm3 == volume
    masks.close()


def test_a_box_is_named_as_such_in_the_mask_panel(scene, nodes):
    masks = RecistScene(scene)
    masks.set_scan(nodes.scan)
    assert "LN 1: box 18.0 mm x 18.0 mm, no mask. Long and short are the sides" in mask_panel.measurement_text(masks)
    assert [line.cells[1] for line in mask_panel.lines(masks)] == ["proposed", "proposed"]
    masks.reject()
    assert mask_panel.lines(masks)[0].cells[1] == "rejected"
    masks.close()


def test_slices_are_counted_as_in_the_views(nodes, view):
    axial = view("Red")
    composite = axial.composite
    composite.SetBackgroundVolumeID(nodes.scan.GetID())
    tracklet = nodes.current.at(nodes.time_point).tracklet
    nodes.go_to()
    shown = SliceText.of(axial.node, nodes.scan).number.removeprefix("Slice ")
    text = node_panel.slice_text(nodes)
    assert f"slice {shown}: box" in text and shown.endswith(" of 40")
    count = len(tracklet.boxes)
    first, last = (int(word) for word in text.split("on slices ")[1].split(" of ")[0].split(" to "))
    assert last - first == count - 1 and first <= int(shown.split()[0]) <= last


# descriptions


def test_the_session_describes_a_finding_with_the_readers_name_in_one_step(session, lesion):
    session.follow(lesion).run()
    assert session.current.role is Role.NONE
    session.reader = " Dr  Example "
    session.describe(role="target", side="right", site="liver", comment="near the dome")
    session.accept()
    seen = session.current
    assert (seen.role, seen.side, seen.site, seen.reader) == (Role.TARGET, Side.RIGHT, "liver", "Dr Example")
    assert session.match.provenance.reader == "Dr Example"
    session.undo()
    session.undo()
    assert session.current.role is Role.NONE and session.current.site == ""
    with pytest.raises(InputError, match='There is no kind "cyst"'):
        session.describe(kind="cyst")


def test_the_table_has_descriptions_sizes_and_their_change(session, lesion):
    session.follow(lesion).run()
    uid = session.current.uid
    session.describe(role="non-target", site="lung", comment='a "b", c')
    for time_point, long in ((session.baseline_id, 20.0), (session.followup_id, 25.0)):
        axes = {"long_axis": Axis((0, 0, 0), (long, 0, 0)), "short_axis": Axis((0, 0, 0), (0, long / 2, 0))}
        seen = session.findings[uid].at(time_point)
        session.findings.observe(uid, time_point, replace(seen, **axes, volume_mm3=long * 100))
    heading, row = to_csv(session.findings).splitlines()
    assert heading.startswith("Label,Kind,Role,Side,Organ or station,Comment,Reader,baseline: state")
    assert "follow-up: long axis (mm),follow-up: short axis (mm),follow-up: axes from,follow-up: volume (ml)" in heading
    assert row.startswith('L 1,lesion,non-target,,lung,"a ""b"", c",,accepted')
    assert "25.0,12.5,measured,2.500" in row
    assert row.endswith('"long +5.0 mm (+25.0 %), short +2.5 mm (+25.0 %), volume +0.50 ml (+25.0 %)"')


def test_an_absent_lesion_has_no_alternatives_in_the_view(session, lesion):
    session.follow(lesion).run()
    points = session.nodes.registry.find(NodeKey(ALTERNATIVES))
    assert points.GetNumberOfControlPoints() == 1
    session.mark_absent()
    assert points.GetNumberOfControlPoints() == 0


def test_labels_say_the_state_in_words(session, lesion):
    session.follow(lesion).run()
    baseline, followup = (session.nodes.fiducials(each) for each in (session.baseline_id, session.followup_id))
    assert (baseline.GetNthControlPointLabel(0), followup.GetNthControlPointLabel(0)) == (
        "L 1 (baseline)",
        "L 1 proposed",
    )
    baseline.SetNthControlPointLabel(0, "Liver 1 (baseline)")
    baseline.InvokeEvent(baseline.PointModifiedEvent)
    assert session.current.label == "Liver 1"
    session.mark_absent()
    assert followup.GetNthControlPointLabel(0) == "Liver 1 absent (reader)"


# decisions during long work


def test_a_match_accepted_while_all_are_searched_again_stays_accepted(session, lesion, while_it_runs):
    session.follow(lesion).run()
    session.follow((0.0, 0.0, 0.0)).run()
    first, second = session.findings
    before = second.at(session.followup_id)
    while_it_runs(session.rematch(), lambda: session.accept(first.uid))
    assert session.findings[first.uid].at(session.followup_id).state is State.ACCEPTED
    assert session.findings[second.uid].at(session.followup_id) != before or before.state is State.PROPOSED


def test_a_finding_deleted_while_it_is_searched_stays_deleted(session, lesion, while_it_runs):
    session.follow(lesion).run()
    while_it_runs(session.follow_again(), session.remove_everywhere)
    assert not len(session.findings)


def test_a_node_accepted_while_nodes_are_searched_again_is_kept(nodes, while_it_runs):
    uid = nodes.current.uid
    nodes.reject(nodes.detected[1].uid)
    while_it_runs(nodes.detect(Rerun.REPLACE), lambda: nodes.accept(uid))
    assert nodes.findings[uid].at(nodes.time_point).state is State.ACCEPTED
    assert [f.at(nodes.time_point).state for f in nodes.detected if f.uid != uid] == [State.PROPOSED]


def test_a_node_accepted_while_it_is_extended_is_accepted_with_its_new_boxes(nodes, view, while_it_runs):
    view("Red")
    nodes.go_to()
    before = nodes.editor.tracklet
    while_it_runs(nodes.editor.follow(up=True, down=True), nodes.accept)
    assert nodes.editor.tracklet != before and nodes.current.at(nodes.time_point).state is State.ACCEPTED


def test_a_mask_accepted_while_it_is_extended_is_accepted_in_3d(scene, make_phantom, lesion, while_it_runs):
    masks = RecistScene(scene)
    masks.set_scan(add_volume(scene, make_phantom()))
    masks.nodes.select(masks.add(drawn_at(lesion)).uid)
    while_it_runs(masks.extend_to_3d(), masks.accept)
    assert masks.observation.state is State.ACCEPTED and "slices" in mask_panel.mask_text(masks.observation)
    masks.close()


# views


def test_a_point_that_waits_for_a_click_leaves_nothing_behind(nodes, view):
    axial = view("Red")
    axial.composite.SetBackgroundVolumeID(nodes.scan.GetID())
    nodes.begin_placing()
    axial.mouse("MouseMoveEvent", (3.0, 3.0, 0.0))
    node = nodes.nodes.registry.find(CLICK)
    assert not node.GetDisplayNode().GetVisibility3D() and not node.GetDisplayNode().GetPointLabelsVisibility()
    stop_placing(nodes.scene)
    assert node.GetNumberOfControlPoints() == 0


def test_selecting_scrolls_and_pans_only_to_what_is_not_visible(session, lesion, view):
    axial = view("BaselineAxial")
    axial.node.JumpSliceByCentering(5.0, 0.0, -20.0)
    session.follow(lesion).run()
    assert np.allclose(axial.centre(), (5.0, 0.0, lesion[2])), "scrolled, not panned"
    axial.node.JumpSliceByCentering(200.0, 0.0, 0.0)
    session.go_to()
    assert np.allclose(axial.centre(), lesion), "the lesion was not visible"


def test_after_a_drag_the_other_planes_show_the_new_position(session, lesion, view):
    axial, coronal = view("FollowUpAxial"), view("FollowUpCoronal", "Coronal")
    session.follow(lesion).run()
    at = np.array(session.match.centre)
    for each in (axial, coronal):
        each.composite.SetBackgroundVolumeID(session.followup.GetID())
    goal = np.add(at, (6.0, 9.0, 0.0))
    axial.drag(at, goal)
    moved = session.match.centre
    assert np.allclose(moved, goal, atol=1.0)
    assert abs(coronal.centre()[1] - moved[1]) < 0.6
