"""The patient's scans as time points of the findings and as studies of the subject hierarchy."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import slicer

from oncotrack.findings.contrast import contrast_phase
from oncotrack.findings.dates import day_text
from oncotrack.findings.finding import TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.patient import Patient
from oncotrack.findings.scans import slice_mm
from oncotrack.scene.nodes.node_registry import TIME_POINT
from oncotrack.scene.nodes.volumes import OF_SLICER, metadata, patient

_UID = "OncoTrack"


def time_point_id(volume: slicer.vtkMRMLVolumeNode | None) -> str:
    """Return the id of a volume's time point; "" when it has none."""
    return (volume.GetAttribute(TIME_POINT) or "") if volume else ""


def need_time_point_id(volume: slicer.vtkMRMLVolumeNode, findings: FindingList) -> str:
    """Return the id of a volume's time point; without one, or with that of the scan of which it is a copy, it gets the first of "t0", "t1" ... that is unused."""
    scans = volumes_by_time_point(volume.GetScene())
    if scans.get(time_point_id(volume)) is not volume:
        used = {time_point.id for time_point in findings.time_points} | set(scans)
        volume.SetAttribute(TIME_POINT, next(name for n in range(len(used) + 1) if (name := f"t{n}") not in used))
    return time_point_id(volume)


def volumes_by_time_point(scene: slicer.vtkMRMLScene) -> dict[str, slicer.vtkMRMLScalarVolumeNode]:
    """Return the scans of a scene by the id of their time point; a copy that has the id of its original is left out."""
    nodes = scene.GetNodesByClass("vtkMRMLScalarVolumeNode")
    nodes.UnRegister(None)
    volumes = [nodes.GetItemAsObject(index) for index in range(nodes.GetNumberOfItems())]
    return {time_point_id(volume): volume for volume in reversed(volumes) if time_point_id(volume)}


def time_point_of(volume: slicer.vtkMRMLScalarVolumeNode, findings: FindingList, label: str) -> TimePoint:
    """Return the list's time point of a volume, else a new one with this label, or "LABEL 2" ... if the label is in use."""
    known = {time_point.id: time_point for time_point in findings.time_points}
    if time_point_id(volume) in known:
        return known[time_point_id(volume)]
    about = metadata(volume)
    free = free_label(label, {time_point.label for time_point in findings.time_points})
    thickness = slice_mm(about["thickness"], volume.GetSpacing())
    return TimePoint(
        time_point_id(volume), free, volume.GetName(), about["date"], about["series_uid"], slice_mm=thickness,
        contrast=contrast_phase(about),
    )  # fmt: skip


def free_label(label: str, taken: Collection[str]) -> str:
    """Return the label, or "LABEL 2", "LABEL 3" ... if it is taken."""
    names = (label if n == 1 else f"{label} {n}" for n in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def name_in_list(findings: FindingList, scans: Sequence[TimePoint]) -> None:
    """Add time points at the end of the list's."""
    if scans:
        findings.set_time_points([*findings.time_points, *scans])


def study_item(scene: slicer.vtkMRMLScene, time_point: TimePoint) -> int:
    """Return the subject hierarchy's study of a time point, created on the first call."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(scene)
    item = hierarchy.GetItemByUID(_UID, time_point.id)
    name = f"{time_point.label} {day_text(time_point.date)}".strip()
    if not item:
        item = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), name)
        hierarchy.SetItemUID(item, _UID, time_point.id)
    elif hierarchy.GetItemName(item) != name:
        hierarchy.SetItemName(item, name)
    return item


def patient_item(scene: slicer.vtkMRMLScene, who: Patient) -> int:
    """Return the subject hierarchy's item of a patient, with Slicer's own attributes, created on the first call; 0 for an unknown one."""
    if not who.is_known:
        return 0
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(scene)
    own = f"patient {who.id} {who.name} {who.birth_date}"
    item = (who.id and hierarchy.GetItemByUID("DICOM", who.id)) or hierarchy.GetItemByUID(_UID, own)
    if not item:
        name = f"{who.shown_name or 'Patient'} ({who.id})" if who.id else who.shown_name or "Patient"
        item = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), name)
        hierarchy.SetItemUID(item, _UID, own)
        known = {"patient_id": who.id, "patient_name": who.name, "birth_date": who.birth_date, "sex": who.sex}
        for key, value in known.items():
            if value:
                hierarchy.SetItemAttribute(item, OF_SLICER[key], value)
    return item


def put_into_study(time_point: TimePoint, *nodes: slicer.vtkMRMLNode) -> None:
    """Put nodes beside their time point's scan where that lies in a study, else below a study of its own, and that below the patient."""
    scene = nodes[0].GetScene()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(scene)
    volume = volumes_by_time_point(scene).get(time_point.id)
    scan = hierarchy.GetItemByDataNode(volume) if volume else 0
    above = hierarchy.GetItemParent(scan) if scan else 0
    is_chosen = above not in (0, hierarchy.GetSceneItemID()) and not hierarchy.GetItemUID(above, _UID)
    study = above if is_chosen else study_item(scene, time_point)
    for node in nodes:
        item = hierarchy.GetItemByDataNode(node)
        is_free = not is_chosen and hierarchy.GetItemParent(study) == hierarchy.GetSceneItemID()
        if is_free and node.IsA("vtkMRMLVolumeNode") and (owner := patient_item(scene, patient(node))):
            hierarchy.SetItemParent(study, owner)
        if not item:
            hierarchy.CreateItem(study, node)
        elif hierarchy.GetItemParent(item) == hierarchy.GetSceneItemID():
            hierarchy.SetItemParent(item, study)


def leave_study(node: slicer.vtkMRMLNode) -> None:
    """Remove a node that is about to leave the scene from the subject hierarchy, unless Slicer has done so already."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    item = hierarchy.GetItemByDataNode(node) if hierarchy else 0
    if item:
        hierarchy.RemoveItem(item, False, False)
