"""A PET/CT study as the networks read it: CT, PET and distance map on one grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from oncotrack.detection.ct_slices import LNSlices
from oncotrack.detection.petct.config import StageOneConfig
from oncotrack.detection.petct.distance import signed_distance
from oncotrack.detection.petct.pair import check_study
from oncotrack.errors import InputError
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

_AIR_HU = -1000.0


@dataclass(frozen=True, eq=False)
class WorkingStudy:
    """CT, PET and distance map on the grid of the first stage.

    Parameters
    ----------
    volume : Volume
        The CT itself, HU.
    geometry : Geometry
        The grid: the part of the CT that shows the body, i to the left, j to the back, k to the head.
    ct : (D, H, W) float32 ndarray
        0 to 1 over the HU window.
    pet : (D, H, W) float32 ndarray
        SUV.
    distance : (D, H, W) float32 ndarray
        Signed distance to the tumour, mm.
    """

    volume: Volume
    geometry: Geometry
    ct: np.ndarray
    pet: np.ndarray
    distance: np.ndarray

    def __len__(self) -> int:
        return self.geometry.size[2]

    def part(self, start: np.ndarray, stop: np.ndarray) -> WorkingStudy:
        """Return a part of the grid.

        Parameters
        ----------
        start, stop : (3,) int ndarray
            First voxel (z, y, x), and one past the last.

        Returns
        -------
        WorkingStudy
            Views of the arrays.
        """
        where = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        arrays = [array[where] for array in (self.ct, self.pet, self.distance)]
        grid = self.geometry
        geometry = Geometry(arrays[0].shape[::-1], grid.spacing, tuple(grid.to_ras(start[::-1])), grid.direction)
        return WorkingStudy(self.volume, geometry, *arrays)


def network_input(study: WorkingStudy, config: StageOneConfig) -> torch.Tensor:
    """Return the three channels of early fusion: CT, normalised PET, scaled distance; the CT stream reads the first.

    Parameters
    ----------
    study : WorkingStudy
        The study or a part of it.
    config : StageOneConfig
        Normalisation.

    Returns
    -------
    (3, D, H, W) float32 Tensor
        The channels.
    """
    pet = (study.pet - config.pet_mean) / config.pet_std
    limit = config.distance_limit
    distance = np.clip(study.distance / config.distance_scale_mm, -limit, limit)
    return torch.from_numpy(np.stack([study.ct, pet, distance]).astype(np.float32, copy=False))


def working_study(ct: Volume, pet: Volume, tumour: Volume, config: StageOneConfig) -> WorkingStudy:
    """Resample a study to the grid of the first stage.

    Parameters
    ----------
    ct : Volume
        HU, any orientation and spacing.
    pet : Volume
        SUV, in the coordinates of the CT.
    tumour : Volume
        Mask of the primary tumour on any grid, not 0 inside.
    config : StageOneConfig
        Voxel size and HU window.

    Returns
    -------
    WorkingStudy
        On the part of the CT that shows the body.

    Raises
    ------
    InputError
        An image is not what it should be, PET and CT show different parts of the body, or the tumour is empty or lies
        outside the CT.
    """
    check_study(ct, pet)
    grid = LNSlices(ct).geometry.with_spacing(config.spacing_mm)
    mask = tumour_on(grid, tumour)
    low, high = config.hu
    array = ct.resampled(grid, fill=_AIR_HU).array
    scaled = (np.clip(array, low, high) - low) / (high - low)
    uptake = pet.resampled(grid, fill=0.0).array
    return WorkingStudy(ct, grid, scaled.astype(np.float32), uptake.astype(np.float32), signed_distance(mask))


def tumour_on(grid: Geometry, tumour: Volume) -> Volume:
    """Return the tumour's mask on another grid.

    Parameters
    ----------
    grid : Geometry
        The target.
    tumour : Volume
        Not 0 inside, on any grid.

    Returns
    -------
    Volume
        uint8; a tumour that is smaller than a voxel is one voxel.

    Raises
    ------
    InputError
        The mask is empty, or lies outside the grid.
    """
    inside = np.argwhere(tumour.array != 0)
    if not len(inside):
        raise InputError(
            f"The mask of the primary tumour ({tumour.name}) is empty. Choose another mask, or click into it."
        )
    array = tumour.resampled(grid, fill=0, nearest=True).array != 0
    if not array.any():
        points = np.rint(grid.to_ijk(tumour.geometry.to_ras(inside[:, ::-1]))).astype(int)
        points = points[((points >= 0) & (points < grid.size)).all(1)]
        if not len(points):
            raise InputError(
                f"The mask of the primary tumour ({tumour.name}) lies outside the CT. Choose the mask of this patient's tumour."
            )
        array[tuple(points[:, ::-1].T)] = True
    return Volume(array.astype(np.uint8), grid, tumour.name)
