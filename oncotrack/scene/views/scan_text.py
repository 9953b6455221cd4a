"""The text on the images: which scan a slice view shows, of whom, when, and which of its slices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import mul

import numpy as np
import slicer

from oncotrack.findings.dates import day_text
from oncotrack.images.volume import notices
from oncotrack.scene.nodes.volumes import ijk_to_world, metadata, patient, thickness
from oncotrack.scene.views.slab import slab_text

ALL, WITHOUT_NAMES, NONE = "all", "without names", "none"
"""Which text is shown. Notices on the image stay visible in any case."""
_PARALLEL = 0.9999  # about 1 degree: 3 mm at the edge of a large image
_LETTERS = ("RL", "AP", "SI")


@dataclass(frozen=True)
class ScanText:
    """What is known of a scan, in words; "" where nothing is known.

    Attributes
    ----------
    visit : str
        Name of the visit, else the node's name.
    date : str
        Study date.
    patient, patient_id : str
        Name and ID; they are personal data.
    series : str
        Description of the series.
    file : str
        Name of the file or folder when there is no description; it may hold the patient's name.
    notices : tuple of str
        What was done to the image when it was read.
    """

    visit: str
    date: str
    patient: str
    patient_id: str
    series: str
    file: str
    notices: tuple[str, ...]

    @classmethod
    def of(cls, volume: slicer.vtkMRMLVolumeNode, visit: str = "") -> ScanText:
        """Describe a scan; `visit` is the name of its visit, "" for a volume that is none."""
        about, who = metadata(volume), patient(volume)
        return cls(
            visit=visit[:1].upper() + visit[1:] if visit else volume.GetName() or "unnamed",
            date=day_text(about["date"]) or "no date",
            patient=(who.shown_name or "unnamed") if who.is_known else "no patient data",
            patient_id=f"ID {who.id}" if who.id else "",
            series=" ".join(filter(None, (about["description"], about["part"]))),
            file="" if about["description"] or not visit else volume.GetName() or "unnamed",
            notices=notices(about),
        )


@dataclass(frozen=True)
class SliceText:
    """What a slice view shows of a scan, in words; "" where it cannot be given.

    Attributes
    ----------
    number : str
        "Slice 12 of 50", counted from the head, from the front or from the patient's right.
    position : str
        "S 12.5 mm".
    spacing : str
        Thickness of the acquired slices, and the distance between slices in this view's direction.
    zoom : str
        Pixels on the screen for one pixel of the image, in percent.
    slab : str
        A notice when the view shows a thick slab instead of a slice.
    """

    number: str
    position: str
    spacing: str
    zoom: str
    slab: str

    @classmethod
    def of(cls, view: slicer.vtkMRMLSliceNode, volume: slicer.vtkMRMLVolumeNode | None) -> SliceText:
        """Describe the slice of a volume that a view shows."""
        rows = view.GetSliceToRAS().GetData()
        normal, right, centre = rows[2:12:4], rows[0:12:4], rows[3:12:4]
        position = _position(normal, centre)
        if volume is None or volume.GetImageData() is None:
            return cls("", position, "", "", "")
        grid, size = grid_of(ijk_to_world(volume).tobytes()), volume.GetImageData().GetDimensions()
        across, cosine = grid.axis_along(normal)
        is_parallel, is_acquired = cosine > _PARALLEL, across == 2
        thick = thickness(volume)
        words = (
            "" if is_parallel and is_acquired else "reformatted",
            f"thickness {_number(thick)} mm" if thick else "",
            f"spacing {grid.steps[across]:.3g} mm",
        )
        spacing = ", ".join(word for word in words if word)
        field, pixels = view.GetFieldOfView()[0], view.GetDimensions()[0]
        enlarged = grid.steps[grid.axis_along(right)[0]] * pixels / field if field > 0 else 0.0
        number = grid.slice_number(across, size[across], centre) if is_parallel else "Oblique to the slices"
        zoom = f"Zoom {100 * enlarged:.0f} %" if enlarged else ""
        return cls(number, position, spacing[:1].upper() + spacing[1:], zoom, slab_text(view))


def slice_number(volume: slicer.vtkMRMLVolumeNode, normal: Sequence[float], position: Sequence[float]) -> str:
    """Return which of a volume's slices across a direction lies at a position (RAS mm), "12 of 50", as in its views.

    "" where the direction is oblique to the slices or the position outside of them.
    """
    grid, size = grid_of(ijk_to_world(volume).tobytes()), volume.GetImageData().GetDimensions()
    across, cosine = grid.axis_along(normal)
    text = grid.slice_number(across, size[across], position)
    return text.removeprefix("Slice ") if cosine > _PARALLEL and text.startswith("Slice ") else ""


def window_text(volume: slicer.vtkMRMLVolumeNode | None) -> str:
    """Return a volume's window and level, "W 400 L 40"."""
    display = volume.GetDisplayNode() if volume else None
    return f"W {display.GetWindow():.4g} L {display.GetLevel():.4g}" if display else ""


