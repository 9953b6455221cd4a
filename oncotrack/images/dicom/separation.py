"""Separation of images at the same places: phases, echoes, b-values, acquisitions, time points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from oncotrack.images.dicom.frames import Frame
from oncotrack.images.dicom.groups import LABELS, Clusters, Part, by_value, grouped, label, normal_of, rank
from oncotrack.images.dicom.headers import numbers
from oncotrack.images.dicom.interleaving import interleaved_groups

_NOISE = 0.12  # mm: positions of one place may differ by this much when they are rounded
_ORDER = (
    *("TemporalPositionIdentifier", "AcquisitionNumber", "AcquisitionTime", "TriggerTime", "FrameReferenceTime"),
    *("ContentTime", "InstanceNumber"),
)


def _levels(frames: Sequence[Frame]) -> tuple[np.ndarray, np.ndarray]:
    """Return the position of each image along the normal (mm), and a number for it; images at one position share it."""
    along = np.array([frame.position for frame in frames]) @ normal_of(frames[0])
    order = np.argsort(along, kind="stable")
    steps = np.diff(along[order])
    starts = steps > _least_step(steps, numbers(frames[0].header, "SliceThickness")[:1])
    levels = np.empty(len(frames), int)
    levels[order] = np.concatenate([[0], np.cumsum(starts)])
    return along, levels


def _least_step(steps: np.ndarray, thickness: tuple[float, ...]) -> float:
    """Return the distance below which two images lie at one position, mm."""
    if steps.sum() <= (0.1 * thickness[0] if thickness else 1e-3):
        return np.inf
    small, large = steps[steps <= _NOISE], steps[steps > _NOISE]
    if len(large) and large.min() > 4 * small.max(initial=0):
        return (small.max(initial=0) + large.min()) / 2
    return float(max(0.1 * np.median(steps[steps > 1e-3]), 1e-3)) if (steps > 1e-3).any() else 1e-3


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
        groups, labels = interleaved_groups(frames, along)
        if len(groups) == 1:
            return [Part(frames)]
        return [
            replace(part, labels=(name, *part.labels))
            for group, name in zip(groups, labels, strict=True)
            for part in separated(group)
        ]
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
        f"Slices at the same position as another: {len(frames) - len(counts)} of {len(frames)} (for example "
        f"{' and '.join(names)}). The headers do not tell which belong together. Export the series again."
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
        return f"Not a volume: {len(frames)} images that lie side by side in one plane."
    varied = next((word for word in ("DiffusionBValue", "EchoTime") if len(by_value(frames, word)) > 1), "")
    how = {"DiffusionBValue": " with different b-values", "EchoTime": " with different echo times"}.get(varied, "")
    if not how and any(len(by_value(frames, word)) > 1 for word in _ORDER):
        how = " over time"
    return f"Not a volume: {len(frames)} images at one position{how}."


def _best_element(frames: list[Frame], levels: np.ndarray, most: int) -> tuple[str, list[list[Frame]]] | None:
    """Return the element that best tells images at one position apart, and the groups by it."""
    level = {id(frame): each for frame, each in zip(frames, levels, strict=True)}

    def repeats(groups: Iterable[list[Frame]]) -> int:
        return sum(len(group) - len({level[id(frame)] for frame in group}) for group in groups)

    before, best, fallback = repeats([frames]), None, None
    for keyword in LABELS:
        groups = by_value(frames, keyword)
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
    ranks = {id(frame): tuple(rank(frame, keyword) for keyword in _ORDER) for frame in frames}
    keys = np.empty(len(frames), int)
    for level in range(levels.max() + 1):
        members = sorted(np.flatnonzero(levels == level), key=lambda n: ranks[id(frames[n])])
        keys[members] = np.arange(passes)
    groups = [[frame for frame, key in zip(frames, keys, strict=True) if key == n] for n in range(passes)]
    timed = any(len(by_value(frames, keyword)) > 1 for keyword in _ORDER[:-1])
    name = "time point {} of {}" if timed else "set {} of {} at the same positions"
    return [Part(group, (name.format(n, passes),)) for n, group in enumerate(groups, 1)]


def _divided(keyword: str, groups: Iterable[list[Frame]]) -> list[Part]:
    """Divide each group further and name all parts by the element's value."""
    return [
        replace(part, labels=(label(keyword, group[0]), *part.labels)) for group in groups for part in separated(group)
    ]
