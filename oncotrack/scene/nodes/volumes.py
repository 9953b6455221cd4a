"""Conversion between `Volume` and volume nodes."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from oncotrack.errors import InputError
from oncotrack.findings.patient import Patient
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

SOFT_TISSUE = (400.0, 40.0)
"""Window and level (HU) that a CT is first shown with."""
_PREFIX = "OncoTrack."
_STORED = (
    "path", "date", "time", "series_uid", "description", "part", "thickness", "kernel",
    "patient_id", "patient_name", "birth_date", "sex", "resampled", "notice", "single_slice", "units", "suv",
    "weight", "height", "frame_of_reference", "contrast",
)  # fmt: skip
"""Keys of `Volume.metadata` that a volume node keeps as attributes."""
OF_SLICER = {
    "date": "DICOM.StudyDate",
    "patient_id": "DICOM.PatientID",
    "patient_name": "DICOM.PatientName",
    "birth_date": "DICOM.PatientBirthDate",
    "sex": "DICOM.PatientSex",
}
"""The same as attributes of the subject hierarchy, where Slicer itself read the scan from DICOM."""


def add_volume(scene: slicer.vtkMRMLScene, volume: Volume, name: str = "") -> slicer.vtkMRMLScalarVolumeNode:
    """Add a volume node with the volume's voxels and geometry, shown in grey; CT in a soft tissue window."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name or volume.name)
    set_volume(node, volume)
    node.SetAttribute(f"{_PREFIX}modality", volume.modality or None)
    for key in _STORED:
        node.SetAttribute(_PREFIX + key, str(volume.metadata.get(key) or "") or None)
    if volume.is_ct:  # a default display node would first compute a window from the histogram
        display = scene.AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode")
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(*SOFT_TISSUE)
        node.SetAndObserveDisplayNodeID(display.GetID())
    else:
        node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    return node


def set_volume(node: slicer.vtkMRMLScalarVolumeNode, volume: Volume) -> None:
    """Replace the voxels of a node and their geometry."""
    array = np.ascontiguousarray(volume.array)
    if array.dtype == bool:
        array = array.astype(np.uint8)
    elif array.dtype in (np.int64, np.uint64):
        array = array.astype(np.int32)
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    image = vtk.vtkImageData()
    image.SetDimensions(*volume.geometry.size)
    image.GetPointData().SetScalars(numpy_to_vtk(array.ravel(), deep=True))
    was = node.StartModify()
    node.SetIJKToRASMatrix(to_vtk(volume.geometry.ijk_to_ras))
    node.SetAndObserveImageData(image)
    node.EndModify(was)


def to_volume(node: slicer.vtkMRMLScalarVolumeNode) -> Volume:
    """Return the node's voxels, not copied and read-only, in world coordinates: linear parent transforms are applied.

    Raises
    ------
    InputError
        There are no voxels, several numbers per voxel, or a non-linear transform.
    """
    image, name = node.GetImageData(), node.GetName() or "The image"
    if image is None or image.GetPointData().GetScalars() is None:
        raise InputError(f"{name} holds no image. Load it again or choose another one.")
    scalars = image.GetPointData().GetScalars()
    if scalars.GetNumberOfComponents() != 1:
        raise InputError(
            f"{name} has {scalars.GetNumberOfComponents()} numbers in each voxel (a colour or vector image). "
            "Choose an image with one."
        )
    size = image.GetDimensions()
    array = vtk_to_numpy(scalars).reshape(size[::-1])
    array.flags.writeable = False
    return Volume(array, Geometry.from_matrix(size, ijk_to_world(node)), name, modality(node), metadata(node))


def ijk_to_world(node: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """Return the (4, 4) matrix from voxel indices to world RAS mm; InputError for a non-linear parent transform."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    parent = node.GetParentTransformNode()
    if parent is None:
        return to_numpy(matrix)
    if not parent.IsTransformToWorldLinear():
        raise InputError(
            f"{node.GetName()} lies under {parent.GetName()}, a non-linear transform. "
            "Move it out of that transform, or harden the transform."
        )
    world = vtk.vtkMatrix4x4()
    parent.GetMatrixTransformToWorld(world)
    return to_numpy(world) @ to_numpy(matrix)


def modality(node: slicer.vtkMRMLVolumeNode) -> str:
    """Return the DICOM modality of a volume node ("CT", "MR"), or ""."""
    return node.GetAttribute(f"{_PREFIX}modality") or _dicom(node, "DICOM.Modality")[0]


def metadata(node: slicer.vtkMRMLVolumeNode) -> dict[str, str]:
    """Return what is known of a scan beside its voxels, by the keys of `Volume.metadata`; "" for what is unknown."""
    known = {key: node.GetAttribute(_PREFIX + key) or "" for key in _STORED}
    unknown = {key: attribute for key, attribute in OF_SLICER.items() if not known[key]}
    return known | dict(zip(unknown, _dicom(node, *unknown.values()), strict=True)) if unknown else known


def thickness(node: slicer.vtkMRMLVolumeNode) -> str:
    """Return the thickness of the acquired slices in mm as text, or ""."""
    return node.GetAttribute(f"{_PREFIX}thickness") or ""


def patient(node: slicer.vtkMRMLVolumeNode) -> Patient:
    """Return the patient of a scan as its file gives them."""
    return Patient.of(metadata(node))


def stamp(node: slicer.vtkMRMLVolumeNode) -> tuple:
    """Return a value that changes whenever the voxels or their position in the world change."""
    image = node.GetImageData()
    scalars = image and image.GetPointData().GetScalars()
    voxels = (scalars.GetAddressAsString("vtkObject"), scalars.GetMTime()) if scalars else ()
    return node.GetID(), ijk_to_world(node).tobytes(), *voxels


def _dicom(node: slicer.vtkMRMLNode, *attributes: str) -> list[str]:
    """Return attributes of the node's series, study or patient in the subject hierarchy, each "" when it is unknown."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    item = hierarchy.GetItemByDataNode(node) if hierarchy else 0
    found = dict.fromkeys(attributes, "")
    while item and item != hierarchy.GetSceneItemID():
        found = {name: value or hierarchy.GetItemAttribute(item, name) for name, value in found.items()}
        item = hierarchy.GetItemParent(item)
    return list(found.values())


def to_vtk(matrix: np.ndarray) -> vtk.vtkMatrix4x4:
    """Convert a (4, 4) array to a VTK matrix."""
    result = vtk.vtkMatrix4x4()
    result.DeepCopy(np.asarray(matrix, float).ravel().tolist())
    return result


def to_numpy(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """Convert a VTK matrix to a (4, 4) array."""
    return np.array(matrix.GetData()).reshape(4, 4)
