"""The patient's scans as studies of the subject hierarchy, with what was found in them."""

from __future__ import annotations

import slicer

from oncotrack.findings import TimePoint

_UID = "OncoTrack"


def study_item(scene: slicer.vtkMRMLScene, time_point: TimePoint) -> int:
    """The subject hierarchy's study of a time point, made on the first call."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(scene)
    item = hierarchy.GetItemByUID(_UID, time_point.id)
    name = f"{time_point.label} {time_point.date}".strip()
    if not item:
        item = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), name)
        hierarchy.SetItemUID(item, _UID, time_point.id)
    elif hierarchy.GetItemName(item) != name:
        hierarchy.SetItemName(item, name)
    return item


def put_into_study(node: slicer.vtkMRMLNode, time_point: TimePoint) -> None:
    """Show a node below its time point's study; a scan that a DICOM study holds already stays there."""
    scene = node.GetScene()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(scene)
    item = hierarchy.GetItemByDataNode(node)
    study = study_item(scene, time_point)
    if not item:
        hierarchy.CreateItem(study, node)
    elif hierarchy.GetItemParent(item) == hierarchy.GetSceneItemID():
        hierarchy.SetItemParent(item, study)


def leave_study(node: slicer.vtkMRMLNode) -> None:
    """Take a node that is about to leave the scene out of the subject hierarchy; in the desktop Slicer may be first."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    item = hierarchy.GetItemByDataNode(node) if hierarchy else 0
    if item:
        hierarchy.RemoveItem(item, False, False)
