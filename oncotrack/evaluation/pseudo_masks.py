"""Evaluation of pseudo-masks, made from two diameters, against true masks (MR, sec. 4.4)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets.case import Case
from oncotrack.errors import InputError
from oncotrack.evaluation.masks import average_symmetric_surface_distance, box_iou, dice
from oncotrack.evaluation.statistics import bootstrap_interval
from oncotrack.images.volume import Volume
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.ellipse import radius_profile
from oncotrack.masks.plane import Region, to_voxels
from oncotrack.masks.propagate import propagate_to_3d
from oncotrack.masks.pseudo_mask import pseudo_mask
from oncotrack.masks.recist import measure, scan_axis

LEAST_SHORT_MM = 8.0
"""Least short axis of the lesions used: a node below 10 mm is normal (RECIST 1.1), one below 5 mm hardly visible."""
_MARGIN = 1.5  # around a lesion on each side, in largest extents of its mask
_METRICS = ("Dice", "ASD", "Box IoU", "seconds")
Shape = Callable[[Volume, RecistAxes], Volume]


@dataclass(frozen=True, eq=False)
class Sample:
    """One lesion: the image around it, its true mask on the same voxels, and the axes that the methods get."""

    name: str
    image: Volume
    truth: Volume
    axes: RecistAxes
    across: int


def evaluate_pseudo_masks(
    cases: Iterable[Case],
    *,
    count: int = 0,
    least_short_mm: float = LEAST_SHORT_MM,
    jitter_voxels: float = 0.0,
    in_3d: bool = True,
    progress: Progress = silent,
) -> dict:
    """Compute Dice (percent), ASD (mm) and box IoU (percent) of pseudo-masks and of shapes that need no image.

    Parameters
    ----------
    cases : iterable of Case
        With masks, on which the axes are measured.
    count : int
        Number of cases, for the progress; 0 if unknown.
    least_short_mm : float
        Lesions with a shorter short axis are left out.
    jitter_voxels : float
        Standard deviation of the random displacement of every end of an axis in its slice, voxels. A careful reader has
        about 1.
    in_3d : bool
        Also propagate every mask to 3D.
    progress : Progress
        Called after each case.

    Returns
    -------
    dict
        ``findings``; in ``in slice`` and ``in 3D``, for each shape (pseudo-mask, paper's pseudo-mask, RECIST box,
        ellipse), the mean of each metric and of the seconds a lesion, median and 10th percentile of Dice and the 95 % interval of its mean;
        ``Dice``, ``ASD``, ``Box IoU`` and ``RECIST box IoU`` repeat those of the pseudo-mask in the slice.

    Raises
    ------
    InputError
        There is no lesion of that size.
    """
    flat: dict[str, list] = {}
    deep: dict[str, list] = {}
    per_case = []
    for sample in samples(_with_progress(cases, count, progress), least_short_mm, jitter_voxels):
        layer = _layer(sample)
        row = {"case": sample.name, "long_mm": sample.axes.long.length_mm, "short_mm": sample.axes.short.length_mm}
        for name, shape in IN_SLICE.items():
            values = _compare(sample, shape, layer)
            flat.setdefault(name, []).append(values)
            row |= {f"{name} {metric}": value for metric, value in zip(_METRICS, values, strict=True)}
        for name, shape in IN_3D.items() if in_3d else ():
            values = _compare(sample, shape)
            deep.setdefault(name, []).append(values)
            row |= {f"3D {name} {metric}": value for metric, value in zip(_METRICS, values, strict=True)}
        per_case.append({key: None if isinstance(v, float) and np.isnan(v) else v for key, v in row.items()})
    if not per_case:
        raise InputError(f"There is no lesion with a short axis of {least_short_mm:g} mm or more to make a mask of.")
    result = {"task": "pseudo-masks", "findings": len(per_case), "wobble": jitter_voxels}
    in_slice = {name: _summary(values) for name, values in flat.items()}
    first = in_slice["pseudo-mask"]
    result |= {metric: first[metric] for metric in _METRICS[:3]}
    result |= {"RECIST box IoU": in_slice["RECIST box"]["Box IoU"], "in slice": in_slice}
    if in_3d:
        result["in 3D"] = {name: _summary(values) for name, values in deep.items()}
    return {**result, "per_case": per_case}


def _with_progress(cases: Iterable[Case], count: int, progress: Progress) -> Iterator[Case]:
    """Yield the cases, reporting the progress after each."""
    progress(0.0, "Reading the first case")
    for done, case in enumerate(cases, 1):
        yield case
        progress(done / max(count, done + 1), case.name)


def samples(cases: Iterable[Case], least_short_mm: float, jitter_voxels: float = 0.0) -> Iterator[Sample]:
    """Yield the lesions of cases that are large enough, with the axes measured on their masks.

    Parameters
    ----------
    cases : iterable of Case
        With masks.
    least_short_mm, jitter_voxels : float
        See `evaluate_pseudo_masks`.
    """
    for case in cases:
        for key, labels in case.masks.items():
            image = case.images[key]
            across = scan_axis(labels.geometry)
            for value, finding in enumerate(case.truth, 1):
                observation = finding.at(key)
                if observation is None or not (labels.array == value).any():
                    continue
                part, truth = _crop(image, labels, value)
                measured = measure(truth, across)
                if measured.short_axis.length_mm < least_short_mm:
                    continue
                name = f"{case.name}, {finding.label}"
                axes = _displace(measured.axes, image, across, jitter_voxels, name)
                if axes is not None:
                    yield Sample(name, part, truth, axes, across)


def _crop(image: Volume, labels: Volume, value: int) -> tuple[Volume, Volume]:
    """Return the image around one label, and the label's mask on the same voxels."""
    kji = np.argwhere(labels.array == value)[:, ::-1]
    low, high = kji.min(0), kji.max(0) + 1
    margin = _MARGIN * ((high - low) * labels.spacing).max() / np.asarray(labels.spacing)
    part = labels.cropped(low - margin, high + margin)
    truth = replace(part, array=(part.array == value).astype(np.uint8))
    return image.cropped(low - margin, high + margin), truth


