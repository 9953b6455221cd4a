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
from oncotrack.masks.partial_volume import gradients, smoothed, with_steps
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
SHELL = 0.3
"""Width of the shells on either side of the border that are compared, in radii."""
EDGE, SHARPEST = 0.5, 1.3
"""Weight of the gradient along the border against the intensities, and its largest value, in gradients at baseline."""
SURE, POSSIBLE, TRUST, BLUR = 0.75, 1.3, 2.0, 0.12
"""As in `grabcut`, around the fitted shape."""
NEXT_MM, NEIGHBOUR = 1.5, -1.0
"""Distance from the mask at baseline beyond which what resembled the lesion there is a neighbour, and the largest log
likelihood ratio of a neighbour."""
CLEAR = 0.4
"""Share of `TRUST` that is left where the intensities of lesion and surroundings do not overlap."""
_SIZES, _SPARSE = 33, 3  # the coarse search uses every third voxel
_FINEST, _COARSEST = 0.7, 2.5  # grid, mm
_INNERMOST = 0.5  # largest normalised radius of the innermost voxel


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
    tried; the best one has the lesion's intensities of the baseline on the inner side of its border, others on the outer
    side, and a border as sharp as that of the baseline. It is adapted to the intensities that it holds at the follow-up,
    and these then decide on the voxels near its border.

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
    """Voxels of the template in the order of their shells (by size): the voxels below each shell, the shells that have any, the
    voxels' places in the grid that is searched, which are of a neighbour, and the number of those inside the baseline mask."""

    counts: np.ndarray
    filled: np.ndarray
    place: np.ndarray
    neighbours: np.ndarray
    area: int

    def below(self, values: np.ndarray) -> np.ndarray:
        """Return the sums of values of the voxels below each shell, (_SIZES + 1,)."""
        sums = np.zeros(_SIZES + 1)
        sums[self.filled + 1] = np.add.reduceat(values, self.counts[self.filled])
        return np.cumsum(sums)


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
        sharpness = gradients(baseline, at_baseline.geometry)[np.abs(at_baseline.array) < step].mean()
        self._edges = gradients(followup, self._searched).ravel() / max(float(sharpness), 1e-3)
        self._borders = (np.linspace(SMALLEST, LARGEST, _SIZES) - 1) * self._radius
        distances = self._distances.ravel()
        used = np.flatnonzero(distances < self._borders[-1])
        resembled = _log_ratios(self._model, self._before).sample(back[used], fill=-1) > 0
        self._all = self._voxels(used, resembled & (distances[used] > NEXT_MM))
        self._some = self._voxels(used[::_SPARSE], (resembled & (distances[used] > NEXT_MM))[::_SPARSE])

    def _voxels(self, used: np.ndarray, is_neighbour: np.ndarray) -> _Voxels:
        distances = self._distances.ravel()[used]
        shell = np.digitize(distances, self._borders)
        order = np.argsort(shell, kind="stable")
        margin = (np.array(self._searched.shape) - np.array(self._grid.shape)) // 2
        where = np.stack(np.unravel_index(used[order], self._grid.shape)) + margin[:, None]
        place = np.asarray(np.ravel_multi_index(tuple(where), self._searched.shape))
        each = np.bincount(shell, minlength=_SIZES)
        counts, neighbours = np.append(0, np.cumsum(each)), np.flatnonzero(is_neighbour[order])
        return _Voxels(counts, np.flatnonzero(each), place, neighbours, max(int((distances < 0).sum()), 1))

    def fit(self) -> Fit:
        """Return the most likely shift and size: coarsely over all shifts, then in ever smaller steps around the best one, then
        with the intensities that were found at the follow-up."""
        ratios = self._ratios(self._model)
        stride = max(round(max(self._radius / 3, 1.5) / self._step), 1)
        best, reach = Fit(), self._margin
        while stride >= 1:
            best = self._best(self._some if stride > 1 else self._all, ratios, self._model, best, _cube(reach, stride))
            stride //= 2
            reach = max(stride, 1)
        values = self._after.resampled(self._searched, nearest=True).array
        found = _model(self._followup, values, self._radius_of(best, self._searched))
        return self._best(self._all, (ratios + self._ratios(found)) / 2, found, best, _cube(1, 1))

    def _ratios(self, model: IntensityModel) -> np.ndarray:
        return _log_ratios(model, self._after).resampled(self._searched, fill=0).array.ravel()

    def _best(self, voxels: _Voxels, ratios: np.ndarray, model: IntensityModel, start: Fit, shifts: np.ndarray) -> Fit:
        """Return the best of the fits that are shifted against one, in voxels of the grid (z, y, x)."""
        weight = (1 - model.overlap) ** 2
        best = Fit(start.shift, start.size)  # its score was that of other voxels
        for shift in shifts + self._shift_voxels(start):
            if np.linalg.norm(shift) <= self._margin:
                best = max(best, self._at(voxels, ratios, weight, shift), key=lambda fit: fit.score)
        return best

    def _at(self, voxels: _Voxels, ratios: np.ndarray, weight: float, shift: np.ndarray) -> Fit:
        """Return the best size at a shift (z, y, x), in voxels of the grid."""
        _depth, height, width = self._searched.shape
        place = voxels.place + int(shift @ (height * width, width, 1))
        values = ratios[place]
        values[voxels.neighbours] = np.minimum(values[voxels.neighbours], NEIGHBOUR)
        sums, edges = voxels.below(values), voxels.below(self._edges[place])
        border, per_radius = np.arange(1, _SIZES + 1), (_SIZES - 1) / (LARGEST - SMALLEST)

        def mean(of: np.ndarray, inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
            low, high = np.maximum(inner, 0), np.minimum(outer, _SIZES)
            return (of[high] - of[low]) / np.maximum(voxels.counts[high] - voxels.counts[low], 1)

        wide = max(round(SHELL * per_radius), 1)
        near = max(round(0.7 * self._step / self._radius * per_radius), 1)
        step = mean(sums, border - wide, border) - mean(sums, border, border + wide)
        sharpness = np.minimum(mean(edges, border - near, border + near), SHARPEST)
        evidence = weight * (step + sums[1:] / voxels.area) + EDGE * sharpness
        sizes = 1 + self._borders / self._radius
        mm = shift * self._step
        prior = np.log(sizes) ** 2 / (2 * SPREAD**2) + (mm**2).sum() / (2 * SHIFT_MM**2)
        score = WEIGHT_PER_MM * self._radius * evidence - prior
        n = int(score[:-wide].argmax())
        return Fit((float(mm[2]), float(mm[1]), float(mm[0])), float(sizes[n]), float(score[n]))

    def _shift_voxels(self, fit: Fit) -> np.ndarray:
        """Return a shift (z, y, x) in voxels of the grid."""
        return np.round(np.array(fit.shift[::-1]) / self._step).astype(int)

    def _radius_of(self, fit: Fit, grid: Geometry) -> np.ndarray:
        """Return the normalised radius of the fitted shape on a grid: 1 at its border."""
        moved = tuple(np.add(self._grid.origin, fit.shift).tolist())
        template = Volume(self._distances, replace(self._grid, origin=moved))
        distances = template.resampled(grid, fill=float(self._distances.max())).array
        return 1 + (distances - (fit.size - 1) * self._radius) / (fit.size * self._radius)

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
        half = 1.6 * fit.size * self._extent + 2 * self._step
        middle = np.add(self._grid.centre, fit.shift)
        corners = self._after.geometry.to_ijk(Geometry.around(middle, (half,) * 3, self._step).corners)
        image = self._after.cropped(np.floor(corners.min(0)).astype(int), np.ceil(corners.max(0)).astype(int) + 1)
        radius = self._radius_of(fit, image.geometry)
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
    radius = radius - max(float(radius.min()) - _INNERMOST, 0.0)  # a small shape may lie between the voxels
    return IntensityModel(values, radius, lesion_window(image, values, radius < 0.9))


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
