"""Division of the images of one series into groups that may be volumes.

One Series Instance UID may hold a localizer beside its slices, several phases, echoes or acquisitions, or images of one
position over time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from oncotrack.images.dicom.frames import Frame
from oncotrack.images.dicom.groups import Clusters, Part, grouped, normal_of
from oncotrack.images.dicom.headers import text
from oncotrack.images.dicom.kinds import kind_of
from oncotrack.images.dicom.separation import separated


def parts_of(frames: Sequence[Frame]) -> list[Part]:
    """Divide the images of one series into volumes.

    Parameters
    ----------
    frames : sequence of Frame
        Greyscale images with one Series Instance UID.
    """
    placed = [frame for frame in frames if frame.position and frame.orientation and frame.pixel_spacing]
    lost = [frame for frame in frames if not (frame.position and frame.orientation and frame.pixel_spacing)]
    groups = grouped(placed, _sameness(placed))
    parts = []
    if len(groups) > 2 and all(len(group) == 1 for group in groups):
        problem = f"Not a volume: {len(groups)} single images of different orientations or sizes."
        parts, groups = [Part(placed, problem=problem)], []
    for group, labels in zip(groups, _differences(groups), strict=True):
        parts += [replace(part, labels=labels + part.labels) for part in separated(group)]
    if not lost:
        return parts
    if len(parts) == 1 and not parts[0].problem and lost[0].size == parts[0].frames[0].size:
        return [replace(parts[0], frames=list(frames), problem=_no_geometry(lost), faulty=True)]
    return [*parts, Part(lost, problem=_no_geometry(lost))]


def _no_geometry(lost: Sequence[Frame]) -> str:
    if lost[0].index >= 0:
        return (
            f"{lost[0].file.path.name} has {len(lost)} frames but does not say where each lies in the patient, so it "
            "cannot be read as a volume. Export it with the position of every frame."
        )
    what, tag = next(
        (what, tag)
        for value, what, tag in (
            (lost[0].position, "position", "Image Position (Patient)"),
            (lost[0].orientation, "orientation", "Image Orientation (Patient)"),
            (lost[0].pixel_spacing, "pixel spacing", "Pixel Spacing"),
        )
        if not value
    )
    return (
        f"The slice {lost[0].name} has no {what} (the DICOM tag {tag} is missing or damaged). Export the series again."
    )


def _sameness(frames: Sequence[Frame]) -> list[tuple]:
    """Return a key for each image; images with different keys never belong to one volume."""
    orientations = Clusters(2e-3)
    spacings = Clusters(1e-3)
    return [
        (
            *(frame.header.get(word) for word in ("PatientID", "PatientName", "FrameOfReferenceUID", "Modality")),
            frame.size,
            kind_of(frame.header),
            orientations.of(frame.orientation),
            spacings.of(frame.pixel_spacing),
        )
        for frame in frames
    ]


def _differences(groups: Sequence[Sequence[Frame]]) -> list[tuple[str, ...]]:
    """Return what sets groups of images apart, in words."""
    describers: tuple[Callable[[Frame], str], ...] = (
        lambda frame: f"patient {text(frame.header, 'PatientID') or text(frame.header, 'PatientName')}",
        lambda frame: text(frame.header, "Modality"),
        lambda frame: kind_of(frame.header),
        _plane,
        lambda frame: "{1} x {0} pixels".format(*frame.size),
        lambda frame: f"{round(frame.pixel_spacing[1], 4):g} mm pixels",
    )
    labels: list[tuple[str, ...]] = [()] * len(groups)
    for describe in describers:
        words = [describe(group[0]) for group in groups]
        if len(set(words)) > 1:
            labels = [(*label, word) for label, word in zip(labels, words, strict=True)]
    repeated = Counter(labels)
    seen: Counter = Counter()
    for n, label in enumerate(labels):
        if len(groups) > 1 and repeated[label] > 1:
            seen[label] += 1
            labels[n] = (*label, f"part {seen[label]}")
    return labels


def _plane(frame: Frame) -> str:
    return ("sagittal", "coronal", "axial")[int(np.abs(normal_of(frame)).argmax())]
