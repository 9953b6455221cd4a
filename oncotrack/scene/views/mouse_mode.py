"""What the left mouse button does in the views, by Slicer's own modes: place a point, set the window, move about."""

from __future__ import annotations

import slicer


def place_into(node: slicer.vtkMRMLMarkupsNode) -> None:
    """The next click in a slice view adds a point to `node`."""
    scene = node.GetScene()
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    selection.SetReferenceActivePlaceNodeClassName(node.GetClassName())
    selection.SetActivePlaceNodeID(node.GetID())
    interaction = scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    interaction.SetPlaceModePersistence(0)
    interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.Place)


def adjust_window(scene: slicer.vtkMRMLScene) -> None:
    """A left drag in a slice view changes the window of its scan: sideways the width, up and down the level."""
    interaction = scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.AdjustWindowLevel)


def is_adjusting_window(scene: slicer.vtkMRMLScene) -> bool:
    """Whether the left mouse button sets the window."""
    interaction = scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    return interaction.GetCurrentInteractionMode() == slicer.vtkMRMLInteractionNode.AdjustWindowLevel


def is_placing(scene: slicer.vtkMRMLScene) -> bool:
    """Whether the next click places a point."""
    interaction = scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    return interaction.GetCurrentInteractionMode() == slicer.vtkMRMLInteractionNode.Place


def stop_placing(scene: slicer.vtkMRMLScene) -> None:
    """The mouse scrolls and drags again."""
    interaction = scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.ViewTransform)
