"""A reader follows a lesion with the mouse, corrects it, saves it, and finds everything again."""

from __future__ import annotations

import numpy as np
import pytest

from oncotrack.findings.finding import State
from oncotrack.scene.files.storage import open_scene, save_scene
from oncotrack.scene.followup.follow_up import FollowUpScene
from oncotrack.scene.nodes.fiducials import CURRENT_COLOUR
from oncotrack.scene.views.application import new_scene


def labels(node):
    return [node.GetNthControlPointLabel(n) for n in range(node.GetNumberOfControlPoints())]


def position(node, index=0):
    return tuple(node.GetNthControlPointPositionWorld(index))


@pytest.fixture
def followed(session, lesion):
    """Return a session with one lesion, placed and matched."""
    session.follow(lesion).run()
    return session


def test_a_click_in_the_baseline_shows_the_match_and_a_drag_edits_it(session, view, lesion, truth):
    baseline_view, followup_view = view("BaselineAxial"), view("FollowUpAxial")
    session.overlays.show_scans()
    baseline_view.node.JumpSliceByCentering(*lesion)
    session.placed.connect(lambda at: session.follow(at).run())

    session.begin_placing()
    baseline_view.click(lesion)

    finding = session.current
    assert finding.label == "L 1"
    clicked = finding.at(session.baseline_id).centre
    assert np.allclose(clicked, lesion, atol=0.5)
    match_node = session.nodes.fiducials(session.followup_id)
    assert labels(session.nodes.fiducials(session.baseline_id)) == ["L 1 (baseline)"]
    assert labels(match_node) == ["L 1 proposed"]
    expected = truth.to_followup(clicked)
    assert np.allclose(position(match_node), expected, atol=1e-3)
    assert np.allclose(followup_view.centre(), expected, atol=1e-3), "the follow-up shows its match"

    steps_seen = []
    target = np.add(expected, (6.0, -5.0, 0.0))
    followup_view.drag(expected, target, lambda: steps_seen.append(session.match.state))
    assert steps_seen == [State.PROPOSED], "a drag is one command, at its end"
    assert session.match.state is State.EDITED
    assert np.allclose(session.match.centre, target, atol=0.5)
    assert labels(match_node) == ["L 1 edited"]

    session.undo()
    assert session.match.state is State.PROPOSED
    assert np.allclose(position(match_node), expected, atol=1e-3)
    session.redo()
    assert np.allclose(position(match_node), target, atol=0.5)


def test_leaving_unlinks_the_rows_and_entering_shows_the_scans_again(session, view):
    session.linking.is_enabled = True
    session.begin_placing()
    session.leave()
    assert not session.linking.is_enabled
    composite = view("BaselineAxial").composite
    composite.SetBackgroundVolumeID(None)
    session.nodes.set_views({})
    session.enter()
    assert composite.GetBackgroundVolumeID() == session.baseline.GetID()
    assert set(session.nodes.views) == {session.baseline_id, session.followup_id}


def test_a_click_on_a_mark_without_moving_it_changes_nothing(followed, view):
    followup_view = view("FollowUpAxial")
    followed.overlays.show_scans()
    followed.go_to()
    text = followed.findings.to_json()
    followup_view.click(followed.match.centre)
    assert followed.findings.to_json() == text


def test_labels_contain_the_state(followed):
    node = followed.nodes.fiducials(followed.followup_id)
    for act, label in (
        (followed.accept, "L 1 accepted"),
        (followed.reject, "L 1 rejected"),
        (followed.mark_absent, "L 1 absent (reader)"),
    ):
        act()
        assert labels(node) == [label]
    for _ in range(3):
        followed.undo()
    assert labels(node) == ["L 1 proposed"]


def test_undo_and_redo_go_to_the_lesion_that_they_change(session, view, lesion):
    row = view("BaselineAxial")
    for at in (lesion, (-15.0, 10.0, -12.0)):
        session.follow(at).run()
    first = session.findings.findings[0]
    session.accept(first.uid)
    session.next()
    session.next()
    assert session.current.label == "L 2"
    session.undo()
    assert session.current.label == "L 1" and row.centre()[2] == pytest.approx(lesion[2])
    session.next()
    session.redo()
    assert session.current.label == "L 1" and session.match.state is State.ACCEPTED


def test_undo_of_a_drag_and_removing_a_lesion_move_the_views(session, view, lesion):
    row = view("FollowUpAxial")
    for at in (lesion, (-15.0, 10.0, -12.0)):
        session.follow(at).run()
    before = session.match.centre
    session.findings.move(session.current.uid, session.followup_id, (before[0], before[1], before[2] + 9.0))
    row.node.JumpSliceByCentering(*session.match.centre)
    session.undo()
    assert row.centre()[2] == pytest.approx(before[2])
    session.remove_everywhere()
    assert session.current.label == "L 1" and row.centre()[2] == pytest.approx(session.match.centre[2])
    session.undo()
    assert session.current.label == "L 2" and row.centre()[2] == pytest.approx(before[2])


def test_remove_and_undo_affect_the_points_of_both_scans(followed):
    nodes = [followed.nodes.fiducials(followed.baseline_id), followed.nodes.fiducials(followed.followup_id)]
    before = [position(node) for node in nodes]
    followed.remove_everywhere()
    assert [node.GetNumberOfControlPoints() for node in nodes] == [0, 0]
    followed.undo()
    assert [position(node) for node in nodes] == before


