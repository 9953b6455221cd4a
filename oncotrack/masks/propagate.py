"""Propagation of a mask from the slices of its axes to the neighbouring slices, as far as the image supports it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import InputError
from oncotrack.images.volume import Volume
from oncotrack.masks.air import air_limit, air_share, without_air
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.grabcut import Models, bounded_by, bounded_labels, grabcut
from oncotrack.masks.plane import Region, to_voxels
from oncotrack.masks.pseudo_mask import segment_slice
from oncotrack.masks.shape import SCALES, IntensityModel, Placement, Shape
from oncotrack.masks.windows import grey

FARTHEST = 0.8
"""Largest distance of the mask's last slice from the slice of the axes, in long axes."""
HALF_DEPTH = 0.46
"""Half the depth of the expected ellipsoid, in geometric means of the axes."""
SPREAD, TILT = 0.3, 0.5
"""Standard deviations of a slice's scale from the ellipsoid's, and of the shift from one slice to the next (mm/mm)."""
WEIGHT_PER_MM = 0.85
"""Weight of the evidence against the prior, for each mm of the lesion's radius; see `Shape.evidence`."""
SURE, POSSIBLE, POSSIBLE_IN_AIR = (0.6, 0.9), 1.25, 1.5
"""As in `grabcut`, around the shape's placement on the slice. The first value of a pair holds where the intensities
separate the lesion from its surroundings, the second where they do not (see `IntensityModel.overlap`). A lesion that is
mostly surrounded by air or aerated lung may be lobed on other slices, because its border is certain there."""
MOSTLY_AIR = 0.5
TRUST = (0.5, 2.0)
BLUR = 0.15  # in distances from the shape's innermost pixel to its border
LEAST_AREA = 0.05
"""The lesion ends where its area falls below this share of the area on the slice of the axes."""


@dataclass(frozen=True)
class _KeySlice:
    """The mask on the slice of one pair of axes, with the shape and intensity model learned there."""

    index: int
    mask: np.ndarray
    window: tuple[float, float]
    models: Models
    shape: Shape
    intensities: IntensityModel
    weight: float  # of the evidence
    half_depth: float  # of the expected ellipsoid, slices
    air_limit: float | None
    possible: float
    long_axis: float  # slices


def propagate_to_3d(
    image: Volume,
    axes: RecistAxes,
    more: Sequence[RecistAxes] = (),
    *,
    method: str = "bounded",
    beyond: bool = True,
    progress: Progress = silent,
) -> Volume:
    """Segment a lesion in 3D from its axes on one or several slices.

    From each pair of axes the mask is propagated slice by slice along the normal. On every slice the most likely scale
    and shift of the shape are found: the intensities should resemble the lesion inside and the surroundings outside,
    the prior is an ellipsoid on the axes, and the lesion ends where "no lesion" is more likely than any placement. The
    slice is then segmented by GrabCut with the colour models of the axes' slice, near the border of the placed shape.
    Between two pairs of axes their shapes are interpolated and segmented in the same way.

    Parameters
    ----------
    image : Volume
        The scan.
    axes : RecistAxes
        RAS mm.
    more : sequence of RecistAxes
        Axes of the same lesion on other slices of the same orientation.
    method : {"bounded", "paper"}
        How the slices of the axes are segmented, see `pseudo_mask`.
    beyond : bool
        Whether the mask may reach beyond the outermost slices with axes.
    progress : Progress
        Called with the share of the slices done.

    Returns
    -------
    Volume of uint8
        On the part of the image's grid around the lesion.

    Raises
    ------
    InputError
        The axes cannot be used in this image (`RecistAxes.checked`), two pairs lie in one slice, or in slices of two
        orientations.
    Cancelled
        The user stopped it.
    """
    every = (axes, *more)
    for each in every:
        each.checked(image.geometry)
    region = Region.of(axes, image.geometry, more)
    keys = _key_slices(image, region, every, method, progress)
    first, last = _range_of_slices(image, region, keys)
    propagation = _Propagation(image, region, keys, first, last, progress)
    if beyond:
        propagation.extend(keys[0], -1)
        propagation.extend(keys[-1], 1)
    for lower, upper in pairwise(keys):
        propagation.interpolate(lower, upper)
    masks = propagation.masks
    kept = np.flatnonzero(masks.any((1, 2)))
    whole = region.slices(first + int(kept[0]), int(np.ptp(kept)) + 1)
    return to_voxels(image.geometry, whole, masks[kept[0] : kept[-1] + 1], image.name)


