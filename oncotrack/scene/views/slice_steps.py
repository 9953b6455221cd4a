"""Steps through the slices of a scan in a slice view, in the order of the numbers that the view shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import slicer

from oncotrack.scene.nodes.volumes import ijk_to_world
from oncotrack.scene.views.scan_text import grid_of, shown_volume


@dataclass(frozen=True)
class SlicePlace:
    """Where a view stands in the stack of slices that it cuts, which for an oblique view is the nearest one.

    Attributes
    ----------
    number : int
        Of the nearest slice, from 0 at the head, the front or the patient's right; it may lie outside the scan.
    count : int
        Number of slices.
    offset_mm : float
        Shift along the view's normal from the view to that slice.
    step_mm : float
        Shift along the view's normal from one slice to the next number; negative where numbers rise against the normal.
    """

    number: int
    count: int
    offset_mm: float
    step_mm: float

    @classmethod
    def of(cls, view: slicer.vtkMRMLSliceNode) -> SlicePlace | None:
        """Return the place of the scan's slice that a view shows; None while it shows no scan."""
        volume = shown_volume(view)
        if volume is None or volume.GetImageData() is None:
            return None
        rows = view.GetSliceToRAS().GetData()
        normal, centre = rows[2:12:4], rows[3:12:4]
        grid = grid_of(ijk_to_world(volume).tobytes())
        axis, _cosine = grid.axis_along(normal)
        count, index = volume.GetImageData().GetDimensions()[axis], grid.index_at(axis, centre)
        nearest = math.floor(index + 0.5)
        along = sum(row * part for row, part in zip(grid.to_ijk[axis][:3], normal, strict=True))  # indices per mm
        if grid.counts_down(axis):
            return cls(count - 1 - nearest, count, (nearest - index) / along, -1 / along)
        return cls(nearest, count, (nearest - index) / along, 1 / along)


def step(view: slicer.vtkMRMLSliceNode, slices: int) -> bool:
    """Move a view by so many slices, at most to the first or the last one.

    Parameters
    ----------
    view : vtkMRMLSliceNode
    slices : int
        Positive towards higher slice numbers: towards the feet, the back or the patient's left.

    Returns
    -------
    bool
        Whether the view shows another slice now.
    """
    place = SlicePlace.of(view)
    return place is not None and show_slice(view, place.number + slices)


def show_slice(view: slicer.vtkMRMLSliceNode, number: int) -> bool:
    """Show a slice by its number, from 0; one beyond the ends of the scan is the first or the last one.

    Returns
    -------
    bool
        Whether the view shows another slice now.
    """
    place = SlicePlace.of(view)
    if place is None:
        return False
    target = min(max(number, 0), place.count - 1)
    if target == place.number:
        return False
    view.SetSliceOffset(view.GetSliceOffset() + place.offset_mm + (target - place.number) * place.step_mm)
    return True
