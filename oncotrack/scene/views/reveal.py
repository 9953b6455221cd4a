"""Moving slice views to a position so that the reader keeps the surroundings: scrolled always, panned only when needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import slicer
import vtk

from oncotrack.findings.finding import Observation

_MARGIN = 0.08
"""Share of a view's width and height, along its edges, where a position does not count as visible."""
_LEAST_FIELD_MM, _FIELD_PER_RADIUS = 60.0, 8.0
"""What an enlarged view shows at least, and per radius of the finding."""


def reveal(views: Iterable[slicer.vtkMRMLSliceNode], ras: Sequence[float]) -> None:
    """Scroll slice views to the slice of a position, and centre those that do not show it yet.

    Parameters
    ----------
    views : iterable of vtkMRMLSliceNode
        The slice views.
    ras : (3,) float
        The position, RAS mm.
    """
    for view in views:
        view.JumpSliceByOffsetting(*ras)
        if not _is_visible(view, ras):
            view.JumpSliceByCentering(*ras)


def field_around(seen: Observation) -> float:
    """Return how much an enlarged view shows of a finding and its surroundings, mm."""
    radius_mm = seen.radius_mm or (seen.long_axis.length_mm / 2 if seen.long_axis else 0.0)
    return max(_LEAST_FIELD_MM, _FIELD_PER_RADIUS * radius_mm)


def enlarge(views: Iterable[slicer.vtkMRMLSliceNode], ras: Sequence[float], field_mm: float) -> None:
    """Show a position in the middle of slice views, so that the shorter side of each shows so much.

    Parameters
    ----------
    views : iterable of vtkMRMLSliceNode
        The slice views.
    ras : (3,) float
        The position, RAS mm.
    field_mm : float
        What the shorter side shows, mm.
    """
    for view in views:
        width, height = view.GetDimensions()[:2]
        scale = field_mm / max(min(width, height), 1)
        was_modifying = view.StartModify()
        view.SetFieldOfView(scale * width, scale * height, view.GetFieldOfView()[2])
        view.JumpSliceByCentering(*ras)
        view.EndModify(was_modifying)


def _is_visible(view: slicer.vtkMRMLSliceNode, ras: Sequence[float]) -> bool:
    inverse = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(view.GetXYToRAS(), inverse)
    pixel, size = inverse.MultiplyPoint((*ras, 1.0))[:2], view.GetDimensions()[:2]
    return all(_MARGIN * n <= at <= (1 - _MARGIN) * n for at, n in zip(pixel, size, strict=True))