def _key_slices(
    image: Volume, region: Region, every: Sequence[RecistAxes], method: str, progress: Progress
) -> list[_KeySlice]:
    """Segment the slices of all axes; return them from the lowest slice up."""
    indices = [_slice_index(each, region) for each in every]
    if len(set(indices)) < len(indices):
        raise InputError("Two pairs of axes lie in one slice. Draw the second pair on another slice of the lesion.")
    keys = []
    for index, axes in sorted(zip(indices, every, strict=True), key=lambda pair: pair[0]):
        progress(0.0, "Segmenting the slices of the axes")
        keys.append(_key_slice(image, region, axes, index, method))
    return keys


def _slice_index(axes: RecistAxes, region: Region) -> int:
    """Return which of a region's slices the axes lie in."""
    heights = region.grid.to_ijk(axes.ends)[:, 2]
    index = round(float(heights.mean()))
    if np.abs(heights - index).max() > 0.75:
        raise InputError("The two pairs of axes lie in slices of two orientations. Draw both in parallel slices.")
    return index


def _key_slice(image: Volume, region: Region, axes: RecistAxes, index: int, method: str) -> _KeySlice:
    """Segment the slice of one pair of axes and learn the lesion's shape and intensities on it."""
    here = region.slices(index, 1)
    values = here.sample(image)
    mask, window, models = segment_slice(image, values, here, axes, method)
    shape = Shape(mask)
    intensities = IntensityModel(values, shape.radius_profile, window)
    weight = WEIGHT_PER_MM * shape.radius * region.pixel_mm * (1 - intensities.overlap) ** 2
    long, short = (axis.length_mm / region.grid.spacing[2] for axis in (axes.long, axes.short))
    half_depth = HALF_DEPTH * float(np.sqrt(long * short))
    limit = air_limit(image, values, shape.radius_profile) if method == "bounded" else None
    in_air = limit is not None and air_share(values, shape.radius_profile) > MOSTLY_AIR
    possible = POSSIBLE_IN_AIR if in_air else POSSIBLE
    return _KeySlice(index, mask, window, models, shape, intensities, weight, half_depth, limit, possible, long)


def _range_of_slices(image: Volume, region: Region, keys: Sequence[_KeySlice]) -> tuple[int, int]:
    """Return the lowest and the highest slice, inside the image, that the mask may reach."""
    low = keys[0].index - int(FARTHEST * keys[0].long_axis)
    high = keys[-1].index + int(FARTHEST * keys[-1].long_axis)
    centre = (np.array(region.grid.size) - 1) / 2
    slices = np.arange(low, high + 1)
    points = region.grid.to_ras(np.stack([np.broadcast_to(c, len(slices)) for c in (*centre[:2], slices)], -1))
    inside = slices[image.geometry.contains(points)]
    return int(min(inside[0], keys[0].index)), int(max(inside[-1], keys[-1].index))


