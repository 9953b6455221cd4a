"""The content tree of a structured report: items by the code of their name, whichever program wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from oncotrack.dicom_objects import codes
from oncotrack.dicom_objects.codes import Code


def code_in(sequence: Any) -> Code | None:
    """Return the first code of a code sequence, or None.

    Parameters
    ----------
    sequence : pydicom sequence or None
        For example a ConceptNameCodeSequence.
    """
    return codes.read_code(sequence[0]) if sequence else None


def items(parent: Dataset, *names: Code, kind: str = "") -> list[Dataset]:
    """Return the direct items of a parent that have one of these names.

    Parameters
    ----------
    parent : Dataset
        A content item, or the document.
    *names : Code
        All items where there is no name here.
    kind : str
        Value type, "NUM"; any where "".
    """
    return [
        each
        for each in parent.get("ContentSequence") or []
        if (not kind or each.get("ValueType") == kind) and (not names or _is_named(each, names))
    ]


def item(parent: Dataset, *names: Code, kind: str = "") -> Dataset | None:
    """Return the first of `items`, or None.

    Parameters
    ----------
    parent, *names, kind
        As in `items`.
    """
    return next(iter(items(parent, *names, kind=kind)), None)


def _is_named(each: Dataset, names: tuple[Code, ...]) -> bool:
    name = code_in(each.get("ConceptNameCodeSequence"))
    return name is not None and any(codes.same(name, wanted) for wanted in names)


def text(parent: Dataset, *names: Code) -> str:
    """Return the text, person name, UID or the meaning of the code of an item, or "".

    Parameters
    ----------
    parent, *names
        As in `items`.
    """
    found = item(parent, *names)
    if found is None:
        return ""
    code = value(found)
    plain = found.get("TextValue") or found.get("PersonName") or found.get("UID")
    return str(plain if plain is not None else code.meaning if code else "").strip()


def value(found: Dataset | None) -> Code | None:
    """Return the code that a CODE item holds, or None.

    Parameters
    ----------
    found : Dataset or None
        The item.
    """
    return code_in(found.get("ConceptCodeSequence")) if found is not None else None


def number(found: Dataset | None) -> tuple[float, str] | None:
    """Return the number of a NUM item and the code of its unit; None where it holds none.

    Parameters
    ----------
    found : Dataset or None
        The item.
    """
    measured = (found.get("MeasuredValueSequence") or [None])[0] if found is not None else None
    if measured is None or measured.get("NumericValue") is None:
        return None
    unit = code_in(measured.get("MeasurementUnitsCodeSequence"))
    return float(measured.NumericValue), unit.value if unit else ""


def graphic(found: Dataset) -> tuple[str, np.ndarray]:
    """Return the graphic type of a SCOORD or SCOORD3D item, and its points, (N, 2) or (N, 3).

    Parameters
    ----------
    found : Dataset
        The item.
    """
    width = 3 if found.ValueType == "SCOORD3D" else 2
    data = found.get("GraphicData")
    flat = np.asarray([] if data is None else data, float).ravel()
    return str(found.get("GraphicType") or ""), flat[: len(flat) // width * width].reshape(-1, width)


def shapes(parent: Dataset) -> Iterator[Dataset]:
    """Yield the coordinates below an item, those of the item itself first.

    Parameters
    ----------
    parent : Dataset
        A measurement group or a NUM item.
    """
    for each in items(parent):
        if each.get("ValueType") in ("SCOORD", "SCOORD3D"):
            yield each
    for each in items(parent):
        if each.get("ValueType") not in ("SCOORD", "SCOORD3D"):
            yield from shapes(each)


def image_of(shape: Dataset) -> tuple[str, int] | None:
    """Return SOP Instance UID and frame number (1 for a single image) of the image that coordinates lie on, or None.

    Parameters
    ----------
    shape : Dataset
        A SCOORD item.
    """
    for each in items(shape):
        for reference in each.get("ReferencedSOPSequence") or []:
            frame = reference.get("ReferencedFrameNumber")
            first = frame[0] if isinstance(frame, (list, tuple)) or hasattr(frame, "append") else frame
            return str(reference.ReferencedSOPInstanceUID), int(first or 1)
    return None


def groups(document: Dataset) -> list[Dataset]:
    """Return the measurement groups of a report (TID 1500).

    Parameters
    ----------
    document : Dataset
        The report.
    """
    return [
        group
        for container in items(document, codes.MEASUREMENTS, kind="CONTAINER")
        for group in items(container, codes.GROUP, kind="CONTAINER")
    ]


def segments(group: Dataset) -> list[tuple[str, int]]:
    """Return the segments that a measurement group refers to, by SOP Instance UID and number.

    Parameters
    ----------
    group : Dataset
        A measurement group.
    """
    found = []
    for each in items(group, codes.REFERENCED_SEGMENT):
        for reference in each.get("ReferencedSOPSequence") or []:
            numbers = reference.get("ReferencedSegmentNumber")
            first = numbers[0] if hasattr(numbers, "append") else numbers
            found.append((str(reference.ReferencedSOPInstanceUID), int(first or 1)))
    return found
