"""The primary tumour from one click in the PET: region growing from the highest uptake near the click."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy

from oncotrack.errors import InputError
from oncotrack.images.volume import Volume

FRACTION = 0.41
REACH_MM = 10.0
"""The highest uptake is searched for this far from the click."""
MOST_MM = 80.0
"""No grown tumour extends farther than this from its highest uptake."""
_LEAST_SUV = 1.5


def grow_tumour(
    pet: Volume, at: Sequence[float], *, fraction: float | None = FRACTION, suv: float | None = None
) -> Volume:
    """Return the connected voxels around a click whose uptake reaches a threshold.

    Parameters
    ----------
    pet : Volume
        SUV.
    at : (3,) float
        The click, RAS mm.
    fraction : float, optional
        Threshold as a fraction of the highest uptake near the click.
    suv : float, optional
        A fixed SUV as the threshold, instead of the fraction.

    Returns
    -------
    Volume
        uint8 mask on the PET's voxels around the click. ``metadata["notice"]`` is there where it was cut off at `MOST_MM`.

    Raises
    ------
    InputError
        The click lies outside the PET or where there is hardly any uptake, or the threshold is impossible.
    """
    if suv is None and not (fraction and 0 < fraction < 1):
        raise InputError(f"The threshold must be a fraction between 0 and 1 of the highest uptake, not {fraction}.")
    if not pet.geometry.contains(at):
        raise InputError(
            f"The click at {[round(float(v), 1) for v in at]} lies outside the PET. Click into the tumour."
        )
    pet = _around(pet, at)
    points = pet.geometry.to_ras(np.indices(pet.array.shape)[::-1].reshape(3, -1).T)
    from_click = np.linalg.norm(points - np.asarray(at, float), axis=1).reshape(pet.array.shape)
    near = from_click <= max(REACH_MM, from_click.min())
    peak = np.unravel_index(np.where(near, pet.array, -np.inf).argmax(), pet.array.shape)
    highest = float(pet.array[peak])
    threshold = float(fraction or 0) * highest if suv is None else float(suv)
    if highest < max(_LEAST_SUV, threshold):
        raise InputError(
            f"The highest uptake near the click is an SUV of {highest:.1f}; a tumour starts at "
            f"{max(_LEAST_SUV, threshold):.1f} here. Click into the tumour, or lower the threshold."
        )
    centre = pet.geometry.to_ras(np.array(peak)[::-1])
    allowed = np.linalg.norm(points - centre, axis=1).reshape(pet.array.shape) <= MOST_MM
    labels = np.empty(pet.array.shape, np.int32)
    scipy.ndimage.label((pet.array >= threshold) & allowed, output=labels)
    grown = labels == labels[peak]
    rim = allowed & (np.asarray(scipy.ndimage.binary_erosion(allowed, border_value=1), bool) == 0)
    is_cut = bool((grown & rim).any())
    notice = f"The region was cut off {MOST_MM:g} mm from its highest uptake; check its border." if is_cut else ""
    metadata = {"notice": notice} if notice else {}
    return Volume(grown.astype(np.uint8), pet.geometry, "primary tumour", metadata=metadata)


def on_scan(mask: Volume, ct: Volume) -> Volume:
    """Return a mask on the voxels of a CT, around itself.

    Parameters
    ----------
    mask : Volume
        Not 0 inside, on any grid.
    ct : Volume
        The scan.

    Returns
    -------
    Volume
        uint8, a part of the CT's grid; a mask that is smaller than a voxel is one voxel.

    Raises
    ------
    InputError
        The mask is empty, or lies outside the CT.
    """
    inside = np.argwhere(mask.array != 0)
    if not len(inside):
        raise InputError(
            f"The mask of the primary tumour ({mask.name}) is empty. Choose another mask, or click into it."
        )
    points = ct.geometry.to_ijk(mask.geometry.to_ras(inside[:, ::-1]))
    reach = np.ceil(np.max(mask.spacing) / np.array(ct.spacing)) + 1
    if (points.max(0) < 0).any() or (points.min(0) > np.array(ct.geometry.size) - 1).any():
        raise InputError(
            f"The mask of the primary tumour ({mask.name}) lies outside the CT. Choose the mask of this patient's tumour."
        )
    part = ct.cropped(points.min(0) - reach, points.max(0) + reach + 1).geometry
    smooth = Volume((mask.array != 0).astype(np.float32), mask.geometry, mask.name)
    array = smooth.resampled(part, fill=0.0).array >= 0.5
    if not array.any():
        nearest = np.clip(np.rint(part.to_ijk(mask.geometry.to_ras(inside[:, ::-1]))), 0, np.array(part.size) - 1)
        array[tuple(nearest.astype(int)[:, ::-1].T)] = True
    return Volume(array.astype(np.uint8), part, mask.name)


def _around(pet: Volume, at: Sequence[float]) -> Volume:
    """Return the part of the PET that a tumour at the click can reach."""
    reach = (MOST_MM + REACH_MM) / np.array(pet.spacing) + 1
    centre = pet.geometry.to_ijk(at)
    return pet.cropped(centre - reach, centre + reach + 1)
