"""A mask carried from the slice of its axes to the slices above and below, as far as the image bears it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import InputError
from oncotrack.images.volume import Volume
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.grabcut import Models, bounded_by, bounded_classes, grabcut
from oncotrack.masks.plane import Region, to_voxels
from oncotrack.masks.pseudo_mask import in_slice
from oncotrack.masks.shape import SHARES, Likeness, Place, Shape
from oncotrack.masks.windows import grey

FARTHEST = 0.8
"""The mask ends at the latest that many long axes above and below its axes."""
HALF_DEPTH = 0.46
"""Half the depth of the ellipsoid that is expected, in geometric means of the axes."""
SPREAD, TILT = 0.3, 0.5
"""Standard deviations of a slice's size about the ellipsoid's (share of the size on the axes' slice), and of the
shift from one slice to the next (mm a mm)."""
WEIGHT_PER_MM = 0.85
"""Weight of the evidence beside what is expected, for each mm of the lesion's radius; see `Shape.evidence`."""
SURE, POSSIBLE = (0.6, 0.9), 1.25
"""As in `grabcut`, measured from the place that was found for the shape; the first where grey levels tell the lesion
from its surroundings, the second where they do not (see `Likeness.overlap`)."""
TRUST = (0.5, 2.0)
BLUR = 0.15  # in innermost distances of the shape
LEAST_AREA = 0.05
"""Share of the largest area below which the lesion has ended."""


@dataclass(frozen=True)
class _Seed:
    """The mask on the slice of one pair of axes, and what tells lesion from surroundings there."""

    slice: int
    mask: np.ndarray
    window: tuple[float, float]
    models: Models
    shape: Shape
    likeness: Likeness
    weight: float
    half_depth: float  # slices
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

    From each pair of axes the mask goes on slice by slice along the normal. In every slice its shape is sought,
    smaller and shifted, where the grey levels look like the lesion inside and like the surroundings outside; what is
    expected is an ellipsoid on the axes, and the lesion ends where none is likelier than a further slice. The slice is
    then cut by the colour models of the axes' slice, near the border of that shape. Between two pairs of axes the two
    masks are blended and cut again.

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
    work = _Slices(stack, masks, first, region.pixel_mm / region.grid.spacing[2], progress)
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
    shape = Shape(mask)
    likeness = Likeness(sampled, shape.reach, window)
    weight = WEIGHT_PER_MM * shape.radius * region.pixel_mm * (1 - likeness.overlap) ** 2
    long, short = (axis.length_mm / region.grid.spacing[2] for axis in (axes.long, axes.short))
    return _Seed(n, mask, window, models, shape, likeness, weight, HALF_DEPTH * float(np.sqrt(long * short)), long)


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

    def __init__(
        self, stack: np.ndarray, masks: np.ndarray, first: int, pixel_share: float, progress: Progress
    ) -> None:
        self._stack, self._masks, self._first, self._progress = stack, masks, first, progress
        self._pixel_share = pixel_share  # of the distance of two slices
        self._done = 0

    def run(self, seed: _Seed, way: int) -> None:
        """Go on from a seed, upwards (1) or downwards (-1), until the lesion ends."""
        place, n = Place(), seed.slice - self._first + way
        while 0 <= n < len(self._stack):
            place = self._found(n, seed, place)
            if place is None:
                return
            mask = self._cut(n, seed, seed.shape.at(place))
            if mask.sum() < LEAST_AREA * seed.mask.sum():
                return
            self._masks[n] = mask
            n += way

    def between(self, lower: _Seed, upper: _Seed) -> None:
        """Fill the slices between two seeds."""
        for n in range(lower.slice + 1, upper.slice):
            share = (n - lower.slice) / (upper.slice - lower.slice)
            blended = (1 - share) * lower.shape.reach + share * upper.shape.reach
            mask = self._cut(n - self._first, lower if share < 0.5 else upper, blended)
            self._masks[n - self._first] = mask if mask.any() else blended < 1

    def _found(self, n: int, seed: _Seed, before: Place) -> Place | None:
        """The likeliest place of the seed's shape on slice n; None where it is likelier that the lesion has ended."""
        expected = _expected(abs(n + self._first - seed.slice), seed.half_depth)
        evidence = seed.weight * seed.shape.evidence(seed.likeness.ratios(self._stack[n]))
        along, down = (((seed.shape.shifts - past) * self._pixel_share / TILT) ** 2 / 2 for past in before.shift)
        size = ((SHARES - expected) / SPREAD) ** 2 / 2
        likely = evidence - size[:, None, None] - down[:, None] - along
        share, row, column = np.unravel_index(likely.argmax(), likely.shape)
        if likely[share, row, column] <= -((expected / SPREAD) ** 2) / 2:
            return None
        return Place(float(SHARES[share]), (float(seed.shape.shifts[column]), float(seed.shape.shifts[row])))

    def _cut(self, n: int, seed: _Seed, far: np.ndarray) -> np.ndarray:
        """(H, W) mask of one slice, near the border of `far`."""
        self._done += 1
        self._progress(self._done / len(self._stack), "Carrying the mask through the slices")
        sure, trust = (low + seed.likeness.overlap * (high - low) for low, high in (SURE, TRUST))
        mask, _ = grabcut(grey(self._stack[n], seed.window), bounded_classes(far, sure, POSSIBLE), seed.models)
        innermost = 1 / max(float(np.abs(np.gradient(far, axis=0)).max()), 1e-3)
        return bounded_by(mask, far, BLUR * innermost, trust)


def _expected(n: int, half_depth: float) -> float:
    """Mean radius, as a share, of an ellipsoid of that half depth within the slice that lies n slices off its middle."""
    low, high = (min((n + side) / half_depth, 1.0) for side in (-0.5, 0.5))
    primitive = [(z * np.sqrt(1 - z**2) + np.arcsin(z)) / 2 for z in (low, high)]
    return float(primitive[1] - primitive[0]) * half_depth
