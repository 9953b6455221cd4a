"""Scans and results lie under their patient and study in Slicer's subject hierarchy."""

from __future__ import annotations

from dataclasses import replace

import slicer

from oncotrack.scene.followup.follow_up import FollowUpScene
from oncotrack.scene.nodes.volumes import add_volume, metadata

JANE = {"patient_id": "P7", "patient_name": "DOE^JANE", "birth_date": "19600101", "sex": "F"}


def parents(scene, item: int) -> list[str]:
    """Return the names of the items above one, the nearest first."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    names = []
    while (item := hierarchy.GetItemParent(item)) != hierarchy.GetSceneItemID():
        names.append(hierarchy.GetItemName(item))
    return names


def above(node) -> list[str]:
    """Return the names of the items above a node."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    return parents(node.GetScene(), hierarchy.GetItemByDataNode(node))


def visit(make_phantom, date: str, **patient):
    return replace(make_phantom(name=f"CT {date}"), metadata={"date": date, **patient})


def open_both(scene, trackers, *volumes) -> FollowUpScene:
    session = FollowUpScene(scene, trackers=trackers)
    session.set_scans(*(add_volume(scene, volume) for volume in volumes))
    return session


def test_visits_of_a_patient_lie_under_one_patient(scene, trackers, make_phantom):
    scans = visit(make_phantom, "20250101", **JANE), visit(make_phantom, "20250305", **JANE)
    session = open_both(scene, trackers, *scans)
    patient = "DOE, JANE (P7)"
    assert above(session.baseline) == ["baseline 2025-01-01", patient]
    assert above(session.followup) == ["follow-up 2025-03-05", patient]
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    (item,) = (each for each in items(hierarchy) if hierarchy.GetItemName(each) == patient)
    assert hierarchy.GetItemLevel(item) == "Patient"
    assert hierarchy.GetItemAttribute(item, "DICOM.PatientID") == "P7", "as Slicer's own modules read it"
    session.close()


def test_points_that_were_drawn_before_their_visit_had_a_name_get_it(scene, trackers, make_phantom, lesion):
    session = open_both(scene, trackers, visit(make_phantom, "20250101"), visit(make_phantom, "20250305"))
    session.place(lesion).run()
    for name, study in (("Findings baseline", "baseline 2025-01-01"), ("Findings follow-up", "follow-up 2025-03-05")):
        assert above(scene.GetFirstNodeByName(name)) == [study]
    session.close()


def test_results_lie_in_the_study_into_which_the_reader_put_the_scan(scene, trackers, make_phantom, lesion):
    scans = [add_volume(scene, visit(make_phantom, date)) for date in ("20250101", "20250305")]
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(scene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Mine")
    for number, scan in enumerate(scans):
        hierarchy.CreateItem(hierarchy.CreateStudyItem(patient, f"Study {number}"), scan)
    session = FollowUpScene(scene, trackers=trackers)
    session.set_scans(*scans)
    session.place(lesion).run()
    for name, study in (("Findings baseline", "Study 0"), ("Findings follow-up", "Study 1")):
        assert above(scene.GetFirstNodeByName(name)) == [study, "Mine"]
    session.close()


def test_results_lie_beside_their_scan(scene, trackers, make_phantom, lesion):
    session = open_both(
        scene, trackers, visit(make_phantom, "20250101", **JANE), visit(make_phantom, "20250305", **JANE)
    )
    session.follow(lesion, 5.0).run()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    points = [
        item
        for item in items(hierarchy)
        if (node := hierarchy.GetItemDataNode(item)) and node.IsA("vtkMRMLMarkupsNode")
    ]
    studies = {parents(scene, item)[0] for item in points if parents(scene, item)}
    assert studies == {"baseline 2025-01-01", "follow-up 2025-03-05"}
    assert all(parents(scene, item)[1:] == ["DOE, JANE (P7)"] for item in points if parents(scene, item))
    session.close()


def test_a_scan_of_nobody_lies_under_its_study_alone(scene, trackers, make_phantom):
    session = open_both(scene, trackers, visit(make_phantom, "20250101"), visit(make_phantom, "20250305"))
    assert above(session.baseline) == ["baseline 2025-01-01"]
    session.close()


def test_a_patient_that_slicer_has_made_is_used(scene, trackers, make_phantom):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(scene)
    item = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "made by Slicer")
    hierarchy.SetItemUID(item, "DICOM", "P7")
    session = open_both(
        scene, trackers, visit(make_phantom, "20250101", **JANE), visit(make_phantom, "20250305", **JANE)
    )
    assert above(session.baseline)[-1] == above(session.followup)[-1] == "made by Slicer"
    assert metadata(session.baseline)["patient_name"] == "DOE^JANE"
    session.close()


def items(hierarchy) -> list[int]:
    """Return every item of the hierarchy."""
    import vtk

    found = vtk.vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), found, True)
    return [found.GetId(index) for index in range(found.GetNumberOfIds())]
