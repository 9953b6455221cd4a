"""Placing points with the mouse, by Slicer's own place mode."""

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


def stop_placing(scene: slicer.vtkMRMLScene) -> None:
    """The mouse scrolls and drags again."""
    interaction = scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.ViewTransform)
