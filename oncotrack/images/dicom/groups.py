"""Groups of the images of a series, and what sets them apart in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oncotrack.images.dicom.frames import Frame
from oncotrack.images.dicom.headers import numbers, text

LABELS = {
    "File": "file {}",
    "ImageType": "{}",
    "TemporalPositionIdentifier": "time point {}",
    "AcquisitionNumber": "acquisition {}",
    "NominalPercentageOfCardiacPhase": "cardiac phase {} %",
    "TriggerTime": "trigger time {} ms",
    "EchoNumbers": "echo {}",
    "EchoTime": "echo time {} ms",
    "DiffusionBValue": "b = {} s/mm²",
    "SequenceName": "sequence {}",
    "FrameReferenceTime": "frame time {} ms",
    "ConvolutionKernel": "kernel {}",
    "KVP": "{} kV",
    "ContrastBolusAgent": "contrast {}",
    "SliceThickness": "slices {} mm thick",
    "SeriesDescription": "{}",
    "TemporalPositionTimeOffset": "time {} s",
    "DimensionIndex": "dimension index {}",
    "StackID": "stack {}",
    "AcquisitionDateTime": "acquired {}",
    "AcquisitionTime": "acquired at {}",
    "SeriesTime": "series of {}",
    "ContentTime": "made at {}",
}
"""Elements that tell volumes at the same place apart, the clearest first, and how a part is named by them."""
TIMES = ("AcquisitionTime", "AcquisitionDateTime", "SeriesTime", "ContentTime")
"""Those that are times of day."""


@dataclass(frozen=True)
class Part:
    """Images that belong to one volume, or that cannot form one.

    Parameters
    ----------
    frames : list of Frame
        The images.
    labels : tuple of str
        What sets them apart from the other parts of the series.
    problem : str
        Why they form no volume, or "".
    faulty : bool
        Whether the problem is a fault of the files.
    """

    frames: list[Frame]
    labels: tuple[str, ...] = ()
    problem: str = ""
    faulty: bool = False


def normal_of(frame: Frame) -> np.ndarray:
    """Return the unit normal of an image, LPS.

    Parameters
    ----------
    frame : Frame
        An image with an orientation.
    """
    normal = np.cross(frame.orientation[:3], frame.orientation[3:])
    return normal / (np.linalg.norm(normal) or 1.0)


def grouped(frames: Sequence[Frame], keys: Iterable[Any]) -> list[list[Frame]]:
    """Group images by a key; the groups keep the order in which their keys occur.

    Parameters
    ----------
    frames : sequence of Frame
        The images.
    keys : iterable
        A key for each.
    """
    groups: dict[Any, list[Frame]] = {}
    for frame, key in zip(frames, keys, strict=True):
        groups.setdefault(key, []).append(frame)
    return list(groups.values())


class Clusters:
    """Numbers for vectors that are equal within a tolerance.

    Parameters
    ----------
    tolerance : float
        Largest difference of a component.
    """

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self._centres: list[tuple[float, ...]] = []
        self._known: dict[tuple[float, ...], int] = {}

    def of(self, vector: tuple[float, ...]) -> int:
        """Return the number of the cluster.

        Parameters
        ----------
        vector : tuple of float
            The vector.
        """
        if vector not in self._known:
            close = (
                n
                for n, centre in enumerate(self._centres)
                if max(abs(a - b) for a, b in zip(centre, vector, strict=True)) <= self._tolerance
            )
            number = next(close, len(self._centres))
            if number == len(self._centres):
                self._centres.append(vector)
            self._known[vector] = number
        return self._known[vector]


def by_value(frames: Sequence[Frame], keyword: str) -> list[list[Frame]]:
    """Group images by the value of an element, in the order of the values.

    Parameters
    ----------
    frames : sequence of Frame
        The images.
    keyword : str
        The element.
    """
    groups = grouped(frames, [frame.header.get(keyword, b"") for frame in frames])
    return groups if keyword == "File" else sorted(groups, key=lambda group: rank(group[0], keyword))


def rank(frame: Frame, keyword: str) -> tuple:
    """Return a key that sorts images by an element, by number where it is one.

    Parameters
    ----------
    frame : Frame
        The image.
    keyword : str
        The element.
    """
    return numbers(frame.header, keyword)[:1] or (0.0,), text(frame.header, keyword)


def label(keyword: str, frame: Frame) -> str:
    """Return the value of an element that sets a part apart, in words.

    Parameters
    ----------
    keyword : str
        The element.
    frame : Frame
        An image of the part.
    """
    value = text(frame.header, keyword)
    if keyword == "File":
        return f"file {frame.file.path.name}"
    if keyword in TIMES:
        digits = value.partition(".")[0][-6:]
        value = ":".join(digits[n : n + 2] for n in range(0, len(digits), 2))
    if keyword == "ImageType":
        value = "/".join(value.split("\\")[2:]) or value.replace("\\", "/")
    number = numbers(frame.header, keyword)
    value = f"{number[0]:g}" if len(number) == 1 and keyword not in TIMES else value
    return LABELS[keyword].format(value or "without a value")
