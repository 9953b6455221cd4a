"""Measurement of a finding's uptake in PET."""

from __future__ import annotations

import numpy as np
import scipy

from oncotrack.detection.petct.distance import BORDER_MM, is_proximal
from oncotrack.errors import InputError
from oncotrack.findings.uptake import Uptake
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

PEAK_RADIUS_MM = (3 * 1000 / (4 * np.pi)) ** (1 / 3)
"""Of a sphere of 1 ml, 6.2 mm (R. Wahl et al., PERCIST, Journal of Nuclear Medicine 50, 2009)."""
THRESHOLD = 0.41
"""Fraction of SUVmax that bounds the metabolic volume (R. Boellaard et al., EANM guidelines 2.0, EJNMMI 42, 2015)."""
_PARTS = 6


def measure_uptake(pet: Volume, mask: Volume, distance_mm: float | None = None, border_mm: float = BORDER_MM) -> Uptake:
    """Measure the uptake of a mask.

    Parameters
    ----------
    pet : Volume
        SUV, on its own grid.
    mask : Volume
        Not 0 in the finding, on any grid; in the coordinates of the PET.
    distance_mm : float, optional
        Signed distance of the finding's centre from the primary tumour.
    border_mm : float
        Distance at which the distal region begins.

    Returns
    -------
    Uptake
        All measurements.

    Raises
    ------
    InputError
        The mask is empty, or lies outside the PET.
    """
    inside = np.argwhere(mask.array != 0)
    if not len(inside):
        raise InputError("The mask is empty, so its uptake cannot be measured. Draw in it, or choose another.")
    points = mask.geometry.to_ras(inside[:, ::-1])
    indices = np.rint(pet.geometry.to_ijk(points) - 1e-9).astype(int)
    shown = ((indices >= 0) & (indices < pet.geometry.size)).all(1)
    if not shown.any():
        raise InputError("The finding lies outside the PET, so its uptake cannot be measured.")
    i, j, k = indices[shown].T
    nearest = pet.array[k, j, i].astype(float)
    highest = float(nearest.max())
    hot = nearest >= THRESHOLD * highest
    volume_ml = float(hot.sum()) * mask.geometry.voxel_mm3 / 1000
    return Uptake(
        suv_max=highest,
        suv_peak=_peak(pet, np.unique(indices[shown], axis=0)),
        suv_mean=float(nearest.mean()),
        metabolic_volume_ml=volume_ml,
        tlg_ml=volume_ml * float(nearest[hot].mean()),
        distance_mm=distance_mm,
        is_proximal=None if distance_mm is None else bool(is_proximal(distance_mm, border_mm)),
        kind=pet.metadata.get("suv", "BW"),
    )


def _peak(pet: Volume, voxels: np.ndarray) -> float:
    """Return the highest mean of a 1 ml sphere around one of (N, 3) voxels i, j, k; voxels count by their part inside it."""
    kernel = _sphere(pet.geometry)
    reach = np.array(kernel.shape) // 2
    low, high = voxels.min(0)[::-1] - reach, voxels.max(0)[::-1] + reach + 1
    start, stop = np.maximum(low, 0), np.minimum(high, pet.array.shape)
    part = pet.array[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))].astype(float)
    weight = scipy.ndimage.correlate(np.ones_like(part), kernel, mode="constant")
    means = np.asarray(scipy.ndimage.correlate(part, kernel, mode="constant")) / weight
    return float(means[tuple((voxels[:, ::-1] - start).T)].max())


def _sphere(geometry: Geometry) -> np.ndarray:
    """Return the part of each voxel that lies in a sphere of 1 ml around the central voxel, (d, h, w) of odd edges."""
    matrix = geometry.ijk_to_ras[:3, :3]
    reach = np.ceil(PEAK_RADIUS_MM * np.linalg.norm(np.linalg.inv(matrix), axis=1) + 0.5).astype(int)
    inside = np.zeros((2 * reach + 1)[::-1])
    voxels = np.indices(inside.shape)[::-1].reshape(3, -1).T - reach
    steps = (np.arange(_PARTS) + 0.5) / _PARTS - 0.5
    for part in np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3):
        inside += (np.linalg.norm((voxels + part) @ matrix.T, axis=1) <= PEAK_RADIUS_MM).reshape(inside.shape)
    return inside / _PARTS**3
