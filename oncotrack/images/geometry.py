"""Where voxels lie: the grid of an image in RAS millimetres, any orientation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

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
        if min(self.size) < 1 or min(self.spacing) <= 0 or not np.isfinite(self.origin).all():
            raise InputError(
                f"The image grid is not usable: size {self.size}, spacing {self.spacing} mm, origin {self.origin}. "
                "Export the image again from the scanner or archive."
            )
        if abs(np.linalg.det(matrix)) < 1e-3:
            raise InputError("The image's axes do not span space (its direction matrix is singular). Export it again.")

    @classmethod
    def from_matrix(cls, size, ijk_to_ras: np.ndarray) -> Geometry:
        """Build from a 4x4 matrix that maps voxel indices (i, j, k) to RAS mm."""
        matrix = np.asarray(ijk_to_ras, float)
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        return cls(tuple(size), tuple(spacing), tuple(matrix[:3, 3]), matrix[:3, :3] / spacing)

    @classmethod
    def around(cls, centre, half_mm, spacing_mm: float) -> Geometry:
        """A RAS-aligned grid of odd size with a voxel on `centre`, reaching `half_mm` (scalar or per axis) each way."""
        steps = np.ceil(np.broadcast_to(np.asarray(half_mm, float), 3) / spacing_mm - 1e-6).astype(int)
        return cls(tuple(2 * steps + 1), (spacing_mm,) * 3, tuple(np.asarray(centre, float) - steps * spacing_mm))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an array on this grid, (D, H, W)."""
        return self.size[::-1]

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

    def to_ras(self, ijk) -> np.ndarray:
        """RAS mm of (..., 3) voxel indices (i, j, k)."""
        return transform_points(self.ijk_to_ras, ijk)

    def to_ijk(self, ras) -> np.ndarray:
        """Continuous voxel indices (i, j, k) of (..., 3) RAS mm."""
        return transform_points(self.ras_to_ijk, ras)

    def contains(self, ras, margin_mm: float = 0.0) -> np.ndarray:
        """Whether (..., 3) RAS points lie inside the image, at least `margin_mm` from its faces."""
        ijk = self.to_ijk(ras)
        margin = margin_mm / np.asarray(self.spacing) - 0.5
        return ((ijk >= margin) & (ijk <= np.asarray(self.size) - 1 - margin)).all(axis=-1)

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
        """(3,) RAS mm of the middle of the image."""
        return self.bounds.mean(0)

    def ras_aligned(self, spacing_mm: float) -> Geometry:
        """The RAS-aligned isotropic grid that covers this one."""
        low, high = self.bounds
        size = np.maximum(np.ceil((high - low) / spacing_mm - 1e-6).astype(int), 1)
        origin = (low + high) / 2 - (size - 1) / 2 * spacing_mm
        return Geometry(tuple(size), (spacing_mm,) * 3, tuple(origin))

    def axial(self) -> Geometry:
        """The same voxels with the axis nearest to the patient's length as k; itself when it is so already."""
        direction = np.asarray(self.direction)
        along = int(np.abs(direction[2]).argmax())
        if along == 2:
            return self
        axes = [axis for axis in range(3) if axis != along] + [along]
        size, spacing = np.asarray(self.size)[axes], np.asarray(self.spacing)[axes]
        return Geometry(tuple(size), tuple(spacing), self.origin, direction[:, axes])

    def with_spacing(self, spacing) -> Geometry:
        """The same field of view and orientation, on voxels of `spacing` mm (scalar or per axis i, j, k)."""
        spacing = np.broadcast_to(np.asarray(spacing, float), 3)
        extent = np.asarray(self.size) * self.spacing
        size = np.maximum(np.round(extent / spacing).astype(int), 1)
        spacing = extent / size
        origin = self.to_ras((spacing / self.spacing - 1) / 2)
        return Geometry(tuple(size), tuple(spacing), tuple(origin), self.direction)


def transform_points(matrix: np.ndarray, points) -> np.ndarray:
    """Apply a (4, 4) matrix to (..., 3) points."""
    points = np.asarray(points, float)
    return points @ matrix[:3, :3].T + matrix[:3, 3]
