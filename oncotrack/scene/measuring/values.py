"""The value of the scan under the mouse, with its unit and position."""

from __future__ import annotations

import math

import slicer

from oncotrack.findings.finding import Point
from oncotrack.findings.measurement import value_text
from oncotrack.images.body_size import KINDS
from oncotrack.scene.nodes.volumes import ijk_to_world, stamp, to_volume
from oncotrack.scene.views.fusion import overlay_of
from oncotrack.scene.views.scan_text import grid_of, shown_volume

_LETTERS = ("RL", "AP", "SI")
_UNITS: dict[tuple, str] = {}  # by the volume's stamp, because the unit may follow from all voxels
_MOST_UNITS = 16


def value_at(view: slicer.vtkMRMLSliceNode, x: float, y: float) -> str:
    """Return value, unit and position at a pixel of a view: "45 HU at R 12.0 A 3.4 S 50.1 mm"; "" outside the scan.

    The value is that of the voxel in the plane of the view, also where the view shows a slab. Where the view shows a PET over
    the scan, the uptake follows: "45 HU, SUV 3.21 g/ml at ...".

    Parameters
    ----------
    view : vtkMRMLSliceNode
    x, y : float
        Pixel, from the lower left.
    """
    volume = shown_volume(view)
    if volume is None or volume.GetImageData() is None:
        return ""
    ras = view.GetXYToRAS().MultiplyPoint((x, y, 0.0, 1.0))[:3]
    value = _voxel(volume, ras)
    if value is None:
        return ""
    plane = " in the middle of the slab" if view.GetSlabReconstructionEnabled() else ""
    return f"{_plain(value, unit_of(volume))}{uptake_at(volume, ras)}{plane} at {position_text(ras)}"


def uptake_at(volume: slicer.vtkMRMLScalarVolumeNode, ras: Point) -> str:
    """Return the uptake in the PET that is shown over a scan as text that follows the scan's own value; "" without one."""
    pet, _opacity = overlay_of(volume)
    value = _voxel(pet, ras) if pet is not None and pet.GetImageData() is not None else None
    if value is None:
        return ""
    kind = pet.GetAttribute("OncoTrack.suv") or "BW"
    unit = "cm²/ml" if kind == "BSA" else "g/ml"
    return f", SUV{'' if kind == 'BW' else ' by ' + KINDS[kind]} {value:.2f} {unit}"


def _voxel(volume: slicer.vtkMRMLScalarVolumeNode, ras: Point) -> float | None:
    """Return the value of the voxel at a position (RAS mm), None outside the volume."""
    grid, image = grid_of(ijk_to_world(volume).tobytes()), volume.GetImageData()
    ijk = [math.floor(grid.index_at(axis, ras) + 0.5) for axis in range(3)]
    if not all(0 <= index < count for index, count in zip(ijk, image.GetDimensions(), strict=True)):
        return None
    return image.GetScalarComponentAsDouble(*ijk, 0)


def unit_of(volume: slicer.vtkMRMLScalarVolumeNode) -> str:
    """Return the unit of a scan's values, "" when it has none."""
    key = stamp(volume)
    if key not in _UNITS:
        if len(_UNITS) >= _MOST_UNITS:
            _UNITS.clear()
        _UNITS[key] = to_volume(volume).unit
    return _UNITS[key]


def position_text(ras: Point) -> str:
    """Return a position (RAS mm) in words: "R 12.0 A 3.4 S 50.1 mm"."""
    parts = (f"{pair[value < 0]} {abs(value):.1f}" for pair, value in zip(_LETTERS, ras, strict=True))
    return " ".join(parts) + " mm"


def _plain(value: float, unit: str) -> str:
    return f"{value:.0f} HU" if unit == "HU" and value == int(value) else value_text(value, unit)
