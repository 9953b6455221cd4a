"""The two rows of slice views move together through the registration, both ways."""

from __future__ import annotations

import numpy as np
import pytest

from oncotrack.scene.followup import panel
from oncotrack.scene.nodes.volumes import add_volume
from oncotrack.scene.views.view_rows import is_in_plane


@pytest.fixture
def rows(session, view):
    """Open axial and coronal views of both scans."""
    views = {
        name: view(name, name.removeprefix("Baseline").removeprefix("FollowUp"))
        for name in ("BaselineAxial", "BaselineCoronal", "FollowUpAxial", "FollowUpCoronal")
    }
    session.overlays.show_scans()
    return views


def test_a_scroll_in_one_row_moves_the_same_orientation_of_the_other(session, rows, truth):
    coronal = rows["FollowUpCoronal"].centre()
    rows["BaselineAxial"].node.SetSliceOffset(14.0)
    assert np.allclose(rows["FollowUpAxial"].centre(), truth.to_followup((0, 0, 14.0)))
    assert rows["FollowUpCoronal"].centre() == coronal


def test_a_scroll_in_the_follow_up_moves_only_the_baseline(session, rows, truth):
    moves = []
    followup = rows["FollowUpAxial"].node
    followup.JumpSliceByCentering(3.0, 4.0, -10.0)
    followup.AddObserver("ModifiedEvent", lambda *_: moves.append(rows["FollowUpAxial"].centre()))
    followup.SetSliceOffset(8.0)
    assert np.allclose(rows["BaselineAxial"].centre(), truth.to_baseline((3.0, 4.0, 8.0)))
    assert set(moves) == {(3.0, 4.0, 8.0)}, "the follow-up itself stays where the reader put it"


def test_a_crosshair_is_marked_at_its_position_in_both_scans(session, rows, truth, scene):
    at = (9.0, -6.0, 0.0)
    rows["BaselineAxial"].picture()
    rows["BaselineAxial"].mouse("EnterEvent", at)
    rows["BaselineAxial"].mouse("MouseMoveEvent", at, shift=True)
    rows["BaselineAxial"].mouse("MouseMoveEvent", (10.0, -6.0, 0.0), shift=True)
    crosshair = scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    here = np.array(crosshair.GetCrosshairRAS())
    assert np.allclose(here, (10.0, -6.0, 0.0), atol=0.5)
    marks = scene.GetNodesByName("Corresponding place")
    marks.UnRegister(None)
    places = [marks.GetItemAsObject(n).GetNthControlPointPositionWorld(0) for n in range(2)]
    assert np.allclose(places[0], here)
    assert np.allclose(places[1], truth.to_followup(here))
    for name in ("FollowUpAxial", "FollowUpCoronal"):
        assert np.allclose(rows[name].centre(), truth.to_followup(here), atol=1e-6)


def test_a_crosshair_in_the_follow_up_is_shown_in_the_baseline(session, rows, truth):
    rows["FollowUpAxial"].picture()
    rows["FollowUpAxial"].mouse("EnterEvent", (5, 5, 0))
    rows["FollowUpAxial"].mouse("MouseMoveEvent", (5, 5, 0), shift=True)
    rows["FollowUpAxial"].mouse("MouseMoveEvent", (6, 5, 0), shift=True)
    assert np.allclose(rows["BaselineCoronal"].centre(), truth.to_baseline((6, 5, 0)), atol=0.5)


def test_linking_can_be_switched_off_and_on(session, rows):
    session.linking.is_enabled = False
    before = rows["FollowUpAxial"].centre()
    rows["BaselineAxial"].node.SetSliceOffset(4.0)
    assert rows["FollowUpAxial"].centre() == before
    session.linking.is_enabled = True
    rows["BaselineAxial"].node.SetSliceOffset(6.0)
    assert rows["FollowUpAxial"].centre() != before


def test_the_current_lesion_lies_at_the_same_place_of_both_rows_and_stays_there(session, rows, lesion, truth):
    session.follow(lesion).run()
    session.take_alternative(0)
    match = np.array(session.match.centre)
    rows["BaselineAxial"].node.JumpSliceByCentering(*np.add(lesion, (3.0, 4.0, 9.0)))
    session.go_to()
    before, after = (np.array(rows[name].centre()) for name in ("BaselineAxial", "FollowUpAxial"))
    assert np.allclose(before, np.add(lesion, (3.0, 4.0, 0.0))), "scrolled, not panned"
    shift = match - truth.to_followup(lesion)
    assert np.allclose(after, truth.to_followup(before) + shift), "not where the registration alone would say"
    rows["BaselineAxial"].node.SetSliceOffset(lesion[2] + 2.0)
    assert np.allclose(rows["FollowUpAxial"].centre(), np.add(after, (0, 0, 2.0)), atol=1e-6)
    session.reject()
    rows["BaselineAxial"].node.SetSliceOffset(lesion[2])
    assert np.allclose(rows["FollowUpAxial"].centre(), truth.to_followup(before)), "a wrong match corrects nothing"


