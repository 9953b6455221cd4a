"""Gaussian maps of the position where a lesion is expected, with a peak of 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oncotrack.errors import InputError
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

DLT_N = 4.0
"""Width of DLT's anatomy map in lesion radii ("we find n = 4 delivers the best performance")."""


def gaussian_dlt(geometry: Geometry, centre: Sequence[float], radius_mm: float, n: float = DLT_N) -> np.ndarray:
    """Compute DLT's anatomy signal, ``G(mu, n r) = exp(-sum_i (i - mu_i)^2 / (2 (n r)^2))``.

    Parameters
    ----------
    geometry : Geometry
        Grid of the map, any orientation.
    centre : (3,) float
        mu, RAS mm.
    radius_mm : float
        r, mm.
    n : float
        Width in radii; 4 in the paper, 1 for its training target.

    Returns
    -------
    (D, H, W) float32 ndarray
        0 to 1.

    Raises
    ------
    InputError
        The radius or the width is not positive.

    References
    ----------
    Cai et al., Deep Lesion Tracker, CVPR 2021, equation 2.
    """
    _check(radius_mm, n)
    return _gaussian(geometry, centre, 2.0 * (n * radius_mm) ** 2)


def anatomy_map(
    geometry: Geometry, centre: Sequence[float], radius_mm: float, n: float = DLT_N, spacing_mm: float | None = None
) -> Volume:
    """Return DLT's anatomy map as an overlay of a scan.

    The Gaussian is smooth, so that a coarse grid is enough.

    Parameters
    ----------
    geometry : Geometry
        Grid of the scan, whose field of view the map covers.
    centre : (3,) float
        Expected position of the lesion, RAS mm.
    radius_mm : float
        Radius of the lesion, mm.
    n : float
        See `gaussian_dlt`.
    spacing_mm : float, optional
        Voxel size of the map; when missing, half the standard deviation, between 1 and 4 mm.

    Raises
    ------
    InputError
        The radius or the width is not positive.
    """
    spacing = spacing_mm or float(np.clip(n * radius_mm / 2, 1.0, 4.0))
    grid = geometry.with_spacing(np.maximum(spacing, geometry.spacing))
    return Volume(gaussian_dlt(grid, centre, radius_mm, n), grid, "anatomy map")


def _gaussian(geometry: Geometry, centre: Sequence[float], denominator: float) -> np.ndarray:
    # the squared distance in mm is a quadratic form of the voxel indices, also on oblique grids
    matrix = geometry.ijk_to_ras[:3, :3]
    offset = geometry.to_ijk(centre)
    i, j, k = (np.arange(n, dtype=np.float32) - np.float32(o) for n, o in zip(geometry.size, offset, strict=True))
    gram = (matrix.T @ matrix).astype(np.float32)
    square = (
        gram[2, 2] * k[:, None, None] ** 2 + gram[1, 1] * j[None, :, None] ** 2 + gram[0, 0] * i[None, None, :] ** 2
    )
    for a, b, product in (
        (0, 1, j[None, :, None] * i[None, None, :]),
        (0, 2, k[:, None, None] * i[None, None, :]),
        (1, 2, k[:, None, None] * j[None, :, None]),
    ):
        if abs(gram[a, b]) > 1e-6:
            square = square + 2 * gram[a, b] * product
    return np.exp(-square / np.float32(denominator)).astype(np.float32)


def _check(*sizes: float) -> None:
    if not all(np.isfinite(s) and s > 0 for s in sizes):
        raise InputError(
            f"The lesion radius must be a positive number of mm; {', '.join(f'{s:g}' for s in sizes)} is not."
        )
