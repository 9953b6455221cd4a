"""The maximum intensity projection of a PET in a 3D view, which the mouse turns."""

from __future__ import annotations

from collections.abc import Callable

import slicer
import vtk

from oncotrack.scene.nodes.observers import Observers
from oncotrack.scene.views.fusion import window


class Projection:
    """Shows the highest uptake along the line of sight, bright on dark, in the SUV window of the slices.

    Parameters
    ----------
    view : vtkMRMLViewNode
        The 3D view.
    rendering : callable
        Returns a volume's volume rendering display node, made where there is none; it belongs to this view alone.
    """

    def __init__(
        self,
        view: slicer.vtkMRMLViewNode,
        rendering: Callable[[slicer.vtkMRMLScalarVolumeNode], slicer.vtkMRMLVolumeRenderingDisplayNode],
    ) -> None:
        self._view, self._rendering = view, rendering
        self._display: slicer.vtkMRMLVolumeRenderingDisplayNode | None = None
        self._technique = view.GetRaycastTechnique()
        self._others: list[slicer.vtkMRMLDisplayNode] = []
        self._observers = Observers()

    @property
    def is_shown(self) -> bool:
        """Whether a projection is shown."""
        return self._display is not None

    def show(self, pet: slicer.vtkMRMLScalarVolumeNode) -> None:
        """Show a PET's projection, and hide the other volumes in the view."""
        self.hide()
        self._technique = self._view.GetRaycastTechnique()
        self._display = self._rendering(pet)
        self._others = [
            each for each in _renderings(pet.GetScene()) if each is not self._display and each.GetVisibility()
        ]
        for each in self._others:
            each.SetVisibility(False)
        self._view.SetRaycastTechnique(slicer.vtkMRMLViewNode.MaximumIntensityProjection)
        self._draw(pet)
        self._display.SetVisibility(True)
        self._observers.add(pet.GetDisplayNode(), vtk.vtkCommand.ModifiedEvent, lambda *_: self._draw(pet))

    def hide(self) -> None:
        """Hide the projection, and render volumes as before."""
        self._observers.clear()
        if self._display is not None:
            self._view.SetRaycastTechnique(self._technique)
            self._display.SetVisibility(False)
            for each in self._others:
                each.SetVisibility(each.GetScene() is not None)
            self._display, self._others = None, []

    def _draw(self, pet: slicer.vtkMRMLScalarVolumeNode) -> None:
        """Give the projection the window of the slices."""
        low, high = window(pet)
        of = self._display.GetVolumePropertyNode().GetVolumeProperty()
        opacity, colours, even = vtk.vtkPiecewiseFunction(), vtk.vtkColorTransferFunction(), vtk.vtkPiecewiseFunction()
        for at, value in ((low, 0.0), (high, 1.0)):
            opacity.AddPoint(at, value)
            colours.AddRGBPoint(at, 1.0, 1.0, 1.0)  # the opacity alone makes it bright
        even.AddPoint(0.0, 1.0)
        of.SetScalarOpacity(opacity)
        of.SetColor(colours)
        of.SetGradientOpacity(even)
        of.SetShade(False)
        of.SetInterpolationTypeToLinear()


def link_crosshair(scene: slicer.vtkMRMLScene, scan: slicer.vtkMRMLVolumeNode | None, shown: bool) -> None:
    """Mark the position under the mouse, with Shift, in all slices and in the projection, and show it in every slice.

    It starts in the middle of the scan: a mark far from the scan would make the 3D view fit both.
    """
    crosshair = scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    if crosshair is None:
        return
    mode = crosshair.ShowBasic if shown else crosshair.NoCrosshair
    if crosshair.GetCrosshairMode() != mode:
        crosshair.SetCrosshairMode(mode)
        crosshair.SetCrosshairBehavior(crosshair.OffsetJumpSlice)
    if shown and scan is not None:
        bounds, at = [0.0] * 6, crosshair.GetCrosshairRAS()
        scan.GetRASBounds(bounds)
        if any(not bounds[2 * axis] <= at[axis] <= bounds[2 * axis + 1] for axis in range(3)):
            crosshair.SetCrosshairRAS(*(sum(bounds[2 * axis : 2 * axis + 2]) / 2 for axis in range(3)))


def _renderings(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLVolumeRenderingDisplayNode]:
    found = scene.GetNodesByClass("vtkMRMLVolumeRenderingDisplayNode")
    found.UnRegister(None)
    return [found.GetItemAsObject(index) for index in range(found.GetNumberOfItems())]
