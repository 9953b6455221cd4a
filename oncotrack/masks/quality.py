"""Warnings about a mask from diameters: air in a solid lesion, and a shape that the image does not support."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy

from oncotrack.findings.finding import Observation
from oncotrack.images.volume import Volume
from oncotrack.masks.air import AIR_HU, SOLID_HU
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.extent import WIDEST_TUBE_MM, extent_at
from oncotrack.masks.recist import slice_axis

MOST_AIR = 0.10
"""Largest share of air in the mask of a solid lesion that gives no warning."""
MOST_OVERLAP, MOST_LIKE = 0.55, 0.88
"""Overlap of the intensities of the mask and its surroundings, and Dice of the mask with the ellipsoid on the diameters,
above which the mask is called mostly the ellipsoid."""
_RING_MM = 1.5, 8.0
_BINS = 24


def mask_warnings(image: Volume, mask: Volume, axes: RecistAxes) -> list[str]:
    """Return sentences on what is doubtful in a mask.

    Parameters
    ----------
    image : Volume
        The scan.
    mask : Volume
        On the scan's grid, possibly cropped; inside where not 0.
    axes : RecistAxes
        The diameters that it was made from, RAS mm.
    """
    values, inside = _around(image, mask)
    if not inside.any():
        return []
    sentences = []
    if axes.short.length_mm < WIDEST_TUBE_MM and (extent := extent_at(image, axes.centre)) and extent.is_tube:
        sentences.append(
            "This may be a vessel or an airway: it goes on as a tube. Check it on the neighbouring slices."
        )
    if image.is_ct and not image.hounsfield_problem and np.median(values[inside]) > SOLID_HU:
        air = float((values[inside] < AIR_HU).mean())
        if air > MOST_AIR:
            sentences.append(f"{100 * air:.0f} % of the mask is air: check its border, slice by slice.")
    if _overlap(values, inside, mask) > MOST_OVERLAP and _likeness(mask, axes) > MOST_LIKE:
        sentences.append(
            "The mask is mostly the ellipsoid on the diameters, because the image does not separate the lesion from its "
            "surroundings: check it, or add diameters on another slice."
        )
    return sentences


def with_doubts(seen: Observation, image: Volume) -> Observation:
    """Return an observation whose provenance says what is doubtful in its mask; see `mask_warnings`.

    Parameters
    ----------
    seen : Observation
        Without a mask and both axes it is returned as it is.
    image : Volume
        The scan.
    """
    if seen.mask is None or seen.long_axis is None or seen.short_axis is None:
        return seen
    doubts = mask_warnings(image, seen.mask.volume(), RecistAxes.of(seen.long_axis, seen.short_axis))
    return replace(seen, provenance=replace(seen.provenance, doubts=tuple(doubts)))


def _around(image: Volume, mask: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Return the intensities on the mask's slices with a margin, and the mask there, both (D, H, W)."""
    kji = np.argwhere(mask.array)
    if not len(kji):
        return np.zeros((0, 0, 0)), np.zeros((0, 0, 0), bool)
    first = np.round(image.geometry.to_ijk(mask.geometry.to_ras((0, 0, 0))))[::-1].astype(int)
    kji = kji + first
    kji = kji[((kji >= 0) & (kji < image.array.shape)).all(1)]
    margin = np.ceil(_RING_MM[1] / np.array(image.spacing)[::-1]).astype(int) + 1
    low = np.maximum(kji.min(0) - margin, 0)
    high = np.minimum(kji.max(0) + margin + 1, image.array.shape)
    part = tuple(slice(*ends) for ends in zip(low, high, strict=True))
    inside = np.zeros(tuple(high - low), bool)
    inside[tuple((kji - low).T)] = True
    return np.asarray(image.array[part], np.float32), inside


def _overlap(values: np.ndarray, inside: np.ndarray, mask: Volume) -> float:
    """Return the overlap of the histograms of the mask and of the ring around it on its slices, 0 to 1."""
    distance = np.asarray(scipy.ndimage.distance_transform_edt(~inside, np.array(mask.spacing)[::-1]))
    ring = (distance > _RING_MM[0]) & (distance < _RING_MM[1])
    ring &= inside.any(tuple({0, 1, 2} - {2 - slice_axis(mask)}), keepdims=True)
    if not ring.any():
        return 0.0
    both = values[inside | ring]
    low, high = (float(each) for each in np.percentile(both, (1, 99)))
    if low >= high:
        return 1.0
    counts = [np.histogram(np.clip(values[part], low, high), _BINS, (low, high))[0] for part in (inside, ring)]
    return float(np.minimum(counts[0] / counts[0].sum(), counts[1] / counts[1].sum()).sum())


def _likeness(mask: Volume, axes: RecistAxes) -> float:
    """Return the Dice of a mask with the ellipsoid on its diameters that is as deep as the mask."""
    k, j, i = np.indices(mask.array.shape)
    offset = mask.geometry.to_ras(np.stack([i, j, k], -1)) - np.asarray(axes.centre)
    along = np.subtract(axes.long.end, axes.long.start) / axes.long.length_mm
    across, inside = np.cross(axes.normal, along), mask.array != 0
    height = offset @ axes.normal
    step = float(np.abs(np.asarray(mask.geometry.direction).T @ axes.normal) @ mask.spacing)
    low, high = height[inside].min() - step / 2, height[inside].max() + step / 2
    shape = (offset @ along / (axes.long.length_mm / 2)) ** 2 + (offset @ across / (axes.short.length_mm / 2)) ** 2
    if high - low > 1.5 * step:
        shape = shape + ((height - (low + high) / 2) / ((high - low) / 2)) ** 2
        ellipsoid = shape < 1
    else:
        ellipsoid = (shape < 1) & (height > low) & (height < high)
    return float(2 * (ellipsoid & inside).sum() / max(ellipsoid.sum() + inside.sum(), 1))
