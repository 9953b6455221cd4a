"""The result of registering two scans: a map of points between them, both ways."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from oncotrack.images.geometry import Geometry, transform_points

_INVERSION_STEPS, _INVERSION_MM = 30, 1e-3


@dataclass(frozen=True, eq=False)
class Registration:
    """Maps points between a baseline and a follow-up (RAS mm), both ways.

    A baseline point x corresponds to the follow-up point ``affine(x) + u(x)``.

    Parameters
    ----------
    affine : (4, 4) ndarray
        Baseline RAS to follow-up RAS.
    similarity : float
        Correlation of the two scans inside the body after alignment, -1 to 1.
    overlap : float
        Share of the smaller scan's body that both scans show, 0 to 1.
    field : (D, H, W, 3) ndarray, optional
        u on `field_geometry`, mm; missing for an affine registration.
    field_geometry : Geometry, optional
        Grid of `field`, in baseline space.
    is_inverse : bool
        Whether the scans are exchanged: the affine and the field map from the follow-up to the baseline.
    """

    affine: np.ndarray
    similarity: float = 1.0
    overlap: float = 1.0
    field: np.ndarray | None = None
    field_geometry: Geometry | None = None
    is_inverse: bool = False

    def to_followup(self, points: ArrayLike) -> np.ndarray:
        """Return the follow-up points, (..., 3) RAS mm, that correspond to baseline points.

        Parameters
        ----------
        points : (..., 3) array_like
            Baseline RAS mm.
        """
        return self._backward(points) if self.is_inverse else self._forward(points)

    def to_baseline(self, points: ArrayLike) -> np.ndarray:
        """Return the baseline points, (..., 3) RAS mm, that correspond to follow-up points.

        Parameters
        ----------
        points : (..., 3) array_like
            Follow-up RAS mm.
        """
        return self._forward(points) if self.is_inverse else self._backward(points)

    def inverse(self) -> Registration:
        """Return the same registration with baseline and follow-up exchanged."""
        return replace(self, is_inverse=not self.is_inverse)

    @property
    def matrix(self) -> np.ndarray:
        """(4, 4) affine part in the direction of `to_followup`."""
        return np.linalg.inv(self.affine) if self.is_inverse else self.affine

    @property
    def scale(self) -> float:
        """Factor of lengths from baseline to follow-up: the cube root of the affine's determinant."""
        return float(np.cbrt(abs(np.linalg.det(self.matrix[:3, :3]))))

    def _forward(self, points: ArrayLike) -> np.ndarray:
        return transform_points(self.affine, points) + self._displacement(points)

    def _backward(self, points: ArrayLike) -> np.ndarray:
        inverse = np.linalg.inv(self.affine)
        points = np.asarray(points, float)
        found = transform_points(inverse, points)
        if self.field is not None:
            for _ in range(_INVERSION_STEPS):  # fixed point of x = A^-1 (y - u(x))
                found, last = transform_points(inverse, points - self._displacement(found)), found
                if np.abs(found - last).max(initial=0.0) < _INVERSION_MM:
                    break
        return found

    def _displacement(self, points: ArrayLike) -> np.ndarray | float:
        if self.field is None or self.field_geometry is None:
            return 0.0
        from scipy.ndimage import map_coordinates

        points = np.asarray(points, float)
        kji = self.field_geometry.to_ijk(points).reshape(-1, 3)[:, ::-1].T
        components = [map_coordinates(self.field[..., axis], kji, order=1, mode="nearest") for axis in range(3)]
        return np.stack(components, -1).reshape(points.shape)
