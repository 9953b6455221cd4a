"""Lung-PET-CT-Dx: CT as DICOM, tumour boxes as one VOC XML file per slice, named by the slice's SOP Instance UID.

P. Li et al., "A large-scale CT and PET/CT dataset for lung cancer diagnosis", TCIA 2020. Boxes of neighbouring
slices that overlap by IoU > 0.1 are one tumour.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from oncotrack.datasets.case import Case, annotated_observation, slice_tracklet, truth_list, voxel_box
from oncotrack.datasets.dicom_tree import find_series, require_path
from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding
from oncotrack.images.dicom import Series, read
from oncotrack.images.dicom.headers import text
from oncotrack.images.volume import Volume, lps_to_ras

SOURCE = "Lung-PET-CT-Dx"
TYPES = {
    "A": "adenocarcinoma",
    "B": "small cell carcinoma",
    "E": "large cell carcinoma",
    "G": "squamous cell carcinoma",
}
Boxes = list[tuple[str, tuple[float, ...]]]


def read_boxes(path: str | Path) -> Boxes:
    """Read class letter and box (x0, y0, x1, y1 pixels, both ends inside) of every object in a VOC file."""
    try:
        root = ElementTree.parse(path).getroot()
        return [
            (
                item.findtext("name", "").strip(),
                tuple(float(item.findtext(f"bndbox/{end}", "")) for end in ("xmin", "ymin", "xmax", "ymax")),
            )
            for item in root.iter("object")
        ]
    except (ElementTree.ParseError, OSError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a readable VOC box file ({error}). Download the annotations again.") from error


def cases(scans: str | Path, annotations: str | Path) -> Iterator[Case]:
    """Yield one case per CT series that has at least one annotated slice.

    Raises
    ------
    InputError
        No annotations, or a damaged file.
    """
    scans = require_path(scans, "the DICOM series of Lung-PET-CT-Dx")
    files = {path.stem: path for path in require_path(annotations, "the annotation XML files").rglob("*.xml")}
    if not files:
        raise InputError(f"{annotations} holds no XML files. Choose the folder Annotation of Lung-PET-CT-Dx.")
    for series in find_series(scans):
        if series.modality == "CT":
            planes = _positions(series)
            marked = {uid: read_boxes(files[uid]) for uid in planes if uid in files}
            if any(marked.values()):
                yield _case(series, planes, marked)


def _positions(series: Series) -> dict[str, np.ndarray]:
    """Return the RAS position (mm) of every slice by its SOP Instance UID."""
    return {
        text(frame.header, "SOPInstanceUID"): lps_to_ras(frame.position) for frame in series.frames if frame.position
    }


def _case(series: Series, planes: dict[str, np.ndarray], marked: dict[str, Boxes]) -> Case:
    """Read a series with its tumours."""
    ct = read(series)
    slices = {round(float(ct.geometry.to_ijk(planes[uid])[2])): boxes for uid, boxes in marked.items()}
    findings = [_finding(n, letter, boxes, ct) for n, (letter, boxes) in enumerate(stack(slices), 1)]
    name = series.patient_id or series.uid
    return Case(name, {"ct": ct}, truth_list(name, {"ct": ct}, findings))


def stack(slices: dict[int, Boxes]) -> list[tuple[str, dict[int, tuple[float, ...]]]]:
    """Link boxes of a class that overlap by IoU > 0.1 on neighbouring slices; return class letter and box by slice."""
    linked: list[tuple[str, dict[int, tuple[float, ...]]]] = []
    for k, boxes in sorted(slices.items()):
        for letter, box in boxes:
            open_ends = [
                t for t in linked if t[0] == letter and k not in t[1] and k - 1 in t[1] and _iou(t[1][k - 1], box) > 0.1
            ]
            if open_ends:
                max(open_ends, key=lambda t: _iou(t[1][k - 1], box))[1][k] = box
            else:
                linked.append((letter, {k: box}))
    return linked


def _iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Return the intersection over union of two boxes, whose ends are both inside."""
    import torch

    from oncotrack.networks.boxes import iou

    boxes = torch.tensor([a, b], dtype=torch.float64)
    boxes[:, 2:] += 1
    return float(iou(boxes[:1], boxes[1:]))


def _finding(number: int, letter: str, boxes: dict[int, tuple[float, ...]], ct: Volume) -> Finding:
    """Return a tumour as a finding with a tracklet."""
    corners = np.array(list(boxes.values()))
    low = (*corners[:, :2].min(0), min(boxes))
    high = (*corners[:, 2:].max(0), max(boxes))
    box = voxel_box(ct.geometry, low, high)
    observation = annotated_observation(SOURCE, centre=box.centre, box=box, tracklet=slice_tracklet(ct.geometry, boxes))
    return Finding(label=f"L {number}", site=TYPES.get(letter, letter), observations={"ct": observation})
