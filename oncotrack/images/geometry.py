"""The voxel grid of an image in RAS millimetres, in any orientation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from oncotrack.errors import InputError


@dataclass(frozen=True)
class Geometry:
    """A voxel grid in RAS space.

    Parameters
    ----------
    size : (3,) int
        Voxels along i, j, k; an array on this grid has shape ``size[::-1]``.
    spacing : (3,) float
        Millimetres between voxel centres along i, j, k.
    origin : (3,) float
        RAS position (mm) of the centre of voxel (0, 0, 0).
    direction : (3, 3) nested tuple
        Columns are the RAS unit vectors of i, j, k. Oblique and left-handed grids are legal.
    """

    size: tuple[int, int, int]
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[tuple[float, float, float], ...] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", tuple(int(n) for n in self.size))
        object.__setattr__(self, "spacing", tuple(float(s) for s in self.spacing))
        object.__setattr__(self, "origin", tuple(float(o) for o in self.origin))
        matrix = np.asarray(self.direction, float).reshape(3, 3)
        object.__setattr__(self, "direction", tuple(tuple(float(x) for x in row) for row in matrix))
        numbers = [*self.spacing, *self.origin, *matrix.flat]
        if min(self.size) < 1 or min(self.spacing) <= 0 or not np.isfinite(numbers).all():
            raise InputError(
                f"The image grid cannot be used: size {self.size}, spacing {self.spacing} mm, origin {self.origin}. "
                "Export the image again from the scanner or archive."
            )
        if abs(np.linalg.det(matrix)) < 1e-3:
            raise InputError("The image axes do not span 3D space (singular direction matrix). Export the image again.")

    @classmethod
    def from_matrix(cls, size: Sequence[int], ijk_to_ras: np.ndarray) -> Geometry:
        """Return the grid of a matrix.

        Parameters
        ----------
        size : (3,) int
            Voxels along i, j, k.
        ijk_to_ras : (4, 4) ndarray
            Maps voxel indices (i, j, k) to RAS mm.
        """
        matrix = np.asarray(ijk_to_ras, float)
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        return cls.from_values(size, spacing, matrix[:3, 3], matrix[:3, :3] / spacing)

    @classmethod
    def from_values(
        cls, size: ArrayLike, spacing: ArrayLike, origin: ArrayLike, direction: ArrayLike | None = None
    ) -> Geometry:
        """Return the grid of arrays instead of tuples.

        Parameters
        ----------
        size : (3,) array_like of int
            Voxels along i, j, k.
        spacing : (3,) array_like
            Millimetres between voxel centres along i, j, k; one number for all three.
        origin : (3,) array_like
            RAS mm of voxel (0, 0, 0).
        direction : (3, 3) array_like, optional
            Columns are the RAS unit vectors of i, j, k; RAS-aligned when missing.
        """
        i, j, k = (int(n) for n in np.asarray(size))
        axes = (_triple(row) for row in np.eye(3)) if direction is None else map(_triple, np.asarray(direction, float))
        spacing = np.broadcast_to(np.asarray(spacing, float), 3)
        return cls((i, j, k), _triple(spacing), _triple(np.asarray(origin, float)), tuple(axes))

    @classmethod
    def around(cls, centre: ArrayLike, half_mm: ArrayLike, spacing_mm: float) -> Geometry:
        """Return a RAS-aligned grid of odd size with a voxel on a point.

        Parameters
        ----------
        centre : (3,) array_like
            The point, RAS mm.
        half_mm : float or (3,) array_like
            Distance from the point to the outermost voxel centres, at least, mm.
        spacing_mm : float
            Voxel size.
        """
        steps = np.ceil(np.broadcast_to(np.asarray(half_mm, float), 3) / spacing_mm - 1e-6).astype(int)
        return cls.from_values(2 * steps + 1, spacing_mm, np.asarray(centre, float) - steps * spacing_mm)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an array on this grid, (D, H, W)."""
        i, j, k = self.size
        return k, j, i

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel, mm³; on a sheared grid it is less than the product of the spacings."""
        return float(abs(np.linalg.det(self.ijk_to_ras[:3, :3])))

    @cached_property
    def ijk_to_ras(self) -> np.ndarray:
        """(4, 4) matrix from voxel indices to RAS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.asarray(self.direction) * self.spacing
        matrix[:3, 3] = self.origin
        return matrix

    @cached_property
    def ras_to_ijk(self) -> np.ndarray:
        """(4, 4) matrix from RAS mm to continuous voxel indices."""
        return np.linalg.inv(self.ijk_to_ras)

    def to_ras(self, ijk: ArrayLike) -> np.ndarray:
        """Return the RAS mm, (..., 3), of voxel indices.

        Parameters
        ----------
        ijk : (..., 3) array_like
            Voxel indices (i, j, k), not necessarily whole.
        """
        return transform_points(self.ijk_to_ras, ijk)

    def to_ijk(self, ras: ArrayLike) -> np.ndarray:
        """Return the continuous voxel indices (i, j, k), (..., 3), of points.

        Parameters
        ----------
        ras : (..., 3) array_like
            RAS mm.
        """
        return transform_points(self.ras_to_ijk, ras)

    def contains(self, ras: ArrayLike, margin_mm: float = 0.0) -> np.ndarray:
        """Return whether points lie inside the image, (...) bool.

        Parameters
        ----------
        ras : (..., 3) array_like
            RAS mm.
        margin_mm : float
            Least distance from the faces of the image; negative to allow points outside.
        """
        ijk = self.to_ijk(ras)
        margin = margin_mm / np.asarray(self.spacing) - 0.5
        return cast(np.ndarray, ((ijk >= margin) & (ijk <= np.asarray(self.size) - 1 - margin)).all(axis=-1))

    @cached_property
    def corners(self) -> np.ndarray:
        """(8, 3) RAS mm of the outer corners of the corner voxels."""
        ends = [(-0.5, n - 0.5) for n in self.size]
        return self.to_ras(np.stack(np.meshgrid(*ends, indexing="ij"), -1).reshape(8, 3))

    @property
    def bounds(self) -> np.ndarray:
        """(2, 3) lowest and highest RAS mm of the image."""
        return np.stack([self.corners.min(0), self.corners.max(0)])

    @property
    def centre(self) -> np.ndarray:
        """(3,) RAS mm of the centre of the image."""
        return self.bounds.mean(0)

    def ras_aligned(self, spacing_mm: float) -> Geometry:
        """Return the RAS-aligned isotropic grid that covers this one.

        Parameters
        ----------
        spacing_mm : float
            Voxel size of the grid.
        """
        low, high = self.bounds
        size = np.maximum(np.ceil((high - low) / spacing_mm - 1e-6).astype(int), 1)
        origin = (low + high) / 2 - (size - 1) / 2 * spacing_mm
        return Geometry.from_values(size, spacing_mm, origin)

    def axial(self) -> Geometry:
        """Return the grid of the same voxels with the axis that is nearest to S as k; itself when it is k already."""
        direction = np.asarray(self.direction)
        along = int(np.abs(direction[2]).argmax())
        if along == 2:
            return self
        axes = [axis for axis in range(3) if axis != along] + [along]
        size, spacing = np.asarray(self.size)[axes], np.asarray(self.spacing)[axes]
        return Geometry.from_values(size, spacing, self.origin, direction[:, axes])

    def with_spacing(self, spacing: ArrayLike) -> Geometry:
        """Return a grid of the same field of view and orientation with other voxels.

        Parameters
        ----------
        spacing : float or (3,) array_like
            Voxel size in mm, one for all axes or along i, j, k; it is rounded to whole voxels.
        """
        spacing = np.broadcast_to(np.asarray(spacing, float), 3)
        extent = np.asarray(self.size) * self.spacing
        size = np.maximum(np.round(extent / spacing).astype(int), 1)
        spacing = extent / size
        origin = self.to_ras((spacing / self.spacing - 1) / 2)
        return Geometry.from_values(size, spacing, origin, self.direction)


def transform_points(matrix: np.ndarray, points: ArrayLike) -> np.ndarray:
    """Return the transformed points, (..., 3).

    Parameters
    ----------
    matrix : (4, 4) ndarray
        The affine transform.
    points : (..., 3) array_like
        The points.
    """
    points = np.asarray(points, float)
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
