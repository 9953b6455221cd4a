"""A fine grid on the slice of the axes, in any orientation, and the conversion of masks on it to voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.axes import RecistAxes

SIDE = 2.0
"""Side of the region in long axes (MR, sec. 3.1)."""
_FEWEST, _MOST, _FINEST = 64, 192, 4  # fewest and most pixels per side; most pixels per voxel edge


@dataclass(frozen=True)
class Region:
    """The square region around the axes, on their plane.

    Parameters
    ----------
    grid : Geometry
        One slice, or several parallel ones; its k axis points to the next slice.
    """

    grid: Geometry

    @classmethod
    def of(cls, axes: RecistAxes, image: Geometry, more: Sequence[RecistAxes] = ()) -> Region:
        """Create the region of axes in an image.

        It lies on one of the image's own slices, along i, j or k, where the axes lie in one, else on the plane of the
        axes.

        Parameters
        ----------
        axes : RecistAxes
            RAS mm.
        image : Geometry
            Grid of the image.
        more : sequence of RecistAxes
            Axes of the same lesion on other slices; the square is large enough for all of them.
        """
        ijk = image.to_ijk(axes.ends)
        direction, spacing = np.asarray(image.direction), np.asarray(image.spacing)
        centre = np.asarray(axes.centre, float)
        across = _axis_across(image, axes.normal)
        index = round(float(ijk[:, across].mean()))
        if np.abs(ijk[:, across] - index).max() <= 0.51:
            u, v = (direction[:, n] for n in range(3) if n != across)
            v = v - (v @ u) * u
            v = v / np.linalg.norm(v)
            pixel = min(spacing[n] for n in range(3) if n != across)
            step, distance = direction[:, across], float(spacing[across])
            on_slice = image.to_ijk(centre)
            on_slice[across] = index
            centre = image.to_ras(on_slice)
        else:
            u = np.subtract(axes.long.end, axes.long.start) / axes.long.length_mm
            step = axes.normal
            v = np.cross(step, u)
            distance = float(1 / np.linalg.norm(np.linalg.inv(direction * spacing) @ step))
            pixel = float(spacing.min())
        side = SIDE * max(each.long.length_mm for each in (axes, *more))
        if more:
            ends = np.concatenate([each.ends for each in (axes, *more)])
            flat = (ends - centre) @ np.stack([u, v], 1)
            shift = (flat.min(0) + flat.max(0)) / 2
            centre = centre + shift @ [u, v]
            side = max(side, SIDE / 2 * 1.5 * np.ptp(flat, axis=0).max())
        finer = np.clip(np.ceil(_FEWEST * pixel / side), 1, _FINEST)
        pixel = max(pixel / finer, side / _MOST)
        count = int(np.ceil(side / pixel))
        frame = np.stack([u, v, step], 1)
        corner = centre - frame[:, :2].sum(1) * pixel * (count - 1) / 2
        grid = Geometry((count, count, 1), (pixel, pixel, distance), tuple(corner), frame)  # pyright: ignore[reportArgumentType]
        return cls(grid)

    @property
    def pixel_mm(self) -> float:
        """Edge length of a pixel, mm."""
        return self.grid.spacing[0]

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Return the continuous column and row of points, (..., 2).

        Parameters
        ----------
        points : (..., 3) ndarray
            RAS mm.
        """
        return self.grid.to_ijk(points)[..., :2]

    def sample(self, image: Volume) -> np.ndarray:
        """Return the intensities on the first slice, (H, W), by linear interpolation.

        Parameters
        ----------
        image : Volume
            The scan.
        """
        return image.resampled(self.grid).array[0]

    def slices(self, first: int, count: int) -> Region:
        """Return the same square on several slices.

        Parameters
        ----------
        first : int
            The lowest slice; this region's own is slice 0.
        count : int
            Number of slices.
        """
        origin = tuple(self.grid.to_ras((0, 0, first)))
        size = (*self.grid.size[:2], count)
        return Region(Geometry(size, self.grid.spacing, origin, self.grid.direction))

    def thick_as_voxels_of(self, image: Geometry) -> Region:
        """Return the same square, one voxel thick along the voxel axis of an image that crosses it most steeply.

        Parameters
        ----------
        image : Geometry
            The image's grid.
        """
        frame = np.array(self.grid.direction)
        across = _axis_across(image, np.cross(frame[:, 0], frame[:, 1]))
        frame[:, 2] = np.asarray(image.direction)[:, across]
        spacing = (*self.grid.spacing[:2], image.spacing[across])
        return Region(Geometry(self.grid.size, spacing, self.grid.origin, frame))  # pyright: ignore[reportArgumentType]


def _axis_across(image: Geometry, normal: np.ndarray) -> int:
    """Return the voxel axis along which a step leads farthest out of the plane with this normal."""
    return int(np.abs(image.ijk_to_ras[:3, :3].T @ normal).argmax())


def to_voxels(image: Geometry, region: Region, mask: np.ndarray, name: str = "mask") -> Volume:
    """Convert a mask on a region's slices to voxels of the image.

    Parameters
    ----------
    image : Geometry
        The scan's grid.
    region : Region
        The slices.
    mask : (H, W) or (D, H, W) bool ndarray
        On the region's grid.
    name : str
        Name of the result.

    Returns
    -------
    Volume of uint8
        On the part of the image's grid that the region covers: 1 where at least half of a voxel's area, projected
        onto the nearest slice of the region, lies in the mask, for voxels within half a slice of the region. A mask
        of one slice that is oblique to the voxels has one voxel in every column of voxels that crosses it.
    """
    if region.grid.size[2] == 1:
        region = region.thick_as_voxels_of(image)
    corners = image.to_ijk(region.grid.corners)
    start = np.clip(np.floor(corners.min(0)).astype(int), 0, np.asarray(image.size) - 1)
    stop = np.clip(np.ceil(corners.max(0)).astype(int) + 1, start + 1, image.size)
    part = Geometry(tuple(stop - start), image.spacing, tuple(image.to_ras(start)), image.direction)
    k, j, i = np.indices(part.shape)
    position = region.grid.to_ijk(part.to_ras(np.stack([i, j, k], -1)))
    nearest = np.round(position[..., 2] - 1e-6)
    covered = (nearest >= 0) & (nearest < region.grid.size[2])
    width = max(round(min(image.spacing) / region.pixel_mm), 1)
    share = mask.reshape(region.grid.shape).astype(np.float32)
    for axis in (1, 2):
        share = scipy.ndimage.uniform_filter1d(share, width, axis, mode="constant")
    array = np.zeros(part.shape, np.uint8)
    points = np.stack([nearest[covered], position[covered][:, 1], position[covered][:, 0]])
    array[covered] = scipy.ndimage.map_coordinates(share, points, order=1, mode="constant") >= 0.5
    return Volume(array, part, name)
