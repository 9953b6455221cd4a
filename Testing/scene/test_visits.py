"""Lesions followed through many visits: the chain continues from a reader's corrections."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from oncotrack.errors import InputError
from oncotrack.findings.finding import State
from oncotrack.registration.registration import Registration
from oncotrack.scene.files.storage import open_scene, save_scene
from oncotrack.scene.followup import panel
from oncotrack.scene.followup.follow_up import FollowUpScene
from oncotrack.scene.nodes.volumes import add_volume
from oncotrack.scene.session import time_point_selection
from oncotrack.scene.views.application import new_scene

SHIFT = np.array([3.0, -2.0, 4.0])


def shifted(steps: int) -> Registration:
    matrix = np.eye(4)
    matrix[:3, 3] = steps * SHIFT
    return Registration(matrix)


def add_visits(session, make_phantom, lesion, count: int = 4):
    """Add scans of a patient who is displaced by 5.4 mm from visit to visit, with known registrations."""
    volumes = [
        add_volume(session.scene, make_phantom(tuple(lesion + n * SHIFT), name=f"CT {n + 1}")) for n in range(count)
    ]
    session.set_visits(volumes)
    for later in range(count):
        for earlier in range(later):
            session._choice.pair(volumes[earlier], volumes[later]).draw(shifted(later - earlier))
    return volumes


@pytest.fixture
def patient(scene, trackers, make_phantom, lesion):
    """Return a session with four visits and one lesion, clicked in the first visit and matched in the second."""
    session = FollowUpScene(scene, trackers=trackers)
    add_visits(session, make_phantom, lesion)
    session.follow(lesion).run()
    yield session
    session.close()


def course(session):
    """Return the positions of the current finding at all visits."""
    return [session.current.at(visit.id).centre for visit in session.time_points]


def test_the_rows_show_the_first_two_visits(patient):
    assert [volume.GetName() for volume in patient.visits] == ["CT 1", "CT 2", "CT 3", "CT 4"]
    assert (patient.baseline.GetName(), patient.followup.GetName()) == ("CT 1", "CT 2")
    assert [visit.label for visit in patient.time_points] == ["baseline", "follow-up", "follow-up 2", "follow-up 3"]


def test_what_was_computed_of_pairs_is_bounded_and_their_registrations_stay(patient, monkeypatch):
    monkeypatch.setattr(time_point_selection, "_MOST_BYTES", 10**6)
    visits = patient.visits
    pairs = [(visits[n], visits[n + 1]) for n in range(3)]
    for pair in pairs:
        scans = patient._choice.pair(*pair).scans()
        scans.pair.cached("copy", lambda scans=scans: scans.pair.baseline)  # 327,680 bytes each
    assert [patient._choice.pair(*pair).kept_bytes for pair in pairs] == [327_680] * 3
    monkeypatch.setattr(time_point_selection, "_MOST_BYTES", 700_000)
    registration = patient._choice.pair(*pairs[2]).registration.matrix
    assert [each.kept_bytes for each in map(patient._choice._pairs.get, map(ids_of, pairs))] == [0, 327_680, 327_680]
    assert np.allclose(patient._choice.pair(*pairs[0]).registration.matrix, registration)
    assert np.allclose(patient._choice.pair(*pairs[0]).scans().pair.registration().matrix, registration)


def ids_of(pair):
    return tuple(volume.GetID() for volume in pair)


def test_a_copy_of_a_scan_is_a_visit_of_its_own(session, lesion):
    session.follow(lesion).run()
    match = session.match
    copy = slicer.vtkMRMLScalarVolumeNode()
    copy.Copy(session.followup)  # with its attributes, as Slicer's "Clone" does
    session.scene.AddNode(copy)
    session.set_visits([session.baseline, session.followup, copy])
    assert len({visit.id for visit in session.time_points}) == 3
    session.follow_through().run()
    assert session.current.at(session.followup_id).centre == match.centre
    assert session.current.at(session.time_points[2].id) is not None


def test_a_lesion_is_followed_through_all_visits_in_one_undo(patient, lesion):
    before = patient.findings.to_json()
    patient.follow_through().run()
    assert np.allclose(course(patient), [lesion + n * SHIFT for n in range(4)])
    patient.undo()
    assert patient.findings.to_json() == before


def test_a_corrected_visit_is_followed_onward_and_nothing_before_it_changes(patient, lesion):
    patient.follow_through().run()
    patient.show_visit(2)
    assert (patient.baseline.GetName(), patient.followup.GetName()) == ("CT 2", "CT 3")
    uid, put = patient.current.uid, (0.0, 5.0, -4.0)
    patient.findings.move(uid, patient.followup_id, put)
    before = course(patient)
    patient.follow_onward().run()
    after = course(patient)
    assert after[:3] == before[:3] and after[2] == put
    assert np.allclose(after[3], put + SHIFT)
    patient.undo()
    assert course(patient) == before


def test_accepted_and_corrected_visits_are_never_overwritten(patient, lesion):
    patient.follow_through().run()
    uid, (_first, second, third, _fourth) = patient.current.uid, patient.time_points
    patient.accept()
    patient.findings.move(uid, third.id, (0.0, 5.0, -4.0))
    kept = patient.current.at(second.id), patient.current.at(third.id)
    patient.follow_all_through().run()
    assert (patient.current.at(second.id), patient.current.at(third.id)) == kept
    assert np.allclose(course(patient)[3], np.add((0.0, 5.0, -4.0), SHIFT))


def test_a_chain_skips_a_visit_where_the_reader_marked_the_lesion_absent(patient, lesion):
    patient.follow_through().run()
    patient.mark_absent()
    patient.follow_through().run()
    assert patient.match.state is State.ABSENT
    assert np.allclose(course(patient)[2], lesion + 2 * SHIFT)
    assert "follow_onward" not in panel.possible_methods(patient)
    with pytest.raises(InputError, match="L 1 is not seen in CT 2"):
        patient.follow_onward()


def test_the_table_has_a_column_for_each_visit(patient):
    patient.follow_through().run()
    patient.accept()
    headings, (line,) = panel.visit_table(patient)
    assert headings == ["baseline", "follow-up", "follow-up 2", "follow-up 3"]
    assert line.cells == ("accepted", "accepted", "proposed", "proposed")


def test_there_is_no_table_of_two_visits(session, lesion):
    session.follow(lesion).run()
    assert panel.visit_table(session)[1] == []


def test_only_possible_methods_are_offered(patient):
    assert {"follow_through", "follow_all_through", "follow_onward"} <= panel.possible_methods(patient)
    patient.follow_through().run()
    patient.show_visit(3)
    assert "follow_onward" not in panel.possible_methods(patient), "there is no later visit"
    with pytest.raises(InputError, match="no visit 9"):
        patient.show_visit(8)


def test_a_saved_scene_reopens_with_all_visits(patient, trackers, tmp_path):
    patient.follow_through().run()
    path = save_scene(patient.scene, tmp_path / "patient.mrb")
    other = new_scene()
    open_scene(other.scene, path)
    again = FollowUpScene(other.scene, trackers=trackers)
    assert [volume.GetName() for volume in again.visits] == ["CT 1", "CT 2", "CT 3", "CT 4"]
    assert again.time_points == patient.time_points
    again.findings.move(again.current.uid, again.followup_id, (0.0, 5.0, -4.0))
    again.follow_onward().run()
    assert np.allclose(course(again)[3], (0.0, 5.0, -4.0) + 2 * SHIFT), "the registrations are restored too"
    again.close()


def test_a_third_visit_is_shown_beside_the_two_and_scrolls_with_them(patient, view):
    views = {name: view(name) for name in ("BaselineAxial", "FollowUpAxial", "ThirdVisitAxial")}
    patient.show_visit(2)
    assert [volume.GetName() for volume in patient.third.candidates] == ["CT 1", "CT 4"]
    patient.third.show()
    assert patient.third.volume.GetName() == "CT 1", "the visit before the baseline"
    assert patient.time_point_of(views["ThirdVisitAxial"].node) == patient.third.time_point
    assert patient.third.is_linked
    here = np.array(views["BaselineAxial"].centre())
    assert np.allclose(views["ThirdVisitAxial"].centre(), here - SHIFT), "it opens at the same position"
    views["BaselineAxial"].node.SetSliceOffset(-2.0)
    here[2] = -2.0
    assert np.allclose(views["ThirdVisitAxial"].centre(), here - SHIFT)
    assert np.allclose(views["FollowUpAxial"].centre(), here + SHIFT)
    views["ThirdVisitAxial"].node.SetSliceOffset(-6.0)
    assert np.isclose(views["BaselineAxial"].centre()[2], -6.0 + SHIFT[2])
    assert np.isclose(views["FollowUpAxial"].centre()[2], -6.0 + 2 * SHIFT[2])
    patient.go_to(patient.findings.findings[0].uid)
    seen = patient.current.at(patient.third.time_point).centre
    assert np.isclose(views["ThirdVisitAxial"].centre()[2], seen[2]), "scrolled, not panned"
    patient.show_visit(1)
    assert patient.third.volume.GetName() == "CT 3", "the first visit is the baseline again"
    patient.third.hide()
    assert patient.third.volume is None


def test_a_third_visit_later_than_the_baseline_is_linked_through_the_inverse(patient, view):
    views = {name: view(name) for name in ("BaselineAxial", "ThirdVisitAxial")}
    patient.third.show(patient.visits[3])
    views["BaselineAxial"].node.SetSliceOffset(-4.0)
    assert np.allclose(views["ThirdVisitAxial"].centre(), np.array(views["BaselineAxial"].centre()) + 3 * SHIFT)


def test_only_another_visit_can_be_third(patient):
    with pytest.raises(InputError, match="neither the baseline"):
        patient.third.show(patient.baseline)
    with pytest.raises(InputError, match="Choose one first"):
        patient.third.register()


def test_several_findings_are_decided_and_removed_in_one_step(patient, lesion):
    second = patient.findings.add(patient.baseline_id, patient.current.at(patient.baseline_id))
    uids = [finding.uid for finding in patient.findings]
    assert patient.decide_several([*uids, "gone"], State.ACCEPTED) == 1, "the second has no match"
    assert patient.findings[uids[0]].at(patient.followup_id).state is State.ACCEPTED
    patient.undo()
    assert patient.findings[uids[0]].at(patient.followup_id).state is State.PROPOSED
    assert patient.remove_several(uids) == 2 and not len(patient.findings)
    patient.undo()
    assert second.uid in patient.findings and len(patient.findings) == 2
