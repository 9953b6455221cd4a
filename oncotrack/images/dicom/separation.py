"""Separation of images at the same places: phases, echoes, b-values, acquisitions, time points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from oncotrack.images.dicom.frames import Frame
from oncotrack.images.dicom.headers import numbers, text

_LABELS = {
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
_INTERLEAVED = (
    *("File", "TemporalPositionIdentifier", "AcquisitionNumber", "NominalPercentageOfCardiacPhase", "EchoNumbers"),
    *("EchoTime", "DiffusionBValue", "ConvolutionKernel", "KVP", "StackID", "DimensionIndex", "AcquisitionDateTime"),
    "AcquisitionTime",
)
_ORDER = (
    *("TemporalPositionIdentifier", "AcquisitionNumber", "AcquisitionTime", "TriggerTime", "FrameReferenceTime"),
    *("ContentTime", "InstanceNumber"),
)
_TIMES = ("AcquisitionTime", "AcquisitionDateTime", "SeriesTime", "ContentTime")


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


def _levels(frames: Sequence[Frame]) -> tuple[np.ndarray, np.ndarray]:
    """Return the position of each image along the normal (mm), and a number for it; images at one position share it."""
    along = np.array([frame.position for frame in frames]) @ normal_of(frames[0])
    order = np.argsort(along, kind="stable")
    steps = np.diff(along[order])
    apart = steps[steps > 1e-3]
    starts = steps > (0.1 * np.median(apart) if len(apart) else 1e-3)
    levels = np.empty(len(frames), int)
    levels[order] = np.concatenate([[0], np.cumsum(starts)])
    return along, levels


def separated(frames: list[Frame]) -> list[Part]:
    """Divide images with one orientation and size into volumes.

    Parameters
    ----------
    frames : list of Frame
        The images.
    """
    along, levels = _levels(frames)
    counts = np.bincount(levels)
    if len(frames) > 1 and len(counts) == 1:
        return [Part(frames, problem=_one_position(frames))]
    if counts.max() == 1:
        return _by_interleaving(frames, along)
    stations = _stations(frames, along)
    if 1 < len(stations) <= counts.max():
        return [
            replace(part, labels=(f"station {n}", *part.labels))
            for n, group in enumerate(stations, 1)
            for part in separated(group)
        ]
    found = _best_element(frames, levels, int(counts.max()))
    if found:
        return _divided(*found)
    if (counts == counts.max()).all():
        return _by_order(frames, levels, int(counts.max()))
    level = int(counts.argmax())
    names = [frame.name for frame, each in zip(frames, levels, strict=True) if each == level][:2]
    problem = (
        f"{len(frames) - len(counts)} of {len(frames)} slices lie at the same position as another slice (the first are "
        f"{' and '.join(names)}), and nothing tells which belong together. Export the series again."
    )
    return [Part(frames, problem=problem, faulty=True)]


def _stations(frames: Sequence[Frame], along: np.ndarray) -> list[list[Frame]]:
    """Group images by where they lie in their planes: stations of a table that moved."""
    places = np.array([frame.position for frame in frames]) - np.outer(along, normal_of(frames[0]))
    clusters = Clusters(1.0)
    return grouped(frames, [clusters.of(tuple(place)) for place in places])


def _one_position(frames: Sequence[Frame]) -> str:
    corners = np.array([frame.position for frame in frames])
    if np.ptp(corners, axis=0).max() > 1.0:
        return f"No volume: {len(frames)} images that lie side by side in one plane."
    varied = next((word for word in ("DiffusionBValue", "EchoTime") if len(_by_value(frames, word)) > 1), "")
    how = {"DiffusionBValue": "with different b-values", "EchoTime": "with different echo times"}.get(
        varied, "over time"
    )
    return f"No volume: {len(frames)} images of one position {how}."


def _by_value(frames: Sequence[Frame], keyword: str) -> list[list[Frame]]:
    groups = grouped(frames, [frame.header.get(keyword, b"") for frame in frames])
    return groups if keyword == "File" else sorted(groups, key=lambda group: _rank(group[0], keyword))


def _rank(frame: Frame, keyword: str) -> tuple:
    return numbers(frame.header, keyword)[:1] or (0.0,), text(frame.header, keyword)


def _best_element(frames: list[Frame], levels: np.ndarray, most: int) -> tuple[str, list[list[Frame]]] | None:
    """Return the element that best tells images at one position apart, and the groups by it."""
    level = {id(frame): each for frame, each in zip(frames, levels, strict=True)}

    def repeats(groups: Iterable[list[Frame]]) -> int:
        return sum(len(group) - len({level[id(frame)] for frame in group}) for group in groups)

    before, best, fallback = repeats([frames]), None, None
    for keyword in _LABELS:
        groups = _by_value(frames, keyword)
        if len(groups) < 2:
            continue
        after = repeats(groups)
        if after == 0 and len(groups) <= most:
            return keyword, groups
        if after < before and len(groups) <= most and (best is None or after < best[0]):
            best = after, keyword, groups
        whole = after == 0 and min(map(len, groups)) > 1
        if whole and (fallback is None or len(groups) < len(fallback[1])):
            fallback = keyword, groups
    return best[1:] if best else fallback


def _by_order(frames: list[Frame], levels: np.ndarray, passes: int) -> list[Part]:
    """Divide images by their order in time at each position."""
    ranks = {id(frame): tuple(_rank(frame, keyword) for keyword in _ORDER) for frame in frames}
    keys = np.empty(len(frames), int)
    for level in range(levels.max() + 1):
        members = sorted(np.flatnonzero(levels == level), key=lambda n: ranks[id(frames[n])])
        keys[members] = np.arange(passes)
    groups = [[frame for frame, key in zip(frames, keys, strict=True) if key == n] for n in range(passes)]
    return [Part(group, (f"{n} of {passes} over time",)) for n, group in enumerate(groups, 1)]


def _by_interleaving(frames: list[Frame], along: np.ndarray) -> list[Part]:
    """Divide images at different positions whose acquisitions lie between each other."""
    place = {id(frame): each for frame, each in zip(frames, along, strict=True)}
    packages = text(frames[0].header, "Modality") != "CT" and not _overlap(frames, along)
    for keyword in _INTERLEAVED:
        if packages and keyword in ("AcquisitionNumber", *_TIMES):
            continue
        groups = _by_value(frames, keyword)
        if len(groups) < 2 or min(map(len, groups)) < 2:
            continue
        spans = [np.sort([place[id(frame)] for frame in group]) for group in groups]
        if any(_interleaved(a, b) for n, a in enumerate(spans) for b in spans[:n]):
            return _divided(keyword, groups)
    return [Part(frames)]


def _divided(keyword: str, groups: Iterable[list[Frame]]) -> list[Part]:
    """Divide each group further and name all parts by the element's value."""
    return [
        replace(part, labels=(label(keyword, group[0]), *part.labels)) for group in groups for part in separated(group)
    ]


def _overlap(frames: Sequence[Frame], along: np.ndarray) -> bool:
    """Return whether neighbouring slices overlap."""
    thickness = numbers(frames[0].header, "SliceThickness")
    return bool(thickness) and float(np.median(np.diff(np.sort(along)))) < 0.9 * thickness[0]


def _interleaved(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether more than half of the smaller set of positions lies inside the other's range."""
    few, many = sorted((one, other), key=len)
    inside = (few > many[0]) & (few < many[-1])
    gaps = np.searchsorted(many, few[inside])
    return 2 * inside.sum() > len(few) and len(np.unique(gaps)) > 1


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
    if keyword in _TIMES:
        digits = value.partition(".")[0][-6:]
        value = ":".join(digits[n : n + 2] for n in range(0, len(digits), 2))
    if keyword == "ImageType":
        value = "/".join(value.split("\\")[2:]) or value.replace("\\", "/")
    number = numbers(frame.header, keyword)
    value = f"{number[0]:g}" if len(number) == 1 and keyword not in _TIMES else value
    return _LABELS[keyword].format(value or "without a value")
