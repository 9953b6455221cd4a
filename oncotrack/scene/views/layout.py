"""The side-by-side layout in Slicer's layout node. Imports nothing that Slicer lacks: it is registered when Slicer starts."""

from __future__ import annotations

import slicer

from oncotrack.scene.views.view_rows import LAYOUT, LAYOUT_ID


def register_rows(node: slicer.vtkMRMLLayoutNode) -> None:
    """Add the layout to the layout node, so that a scene that was saved with it can be opened."""
    if not node.IsLayoutDescription(LAYOUT_ID):
        node.AddLayoutDescription(LAYOUT_ID, LAYOUT)


def show_rows(node: slicer.vtkMRMLLayoutNode) -> int:
    """Arrange the views by the layout, and return the arrangement before."""
    register_rows(node)
    before = node.GetViewArrangement()
    node.SetViewArrangement(LAYOUT_ID)
    return before


def are_rows_shown(node: slicer.vtkMRMLLayoutNode) -> bool:
    """Return whether the views are arranged by the layout."""
    return node.GetViewArrangement() == LAYOUT_ID
