"""The grid that an image file states: checked, and resampled where its axes are not at right angles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from oncotrack.errors import InputError
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

SHEAR_DEGREES = 0.5
"""Axes that are this close to right angles are loaded as they are; distances in voxels then err by less than 1 %."""
VOXEL_MM = 0.01, 100.0
"""Smallest and largest voxel that a scan of a patient can have."""
_FARTHEST_MM = 10_000.0


def place(
    array: np.ndarray,
    ijk_to_ras: np.ndarray,
    name: str,
    metadata: dict[str, str],
    *,
    resample: bool = False,
    keep_shear: bool = False,
) -> Volume:
    """Return the volume of an array and the matrix that its file states.

    Parameters
    ----------
    array : (D, H, W) ndarray
        Intensities.
    ijk_to_ras : (4, 4) ndarray
        Maps voxel indices (i, j, k) to RAS mm; it may be sheared.
    name : str
        Name in messages.
    metadata : dict
        See `Volume`; ``resampled`` and ``single_slice`` are added where they apply.
    resample : bool
        Resample an image whose axes are not at right angles instead of refusing it.
    keep_shear : bool
        Return it as it is, for label maps, which are not resampled.

    Raises
    ------
    InputError
        Impossible voxel sizes or positions (the value is named), or axes that are not at right angles.
    """
    matrix = np.asarray(ijk_to_ras, float)
    _check_matrix(matrix, name)
    geometry = Geometry.from_matrix(array.shape[::-1], matrix)
    if 1 in geometry.size:
        thickness = min(s for s, n in zip(geometry.spacing, geometry.size, strict=True) if n == 1)
        metadata = metadata | {
            "single_slice": f"A single slice; its thickness of {thickness:g} mm is used as slice spacing."
        }
    volume = Volume(array, geometry, name, metadata=metadata)
    shear = shear_degrees(geometry)
    if shear <= SHEAR_DEGREES or keep_shear:
        return volume
    if resample:
        return straightened(volume)
    raise InputError(
        f"{name} is sheared: its axes are {shear:.1f} degrees off the right angle (a tilted gantry, or a registration "
        "stored in the file). It has to be resampled to a regular grid.",
        parameter="resample",
    )


def check_sizes(sizes: np.ndarray, name: str) -> None:
    """Refuse voxel sizes below zero, which would mirror the image; all else is checked by `place`.

    Parameters
    ----------
    sizes : (N,) ndarray
        As the header states them.
    name : str
        The file, for messages.

    Raises
    ------
    InputError
        A size is negative.
    """
    if (np.asarray(sizes) < 0).any():
        raise InputError(_impossible(name, sizes))


def _impossible(name: str, spacing: np.ndarray) -> str:
    return (
        f"{name} states a voxel size of {_product(spacing)} mm, which no scan of a patient has. Correct its header or "
        "export it again."
    )


def _check_matrix(matrix: np.ndarray, name: str) -> None:
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    low, high = VOXEL_MM
    if not np.isfinite(matrix).all() or not ((spacing >= low) & (spacing <= high)).all():
        raise InputError(
            _impossible(name, spacing)
            if np.isfinite(matrix[:3, 3]).all()
            else f"{name} states the position {_product(matrix[:3, 3], ', ')} mm, which is not valid. Export it again."
        )
    if np.abs(matrix[:3, 3]).max() > _FARTHEST_MM:
        raise InputError(
            f"{name} states the position {_product(matrix[:3, 3], ', ')} mm, many metres from the scanner. "
            "Correct its header or export it again."
        )


def _product(numbers: np.ndarray, sign: str = " x ") -> str:
    return sign.join(f"{number + 0.0:.4g}" for number in numbers)


def shear_degrees(geometry: Geometry) -> float:
    """Return the largest difference of the angles between the axes from 90 degrees.

    Parameters
    ----------
    geometry : Geometry
        The grid.
    """
    direction = np.asarray(geometry.direction)
    cosines = np.abs(direction.T @ direction - np.eye(3)).max()
    return float(np.degrees(np.arcsin(min(cosines, 1.0))))


def straight_grid(geometry: Geometry) -> Geometry:
    """Return the grid with axes at right angles that covers a sheared one, with voxels of the same volume.

    The two axes nearest to a right angle keep their plane and slices keep their positions along its normal, so that the
    slices of a tilted gantry are moved within their planes only.

    Parameters
    ----------
    geometry : Geometry
        The grid.
    """
    direction = np.asarray(geometry.direction)
    cosines = np.abs(direction.T @ direction)
    first, second = min(((0, 1), (0, 2), (1, 2)), key=lambda pair: cosines[pair])
    order = [first, second, 3 - first - second]
    axes, steps = np.linalg.qr(geometry.ijk_to_ras[:3, :3][:, order])
    signs = np.sign(np.diag(steps))
    back = np.argsort(order)
    axes, steps = (axes * signs)[:, back], (steps * signs[:, None])[np.ix_(back, back)]
    spacing = np.diag(steps)
    ends = np.stack(np.meshgrid(*[(0, n - 1) for n in geometry.size], indexing="ij"), -1).reshape(8, 3)
    covered = ends @ (steps / spacing[:, None]).T
    low, high = np.floor(covered.min(0) + 1e-6), np.ceil(covered.max(0) - 1e-6)
    origin = geometry.origin + axes @ (spacing * low)
    return Geometry.from_values(high - low + 1, spacing, origin, axes)


def straightened(volume: Volume) -> Volume:
    """Return a sheared image resampled to `straight_grid`, linearly, with its minimum where nothing was scanned.

    Parameters
    ----------
    volume : Volume
        The image. ``metadata["resampled"]`` of the result says what was done.
    """
    grid = straight_grid(volume.geometry)
    pull = volume.geometry.ras_to_ijk @ grid.ijk_to_ras
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(pull[:3, :3].ravel())
    transform.SetTranslation(pull[:3, 3])
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array, np.float32))
    plain = [0.0] * 3, [1.0] * 3, np.eye(3).ravel().tolist()
    outside = float(volume.array.min())
    array = sitk.GetArrayFromImage(sitk.Resample(image, list(grid.size), transform, sitk.sitkLinear, *plain, outside))
    done = (
        "Resampled to a regular grid: the axes of the file are "
        f"{shear_degrees(volume.geometry):.1f} degrees off the right angle."
    )
    return replace(volume, array=array, geometry=grid, metadata=volume.metadata | {"resampled": done})