def test_rename_shows_on_both_rows_and_in_the_table(followed):
    followed.rename("Liver S4")
    assert labels(followed.nodes.fiducials(followed.baseline_id)) == ["Liver S4 (baseline)"]
    assert labels(followed.nodes.fiducials(followed.followup_id)) == ["Liver S4 proposed"]


def test_next_and_previous_wrap_around_and_move_both_rows(session, view, lesion):
    rows = view("BaselineAxial"), view("FollowUpCoronal", "Coronal")
    for at in (lesion, (-15.0, 10.0, -12.0), (0.0, 0.0, 0.0)):
        session.follow(at).run()
    session.next()
    assert session.current.label == "L 1"
    session.next()
    assert session.current.label == "L 2"
    assert rows[0].centre()[2] == pytest.approx(-12.0), "it scrolls"
    assert rows[1].centre()[1] == pytest.approx(session.match.centre[1])
    session.previous()
    session.previous()
    assert session.current.label == "L 3"


def test_an_alternative_can_be_taken_and_cannot_be_dragged(followed, view):
    followup_view = view("FollowUpAxial")
    node = followed.scene.GetFirstNodeByName("Alternatives")
    assert labels(node) == ["b"]
    place = position(node)
    followup_view.node.JumpSliceByCentering(*place)
    followup_view.drag(place, [place[0] + 10, place[1], place[2]])
    assert position(node) == place
    old = followed.match.centre
    followed.take_alternative(0)
    assert np.allclose(followed.match.centre, place)
    assert np.allclose(position(node), old), "the old match is the alternative now"
    assert np.allclose(followup_view.centre(), place)
    followed.undo()
    assert followed.match.centre == old


def test_a_baseline_point_that_was_moved_can_be_matched_again(followed, lesion, truth):
    node = followed.nodes.fiducials(followed.baseline_id)
    node.SetNthControlPointPositionWorld(0, -10.0, 5.0, 2.0)
    assert followed.current.at(followed.baseline_id).state is State.EDITED
    followed.follow_again().run()
    assert np.allclose(followed.match.centre, truth.to_followup((-10.0, 5.0, 2.0)))
    followed.undo()
    assert np.allclose(followed.match.centre, truth.to_followup(lesion))


def test_a_saved_scene_reopens_with_everything_in_it(followed, tmp_path, truth, trackers):
    followed.overlays.is_map_shown = True
    followed.accept()
    followed.follow((-15.0, 10.0, -12.0)).run()
    json = followed.findings.to_json()
    path = save_scene(followed.scene, tmp_path / "patient.mrb")

    other = new_scene()
    open_scene(other.scene, path)
    nodes_in_file = other.scene.GetNumberOfNodes()
    again = FollowUpScene(other.scene, trackers=trackers)
    assert other.scene.GetNumberOfNodes() == nodes_in_file, (
        "the nodes of the file are found again, not created a second time"
    )
    assert again.findings.to_json() == json
    assert (again.baseline.GetName(), again.followup.GetName()) == ("CT 2025", "CT 2026")
    assert np.allclose(again.registration.affine, truth.affine)
    assert labels(again.nodes.fiducials(again.followup_id)) == ["L 1 accepted", "L 2 proposed"]
    assert other.scene.GetFirstNodeByName("Findings table").GetTable().GetNumberOfRows() == 2
    assert other.scene.GetFirstNodeByName("Anatomy map") is not None

    again.nodes.fiducials(again.followup_id).SetNthControlPointPositionWorld(1, 0.0, 0.0, 0.0)
    assert again.findings.findings[1].at(again.followup_id).state is State.EDITED, "and they still obey the hand"
    again.follow((5.0, 5.0, 5.0)).run()
    assert again.current.label == "L 3"
    again.close()


def test_a_session_shows_the_findings_of_a_scene_that_is_opened(followed, tmp_path):
    json = followed.findings.to_json()
    path = save_scene(followed.scene, tmp_path / "patient.mrb")
    followed.remove_everywhere()
    open_scene(followed.scene, path)
    assert followed.findings.to_json() == json
    assert followed.baseline.GetName() == "CT 2025"
    followed.reject()
    assert labels(followed.nodes.fiducials(followed.followup_id)) == ["L 1 rejected"]


def test_marks_are_drawn_in_their_own_row_only(followed, view):
    baseline_view, followup_view = view("BaselineAxial"), view("FollowUpAxial")
    followed.overlays.show_scans()
    baseline_view.node.JumpSliceByCentering(*followed.current.at(followed.baseline_id).centre)
    followup_view.node.JumpSliceByCentering(*followed.match.centre)
    for each in (baseline_view, followup_view):
        picture = each.picture().astype(int)
        marked = np.abs(picture - np.array(CURRENT_COLOUR) * 255).max(-1) < 40
        rows, columns = np.nonzero(marked)
        assert marked.sum() > 20
        assert abs(rows.mean() - 160) < 25 and columns.min() > 140, "one mark, in the middle, its label to the right"


def test_two_scans_are_registered_and_a_match_gets_its_cycle_error(real_session, lesion, monkeypatch, tmp_path):
    monkeypatch.setenv("ONCOTRACK_CACHE", str(tmp_path))
    seen = []
    finding = real_session.follow(lesion, radius_mm=6.0).run(lambda fraction, text: seen.append(fraction))
    match = finding.at(real_session.followup_id)
    assert match.state is State.PROPOSED
    assert np.linalg.norm(np.subtract(match.centre, np.add(lesion, (4.0, -3.0, 5.0)))) < 3.0
    assert match.evidence.cycle_error_mm < 3.0
    assert real_session.registration is not None
    assert seen == sorted(seen), "the bar never runs backwards"
