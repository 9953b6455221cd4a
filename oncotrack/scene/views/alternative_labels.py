"""Visibility of the alternatives' letters: hidden in slice views where one would cover the match's label."""

from __future__ import annotations

import math

import slicer
import vtk

from oncotrack.findings.finding import Point
from oncotrack.scene.nodes.observers import Observers
from oncotrack.scene.views.view_rows import ViewRow

_LABEL, _LETTER = 0.03, 0.025  # heights of the texts, as fractions of a view's diagonal
_WIDTH = 0.62  # width of a character, as a fraction of its height
_NEAR_SLICES = 1.0


class AlternativeLabels:
    """Hides the letters in views that are too small for them; the crosses stay, and zooming in shows the letters again.

    Parameters
    ----------
    row : ViewRow
        The row of views.
    """

    def __init__(self, row: ViewRow) -> None:
        self._row = row
        self._node: slicer.vtkMRMLMarkupsFiducialNode | None = None
        self._match: Point | None = None
        self._label = ""
        self._observers = Observers()

    def close(self) -> None:
        """Stop observing the views."""
        self._observers.clear()

    def watch(self) -> None:
        """Observe the views that are open now."""
        for view in self._row.slices():
            if not self._observers.watches(view):
                self._observers.add(view, vtk.vtkCommand.ModifiedEvent, lambda caller, _: self._show(caller))

    def draw(self, node: slicer.vtkMRMLMarkupsFiducialNode, match: Point | None, label: str) -> None:
        """Show the letters of a node, which has one display node per view, where they do not cover the match's label.

        Parameters
        ----------
        node : vtkMRMLMarkupsFiducialNode
            The alternatives.
        match : Point or None
            Position of the match, RAS mm.
        label : str
            Its label.
        """
        self._node, self._match, self._label = node, match, label
        for view in self._row.slices():
            self._show(view)

    def _show(self, view: slicer.vtkMRMLSliceNode) -> None:
        if self._node is None or self._node.GetScene() is None:
            return
        for index in range(self._node.GetNumberOfDisplayNodes()):
            display = self._node.GetNthDisplayNode(index)
            if not display.IsDisplayableInView(view.GetID()):
                continue
            if bool(display.GetPointLabelsVisibility()) != (is_free := self._is_label_free(view)):
                display.SetPointLabelsVisibility(is_free)

    def _is_label_free(self, view: slicer.vtkMRMLSliceNode) -> bool:
        """Return whether no letter would cover the match's label in a view."""
        at = _pixel(view, self._match) if self._match else None
        if at is None:
            return True
        diagonal = math.hypot(*view.GetDimensions()[:2])
        height, letter = _LABEL * diagonal, _LETTER * diagonal
        width = _WIDTH * height * len(self._label)
        for index in range(self._node.GetNumberOfControlPoints()):
            other = _pixel(view, self._node.GetNthControlPointPositionWorld(index))
            if other is None:
                continue
            right, up = other[0] - at[0], other[1] - at[1]
            # the label lies right above its point, a letter right below its own
            if -2 * letter < right < width + letter and -height / 2 < up < height + 2 * letter:
                return False
        return True


def _pixel(view: slicer.vtkMRMLSliceNode, position: Point) -> tuple[float, float] | None:
    """Return the pixel of a view that shows a position (RAS mm); None when it lies on another slice."""
    to_xy = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(view.GetXYToRAS(), to_xy)
    x, y, z, _ = to_xy.MultiplyPoint([*position, 1.0])
    return (x, y) if abs(z) < _NEAR_SLICES else None