class _Propagation:
    """The slices `first` to `last` of a region while the masks are propagated.

    Attributes
    ----------
    masks : (D, H, W) bool ndarray
        The mask on each slice, `first` being slice 0.
    """

    def __init__(
        self, image: Volume, region: Region, keys: Sequence[_KeySlice], first: int, last: int, progress: Progress
    ) -> None:
        self._values = image.resampled(region.slices(first, last - first + 1).grid).array
        self.masks = np.zeros(self._values.shape, bool)
        for key in keys:
            self.masks[key.index - first] = key.mask
        self._first, self._progress = first, progress
        self._pixels_per_slice = region.pixel_mm / region.grid.spacing[2]  # pixel size over slice distance
        self._done = 0

    def extend(self, key: _KeySlice, step: int) -> None:
        """Propagate from a key slice upwards (step 1) or downwards (step -1) until the lesion ends."""
        placement, n = Placement(), key.index - self._first + step
        while 0 <= n < len(self._values):
            placement = self._most_likely_placement(n, key, placement)
            if placement is None:
                return
            mask = self._segment(n, key, key.shape.profile_at(placement))
            if mask.sum() < LEAST_AREA * key.mask.sum():
                return
            self.masks[n] = mask
            n += step

    def interpolate(self, lower: _KeySlice, upper: _KeySlice) -> None:
        """Fill the slices between two key slices."""
        for index in range(lower.index + 1, upper.index):
            share = (index - lower.index) / (upper.index - lower.index)
            radius = (1 - share) * lower.shape.radius_profile + share * upper.shape.radius_profile
            mask = self._segment(index - self._first, lower if share < 0.5 else upper, radius)
            self.masks[index - self._first] = mask if mask.any() else radius < 1

    def _most_likely_placement(self, n: int, key: _KeySlice, previous: Placement) -> Placement | None:
        """Return the most likely placement of the shape on slice n; None where the lesion has more likely ended."""
        expected = _expected_scale(abs(n + self._first - key.index), key.half_depth)
        score = self._log_likelihood(n, key)
        for cost in self._prior_costs(key.shape.shifts, previous, expected):
            score = score - cost
        scale, row, column = np.unravel_index(score.argmax(), score.shape)
        if score[scale, row, column] <= -((expected / SPREAD) ** 2) / 2:  # the prior of scale 0, without evidence
            return None
        return Placement(float(SCALES[scale]), (float(key.shape.shifts[column]), float(key.shape.shifts[row])))

    def _log_likelihood(self, n: int, key: _KeySlice) -> np.ndarray:
        """Return the weighted evidence of slice n for every scale, shift along rows and shift along columns."""
        return key.weight * key.shape.evidence(key.intensities.log_ratios(self._values[n]))

    def _prior_costs(
        self, shifts: np.ndarray, previous: Placement, expected: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the negative log prior of the scale, the shift along rows and the shift along columns."""
        along, down = (((shifts - past) * self._pixels_per_slice / TILT) ** 2 / 2 for past in previous.shift)
        scale = ((SCALES - expected) / SPREAD) ** 2 / 2
        return scale[:, None, None], down[:, None], along

    def _segment(self, n: int, key: _KeySlice, radius: np.ndarray) -> np.ndarray:
        """Return the (H, W) mask of slice n, near the border of a shape given by its (H, W) normalised radius."""
        self._done += 1
        self._progress(self._done / len(self._values), "Propagating the mask through the slices")
        sure, trust = (low + key.intensities.overlap * (high - low) for low, high in (SURE, TRUST))
        mask, _ = grabcut(grey(self._values[n], key.window), bounded_labels(radius, sure, key.possible), key.models)
        innermost = 1 / max(float(np.abs(np.gradient(radius, axis=0)).max()), 1e-3)
        mask = bounded_by(mask, radius, BLUR * innermost, trust)
        return without_air(mask, self._values[n], radius, key.air_limit)


def _expected_scale(slices: int, half_depth: float) -> float:
    """Return an ellipsoid's mean radius within one slice, as a share of its largest one.

    Parameters
    ----------
    slices : int
        Distance of the slice from the ellipsoid's centre.
    half_depth : float
        Half depth of the ellipsoid, slices.
    """
    low, high = (min((slices + side) / half_depth, 1.0) for side in (-0.5, 0.5))
    primitive = [(z * np.sqrt(1 - z**2) + np.arcsin(z)) / 2 for z in (low, high)]
    return float(primitive[1] - primitive[0]) * half_depth
