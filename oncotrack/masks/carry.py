"""A lesion's mask at a follow-up: that of the baseline, carried through the registration and fitted to the follow-up's image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from oncotrack.errors import InputError
from oncotrack.findings.finding import Point
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.grabcut import bounded_by, bounded_labels, grabcut
from oncotrack.masks.shape import IntensityModel
from oncotrack.masks.windows import grey, lesion_window
from oncotrack.registration.registration import Registration

SMALLEST, LARGEST = 0.3, 2.2
"""Sizes that are tried, in sizes of the baseline mask."""
SPREAD = 0.35
"""Standard deviation of the natural logarithm of the size."""
SHIFT_MM = 4.0
"""Standard deviation of the match's distance from the lesion's centre, mm."""
WEIGHT_PER_MM = 0.85
"""Weight of the image against both, for each mm of the lesion's radius; see `IntensityModel.overlap`."""
RING, OPPOSED = 0.35, 0.3
"""Width of the ring around the mask that should not resemble the lesion, in radii, and its weight."""
SURE, POSSIBLE, TRUST, BLUR = 0.8, 1.2, 1.0, 0.12
"""As in `grabcut`, around the fitted shape."""
_EDGES, _SIZES = 40, 33
_FINEST, _COARSEST = 0.6, 2.0  # grid, mm
_ROUNDS = 2


@dataclass(frozen=True)
class Fit:
    """Where the carried mask fits best: its shift from the match in mm (R, A, S), and its size against baseline."""

    shift: Point
    size: float


def carry_mask(
    baseline: Volume, mask: Volume, followup: Volume, registration: Registration, centre: Point
) -> tuple[Volume, Fit]:
    """Return the mask of a lesion at the follow-up.

    The baseline mask is carried through the registration so that its centre lies at the match. Sizes and shifts of it are
    tried; the best one holds the intensities of the lesion and not those around it, learned first at baseline and then at
    the follow-up itself. GrabCut then decides on the voxels near its border, slice by slice.

    Parameters
    ----------
    baseline : Volume
        The scan of the mask.
    mask : Volume
        Inside where not 0, on any grid.
    followup : Volume
        The scan to measure.
    registration : Registration
        From the baseline to the follow-up.
    centre : (3,) float
        The match, RAS mm of the follow-up.

    Returns
    -------
    Volume of uint8, Fit
        The mask on the part of the follow-up's grid around the lesion, and how it was fitted.

    Raises
    ------
    InputError
        The mask is empty, the match lies outside the follow-up, or nothing like the lesion is there.
    """
    if not (mask.array != 0).any():
        raise InputError("The baseline mask is empty. Draw the lesion at baseline first.")
    if not followup.geometry.contains(centre):
        raise InputError("The match lies outside the follow-up. Place it on the lesion first.")
    template = _Template(baseline, mask, followup, registration, centre)
    model = template.model_at_baseline()
    fit = template.fit(model)
    for _ in range(_ROUNDS - 1):
        model = template.model_at(fit)
        fit = template.fit(model)
    found = template.delineate(fit)
    return _on_grid(found, followup), fit


