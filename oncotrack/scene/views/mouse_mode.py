"""The mode of the left mouse button in the views: place a point, set window and level, or navigate."""

from __future__ import annotations

import slicer

SELECT, WINDOW, SCROLL, PAN, ZOOM, SUV_WINDOW = "select", "window", "scroll", "pan", "zoom", "suv-window"
LEFT_DRAGS = {
    SELECT: "Select, mark",
    WINDOW: "Window/level",
    SUV_WINDOW: "PET window",
    SCROLL: "Scroll",
    PAN: "Pan",
    ZOOM: "Zoom",
}
"""What the left mouse button can do in slice views, with its name on the page."""


def place_point_in(node: slicer.vtkMRMLMarkupsNode) -> None:
    """Make the next click in a slice view add a point to `node`."""
    scene = node.GetScene()
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    selection.SetReferenceActivePlaceNodeClassName(node.GetClassName())
    selection.SetActivePlaceNodeID(node.GetID())
    interaction = scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    interaction.SetPlaceModePersistence(0)
    interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.Place)


def adjust_window(scene: slicer.vtkMRMLScene) -> None:
    """Make a left drag in a slice view change its scan's window (sideways) and level (up and down)."""
    interaction = scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.AdjustWindowLevel)


def is_adjusting_window(scene: slicer.vtkMRMLScene) -> bool:
    """Return whether the left mouse button sets window and level."""
    interaction = scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    return interaction.GetCurrentInteractionMode() == slicer.vtkMRMLInteractionNode.AdjustWindowLevel


def is_placing(scene: slicer.vtkMRMLScene) -> bool:
    """Return whether the next click places a point."""
    interaction = scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    return interaction.GetCurrentInteractionMode() == slicer.vtkMRMLInteractionNode.Place


def place_node(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLMarkupsNode | None:
    """Return the node to which the next click adds a point; None while nothing is placed."""
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    return scene.GetNodeByID(selection.GetActivePlaceNodeID() or "") if is_placing(scene) else None


def stop_placing(scene: slicer.vtkMRMLScene) -> None:
    """Return to navigation with the mouse."""
    interaction = scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.ViewTransform)
