"""Tasks change the scene only when they have succeeded."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from oncotrack.background.jobs import Worker
from oncotrack.errors import UNEXPECTED, Cancelled, InputError, RegistrationError
from oncotrack.findings.finding import Observation, State
from oncotrack.networks.heatmap import gaussian_dlt
from oncotrack.scene.followup.follow_up import FollowUpScene
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.nodes.volumes import add_volume, to_volume, to_vtk


def everything(scene) -> list[str]:
    """Return all nodes with their data as text."""
    nodes = (scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes()))
    return [f"{node.GetID()} {node.GetName()} {node.GetMTime()}" for node in nodes]


class Failing:
    """A tracker that fails after it has reported progress."""

    name = "failing"

    def match(self, pair, at, radius_mm=10.0, progress=None):
        progress(0.5, "Looking")
        raise RegistrationError("The scans do not show the same patient.")


@pytest.fixture
def posted():
    """Return a worker whose results wait until the test, as the GUI thread, handles them."""
    waiting = []
    worker = Worker(waiting.append)

    def finish(job_done: threading.Event) -> None:
        for _ in range(500):
            while waiting:
                waiting.pop(0)()
            if job_done.wait(0.01):
                return
        raise TimeoutError

    yield worker, finish
    worker.stop()


def test_a_failed_run_leaves_every_node_as_it_was(session, lesion, scene):
    session.method.factories["failing"] = Failing
    session.method.name = "failing"
    before = everything(scene)
    with pytest.raises(RegistrationError):
        session.follow(lesion).run()
    assert everything(scene) == before
    assert not session.findings.can_undo


def test_a_failed_run_removes_the_placed_point(session, lesion, posted):
    session.method.factories["failing"] = Failing
    session.method.name = "failing"
    worker, finish = posted
    done, errors = threading.Event(), []

    def start(at):
        session.follow(at).submit(worker, lambda error: (errors.append(error), done.set()))

    session.placed.connect(start)
    node = session.nodes.fiducials(session.baseline_id)
    node.AddControlPointWorld(lesion)
    assert node.GetNumberOfControlPoints() == 1, "the reader sees where the click went while the work runs"
    finish(done)
    assert node.GetNumberOfControlPoints() == 0
    assert "same patient" in str(errors[0])


def test_a_clicked_position_is_marked_while_its_task_runs_and_becomes_the_finding(session, lesion):
    placed = []
    keep = placed.append
    session.placed.connect(keep)
    task = session.place(lesion)
    node = session.nodes.fiducials(session.baseline_id)
    assert [node.GetNthControlPointLabel(n) for n in range(node.GetNumberOfControlPoints())] == ["..."]
    assert not len(session.findings) and not placed, "no signal requests the task a second time"
    finding = task.run()
    assert finding.at(session.baseline_id).centre == lesion
    assert [node.GetNthControlPointLabel(n) for n in range(node.GetNumberOfControlPoints())] == ["L 1 (baseline)"]


def test_a_failed_search_removes_the_mark_of_the_click(session, lesion):
    session.method.factories["failing"] = Failing
    session.method.name = "failing"
    task = session.place(lesion)
    with pytest.raises(RegistrationError):
        task.run()
    assert session.nodes.fiducials(session.baseline_id).GetNumberOfControlPoints() == 0


def test_a_click_without_a_follow_up_is_refused_and_leaves_no_mark(scene, make_phantom, trackers):
    session = FollowUpScene(scene, trackers=trackers)
    session.set_scans(add_volume(scene, make_phantom()), None)
    with pytest.raises(InputError, match="no follow-up scan"):
        session.place((0, 0, 0))
    assert not scene.GetNodesByClass("vtkMRMLMarkupsFiducialNode").GetNumberOfItems()
    session.close()


def test_a_cancelled_run_leaves_everything_as_it_was(session, lesion, posted, scene):
    worker, finish = posted
    done, errors = threading.Event(), []
    before = everything(scene)
    job = session.follow(lesion).submit(worker, lambda error: (errors.append(error), done.set()))
    job.cancel()
    finish(done)
    assert isinstance(errors[0], Cancelled)
    assert everything(scene) == before


def test_a_defect_while_a_result_is_applied_is_reported_and_abandons_the_task(posted):
    worker, finish = posted
    done, errors, abandoned = threading.Event(), [], []
    task = Task("Counting", lambda _progress: 3, lambda _result: {}["nothing"], lambda: abandoned.append(True))
    task.submit(worker, lambda error: (errors.append(str(error)), done.set()))
    with pytest.raises(KeyError):
        finish(done)
    assert errors == [UNEXPECTED] and abandoned


def test_work_on_the_worker_thread_becomes_a_finding(session, lesion, posted):
    worker, finish = posted
    done, found = threading.Event(), []
    session.follow(lesion).submit(worker, pytest.fail, done=lambda finding: (found.append(finding), done.set()))
    finish(done)
    assert found[0].at(session.followup_id).state is State.PROPOSED


def test_a_match_is_discarded_when_the_voxels_changed_meanwhile(session, lesion):
    task = session.follow(lesion)
    result = task.work(lambda *_: None)
    session.followup.GetImageData().GetPointData().GetScalars().Modified()
    with pytest.raises(InputError, match="scans were changed"):
        task.apply(result)
    assert len(session.findings) == 0


def test_scans_are_read_once_until_a_volume_changes(session):
    scans = session._choice.scans()
    assert session._choice.scans() is scans
    session.baseline.SetOrigin(1.0, 2.0, 3.0)
    assert session.registration is None, "the old registration is not valid any more"
    assert session._choice.scans() is not scans


def test_a_registration_that_the_reader_corrected_is_used(session, lesion, truth):
    node = session.scene.GetFirstNodeByClass("vtkMRMLLinearTransformNode")
    session.follow(lesion).run()
    corrected = truth.affine.copy()
    corrected[2, 3] += 7.0
    node.SetMatrixTransformToParent(to_vtk(corrected))
    session.follow_again().run()
    assert np.allclose(session.match.centre, np.add(truth.to_followup(lesion), (0, 0, 7.0)))


def test_the_registration_node_moves_the_baseline_onto_the_follow_up(session, lesion, truth):
    node = session.scene.GetFirstNodeByClass("vtkMRMLLinearTransformNode")
    session.baseline.SetAndObserveTransformNodeID(node.GetID())
    moved = to_volume(session.baseline).geometry
    session.baseline.SetAndObserveTransformNodeID(None)
    still = to_volume(session.baseline).geometry
    assert np.allclose(moved.to_ras(still.to_ijk(lesion)), truth.to_followup(lesion))


def test_a_click_outside_the_baseline_is_refused(session):
    with pytest.raises(InputError, match="outside CT 2025"):
        session.follow((500.0, 0.0, 0.0)).run()
    assert len(session.findings) == 0


def test_without_a_follow_up_nothing_can_be_followed(scene, make_phantom, trackers):
    session = FollowUpScene(scene, trackers=trackers)
    session.set_scans(add_volume(scene, make_phantom()), None)
    with pytest.raises(InputError, match="no follow-up scan"):
        session.follow((0, 0, 0))
    session.close()


def test_the_same_image_twice_is_refused(scene, make_phantom, trackers):
    session = FollowUpScene(scene, trackers=trackers)
    node = add_volume(scene, make_phantom())
    session.set_scans(node, node)
    with pytest.raises(InputError, match="same image"):
        session.follow((0, 0, 0))
    session.close()


def test_findings_of_a_detector_are_followed_in_one_step(session):
    for n in range(3):
        session.findings.add(session.baseline_id, Observation(centre=(5.0 * n, 0, 0)))
    session.follow_missing().run()
    assert all(finding.at(session.followup_id) for finding in session.findings)
    session.undo()
    assert not any(finding.at(session.followup_id) for finding in session.findings)


def test_a_point_placed_in_the_follow_up_is_a_new_lesion(session):
    session.nodes.fiducials(session.followup_id).AddControlPointWorld((5.0, 5.0, 5.0))
    assert session.current.role.value == "new"
    assert set(session.current.observations) == {session.followup_id}


def test_a_third_scan_gets_its_own_time_point(session, lesion, truth, make_phantom):
    session.follow(lesion).run()
    third = add_volume(session.scene, make_phantom(name="CT 2027"))
    session.set_scans(session.followup, third)
    assert session.registration is None
    assert session.findings.findings[0].at(session.baseline_id).centre == pytest.approx(truth.to_followup(lesion))
    assert session.match is None


def test_the_anatomy_map_has_its_peak_at_the_registration_estimate(session, lesion, truth, view):
    followup_view = view("FollowUpAxial")
    session.overlays.show_scans()
    session.follow(lesion, radius_mm=5.0).run()
    bare = followup_view.picture().astype(int)
    session.overlays.is_map_shown = True
    volume = to_volume(session.scene.GetFirstNodeByName("Anatomy map"))
    expected = truth.to_followup(lesion)
    assert volume.array.max() > 0.97
    assert np.allclose(volume.sample([expected]), 1.0, atol=0.02)
    assert np.allclose(volume.array, gaussian_dlt(volume.geometry, expected, 5.0))
    covered = followup_view.picture().astype(int)
    assert np.abs(covered - bare)[120:140, 120:140].mean() > 10, "seen near the match"
    assert followup_view.composite.GetBackgroundVolumeID() == session.followup.GetID()
    session.overlays.is_map_shown = False
    assert np.abs(followup_view.picture() - bare).max() < 30


def test_the_map_follows_the_current_finding(session, lesion, truth):
    session.overlays.is_map_shown = True
    session.follow(lesion, radius_mm=5.0).run()
    session.follow((-15.0, 10.0, -12.0), radius_mm=5.0).run()
    node = session.scene.GetFirstNodeByName("Anatomy map")
    assert np.allclose(to_volume(node).sample([truth.to_followup((-15.0, 10.0, -12.0))]), 1.0, atol=0.02)
    session.next()
    assert np.allclose(to_volume(node).sample([truth.to_followup(lesion)]), 1.0, atol=0.02)


def test_undo_of_the_first_finding_removes_its_time_points_too(session, lesion):
    session.follow(lesion).run()
    session.undo()
    assert session.findings.time_points == ()
    session.redo()
    assert [time_point.label for time_point in session.findings.time_points] == ["baseline", "follow-up"]


@pytest.mark.parametrize(
    ("state", "label"), [(State.ABSENT, "L 1 absent"), (State.NOT_FOUND, "L 1 not found (program)")]
)
def test_the_label_of_a_lesion_that_is_not_there_contains_its_state(session, lesion, state, label):
    session.follow(lesion).run()
    session.findings.observe(session.current.uid, session.followup_id, replace(session.match, state=state))
    assert session.nodes.fiducials(session.followup_id).GetNthControlPointLabel(0) == label
