"""The side-by-side layout in Slicer's layout node."""

from __future__ import annotations

import slicer

from oncotrack.scene.views.view_rows import LAYOUT, LAYOUT_ID


def show_rows(node: slicer.vtkMRMLLayoutNode) -> None:
    """Arrange the views by `LAYOUT`, which is added to the layout node on the first call."""
    if not node.IsLayoutDescription(LAYOUT_ID):
        node.AddLayoutDescription(LAYOUT_ID, LAYOUT)
    node.SetViewArrangement(LAYOUT_ID)
