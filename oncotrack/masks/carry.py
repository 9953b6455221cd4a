"""A lesion's mask at a follow-up: that of the baseline, carried through the registration and fitted to the follow-up's image."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy

from oncotrack.errors import InputError
from oncotrack.findings.finding import Point
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.grabcut import bounded_by
from oncotrack.masks.shape import IntensityModel
from oncotrack.masks.windows import lesion_window
from oncotrack.registration.registration import Registration

SMALLEST, LARGEST = 0.3, 2.3
"""Sizes that are tried, in sizes of the baseline mask; the largest one is that of the ring's outer border."""
SPREAD = 0.35
"""Standard deviation of the natural logarithm of the size."""
SHIFT_MM = 4.0
"""Standard deviation of the match's distance from the lesion's centre, mm."""
WEIGHT_PER_MM = 2.5
"""Weight of the image against both, for each mm of the lesion's radius; see `IntensityModel.overlap`."""
RING, OPPOSED = 0.35, 0.45
"""Width of the ring around the mask that should not resemble the lesion, in radii, and its weight."""
SURE, POSSIBLE, TRUST, BLUR = 0.6, 1.3, 0.8, 0.12
"""As in `grabcut`, around the fitted shape."""
NOISE = 0.6
"""Standard deviation of the Gaussian that smooths the likelihood, voxels."""
_SIZES = 33
_FINEST, _COARSEST = 0.7, 2.5  # grid, mm


@dataclass(frozen=True)
class Fit:
    """Where the carried mask fits best.

    Attributes
    ----------
    shift : (3,) float
        From the match, mm along R, A, S.
    size : float
        Against the size at baseline.
    score : float
        Evidence of the image, less the prior of size and shift.
    """

    shift: Point = (0.0, 0.0, 0.0)
    size: float = 1.0
    score: float = -np.inf


def carry_mask(
    baseline: Volume, mask: Volume, followup: Volume, registration: Registration, centre: Point
) -> tuple[Volume, Fit]:
    """Return the mask of a lesion at the follow-up.

    The baseline mask is carried through the registration so that its centre lies at the match. Sizes and shifts of it are
    tried; the best one holds the intensities of the lesion at baseline and not those around it. The intensities of the
    follow-up then decide on the voxels near its border.

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
    fit = template.fit()
    return _on_grid(template.delineate(fit), followup), fit


class _Template:
    """The baseline mask as signed distances (mm, negative inside) on a grid around the match in the follow-up."""

    def __init__(
        self, baseline: Volume, mask: Volume, followup: Volume, registration: Registration, centre: Point
    ) -> None:
        points = mask.geometry.to_ras(np.argwhere(mask.array)[:, ::-1])
        middle = points.mean(0)
        extent = float(np.linalg.norm(points - middle, axis=1).max()) + max(mask.spacing) / 2
        step = float(np.clip(extent / 10, _FINEST, _COARSEST))
        at_baseline = _signed_distances(mask, middle, 2.4 * extent + 4, step)
        self._radius = max(-float(at_baseline.array.min()), step)
        self._baseline, self._followup, self._step = baseline, followup, step
        self._values_at_baseline = baseline.resampled(at_baseline.geometry).array
        self._radius_at_baseline = 1 + at_baseline.array / self._radius
        reach = LARGEST * extent + 2
        grid = Geometry.around(centre, (reach,) * 3, step)
        back = middle + (_points(grid) - centre) @ _local_matrix(registration, registration.to_followup(middle)).T
        self._distances = at_baseline.sample(back, fill=3 * extent).reshape(grid.shape)
        self._margin = int(np.ceil(min(2.5 * SHIFT_MM, 1.2 * self._radius + 2) / step))
        self._image = followup.resampled(Geometry.around(centre, (reach + self._margin * step,) * 3, step))
        self._offset = (np.array(self._image.array.shape) - np.array(grid.shape)) // 2
        self._borders = (np.linspace(SMALLEST, LARGEST, _SIZES) - 1) * self._radius
        self._used = np.flatnonzero(self._distances.ravel() < self._borders[-1])
        self._shell = np.digitize(self._distances.ravel()[self._used], self._borders)
        self._counts = np.cumsum(np.bincount(self._shell, minlength=_SIZES))
        self._area = max(int((self._distances < 0).sum()), 1)
        where = np.stack(np.unravel_index(self._used, grid.shape)) + self._offset[:, None]
        self._in_image = np.ravel_multi_index(tuple(where), self._image.array.shape)
        self._strides = np.array(self._image.array.strides) // self._image.array.itemsize

    def fit(self) -> Fit:
        """Return the most likely shift and size: coarsely over all shifts, then in ever smaller steps around the best one."""
        model = self._model(self._baseline, self._values_at_baseline, self._radius_at_baseline)
        ratios = scipy.ndimage.gaussian_filter(model.log_ratios(self._image.array), NOISE).ravel()
        weight = WEIGHT_PER_MM * self._radius * (1 - model.overlap) ** 2
        stride = max(round(max(self._radius / 3, 1.5) / self._step), 1)
        best, reach = Fit(), self._margin
        while stride >= 1:
            for shift in _cube(reach, stride) + self._voxels(best):
                if np.linalg.norm(shift) <= self._margin:
                    best = max(best, self._at(ratios, weight, shift), key=lambda fit: fit.score)
            stride //= 2
            reach = stride
        return best

    def _model(self, image: Volume, values: np.ndarray, radius: np.ndarray) -> IntensityModel:
        return IntensityModel(values, radius, lesion_window(image, values, radius < 0.9))

    def _at(self, ratios: np.ndarray, weight: float, shift: np.ndarray) -> Fit:
        """Return the best size at a shift (z, y, x), in voxels of the grid."""
        values = ratios[self._in_image + int(shift @ self._strides)]
        sums = np.cumsum(np.bincount(self._shell, values, _SIZES))
        width = max(round(RING * (_SIZES - 1) / (LARGEST - SMALLEST)), 1)
        outer = np.minimum(np.arange(_SIZES) + width, _SIZES - 1)
        ring = (sums[outer] - sums) / np.maximum(self._counts[outer] - self._counts, 1)
        evidence = (sums - OPPOSED * self._counts * ring) / self._area
        sizes = 1 + self._borders / self._radius
        mm = shift * self._step
        score = weight * evidence - np.log(sizes) ** 2 / (2 * SPREAD**2) - (mm**2).sum() / (2 * SHIFT_MM**2)
        n = int(score[:-width].argmax())
        return Fit((float(mm[2]), float(mm[1]), float(mm[0])), float(sizes[n]), float(score[n]))

    def _part(self, fit: Fit) -> np.ndarray:
        """Return the follow-up's intensities under the shifted template."""
        low = self._low(fit)
        return self._image.array[tuple(slice(a, a + n) for a, n in zip(low, self._distances.shape, strict=True))]

    def _low(self, fit: Fit) -> np.ndarray:
        return self._offset + self._voxels(fit)

    def _voxels(self, fit: Fit) -> np.ndarray:
        """Return a shift (z, y, x) in voxels of the grid."""
        return np.round(np.array(fit.shift[::-1]) / self._step).astype(int)

    def _normalised(self, size: float) -> np.ndarray:
        """Return the normalised radius: 0 at the innermost voxel, 1 on the border of the template of a size."""
        return 1 + (self._distances - (size - 1) * self._radius) / (size * self._radius)

    def delineate(self, fit: Fit) -> Volume:
        """Return the mask on the template's grid: near the template's border the intensities of the follow-up decide.

        Parameters
        ----------
        fit : Fit
            Where the template fits best.

        Raises
        ------
        InputError
            Nothing is left.
        """
        radius, values = self._normalised(fit.size), self._part(fit)
        model = self._model(self._followup, values, radius)
        likely = scipy.ndimage.gaussian_filter(model.log_ratios(values), NOISE) > 0
        innermost = fit.size * self._radius / self._step
        mask = bounded_by((likely & (radius < POSSIBLE)) | (radius < SURE), radius, BLUR * innermost, TRUST)
        if not mask.any():
            raise InputError(
                "Nothing like the lesion of the baseline is at the match. Draw it there, or mark it as absent."
            )
        first = self._image.geometry.to_ras(self._low(fit)[::-1])
        grid = Geometry.from_values(mask.shape[::-1], self._step, first, self._image.direction)
        return Volume(mask.astype(np.float32), grid, self._followup.name)


