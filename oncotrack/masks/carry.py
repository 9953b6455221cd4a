"""A mask carried from the slice of its axes to the slices above and below, as far as the image bears it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from oncotrack.errors import InputError
from oncotrack.jobs import Progress, silent
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.ellipse import reach_of
from oncotrack.masks.grabcut import Models, bounded_classes, drawn_to, grabcut
from oncotrack.masks.plane import Region, to_voxels
from oncotrack.masks.pseudo_mask import in_slice
from oncotrack.masks.windows import grey
from oncotrack.volume import Volume

FARTHEST = 0.6
"""The mask ends that many long axes above and below its axes."""
SURE, POSSIBLE = (0.45, 0.95), 1.1
"""As in `grabcut`, measured from the mask on the slice before; the first where grey levels tell the lesion from its
surroundings, the second where they do not (see `_blending`)."""
TRUST = (0.5, 4.0)
ANCHOR = 0.35
"""Share of the axes' own slice, scaled as an ellipsoid, in what is expected of a slice; the rest is the one before."""
BLUR = 0.2  # in innermost distances of the mask before
ALIKE = 3.0
"""Robust standard deviations of the lesion's grey levels within which a pixel looks like it."""
LEAST_ALIKE = 0.5
"""Share of the middle of the mask before that must look like the lesion; else the lesion has ended."""
_BINS = 24
LEAST_AREA = 0.1
"""Share of the largest area below which the lesion has ended."""


@dataclass(frozen=True)
class _Seed:
    """The mask on the slice of one pair of axes, and what tells lesion from surroundings there."""

    slice: int
    mask: np.ndarray
    window: tuple[float, float]
    models: Models
    level: float
    spread: float
    blending: float
    long: float  # slices


def carry(
    image: Volume,
    axes: RecistAxes,
    more: Sequence[RecistAxes] = (),
    *,
    method: str = "bounded",
    progress: Progress = silent,
) -> Volume:
    """The lesion's mask in 3D.

    From each pair of axes the mask goes on slice by slice along the normal. A slice is cut by the colour models of
    the axes' slice, within the mask of the slice before; it is the last one where the middle no longer looks like the
    lesion, where little is left, or where the lesion would become longer across than in its slice. Between two pairs
    of axes the two masks are blended and cut again.

    Parameters
    ----------
    image : Volume
    axes : RecistAxes
    more : sequence of RecistAxes
        Axes of the same lesion on other slices of the same orientation.
    method : {"bounded", "paper"}
        How the slices of the axes are cut.
    progress : Progress

    Returns
    -------
    Volume of uint8
        On the part of the image's grid round the lesion.

    Raises
    ------
    InputError
        A sentence of `RecistAxes.checked`; two pairs of axes in one slice, or in slices of two orientations.
    Cancelled
        The reader stopped it.
    """
    for each in (axes, *more):
        each.checked(image.geometry)
    region = Region.of(axes, image.geometry, more)
    at = [_slice_of(each, region) for each in (axes, *more)]
    if len(set(at)) < len(at):
        raise InputError("Two pairs of axes lie in one slice. Draw the second pair on another slice of the lesion.")
    seeds = []
    for n, each in sorted(zip(at, (axes, *more), strict=True), key=lambda pair: pair[0]):
        progress(0.0, "Cutting the slices of the axes")
        seeds.append(_seed(image, region, each, n, method))
    first, last = _ends(image, region, seeds)
    stack = image.resampled(region.slices(first, last - first + 1).grid).array
    masks = np.zeros(stack.shape, bool)
    for seed in seeds:
        masks[seed.slice - first] = seed.mask
    work = _Slices(stack, masks, first, progress)
    work.run(seeds[0], -1)
    for lower, upper in pairwise(seeds):
        work.between(lower, upper)
    work.run(seeds[-1], 1)
    kept = np.flatnonzero(masks.any((1, 2)))
    whole = region.slices(first + int(kept[0]), int(np.ptp(kept)) + 1)
    return to_voxels(image.geometry, whole, masks[kept[0] : kept[-1] + 1], image.name)


def _slice_of(axes: RecistAxes, region: Region) -> int:
    """Which of a region's slices the axes lie in."""
    places = region.grid.to_ijk(axes.ends)[:, 2]
    n = round(float(places.mean()))
    if np.abs(places - n).max() > 0.75:
        raise InputError("The two pairs of axes lie in slices of two orientations. Draw both in parallel slices.")
    return n