class _Template:
    """The baseline mask as signed distances (mm, negative inside) on a grid around the match in the follow-up."""

    def __init__(
        self, baseline: Volume, mask: Volume, followup: Volume, registration: Registration, centre: Point
    ) -> None:
        points = mask.geometry.to_ras(np.argwhere(mask.array)[:, ::-1])
        middle = points.mean(0)
        extent = float(np.linalg.norm(points - middle, axis=1).max()) + max(mask.spacing) / 2
        self._step = float(np.clip(extent / 12, max(_FINEST, min(followup.spacing) / 2), _COARSEST))
        self._distances_at_baseline = _signed_distances(mask, middle, 2.4 * extent + 4, self._step)
        self._radius = max(-float(self._distances_at_baseline.array.min()), self._step)
        self._at_baseline = baseline.resampled(self._distances_at_baseline.geometry).array
        self._baseline, self._followup = baseline, followup
        reach = LARGEST * extent + 2
        grid = Geometry.around(centre, (reach,) * 3, self._step)
        carried = np.asarray(registration.to_followup(middle))
        back = registration.to_baseline(_points(grid) + (carried - centre))
        self._distances = self._distances_at_baseline.sample(back, fill=3 * extent).reshape(grid.shape)
        self._margin = int(np.ceil(min(2.5 * SHIFT_MM, 1.2 * self._radius + 2) / self._step))
        wide = reach + self._margin * self._step
        self._image = followup.resampled(Geometry.around(centre, (wide,) * 3, self._step))
        self._offset = (np.array(self._image.array.shape) - np.array(grid.shape)) // 2
        offsets = np.linspace(SMALLEST, LARGEST, _SIZES) - 1
        self._borders = offsets * self._radius
        edges = np.concatenate([[-np.inf], self._borders, [np.inf]])
        self._shell = np.digitize(self._distances.ravel(), edges[1:-1])
        self._counts = np.cumsum(np.bincount(self._shell, minlength=_SIZES + 1))[:_SIZES]
        self._area = max(int((self._distances < 0).sum()), 1)

    def model_at_baseline(self) -> IntensityModel:
        """Return the intensities of the lesion and its surroundings at baseline."""
        radius = 1 + self._distances_at_baseline.array / self._radius
        return self._model(self._baseline, self._at_baseline, radius)

    def model_at(self, fit: Fit) -> IntensityModel:
        """Return the intensities of the fitted lesion and its surroundings at the follow-up."""
        return self._model(self._followup, self._part(self._voxels(fit)), self._normalised(fit.size))

    def _model(self, image: Volume, values: np.ndarray, radius: np.ndarray) -> IntensityModel:
        window = lesion_window(image, values, radius < 0.9 if (radius < 0.9).any() else radius < 1.0)
        return IntensityModel(values, radius, window)

    def fit(self, model: IntensityModel) -> Fit:
        """Return the most likely shift and size of the carried mask."""
        ratios = scipy.ndimage.gaussian_filter(model.log_ratios(self._image.array), 0.7)
        weight = WEIGHT_PER_MM * self._radius * (1 - model.overlap) ** 2
        sizes = 1 + self._borders / self._radius
        prior = np.log(sizes) ** 2 / (2 * SPREAD**2)
        best, found = -np.inf, Fit((0.0, 0.0, 0.0), 1.0)
        for shift in self._shifts():
            score = weight * self._evidence(self._part(shift, ratios)) - prior
            score -= ((shift * self._step) ** 2).sum() / (2 * SHIFT_MM**2)
            if (top := float(score.max())) > best:
                mm = (shift * self._step)[::-1]
                best, found = top, Fit((float(mm[0]), float(mm[1]), float(mm[2])), float(sizes[score.argmax()]))
        return found

    def _evidence(self, ratios: np.ndarray) -> np.ndarray:
        """Return the sum of the ratios inside every border, minus that of the ring around it, per voxel of the template."""
        sums = np.cumsum(np.bincount(self._shell, ratios.ravel(), _SIZES + 1))[:_SIZES]
        width = max(round(RING * (_SIZES - 1) / (LARGEST - SMALLEST)), 1)
        outer = np.minimum(np.arange(_SIZES) + width, _SIZES - 1)
        ring = (sums[outer] - sums) / np.maximum(self._counts[outer] - self._counts, 1)
        return (sums - OPPOSED * self._counts * ring) / self._area

    def _shifts(self) -> list[np.ndarray]:
        """Return the shifts (z, y, x) in voxels of the grid that are tried."""
        stride = max(round(self._radius / 4 / self._step), 1)
        steps = np.arange(-(self._margin // stride), self._margin // stride + 1) * stride
        every = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
        return list(every[np.linalg.norm(every, axis=1) <= self._margin])

    def _voxels(self, fit: Fit) -> np.ndarray:
        return np.round(np.array(fit.shift[::-1]) / self._step).astype(int)

    def _part(self, shift: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
        """Return the follow-up's intensities, or other values on its grid, under the shifted template."""
        low = self._offset + shift
        array = self._image.array if values is None else values
        return array[tuple(slice(a, a + n) for a, n in zip(low, self._distances.shape, strict=True))]

    def _normalised(self, size: float) -> np.ndarray:
        """Return the normalised radius of the template of a size: 0 at its innermost voxel, 1 on its border."""
        border = (size - 1) * self._radius
        return 1 + (self._distances - border) / (size * self._radius)

    def delineate(self, fit: Fit) -> Volume:
        """Return the mask on the template's grid: GrabCut on every slice, near the border of the fitted template."""
        radius, shift = self._normalised(fit.size), self._voxels(fit)
        values = self._part(shift)
        window = lesion_window(self._followup, values, radius < 0.9)
        levels = grey(values, window)
        middle = int((radius < 1).sum((1, 2)).argmax())
        _mask, models = grabcut(levels[middle], bounded_labels(radius[middle], SURE, POSSIBLE))
        innermost = fit.size * self._radius / self._step
        mask = np.zeros(radius.shape, bool)
        for n in np.flatnonzero((radius < POSSIBLE).any((1, 2))):
            labels = bounded_labels(radius[n], SURE, POSSIBLE)
            if not (radius[n] < SURE).any():
                continue
            mask[n], _models = grabcut(levels[n], labels, models)
        mask = bounded_by(mask, radius, BLUR * innermost, TRUST)
        first = self._image.geometry.to_ras((self._offset + shift)[::-1])
        grid = Geometry(radius.shape[::-1], (self._step,) * 3, tuple(first), self._image.direction)
        if not mask.any():
            raise InputError(
                "Nothing like the lesion of the baseline is at the match. Draw it there, or mark it as absent."
            )
        return Volume(mask.astype(np.float32), grid, self._followup.name)


def _signed_distances(mask: Volume, centre: np.ndarray, half_mm: float, step: float) -> Volume:
    """Return the distance to a mask's border, negative inside, on a grid around its centre, mm."""
    binary = Volume((mask.array != 0).astype(np.float32), mask.geometry)
    grid = Geometry.around(centre, (half_mm,) * 3, step)
    inside = binary.resampled(grid, fill=0).array > 0.5
    if not inside.any():
        inside = binary.resampled(grid, fill=0).array > 0
    within, beyond = (np.asarray(scipy.ndimage.distance_transform_edt(part, step)) for part in (inside, ~inside))
    distances = np.where(inside, step / 2 - within, beyond - step / 2)
    return Volume(distances.astype(np.float32), grid)


def _points(grid: Geometry) -> np.ndarray:
    """Return the RAS positions of a grid's voxels, (N, 3), in the order of its array."""
    k, j, i = np.indices(grid.shape).reshape(3, -1)
    return grid.to_ras(np.stack([i, j, k], -1))


def _on_grid(mask: Volume, scan: Volume) -> Volume:
    """Return a mask on the scan's own voxels: those of which at least half is inside, cropped to it."""
    corners = scan.geometry.to_ijk(mask.geometry.corners)
    part = scan.cropped(corners.min(0) - 1, corners.max(0) + 2)
    inside = mask.resampled(part.geometry, fill=0).array
    chosen = inside >= 0.5
    if not chosen.any():
        chosen = inside == inside.max()
    kji = np.argwhere(chosen)
    kept = part.cropped(kji.min(0)[::-1], kji.max(0)[::-1] + 1)
    low, high = kji.min(0), kji.max(0) + 1
    array = chosen[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].astype(np.uint8)
    return Volume(array, kept.geometry, scan.name)
