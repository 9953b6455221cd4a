"""The text on the images: which scan a slice view shows, of whom, when, and which of its slices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer

from oncotrack.findings.dates import day_text
from oncotrack.scene.nodes.volumes import ijk_to_world, metadata, patient, thickness

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
            series=about["description"],
            file="" if about["description"] or not visit else volume.GetName() or "unnamed",
            notices=tuple(about[key] for key in ("resampled", "notice") if about[key]),
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
    """

    number: str
    position: str
    spacing: str
    zoom: str

    @classmethod
    def of(cls, view: slicer.vtkMRMLSliceNode, volume: slicer.vtkMRMLVolumeNode | None) -> SliceText:
        """Describe the slice of a volume that a view shows."""
        plane = np.array([[view.GetSliceToRAS().GetElement(row, column) for column in range(4)] for row in range(3)])
        normal, right, centre = plane[:, 2], plane[:, 0], plane[:, 3]
        position = _position(normal, centre)
        if volume is None or volume.GetImageData() is None:
            return cls("", position, "", "")
        matrix, size = ijk_to_world(volume), volume.GetImageData().GetDimensions()
        steps = np.linalg.norm(matrix[:3, :3], axis=0)
        directions = matrix[:3, :3] / steps
        across, along = (int(np.argmax(np.abs(axis @ directions))) for axis in (normal, right))
        is_parallel = abs(normal @ directions[:, across]) > _PARALLEL
        thick = thickness(volume)
        words = [f"thickness {_number(thick)} mm" if thick else "", f"spacing {steps[across]:.3g} mm"]
        words.insert(0, "" if is_parallel and across == 2 else "reformatted")
        spacing = ", ".join(word for word in words if word)
        field, pixels = view.GetFieldOfView()[0], view.GetDimensions()[0]
        zoom = f"Zoom {100 * steps[along] * pixels / field:.0f} %" if field > 0 and pixels > 0 else ""
        number = _slice_number(matrix, size, across, centre) if is_parallel else "Oblique to the slices"
        return cls(number, position, spacing[:1].upper() + spacing[1:], zoom)


def window_text(volume: slicer.vtkMRMLVolumeNode | None) -> str:
    """Return a volume's window and level, "W 400 L 40"."""
    display = volume.GetDisplayNode() if volume else None
    return f"W {display.GetWindow():.4g} L {display.GetLevel():.4g}" if display else ""


def shown_volume(view: slicer.vtkMRMLSliceNode) -> slicer.vtkMRMLVolumeNode | None:
    """Return the volume that a slice view shows in the background."""
    composite = view.GetScene().GetSingletonNode(view.GetLayoutName(), "vtkMRMLSliceCompositeNode")
    return view.GetScene().GetNodeByID(composite.GetBackgroundVolumeID() or "") if composite else None


def _position(normal: np.ndarray, centre: np.ndarray) -> str:
    axis = int(np.argmax(np.abs(normal)))
    return f"{_LETTERS[axis][bool(centre[axis] < 0)]} {abs(centre[axis]):.1f} mm"


def _slice_number(matrix: np.ndarray, size: tuple[int, int, int], across: int, centre: np.ndarray) -> str:
    index = int(np.floor((np.linalg.inv(matrix) @ [*centre, 1.0])[across] + 0.5))
    if not 0 <= index < size[across]:
        return "Outside the scan"
    direction = matrix[:3, across]
    axis = int(np.argmax(np.abs(direction)))
    # RAS grows towards the patient's right, the front and the head, where counting starts
    number = size[across] - index if direction[axis] > 0 else index + 1
    return f"Slice {number} of {size[across]}"


def _number(text: str) -> str:
    try:
        return f"{float(text):.3g}"
    except ValueError:
        return text
