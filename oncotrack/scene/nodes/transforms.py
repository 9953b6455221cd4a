"""The registration as a linear transform node from baseline to follow-up; it is never hardened into an image."""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from oncotrack.errors import InputError
from oncotrack.registration.registration import Registration
from oncotrack.scene.nodes.volumes import to_numpy, to_vtk

_SIMILARITY, _OVERLAP = "OncoTrack.similarity", "OncoTrack.overlap"


def draw_registration(node: slicer.vtkMRMLLinearTransformNode, registration: Registration) -> None:
    """Write the registration: a volume under the node moves from its baseline position to its follow-up position."""
    node.SetMatrixTransformToParent(to_vtk(registration.matrix))
    node.SetAttribute(_SIMILARITY, f"{registration.similarity:.6g}")
    node.SetAttribute(_OVERLAP, f"{registration.overlap:.6g}")


def read_registration(node: slicer.vtkMRMLLinearTransformNode) -> Registration:
    """Return the registration in the node, with a reader's corrections."""
    return Registration(matrix_of(node), _number(node, _SIMILARITY), _number(node, _OVERLAP))


def matrix_of(node: slicer.vtkMRMLTransformNode) -> np.ndarray:
    """Return the (4, 4) matrix from baseline RAS to follow-up RAS, mm; InputError when it cannot be inverted."""
    matrix = vtk.vtkMatrix4x4()
    node.GetMatrixTransformToParent(matrix)
    array = to_numpy(matrix)
    if not np.isfinite(array).all() or abs(np.linalg.det(array[:3, :3])) < 1e-6:
        raise InputError(
            f"The transform {node.GetName()} cannot be inverted. Correct it, or delete it and match again."
        )
    return array


def _number(node: slicer.vtkMRMLNode, attribute: str) -> float:
    try:
        return float(node.GetAttribute(attribute))
    except (TypeError, ValueError):
        return 1.0
