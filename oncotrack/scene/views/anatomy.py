"""Display of the anatomy map (a Gaussian) or of a probability map as a transparent overlay on the follow-up."""

from __future__ import annotations

import numpy as np
import slicer

from oncotrack.images.volume import Volume
from oncotrack.scene.nodes.volumes import set_volume

OPACITY = 0.35
"""Opacity of the map over the scan in slice views, 0 to 1."""
_LOWEST_SHOWN = 0.1
# the colour map plasma, from violet to yellow: its lightness rises evenly, so that it can also be read in grey
_PLASMA = np.array(
    [[0.29, 0.01, 0.63], [0.49, 0.01, 0.66], [0.66, 0.13, 0.59], [0.80, 0.28, 0.47], [0.90, 0.42, 0.36],
     [0.97, 0.58, 0.25], [0.99, 0.76, 0.15], [0.94, 0.98, 0.13]]
)  # fmt: skip


def draw_map(node: slicer.vtkMRMLScalarVolumeNode, colours: slicer.vtkMRMLColorTableNode, anatomy_map: Volume) -> None:
    """Write a map with values from 0 to 1 into its node; values below 0.1 are transparent."""
    if colours.GetNumberOfColors() != 256:
        draw_colours(colours)
    set_volume(node, anatomy_map)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(colours.GetID())
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0.0, 1.0)
    display.SetAutoThreshold(False)
    display.SetThreshold(_LOWEST_SHOWN, 2.0)
    display.SetApplyThreshold(True)
    display.SetInterpolate(True)


def draw_colours(node: slicer.vtkMRMLColorTableNode) -> None:
    """Fill a colour node with a perceptual colour map of 256 steps."""
    node.SetTypeToUser()
    node.SetNumberOfColors(256)
    stops = np.linspace(0, 255, len(_PLASMA))
    for index in range(256):
        red, green, blue = (float(np.interp(index, stops, _PLASMA[:, channel])) for channel in range(3))
        node.SetColor(index, f"{index / 255:.2f}", red, green, blue, 1.0)
    node.HideFromEditorsOn()
