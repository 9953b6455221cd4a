"""Window and level of both scans: presets for CT, and a window from the percentiles of the voxels for other images."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import slicer
import vtk
from undo_stack import Signal
from vtk.util.numpy_support import vtk_to_numpy

from oncotrack.images.hounsfield import are_hounsfield_units
from oncotrack.images.windows import ANGIO, BONE, LIVER, TEMPORAL_BONE, CTWindow
from oncotrack.scene.nodes.observers import Observers
from oncotrack.scene.nodes.volumes import modality

_RENDERINGS = {BONE: "CT-Bones", TEMPORAL_BONE: "CT-Bones", LIVER: "CT-AAA", ANGIO: "CT-AAA"}


def rendering_of(window: CTWindow) -> str:
    """Return the name of Slicer's volume rendering preset that suits a CT window."""
    return _RENDERINGS.get(window, "CT-Chest-Contrast-Enhanced")


def is_ct(volume: slicer.vtkMRMLVolumeNode) -> bool:
    """Return whether the voxels are Hounsfield units, by the rule of `Volume.is_ct`."""
    image = volume.GetImageData()
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    return are_hounsfield_units(modality(volume), voxels, volume.GetSpacing())


def set_window(volumes: Iterable[slicer.vtkMRMLVolumeNode], width: float, level: float) -> None:
    """Show all volumes with the same window and level."""
    for volume in volumes:
        display = volume.GetDisplayNode()
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(max(float(width), 1.0), float(level))


def own_window(volume: slicer.vtkMRMLVolumeNode) -> tuple[float, float]:
    """Return width and level between the 1st and 99th percentile of the voxels, for images without HU."""
    voxels = vtk_to_numpy(volume.GetImageData().GetPointData().GetScalars())
    low, high = np.percentile(voxels[:: max(1, len(voxels) // 200_000)], (1, 99))
    return max(float(high - low), 1.0), float(low + high) / 2


class WindowLink:
    """Keeps the window and level of two scans the same, whatever changes one of them.

    Attributes
    ----------
    is_enabled : bool
        Whether both scans are shown with the same window.
    """

    changed = Signal()
    """(width, level): the window of a scan was changed."""

    def __init__(self) -> None:
        self.is_enabled = True
        self._displays: tuple[slicer.vtkMRMLScalarVolumeDisplayNode, ...] = ()
        self._known: list[tuple[float, float]] = []
        self._observers = Observers()

    def watch(self, volumes: Iterable[slicer.vtkMRMLVolumeNode]) -> None:
        """Observe these scans, and no others."""
        self.close()
        self._displays = tuple(volume.GetDisplayNode() for volume in volumes)
        self._known = [_window(display) for display in self._displays]
        for display in self._displays:
            self._observers.add(display, vtk.vtkCommand.ModifiedEvent, lambda caller, _: self._on_display(caller))

    def close(self) -> None:
        """Stop observing the scans."""
        self._observers.clear()

    def _on_display(self, changed: slicer.vtkMRMLScalarVolumeDisplayNode) -> None:
        window = _window(changed)
        index = next(index for index, display in enumerate(self._displays) if display is changed)
        if window == self._known[index]:
            return
        self._known[index] = window
        if self.is_enabled:
            self._known = [window] * len(self._displays)
            for display in self._displays:
                if display is not changed:
                    display.SetAutoWindowLevel(False)
                    display.SetWindowLevel(*window)
        self.changed.emit(*window)


def _window(display: slicer.vtkMRMLScalarVolumeDisplayNode) -> tuple[float, float]:
    return display.GetWindow(), display.GetLevel()
