"""Window and level of both scans together: the presets readers know, and MR where no preset fits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from oncotrack.scene.volumes import modality


@dataclass(frozen=True)
class Window:
    """A CT window (HU) and the name of Slicer's volume rendering preset that goes with it."""

    name: str
    width: float
    level: float
    rendering: str


WINDOWS = (
    Window("Soft tissue", 400.0, 40.0, "CT-Chest-Contrast-Enhanced"),
    Window("Lung", 1500.0, -600.0, "CT-Chest-Contrast-Enhanced"),
    Window("Bone", 1800.0, 400.0, "CT-Bones"),
    Window("Liver", 150.0, 90.0, "CT-AAA"),
)


def is_ct(volume: slicer.vtkMRMLVolumeNode) -> bool:
    """Whether the voxels are HU: as the DICOM says, else because there is air."""
    known = modality(volume)
    return known == "CT" if known else float(volume.GetImageData().GetScalarRange()[0]) < -300.0


def set_window(volumes: Iterable[slicer.vtkMRMLVolumeNode], width: float, level: float) -> None:
    """Show all of them alike."""
    for volume in volumes:
        display = volume.GetDisplayNode()
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(max(float(width), 1.0), float(level))


def own_window(volume: slicer.vtkMRMLVolumeNode) -> tuple[float, float]:
    """Width and level between the 1st and 99th percentile of the voxels, for MR and whatever has no HU."""
    voxels = vtk_to_numpy(volume.GetImageData().GetPointData().GetScalars())
    low, high = np.percentile(voxels[:: max(1, len(voxels) // 200_000)], (1, 99))
    return max(float(high - low), 1.0), float(low + high) / 2
