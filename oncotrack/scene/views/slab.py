"""Thick slabs: each pixel shows the average, the largest or the smallest value through some millimetres."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import numpy as np
import slicer
import vtk

from oncotrack.scene.nodes.volumes import ijk_to_world

OFF, AVERAGE, MAXIMUM, MINIMUM = "off", "average", "maximum", "minimum"
SLABS = {OFF: "Single slices", AVERAGE: "Average", MAXIMUM: "Maximum (MIP)", MINIMUM: "Minimum (MinIP)"}
"""The kinds of slab with their names."""
THICKNESSES = (1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200)
"""Steps of the thickness, mm."""
_TYPES = {
    AVERAGE: vtk.VTK_IMAGE_SLAB_MEAN,
    MAXIMUM: vtk.VTK_IMAGE_SLAB_MAX,
    MINIMUM: vtk.VTK_IMAGE_SLAB_MIN,
}
_NAMES = {
    vtk.VTK_IMAGE_SLAB_MEAN: "Average",
    vtk.VTK_IMAGE_SLAB_MAX: "Maximum",
    vtk.VTK_IMAGE_SLAB_MIN: "Minimum",
    vtk.VTK_IMAGE_SLAB_SUM: "Sum",
}


def set_slab(views: Iterable[slicer.vtkMRMLSliceNode], kind: str, thickness_mm: float) -> None:
    """Show a slab of one kind (a key of `SLABS`) and thickness in some views."""
    for view in views:
        was = view.StartModify()
        view.SetSlabReconstructionEnabled(kind != OFF)
        if kind != OFF:
            view.SetSlabReconstructionType(_TYPES[kind])
            view.SetSlabReconstructionThickness(float(thickness_mm))
            view.SetSlabReconstructionOversamplingFactor(
                1.0
            )  # one sample for each slice; more is slow and shows no more
        view.EndModify(was)


def show_all(view: slicer.vtkMRMLSliceNode, volume: slicer.vtkMRMLVolumeNode, kind: str) -> float:
    """Show a slab through the whole volume in one view, which moves to its middle; return the thickness in mm."""
    nearest, farthest = _extent(view, volume)
    view.SetSliceOffset((nearest + farthest) / 2)
    set_slab([view], kind, np.ceil(farthest - nearest))
    return view.GetSlabReconstructionThickness()


def slab_text(view: slicer.vtkMRMLSliceNode) -> str:
    """Return which slab a view shows, "Maximum of 30 mm, not one slice"; "" for a slice."""
    if not view.GetSlabReconstructionEnabled():
        return ""
    name, thickness = _NAMES[view.GetSlabReconstructionType()], view.GetSlabReconstructionThickness()
    return f"{name} of {thickness:.4g} mm, not one slice"


def next_thickness(thickness_mm: float, by: int) -> float:
    """Return the next larger (`by` 1) or smaller (-1) of the `THICKNESSES`; 0 below the smallest."""
    if by > 0:
        return next((each for each in THICKNESSES if each > thickness_mm), thickness_mm)
    return next((each for each in reversed(THICKNESSES) if each < thickness_mm), 0)


def _extent(view: slicer.vtkMRMLSliceNode, volume: slicer.vtkMRMLVolumeNode) -> tuple[float, float]:
    """Return where the volume begins and ends along the view's normal, as slice offsets in mm."""
    ends = [(-0.5, count - 0.5) for count in volume.GetImageData().GetDimensions()]
    corners = ijk_to_world(volume) @ np.array([[*corner, 1.0] for corner in product(*ends)]).T
    rows = view.GetSliceToRAS().GetData()
    along = np.array(rows[2:12:4]) @ corners[:3]
    return float(along.min()), float(along.max())
