"""The slice in which the axes lie, whatever its orientation: a fine grid on it, and the way back to the voxels."""

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
_FEWEST, _MOST, _FINEST = 64, 192, 4  # pixels a side; pixels a voxel


@dataclass(frozen=True)
class Region:
    """The square region of the axes on its plane.

    `grid` has one slice, or several when it is carried on; its k axis is the way to the next slice.
    """

    grid: Geometry

    @classmethod
    def of(cls, axes: RecistAxes, image: Geometry, more: Sequence[RecistAxes] = ()) -> Region:
        """On the image's own slice where the axes lie in one (of its three families), else on the axes' own plane.

        With `more` axes of the same lesion the square is large enough for all of them.
        """
        ijk = image.to_ijk(axes.ends)
        direction, spacing = np.asarray(image.direction), np.asarray(image.spacing)
        centre = np.asarray(axes.centre, float)
        across = int(np.argmax(np.abs(np.linalg.inv(direction) @ axes.normal)))
        index = round(float(ijk[:, across].mean()))
        if np.abs(ijk[:, across] - index).max() <= 0.51:
            u, v = (direction[:, n] for n in range(3) if n != across)
            pixel = min(spacing[n] for n in range(3) if n != across)
            step, apart = direction[:, across], float(spacing[across])
            middle = image.to_ijk(centre)
            middle[across] = index
            centre = image.to_ras(middle)
        else:
            u = np.subtract(axes.long.end, axes.long.start) / axes.long.length_mm
            step = axes.normal
            v = np.cross(step, u)
            apart = float(1 / np.linalg.norm(np.linalg.inv(direction * spacing) @ step))
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
        return cls(Geometry((count, count, 1), (pixel, pixel, apart), tuple(corner), frame))

    @property
    def pixel_mm(self) -> float:
        """Edge of a pixel, mm."""
        return self.grid.spacing[0]

    def pixels(self, points) -> np.ndarray:
        """(..., 2) column and row, with fractions, of (..., 3) RAS points."""
        return self.grid.to_ijk(points)[..., :2]

    def sampled(self, image: Volume) -> np.ndarray:
        """(H, W) intensities of the image on the first slice, linear between its voxels."""
        return image.resampled(self.grid).array[0]

    def slices(self, first: int, count: int) -> Region:
        """The same square on `count` slices from `first` on; its own is slice 0."""
        origin = tuple(self.grid.to_ras((0, 0, first)))
        size = (*self.grid.size[:2], count)
        return Region(Geometry(size, self.grid.spacing, origin, self.grid.direction))


def to_voxels(image: Geometry, region: Region, mask: np.ndarray, name: str = "mask") -> Volume:
    """A mask on a plane, or on several, as voxels of the image.

    Parameters
    ----------
    image : Geometry
        The scan's grid.
    mask : (H, W) or (D, H, W) bool ndarray
        On the region's grid.

    Returns
    -------
    Volume of uint8
        On the part of the image's grid that the region covers: 1 where at least half of a voxel's area, projected
        onto the nearest plane, lies in the mask, in the layers of voxels that the planes go through.
    """
    corners = image.to_ijk(region.grid.corners)
    start = np.clip(np.floor(corners.min(0)).astype(int), 0, np.asarray(image.size) - 1)
    stop = np.clip(np.ceil(corners.max(0)).astype(int) + 1, start + 1, image.size)
    part = Geometry(tuple(stop - start), image.spacing, tuple(image.to_ras(start)), image.direction)
    k, j, i = np.indices(part.shape)
    place = region.grid.to_ijk(part.to_ras(np.stack([i, j, k], -1)))
    layer = np.round(place[..., 2] - 1e-6)
    here = (layer >= 0) & (layer < region.grid.size[2])
    width = max(round(min(image.spacing) / region.pixel_mm), 1)
    share = mask.reshape(region.grid.shape).astype(np.float32)
    share = scipy.ndimage.uniform_filter(share, (1, width, width), mode="constant")
    array = np.zeros(part.shape, np.uint8)
    places = np.stack([layer[here], place[here][:, 1], place[here][:, 0]])
    array[here] = scipy.ndimage.map_coordinates(share, places, order=1, mode="constant") >= 0.5
    return Volume(array, part, name)
