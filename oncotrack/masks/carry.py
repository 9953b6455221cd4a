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
from oncotrack.masks.partial_volume import smoothed, with_steps
from oncotrack.masks.shape import IntensityModel
from oncotrack.masks.windows import lesion_window
from oncotrack.registration.registration import Registration

SMALLEST, LARGEST = 0.3, 2.3
"""Sizes that are tried, in sizes of the baseline mask; the largest one is that of the ring's outer border."""
SPREAD = 0.4
"""Standard deviation of the natural logarithm of the size."""
SHIFT_MM = 4.0
"""Standard deviation of the match's distance from the lesion's centre, mm."""
WEIGHT_PER_MM = 2.5
"""Weight of the image against both, for each mm of the lesion's radius; see `IntensityModel.overlap`."""
RING, OPPOSED = 0.35, 0.45
"""Width of the ring around the mask that should not resemble the lesion, in radii, and its weight."""
SURE, POSSIBLE, TRUST, BLUR = 0.6, 1.3, 0.8, 0.12
"""As in `grabcut`, around the fitted shape."""
NEXT_MM, NEIGHBOUR = 1.5, -1.0
"""Distance from the mask at baseline beyond which what resembled the lesion there is a neighbour, and the largest log
likelihood ratio of a neighbour."""
CLEAR = 0.4
"""Share of `TRUST` that is left where the intensities of lesion and surroundings do not overlap."""
_SIZES, _SPARSE = 33, 3  # the coarse search uses every third voxel
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
    return template.delineate(fit), fit