def test_the_current_lesion_is_enlarged_in_the_middle_of_both_rows_at_one_scale(session, rows, lesion):
    session.follow(lesion).run()
    match = session.match.centre
    session.enlarge()
    for name, at in (("BaselineAxial", lesion), ("FollowUpAxial", match), ("FollowUpCoronal", match)):
        view = rows[name]
        assert np.allclose(view.centre(), at, atol=0.01)
        field, size = view.node.GetFieldOfView()[:2], view.node.GetDimensions()[:2]
        assert min(field) == pytest.approx(8 * session.match.radius_mm) and field[0] / field[1] == size[0] / size[1]


def test_without_a_registration_nothing_moves(session, rows, scene):
    scene.RemoveNode(scene.GetFirstNodeByClass("vtkMRMLLinearTransformNode"))
    before = rows["FollowUpAxial"].centre()
    rows["BaselineAxial"].node.SetSliceOffset(4.0)
    assert rows["FollowUpAxial"].centre() == before
    assert session.linking.corresponding((0, 0, 0)) is None


def test_views_that_open_later_are_linked_too(session, view, truth):
    baseline, followup = view("BaselineSagittal", "Sagittal"), view("FollowUpSagittal", "Sagittal")
    baseline.node.SetSliceOffset(5.0)
    assert np.allclose(followup.centre(), truth.to_followup(baseline.centre()))


def test_a_closed_session_links_nothing(session, rows):
    session.close()
    before = rows["FollowUpAxial"].centre()
    rows["BaselineAxial"].node.SetSliceOffset(4.0)
    assert rows["FollowUpAxial"].centre() == before


def test_a_reader_may_link_the_positions_that_are_shown_and_return_to_the_registration(session, rows, truth):
    by_registration = np.array(truth.to_followup((0, 0, 14.0)))
    session.linking.is_enabled = False
    rows["BaselineAxial"].node.JumpSliceByCentering(0, 0, 0)
    rows["FollowUpAxial"].node.JumpSliceByCentering(*np.add(truth.to_followup((0, 0, 0)), (0, 0, 9.0)))
    session.link_here()
    assert session.linking.is_enabled and abs(session.linking.shift_mm - 9.0) < 1e-6
    assert "9 mm from the registration" in panel.link_text(session)
    rows["BaselineAxial"].node.SetSliceOffset(14.0)
    assert np.allclose(rows["FollowUpAxial"].centre(), np.add(by_registration, (0, 0, 9.0)))
    session.link_here()
    assert "corresponding positions" in panel.link_text(session)
    rows["BaselineAxial"].node.SetSliceOffset(0.0)
    rows["BaselineAxial"].node.SetSliceOffset(14.0)
    assert np.allclose(rows["FollowUpAxial"].centre(), by_registration)


def test_a_volume_that_is_loaded_later_is_not_shown_under_the_marks_of_another(
    session, rows, application, make_phantom
):
    before = {name: view.composite.GetBackgroundVolumeID() for name, view in rows.items()}
    later = add_volume(application.scene, make_phantom(name="a third scan", seed=9))
    application.logic.GetSelectionNode().SetActiveVolumeID(later.GetID())
    application.logic.PropagateVolumeSelection()
    assert {name: view.composite.GetBackgroundVolumeID() for name, view in rows.items()} == before


def test_the_mark_of_the_crosshair_stays_in_the_plane_of_the_other_scan(session, rows, truth):
    at = (21.0, -14.0, 6.0)
    session.linking.show(at)
    for name in ("BaselineAxial", "BaselineCoronal"):  # as Slicer moves the views of the row that has the mouse
        rows[name].node.JumpSliceByOffsetting(*at)
    for name in ("FollowUpAxial", "FollowUpCoronal"):
        assert is_in_plane(truth.to_followup(at), rows[name].node)
    pan = rows["BaselineCoronal"]
    pan.node.JumpSliceByCentering(-5.0, -14.0, 0.0)
    assert np.allclose(
        np.delete(rows["FollowUpCoronal"].centre(), 1), np.delete(truth.to_followup((-5.0, -14.0, 0.0)), 1), atol=0.1
    )
    assert is_in_plane(truth.to_followup(at), rows["FollowUpCoronal"].node)


def test_the_residual_of_the_registration_is_measured_once_and_stands_beside_the_similarity(session, rows):
    assert "residual" not in panel.link_text(session)
    session.residual.task().run()
    assert "mm by local matching at" in panel.link_text(session)
    assert session.residual.task() is None