def _seed(image: Volume, region: Region, axes: RecistAxes, n: int, method: str) -> _Seed:
    here = region.slices(n, 1)
    sampled = here.sampled(image)
    mask, window, models = in_slice(image, sampled, here, axes, method)
    values = sampled[mask]
    level = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - level)))
    least = (window[1] - window[0]) / 16
    blending = _blending(sampled, mask, window)
    return _Seed(
        n, mask, window, models, level, max(spread, least), blending, axes.long.length_mm / region.grid.spacing[2]
    )


def _blending(values: np.ndarray, mask: np.ndarray, window: tuple[float, float]) -> float:
    """How alike the grey levels inside and round a mask are: the overlap of their histograms, 0 (apart) to 1."""
    far = reach_of(mask)
    inside, around = (
        np.histogram(np.clip(values[part], *window), _BINS, window)[0] for part in (mask, (far > 1.1) & (far < 1.6))
    )
    return float(np.minimum(inside / inside.sum(), around / max(around.sum(), 1)).sum())


def _ends(image: Volume, region: Region, seeds: Sequence[_Seed]) -> tuple[int, int]:
    """Lowest and highest slice that the mask may come to, inside the image."""
    low = seeds[0].slice - int(FARTHEST * seeds[0].long)
    high = seeds[-1].slice + int(FARTHEST * seeds[-1].long)
    centre = (np.array(region.grid.size) - 1) / 2
    slices = np.arange(low, high + 1)
    places = region.grid.to_ras(np.stack([np.broadcast_to(c, len(slices)) for c in (*centre[:2], slices)], -1))
    there = slices[image.geometry.contains(places)]
    return int(min(there[0], seeds[0].slice)), int(max(there[-1], seeds[-1].slice))


class _Slices:
    """The stack that is being worked on: intensities and masks, (D, H, W) each; slice `first` is its lowest."""

    def __init__(self, stack: np.ndarray, masks: np.ndarray, first: int, progress: Progress) -> None:
        self._stack, self._masks, self._first, self._progress = stack, masks, first, progress
        self._done = 0

    def run(self, seed: _Seed, way: int) -> None:
        """Go on from a seed, upwards (1) or downwards (-1), until the lesion ends."""
        anchor, before, n = reach_of(seed.mask), seed.mask, seed.slice - self._first + way
        while 0 <= n < len(self._stack):
            here, last = (self._expected(m, seed) for m in (n, n - way))
            far = ANCHOR * anchor / here + (1 - ANCHOR) * reach_of(before) * last / here
            mask = self._cut(n, seed, far)
            if mask is None or mask.sum() < LEAST_AREA * seed.mask.sum():
                return
            self._masks[n] = before = mask
            n += way

    def between(self, lower: _Seed, upper: _Seed) -> None:
        """Fill the slices between two seeds."""
        far = reach_of(lower.mask), reach_of(upper.mask)
        for n in range(lower.slice + 1, upper.slice):
            share = (n - lower.slice) / (upper.slice - lower.slice)
            blended = (1 - share) * far[0] + share * far[1]
            nearest = lower if share < 0.5 else upper
            mask = self._cut(n - self._first, nearest, blended)
            self._masks[n - self._first] = blended < 1 if mask is None else mask

    def _expected(self, n: int, seed: _Seed) -> float:
        """Radius of slice n of the ellipsoid on the seed's mask that ends at the farthest slice, as a share."""
        return float(np.sqrt(1 - ((n + self._first - seed.slice) / (FARTHEST * seed.long + 0.5)) ** 2))

    def _cut(self, n: int, seed: _Seed, far: np.ndarray) -> np.ndarray | None:
        """(H, W) mask of one slice, or None where it does not look like the lesion."""
        self._done += 1
        self._progress(self._done / len(self._stack), "Carrying the mask through the slices")
        sure, trust = (low + seed.blending * (high - low) for low, high in (SURE, TRUST))
        middle = far < SURE[0]
        alike = np.abs(self._stack[n] - seed.level) < ALIKE * seed.spread
        if not middle.any() or alike[middle].mean() < LEAST_ALIKE:
            return None
        mask, _ = grabcut(grey(self._stack[n], seed.window), bounded_classes(far, sure, POSSIBLE), seed.models)
        innermost = 1 / max(float(np.abs(np.gradient(far, axis=0)).max()), 1e-3)
        return drawn_to(mask, far, BLUR * innermost, trust)