@dataclass(frozen=True, eq=False)
class _Voxels:
    """Voxels of the template: their shell by size, the voxels within each size, their place in the grid that is searched, whether
    they are of a neighbour, and the number of those inside the baseline mask."""

    shell: np.ndarray
    counts: np.ndarray
    place: np.ndarray
    is_neighbour: np.ndarray
    area: int


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
        self._baseline, self._followup, self._step, self._extent = baseline, followup, step, extent
        self._radius = max(-float(at_baseline.array.min()), step)
        reach = LARGEST * extent + 2
        self._grid = Geometry.around(centre, (reach,) * 3, step)
        back = middle + (_points(self._grid) - centre) @ _local_matrix(registration, registration.to_followup(middle)).T
        self._distances = at_baseline.sample(back, fill=3 * extent).reshape(self._grid.shape)
        self._margin = int(np.ceil(min(2.5 * SHIFT_MM, 1.2 * self._radius + 2) / step))
        self._searched = Geometry.around(centre, (reach + self._margin * step,) * 3, step)
        self._before = with_steps(baseline, at_baseline.geometry)
        self._after = with_steps(followup, self._searched)
        values = self._before.resampled(at_baseline.geometry, nearest=True).array
        self._model = _model(baseline, values, 1 + at_baseline.array / self._radius)
        self._borders = (np.linspace(SMALLEST, LARGEST, _SIZES) - 1) * self._radius
        distances = self._distances.ravel()
        used = np.flatnonzero(distances < self._borders[-1])
        resembled = _log_ratios(self._model, self._before).sample(back[used], fill=-1) > 0
        self._all = self._voxels(used, resembled & (distances[used] > NEXT_MM))
        self._some = self._voxels(used[::_SPARSE], (resembled & (distances[used] > NEXT_MM))[::_SPARSE])

    def _voxels(self, used: np.ndarray, is_neighbour: np.ndarray) -> _Voxels:
        distances = self._distances.ravel()[used]
        shell = np.digitize(distances, self._borders)
        margin = (np.array(self._searched.shape) - np.array(self._grid.shape)) // 2
        where = np.stack(np.unravel_index(used, self._grid.shape)) + margin[:, None]
        place = np.asarray(np.ravel_multi_index(tuple(where), self._searched.shape))
        counts = np.cumsum(np.bincount(shell, minlength=_SIZES))
        return _Voxels(shell, counts, place, is_neighbour, max(int((distances < 0).sum()), 1))

    def fit(self) -> Fit:
        """Return the most likely shift and size: coarsely over all shifts, then in ever smaller steps around the best one."""
        ratios = _log_ratios(self._model, self._after).resampled(self._searched, fill=0).array.ravel()
        weight = WEIGHT_PER_MM * self._radius * (1 - self._model.overlap) ** 2
        stride = max(round(max(self._radius / 3, 1.5) / self._step), 1)
        best, reach = Fit(), self._margin
        while stride >= 1:
            voxels, middle = self._some if stride > 1 else self._all, self._shift_voxels(best)
            best = Fit(best.shift, best.size)  # its score was that of other voxels
            for shift in _cube(reach, stride) + middle:
                if np.linalg.norm(shift) <= self._margin:
                    best = max(best, self._at(voxels, ratios, weight, shift), key=lambda fit: fit.score)
            stride //= 2
            reach = max(stride, 1)
        return best

    def _at(self, voxels: _Voxels, ratios: np.ndarray, weight: float, shift: np.ndarray) -> Fit:
        """Return the best size at a shift (z, y, x), in voxels of the grid."""
        _depth, height, width = self._searched.shape
        values = ratios[voxels.place + int(shift @ (height * width, width, 1))]
        values = np.where(voxels.is_neighbour, np.minimum(values, NEIGHBOUR), values)
        sums = np.cumsum(np.bincount(voxels.shell, values, _SIZES))
        ring_width = max(round(RING * (_SIZES - 1) / (LARGEST - SMALLEST)), 1)
        outer = np.minimum(np.arange(_SIZES) + ring_width, _SIZES - 1)
        ring = (sums[outer] - sums) / np.maximum(voxels.counts[outer] - voxels.counts, 1)
        evidence = (sums - OPPOSED * voxels.counts * ring) / voxels.area
        sizes = 1 + self._borders / self._radius
        mm = shift * self._step
        score = weight * evidence - np.log(sizes) ** 2 / (2 * SPREAD**2) - (mm**2).sum() / (2 * SHIFT_MM**2)
        n = int(score[:-ring_width].argmax())
        return Fit((float(mm[2]), float(mm[1]), float(mm[0])), float(sizes[n]), float(score[n]))

    def _shift_voxels(self, fit: Fit) -> np.ndarray:
        """Return a shift (z, y, x) in voxels of the grid."""
        return np.round(np.array(fit.shift[::-1]) / self._step).astype(int)

    def delineate(self, fit: Fit) -> Volume:
        """Return the mask on the follow-up's voxels: near the template's border the intensities of the follow-up decide.

        Parameters
        ----------
        fit : Fit
            Where the template fits best.

        Raises
        ------
        InputError
            Nothing is left.
        """
        moved = tuple(np.add(self._grid.origin, fit.shift).tolist())
        template = Volume(self._distances, replace(self._grid, origin=moved))
        half = 1.6 * fit.size * self._extent + 2 * self._step
        corners = self._after.geometry.to_ijk(
            Geometry.around(template.geometry.centre, (half,) * 3, self._step).corners
        )
        image = self._after.cropped(np.floor(corners.min(0)).astype(int), np.ceil(corners.max(0)).astype(int) + 1)
        distances = template.resampled(image.geometry, fill=float(self._distances.max())).array
        radius = 1 + (distances - (fit.size - 1) * self._radius) / (fit.size * self._radius)
        model = _model(self._followup, image.array, radius)
        likely = _log_ratios(model, image).array > 0
        blur = BLUR * fit.size * self._radius / np.array(image.spacing)[::-1]
        trust = TRUST * (CLEAR + (1 - CLEAR) * model.overlap)
        mask = bounded_by((likely & (radius < POSSIBLE)) | (radius < SURE), radius, blur, trust)
        if not mask.any():
            raise InputError(
                "Nothing like the lesion of the baseline is at the match. Draw it there, or mark it as absent."
            )
        kji = np.argwhere(mask)
        kept = replace(image, array=mask.astype(np.uint8)).cropped(kji.min(0)[::-1], kji.max(0)[::-1] + 1)
        return Volume(kept.array, kept.geometry, self._followup.name)


def _model(image: Volume, values: np.ndarray, radius: np.ndarray) -> IntensityModel:
    inside = radius < 0.9
    if not inside.any():
        raise InputError("The lesion is smaller than the voxels of this scan, so that it cannot be measured there.")
    return IntensityModel(values, radius, lesion_window(image, values, inside))


def _log_ratios(model: IntensityModel, image: Volume) -> Volume:
    """Return the log likelihood ratio of every voxel, lesion against surroundings."""
    return smoothed(replace(image, array=model.log_ratios(image.array)))


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
