"""A PET over its CT in slice views: which PET belongs to a CT, its colours, its window and its opacity."""

from __future__ import annotations

import numpy as np
import slicer

from oncotrack.errors import InputError

SUV_WINDOW = (0.0, 10.0)
"""Lowest and highest SUV of the colours, at first."""
OPACITY = 0.5
"""Of the PET over the CT, at first."""
_PET, _HIDDEN = "OncoTrack.pet", "OncoTrack.hidden"
_TRANSPARENT = 0.25
"""Part of the window over which the colours become opaque, so that tissue without uptake keeps the grey of the CT."""
# the colour map inferno of matplotlib: its lightness rises evenly, so that it can also be read in grey
COLOURS = np.array(
    [[0.001, 0.000, 0.014], [0.129, 0.047, 0.291], [0.342, 0.062, 0.429], [0.541, 0.135, 0.415], [0.736, 0.216, 0.330],
     [0.894, 0.353, 0.194], [0.978, 0.558, 0.035], [0.975, 0.798, 0.206], [0.988, 0.998, 0.645]]
)  # fmt: skip
"""Red, green and blue, 0 to 1, at even steps of the window."""


def pet_of(ct: slicer.vtkMRMLVolumeNode | None) -> slicer.vtkMRMLScalarVolumeNode | None:
    """Return the PET that belongs to a CT, or None."""
    return ct.GetNodeReference(_PET) if ct is not None else None


def set_pet(ct: slicer.vtkMRMLVolumeNode, pet: slicer.vtkMRMLScalarVolumeNode | None) -> None:
    """Store in the scene which PET belongs to a CT; None for none."""
    ct.SetNodeReferenceID(_PET, pet.GetID() if pet else None)


def overlay_of(ct: slicer.vtkMRMLVolumeNode | None) -> tuple[slicer.vtkMRMLScalarVolumeNode | None, float]:
    """Return what is shown over a CT where nothing else is: its PET and its opacity, or None and 0."""
    pet = pet_of(ct)
    return (pet, opacity(pet)) if pet is not None and is_shown(pet) else (None, 0.0)


def is_shown(pet: slicer.vtkMRMLScalarVolumeNode) -> bool:
    """Return whether a PET is shown over its CT."""
    return not pet.GetAttribute(_HIDDEN)


def show(pet: slicer.vtkMRMLScalarVolumeNode, shown: bool) -> None:
    """Store whether a PET is shown over its CT."""
    pet.SetAttribute(_HIDDEN, None if shown else "yes")


def opacity(pet: slicer.vtkMRMLScalarVolumeNode) -> float:
    """Return the opacity of a PET over its CT, 0 to 1."""
    return pet.GetDisplayNode().GetOpacity()


def set_opacity(pet: slicer.vtkMRMLScalarVolumeNode, value: float) -> None:
    """Store the opacity of a PET over its CT, 0 to 1."""
    pet.GetDisplayNode().SetOpacity(min(max(float(value), 0.0), 1.0))


def window(pet: slicer.vtkMRMLScalarVolumeNode) -> tuple[float, float]:
    """Return the lowest and the highest SUV of the colours."""
    display = pet.GetDisplayNode()
    return display.GetWindowLevelMin(), display.GetWindowLevelMax()


def set_window(pet: slicer.vtkMRMLScalarVolumeNode, low: float, high: float) -> None:
    """Set the lowest and the highest SUV of the colours.

    Raises
    ------
    InputError
        The highest is not above the lowest.
    """
    if not low < high:
        raise InputError(
            f"The SUV window from {low:g} to {high:g} is empty. Its upper end must be above its lower end."
        )
    pet.GetDisplayNode().SetWindowLevelMinMax(float(low), float(high))


def style(pet: slicer.vtkMRMLScalarVolumeNode, colours: slicer.vtkMRMLColorTableNode) -> None:
    """Give a PET its colours, and the window and the opacity that it is first shown with."""
    if colours.GetNumberOfColors() != 256:
        _fill(colours)
    display = pet.GetDisplayNode()
    display.SetAndObserveColorNodeID(colours.GetID())
    display.SetAutoWindowLevel(False)
    display.SetInterpolate(True)
    set_window(pet, *SUV_WINDOW)
    set_opacity(pet, OPACITY)


def show_legend(pet: slicer.vtkMRMLScalarVolumeNode, title: str, shown: bool) -> None:
    """Show the colours with their SUV in Slicer's views, or hide them."""
    logic = slicer.vtkSlicerColorLogic
    legend = logic.GetColorLegendDisplayNode(pet)
    if legend is None and shown:
        legend = logic.AddDefaultColorLegendDisplayNode(pet)
    if legend is not None:
        legend.SetTitleText(title)
        legend.SetVisibility(shown)


def _fill(node: slicer.vtkMRMLColorTableNode) -> None:
    node.SetTypeToUser()
    node.SetNumberOfColors(256)
    stops = np.linspace(0, 255, len(COLOURS))
    for index in range(256):
        red, green, blue = (float(np.interp(index, stops, COLOURS[:, channel])) for channel in range(3))
        node.SetColor(index, f"{index / 255:.2f}", red, green, blue, min(index / 255 / _TRANSPARENT, 1.0))
    node.HideFromEditorsOn()