def shown_volume(view: slicer.vtkMRMLSliceNode) -> slicer.vtkMRMLVolumeNode | None:
    """Return the volume that a slice view shows in the background."""
    composite = view.GetScene().GetSingletonNode(view.GetLayoutName(), "vtkMRMLSliceCompositeNode")
    return view.GetScene().GetNodeByID(composite.GetBackgroundVolumeID() or "") if composite else None


@dataclass(frozen=True)
class Grid:
    """The axes of a volume: unit vectors and steps in mm by voxel axis, and the rows of the matrix from RAS to voxels."""

    directions: tuple[tuple[float, ...], ...]
    steps: tuple[float, ...]
    to_ijk: tuple[tuple[float, ...], ...]

    def axis_along(self, direction: Sequence[float]) -> tuple[int, float]:
        """Return the voxel axis nearest to a direction, and the cosine between them."""
        cosines = [abs(sum(map(mul, direction, axis))) for axis in self.directions]
        return cosines.index(max(cosines)), max(cosines)

    def index_at(self, axis: int, position: Sequence[float]) -> float:
        """Return the index along a voxel axis of a position (RAS mm), between voxels with a fraction."""
        return sum(map(mul, self.to_ijk[axis], (*position, 1.0)))

    def counts_down(self, axis: int) -> bool:
        """Return whether slice numbers fall as the index rises.

        RAS grows towards the patient's right, the front and the head, where counting starts.
        """
        return max(self.directions[axis], key=abs) > 0

    def slice_number(self, axis: int, count: int, position: Sequence[float]) -> str:
        """Return which slice across a voxel axis lies at a position (RAS mm)."""
        index = math.floor(self.index_at(axis, position) + 0.5)
        if not 0 <= index < count:
            return "Outside the scan"
        return f"Slice {count - index if self.counts_down(axis) else index + 1} of {count}"


@lru_cache(maxsize=8)
def grid_of(ijk_to_ras: bytes) -> Grid:
    """Return the axes of a volume from the 16 doubles of its matrix from voxels to RAS mm, row by row."""
    matrix = np.frombuffer(ijk_to_ras).reshape(4, 4)
    steps = np.linalg.norm(matrix[:3, :3], axis=0)
    directions = (matrix[:3, :3] / steps).T
    return Grid(
        tuple(map(tuple, directions.tolist())), tuple(steps.tolist()), tuple(map(tuple, np.linalg.inv(matrix).tolist()))
    )


def _position(normal: Sequence[float], centre: Sequence[float]) -> str:
    axis = max(range(3), key=lambda each: abs(normal[each]))
    return f"{_LETTERS[axis][centre[axis] < 0]} {abs(centre[axis]):.1f} mm"


def _number(text: str) -> str:
    try:
        return f"{float(text):.3g}"
    except ValueError:
        return text
