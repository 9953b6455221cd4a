"""Time and accuracy of masks from two diameters, compared with a threshold and with region growing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets.node_scans import phantom_scan
from oncotrack.evaluation.masks import dice
from oncotrack.evaluation.pseudo_masks import LEAST_SHORT_MM, Sample, samples
from oncotrack.images.volume import Volume
from oncotrack.masks.diameters import diameters
from oncotrack.masks.propagate import propagate_to_3d
from oncotrack.masks.pseudo_mask import pseudo_mask

_SEED = 2_000_000
_SIDE = 512
_SOFT_TISSUE_HU = (-30.0, 200.0)


def bench_mask(nodes: int = 12, progress: Progress = silent) -> dict[str, Any]:
    """Measure every segmentation method on nodes of synthetic CTs, and the measuring of a mask of 512x512 pixels.

    Parameters
    ----------
    nodes : int
        Number of nodes.
    progress : Progress
        Called after each node and before each method.

    Returns
    -------
    dict
        For ``pseudo_mask``, ``paper``, ``threshold``, ``region_growing`` and ``carried`` (3D) the median
        ``milliseconds`` per lesion and the mean ``Dice`` (percent) against the truth; ``measuring_milliseconds`` of a
        round mask and of a bent one that fill a 512x512 slice; ``nodes``.
    """
    scans = (phantom_scan(seed) for seed in range(_SEED, _SEED + nodes))
    chosen: list[Sample] = []
    for sample in samples(scans, LEAST_SHORT_MM):
        chosen.append(sample)
        progress(0.5 * len(chosen) / nodes, "Drawing nodes")
        if len(chosen) == nodes:
            break
    methods = {
        "pseudo_mask": lambda sample: _on_sample_grid(sample, pseudo_mask(sample.image, sample.axes)),
        "paper": lambda sample: _on_sample_grid(sample, pseudo_mask(sample.image, sample.axes, "paper")),
        "threshold": _threshold,
        "region_growing": _region_growing,
        "carried": lambda sample: _on_sample_grid(sample, propagate_to_3d(sample.image, sample.axes)),
    }
    result: dict[str, Any] = {"nodes": len(chosen)}
    for n, (name, method) in enumerate(methods.items()):
        progress(0.5 + 0.1 * n, name.replace("_", " ").capitalize())
        result[name] = _time_method(method, chosen, in_3d=name == "carried")
    rows, columns = np.indices((_SIDE, _SIDE)) - _SIDE / 2
    disc = (rows / 250) ** 2 + (columns / 180) ** 2 < 1
    bent = (np.hypot(rows, columns) < 250) & (np.hypot(rows, columns - 120) > 220)
    result["measuring_milliseconds"] = {name: _milliseconds(mask) for name, mask in (("round", disc), ("bent", bent))}
    return result


def _time_method(method: Callable[[Sample], np.ndarray], chosen: list[Sample], in_3d: bool) -> dict[str, float]:
    """Return median time and mean Dice of a method."""
    seconds, scores = [], []
    for sample in chosen:
        started = time.perf_counter()
        mask = method(sample)
        seconds.append(time.perf_counter() - started)
        k = slice(None) if in_3d else _slice(sample)
        scores.append(dice(mask[k], sample.truth.array[k]))
    return {"milliseconds": 1000 * float(np.median(seconds)), "Dice": float(np.mean(scores))}


def _on_sample_grid(sample: Sample, mask: Volume) -> np.ndarray:
    """Return a mask on the voxels of the sample."""
    return mask.resampled(sample.truth.geometry, fill=0, nearest=True).array


def _slice(sample: Sample) -> int:
    """Return the slice of the axes."""
    return round(float(sample.image.geometry.to_ijk(sample.axes.centre)[2]))


def _threshold(sample: Sample) -> np.ndarray:
    """Segment the soft tissue connected to the axes' centre, in their slice."""
    i, j, k = np.round(sample.image.geometry.to_ijk(sample.axes.centre)).astype(int)
    low, high = _SOFT_TISSUE_HU
    plane = sample.image.array[k]
    components, _ = cast(tuple[np.ndarray, int], ndimage.label((plane > low) & (plane < high)))
    mask = np.zeros(sample.truth.array.shape, bool)
    mask[k] = (components == components[j, i]) & (components > 0)
    return mask


def _region_growing(sample: Sample) -> np.ndarray:
    """Segment by region growing (confidence connected, 2.5 standard deviations) from the axes' centre, in their slice."""
    i, j, k = np.round(sample.image.geometry.to_ijk(sample.axes.centre)).astype(int).tolist()
    plane = sitk.GetImageFromArray(sample.image.array[k].astype(np.float32))
    grown = sitk.ConfidenceConnected(plane, [(i, j)], numberOfIterations=3, multiplier=2.5, initialNeighborhoodRadius=2)
    mask = np.zeros(sample.truth.array.shape, bool)
    mask[k] = sitk.GetArrayFromImage(grown) > 0
    return mask


def _milliseconds(mask: np.ndarray) -> float:
    """Return the time of measuring the diameters of a mask."""
    started = time.perf_counter()
    diameters(mask, (0.8, 0.8))
    return 1000 * (time.perf_counter() - started)
