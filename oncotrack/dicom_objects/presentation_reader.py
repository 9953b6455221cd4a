"""Lines that were drawn in a PACS (Grayscale Softcopy Presentation State): lines of two points become diameters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from pydicom.dataset import Dataset

from oncotrack.dicom_objects.report_places import of_axes
from oncotrack.dicom_objects.report_reader import ReadFinding, Reading, when_of
from oncotrack.dicom_objects.scans import Scan, Scans
from oncotrack.dicom_objects.source_images import Plane
from oncotrack.findings.finding import Axis, Finding, Provenance, point

_LEAST_ANGLE_DEGREES = 60.0
"""Least angle between two lines that are the long and the short axis of one lesion."""


@dataclass(frozen=True)
class _Line:
    """A line on an image: its ends as image coordinates, (2, 2), and the text of its annotation."""

    scan: Scan
    plane: Plane
    pixels: np.ndarray
    text: str

    @property
    def axis(self) -> Axis:
        """The line, RAS mm."""
        start, end = self.plane.points(self.pixels)
        return Axis(point(start), point(end))


def read_presentation(state: Dataset, name: str, scans: Scans, reading: Reading) -> None:
    """Read the lines of a presentation state; two that cross at a large angle are the diameters of one lesion.

    Parameters
    ----------
    state : Dataset
        The presentation state.
    name : str
        Name of its file, for messages.
    scans : Scans
        The scans that it was drawn on.
    reading : Reading
        What is read is added to it.
    """
    lines, others = _lines(state, name, scans, reading)
    if not lines and not others:
        reading.problems.append(f"{name} holds no lines of two points; nothing was drawn that can be measured here.")
    elif others:
        reading.problems.append(
            f"{name}: {others} drawing{'s' if others > 1 else ''} other than a line of two points "
            f"{'were' if others > 1 else 'was'} left out. Only lines become diameters."
        )
    when = when_of(state) or _created(state)
    made = Provenance(
        f"DICOM presentation state of {state.get('Manufacturer') or 'unknown'}",
        str(state.get("ContentCreatorName") or "").rstrip("^") or "reader",
    )
    made = replace(made, when=when or made.when)
    while lines:
        long = lines.pop(0)
        across = next((each for each in lines if each.plane is long.plane and _cross(long.pixels, each.pixels)), None)
        if across is not None:
            lines.remove(across)
        seen = of_axes(long.axis, across.axis if across else None)
        label = long.text or (across.text if across else "")
        reading.findings.append(ReadFinding(Finding(label=label), long.scan, replace(seen, provenance=made)))


def _lines(state: Dataset, name: str, scans: Scans, reading: Reading) -> tuple[list[_Line], int]:
    """Return the lines of two points, and the number of other drawings."""
    lines: list[_Line] = []
    others = 0
    for annotation in state.get("GraphicAnnotationSequence") or []:
        drawn = annotation.get("GraphicObjectSequence") or []
        if not drawn:
            continue
        found = _plane(annotation, state, scans)
        if found is None:
            reading.problems.append(
                f"{name}: {len(drawn)} drawing{'s lie' if len(drawn) > 1 else ' lies'} on an image that is in no scan. "
                "Add the series of that image."
            )
            others += len(drawn)
            continue
        words = [str(each.get("UnformattedTextValue") or "") for each in annotation.get("TextObjectSequence") or []]
        text = " ".join(words[0].split())[:64] if words else ""
        for each in drawn:
            pixels = _pixels(each, found[1], state)
            if pixels is None:
                others += 1
            else:
                lines.append(_Line(*found, pixels, text))
                text = ""
    return lines, others


def _plane(annotation: Dataset, state: Dataset, scans: Scans) -> tuple[Scan, Plane] | None:
    """Return the image of an annotation; where it names none, the only image that the whole state names."""
    references = list(annotation.get("ReferencedImageSequence") or [])
    if not references:
        references = [
            image
            for series in state.get("ReferencedSeriesSequence") or []
            for image in series.get("ReferencedImageSequence") or []
        ]
    if len(references) != 1:
        references = references[:1] if annotation.get("ReferencedImageSequence") else []
    for reference in references:
        frame = reference.get("ReferencedFrameNumber")
        first = frame[0] if hasattr(frame, "append") else frame
        return scans.plane(str(reference.ReferencedSOPInstanceUID), int(first or 1))
    return None


def _pixels(drawn: Dataset, plane: Plane, state: Dataset) -> np.ndarray | None:
    """Return the ends of a line as image coordinates, (2, 2); None where it is no line of two points."""
    data = np.asarray(drawn.get("GraphicData") or [], float)
    if str(drawn.get("GraphicType")) not in ("POLYLINE", "INTERPOLATED") or data.shape != (4,):
        return None
    points = data.reshape(2, 2)
    if str(drawn.get("GraphicAnnotationUnits")) == "PIXEL":
        return points
    # DISPLAY: fractions of the displayed area (PS3.3, C.10.5.1.1), which is the whole image unless stated otherwise
    area = (state.get("DisplayedAreaSelectionSequence") or [{}])[0]
    first = np.asarray(area.get("DisplayedAreaTopLeftHandCorner") or (1, 1), float) - 1
    last = np.asarray(area.get("DisplayedAreaBottomRightHandCorner") or plane.size, float)
    return first + points * (last - first)


def _cross(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two lines cross at an angle of at least 60 degrees."""
    a, b = one[1] - one[0], other[1] - other[0]
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    area = a[0] * b[1] - a[1] * b[0]
    if lengths == 0 or abs(area) < np.sin(np.radians(_LEAST_ANGLE_DEGREES)) * lengths:
        return False
    gap = other[0] - one[0]
    s, t = (gap[0] * b[1] - gap[1] * b[0]) / area, (gap[0] * a[1] - gap[1] * a[0]) / area
    return bool(-0.05 <= s <= 1.05 and -0.05 <= t <= 1.05)


def _created(state: Dataset) -> str:
    day, time = str(state.get("PresentationCreationDate") or ""), str(state.get("PresentationCreationTime") or "")
    proxy = Dataset()
    proxy.ContentDate, proxy.ContentTime = day, time
    return when_of(proxy)
