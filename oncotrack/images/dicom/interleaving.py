"""Acquisitions whose slices lie between each other, so that together they look like one volume of thinner slices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oncotrack.images.dicom.frames import Frame
from oncotrack.images.dicom.groups import TIMES, by_value, label
from oncotrack.images.dicom.headers import numbers, text

_ELEMENTS = (
    *("File", "TemporalPositionIdentifier", "AcquisitionNumber", "NominalPercentageOfCardiacPhase", "EchoNumbers"),
    *("EchoTime", "DiffusionBValue", "ConvolutionKernel", "KVP", "StackID", "DimensionIndex", "ContrastBolusAgent"),
    *("SliceThickness", "ImageType", "AcquisitionDateTime", "AcquisitionTime"),
)


def interleaved_groups(frames: list[Frame], along: np.ndarray) -> tuple[list[list[Frame]], list[str]]:
    """Return the acquisitions of images at different positions that lie between each other, and their names.

    Interleaved packages of an MR, whose slices do not overlap, are one group; so are acquisitions one after another.

    Parameters
    ----------
    frames : list of Frame
        Images with one orientation and size, no two at one position.
    along : (N,) ndarray
        Their positions along the normal, mm.
    """
    place = {id(frame): each for frame, each in zip(frames, along, strict=True)}
    packages = text(frames[0].header, "Modality") != "CT" and not _overlap(frames, along)
    for keyword in _ELEMENTS:
        if packages and keyword in ("AcquisitionNumber", *TIMES):
            continue
        groups = by_value(frames, keyword)
        spans = [np.sort([place[id(frame)] for frame in group]) for group in groups if len(group) > 1]
        if len(groups) > 2 * len(spans):  # a value for each slice
            continue
        if any(_interleaved(a, b) for n, a in enumerate(spans) for b in spans[:n]):
            return groups, [label(keyword, group[0]) for group in groups]
    return ([frames], [""]) if packages else _by_runs(frames, along)


def _by_runs(frames: list[Frame], along: np.ndarray) -> tuple[list[list[Frame]], list[str]]:
    """Group images whose numbers run through the same range of positions several times."""
    instances = [sum(numbers(frame.header, "InstanceNumber")[:1]) for frame in frames]
    if len(set(instances)) < len(frames) or len(frames) < 6:
        return [frames], [""]
    order = np.argsort(instances)
    steps = np.diff(along[order])
    turns = np.flatnonzero(np.sign(steps) != np.sign(np.median(steps)))
    runs = np.split(order, turns + 1)
    if len(runs) < 2 or min(map(len, runs)) < 3 or not _interleaved(np.sort(along[runs[0]]), np.sort(along[runs[1]])):
        return [frames], [""]
    groups = [[frames[n] for n in run] for run in runs]
    ends = [[text(frame.header, "InstanceNumber") for frame in (group[0], group[-1])] for group in groups]
    return groups, [f"images {first} to {last}" for first, last in ends]


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
