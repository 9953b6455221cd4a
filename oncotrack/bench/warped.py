"""A simulated follow-up of a real CT: a known smooth motion, and the image of another scanner."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter, map_coordinates

from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

_GRID_MM = 10.0


class Motion:
    """A smooth random motion: the follow-up at y shows the tissue at ``y + u(y)`` of the baseline (RAS mm).

    Parameters
    ----------
    geometry : Geometry
        Region on which it is defined.
    largest_mm : float
        Longest displacement.
    smoothness_mm : float
        Standard deviation of the Gaussian that smooths the random field.
    rng : numpy.random.Generator
        Source of the random field.
    """

    def __init__(self, geometry: Geometry, largest_mm: float, smoothness_mm: float, rng: np.random.Generator) -> None:
        self.grid = geometry.ras_aligned(_GRID_MM)
        noise = rng.standard_normal((3, *self.grid.shape))
        field = np.stack([gaussian_filter(n, smoothness_mm / _GRID_MM, mode="wrap") for n in noise], -1)
        self.field = (field * largest_mm / np.linalg.norm(field, axis=-1).max()).astype(np.float64)

    def to_baseline(self, followup_points) -> np.ndarray:
        """Return the baseline positions of (N, 3) follow-up points, RAS mm."""
        points = np.asarray(followup_points, float)
        kji = self.grid.to_ijk(points)[:, ::-1].T
        u = [map_coordinates(self.field[..., a], kji, order=1, mode="nearest") for a in range(3)]
        return points + np.stack(u, -1)

    def to_followup(self, baseline_points) -> np.ndarray:
        """Return the follow-up positions of (N, 3) baseline points, RAS mm, by fixed-point iteration."""
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
    """Simulate a follow-up scan of the same patient; return it and its motion.

    The scan is moved by a smooth field of up to `largest_mm`, blurred (another kernel), enhanced above 60 HU by half
    (another contrast phase), made noisy, and resampled to voxels of `spacing` mm.

    It differs from `phantom.warp` in random stream and interpolation: here Gaussian-smoothed noise on new voxels; there a
    diffeomorphic flow of breathing, posture and weight on the scan's own grid.
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
