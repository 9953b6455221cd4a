"""A follow-up made from a real CT by a known smooth motion, as another scanner would have seen it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter, map_coordinates

from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

_GRID_MM = 10.0


class Motion:
    """A smooth random motion: a follow-up point y shows what lay at ``y + u(y)`` in the baseline (RAS mm).

    Parameters
    ----------
    geometry : Geometry
        Where it is defined.
    largest_mm : float
        Longest displacement.
    smoothness_mm : float
        Standard deviation of the Gaussian that smooths the random field.
    rng : numpy.random.Generator
    """

    def __init__(self, geometry: Geometry, largest_mm: float, smoothness_mm: float, rng: np.random.Generator) -> None:
        self.grid = geometry.ras_aligned(_GRID_MM)
        noise = rng.standard_normal((3, *self.grid.shape))
        field = np.stack([gaussian_filter(n, smoothness_mm / _GRID_MM, mode="wrap") for n in noise], -1)
        self.field = (field * largest_mm / np.linalg.norm(field, axis=-1).max()).astype(np.float64)

    def to_baseline(self, followup_points) -> np.ndarray:
        """Baseline RAS of (N, 3) follow-up points."""
        points = np.asarray(followup_points, float)
        kji = self.grid.to_ijk(points)[:, ::-1].T
        u = [map_coordinates(self.field[..., a], kji, order=1, mode="nearest") for a in range(3)]
        return points + np.stack(u, -1)

    def to_followup(self, baseline_points) -> np.ndarray:
        """Follow-up RAS of (N, 3) baseline points, by fixed-point iteration."""
        points = np.asarray(baseline_points, float)
        found = points.copy()
        for _ in range(60):
            found = points - (self.to_baseline(found) - found)
        return found


def warped_copy(
    volume: Volume,
    rng: np.random.Generator,
    *,
    largest_mm: float = 30.0,
    spacing=(0.9, 0.9, 3.0),
    noise_hu: float = 15.0,
) -> tuple[Volume, Motion]:
    """Another day's scan of the same patient, with the motion that made it.

    It differs from `phantom.warp` in random stream and interpolation: Gaussian-smoothed noise, another kernel, contrast,
    noise and voxels here; a diffeomorphic flow of breathing, posture and weight on the scan's own grid there.

    Moved by a smooth field of up to `largest_mm`, blurred (another kernel), enhanced above 60 HU by half (another
    contrast phase), noisy, on voxels of `spacing` mm.
    """
    motion = Motion(volume.geometry, largest_mm, 70.0, rng)
    grid = volume.geometry.with_spacing(spacing)
    image = sitk.GetImageFromArray(volume.array.astype(np.float32))
    image = sitk.DiscreteGaussian(image, [float((0.8 / s) ** 2) for s in volume.spacing], 9, 0.01, False)
    image.SetSpacing(volume.spacing)
    image.SetOrigin(volume.origin)
    image.SetDirection(np.asarray(volume.direction).ravel().tolist())
    field = sitk.GetImageFromArray(motion.field, isVector=True)
    field.SetSpacing(motion.grid.spacing)
    field.SetOrigin(motion.grid.origin)
    moved = sitk.Resample(
        image,
        list(grid.size),
        sitk.DisplacementFieldTransform(field),
        sitk.sitkLinear,
        grid.origin,
        grid.spacing,
        np.asarray(grid.direction).ravel().tolist(),
        float(volume.array.min()),
    )
    array = sitk.GetArrayFromImage(moved)
    array = np.where(array > 60, array + 0.5 * (array - 60), array)
    array += rng.normal(0, noise_hu, array.shape).astype(np.float32)
    followup = replace(volume, array=np.round(array).astype(np.int16), geometry=grid, name=f"{volume.name}, warped")
    return followup, motion