def _displace(axes: RecistAxes, image: Volume, across: int, jitter_voxels: float, name: str) -> RecistAxes | None:
    """Displace the ends of the axes randomly, as a reader might draw them; None if they can then not be used."""
    if not jitter_voxels:
        return axes
    rng = np.random.default_rng(list(name.encode()))
    ijk = image.geometry.to_ijk(axes.ends)
    ijk[:, [axis for axis in range(3) if axis != across]] += jitter_voxels * rng.normal(size=(4, 2))
    ends = image.geometry.to_ras(ijk)
    try:
        return RecistAxes.of(ends[:2], ends[2:]).checked(image.geometry)
    except InputError:
        return None


def _layer(sample: Sample) -> tuple[slice, ...]:
    """Return the slice of the axes in the sample's arrays, one voxel thick."""
    n = round(float(sample.image.geometry.to_ijk(sample.axes.centre)[sample.across]))
    return tuple(slice(n, n + 1) if axis == 2 - sample.across else slice(None) for axis in range(3))


def _compare(sample: Sample, shape: Shape, layer: tuple[slice, ...] = (slice(None),) * 3) -> tuple[float, ...]:
    """Return the `_METRICS` of a shape, in one layer of the sample or in all of it."""
    started = time.perf_counter()
    made = shape(sample.image, sample.axes)
    seconds = time.perf_counter() - started
    mask = made.resampled(sample.truth.geometry, fill=0, nearest=True).array[layer]
    truth = sample.truth.array[layer]
    spacing = np.asarray(sample.truth.spacing[::-1])
    distance = average_symmetric_surface_distance(mask.squeeze(), truth.squeeze(), spacing[np.array(mask.shape) > 1])
    return dice(mask, truth), distance, box_iou(mask, truth), seconds


def _summary(values: list[tuple[float, ...]]) -> dict[str, object]:
    """Return mean, median, percentile and interval of the `_METRICS` of all lesions."""
    scores = np.array(values)
    summary: dict[str, object] = {}
    for metric, column in zip(_METRICS, scores.T, strict=True):
        known = column[np.isfinite(column)]
        summary[metric] = float(known.mean()) if len(known) else None
    summary["Dice median"] = float(np.median(scores[:, 0]))
    summary["Dice 10th percentile"] = float(np.percentile(scores[:, 0], 10))
    summary["Dice interval"] = bootstrap_interval(scores[:, 0])
    return summary


def _ellipse(image: Volume, axes: RecistAxes) -> Volume:
    """Return the ellipse through the ends of the axes."""
    region = Region.of(axes, image.geometry)
    return to_voxels(image.geometry, region, radius_profile(region, axes) < 1)


def _frame(image: Volume, axes: RecistAxes) -> np.ndarray:
    """Return every voxel's offset (mm) from the centre along the long axis, across it and along the normal, (..., 3)."""
    k, j, i = np.indices(image.array.shape)
    offset = image.geometry.to_ras(np.stack([i, j, k], -1)) - np.asarray(axes.centre)
    along = np.subtract(axes.long.end, axes.long.start) / axes.long.length_mm
    return offset @ np.stack([along, np.cross(axes.normal, along), axes.normal], 1)


def _ellipsoid(image: Volume, axes: RecistAxes) -> Volume:
    """Return the ellipsoid on the axes, as deep as the short axis is long."""
    half = np.array([axes.long.length_mm, axes.short.length_mm, axes.short.length_mm]) / 2
    inside = ((_frame(image, axes) / half) ** 2).sum(-1) <= 1
    return replace(image, array=inside.astype(np.uint8))


def _box(image: Volume, axes: RecistAxes, thickness_mm: float = 0.0) -> Volume:
    """Return the voxels between the lowest and the highest end of the axes along the image's rows and columns."""
    ijk = image.geometry.to_ijk(axes.ends)
    across = int(np.abs(np.linalg.inv(image.direction) @ axes.normal).argmax())
    low, high = ijk.min(0), ijk.max(0)
    middle = ijk[:, across].mean()
    half = max(thickness_mm / 2 / image.spacing[across], 0.5)
    low[across], high[across] = middle - half, middle + half
    k, j, i = np.indices(image.array.shape)
    voxels = np.stack([i, j, k], -1)
    return replace(image, array=((voxels >= low) & (voxels <= high)).all(-1).astype(np.uint8))


IN_SLICE: dict[str, Shape] = {
    "pseudo-mask": pseudo_mask,
    "paper's pseudo-mask": lambda image, axes: pseudo_mask(image, axes, "paper"),
    "RECIST box": _box,
    "ellipse": _ellipse,
}
IN_3D: dict[str, Shape] = {
    "pseudo-mask": propagate_to_3d,
    "RECIST box": lambda image, axes: _box(image, axes, axes.short.length_mm),
    "ellipse": _ellipsoid,
}