def _local_matrix(registration: Registration, centre: np.ndarray, step_mm: float = 8.0) -> np.ndarray:
    """Return the (3, 3) matrix that maps offsets at a point of the follow-up to offsets at baseline."""
    steps = step_mm * np.eye(3)
    ahead, behind = (registration.to_baseline(np.asarray(centre) + sign * steps) for sign in (1, -1))
    return ((ahead - behind) / (2 * step_mm)).T


def _signed_distances(mask: Volume, centre: np.ndarray, half_mm: float, step: float) -> Volume:
    """Return the distances to a mask's border on a grid around its centre, mm."""
    grid = Geometry.around(centre, (half_mm,) * 3, step)
    share = Volume((mask.array != 0).astype(np.float32), mask.geometry).resampled(grid, fill=0).array
    inside = share > min(0.5, float(share.max()) / 2)
    return Volume(_distances(inside, step), grid)


def _distances(inside: np.ndarray, step: float) -> np.ndarray:
    """Return the distance of every voxel to the border of a mask, negative inside, float32 mm."""
    within, beyond = (np.asarray(scipy.ndimage.distance_transform_edt(part, step)) for part in (inside, ~inside))
    return np.where(inside, step / 2 - within, beyond - step / 2).astype(np.float32)


def _cube(reach: int, stride: int) -> np.ndarray:
    """Return the shifts (N, 3) of a cube, in voxels."""
    steps = np.arange(-(reach // stride), reach // stride + 1) * stride
    return np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)


def _points(grid: Geometry) -> np.ndarray:
    """Return the RAS positions of a grid's voxels, (N, 3), in the order of its array."""
    k, j, i = np.indices(grid.shape).reshape(3, -1)
    return grid.to_ras(np.stack([i, j, k], -1))


def _on_grid(mask: Volume, scan: Volume) -> Volume:
    """Return a mask on the scan's own voxels: those of which at least half is inside, cropped to it."""
    corners = scan.geometry.to_ijk(mask.geometry.corners)
    part = scan.cropped(corners.min(0) - 1, corners.max(0) + 2)
    share = mask.resampled(part.geometry, fill=0).array
    chosen = share >= min(0.5, float(share.max()))
    kji = np.argwhere(chosen)
    kept = replace(part, array=chosen.astype(np.uint8)).cropped(kji.min(0)[::-1], kji.max(0)[::-1] + 1)
    return Volume(kept.array, kept.geometry, scan.name)
