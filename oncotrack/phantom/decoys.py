"""Focal uptake in PET that is neither a node nor a lesion: brown fat, inflammation, muscle, thyroid, oesophagus, bowel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from oncotrack.images.volume import Volume
from oncotrack.phantom.tissues import LABEL
from oncotrack.phantom.truth import VisitTruth

PLACES: dict[str, tuple[float, tuple[float, float], tuple[float, float]]] = {
    "fat": (1.5, (1.5, 5.0), (3.0, 7.0)), "visceral fat": (1.0, (1.5, 4.5), (3.0, 7.0)),
    "muscle": (1.5, (1.5, 4.5), (4.0, 10.0)), "bowel": (1.5, (2.0, 6.0), (5.0, 10.0)),
    "oesophagus": (0.7, (1.5, 3.5), (4.0, 8.0)), "thyroid": (0.3, (2.0, 5.0), (4.0, 8.0)),
    "lung": (0.6, (1.0, 3.0), (3.0, 7.0)), "stomach": (0.5, (2.0, 4.0), (5.0, 10.0)), "bone": (0.6, (1.0, 3.0), (4.0, 8.0)),
}  # fmt: skip
"""By organ: mean number in a patient, range of the added SUV, range of the standard deviation of the focus in mm."""
CLEAR_MM = 14.0
"""No focus lies closer to a node or a lesion."""


def add_decoys(pet: Volume, truth: VisitTruth, rng: np.random.Generator) -> tuple[Volume, list[tuple[str, np.ndarray]]]:
    """Return a PET with focal uptake in organs, away from nodes and lesions.

    Parameters
    ----------
    pet : Volume
        SUV of a phantom.
    truth : VisitTruth
        Of the same visit.
    rng : numpy.random.Generator
        Source of places and strengths.

    Returns
    -------
    pet : Volume
    foci : list of (str, (3,) ndarray)
        Organ and centre (RAS mm) of each focus.
    """
    organs = truth.organs.resampled(pet.geometry, fill=0, nearest=True).array
    taken = truth.masks.resampled(pet.geometry, fill=0, nearest=True).array > 0
    free = np.asarray(ndimage.distance_transform_edt(~taken, pet.spacing[::-1])) > CLEAR_MM if taken.any() else ~taken
    array = pet.array.astype(np.float32)
    foci: list[tuple[str, np.ndarray]] = []
    for organ, (mean, added, widths) in PLACES.items():
        voxels = np.argwhere((organs == LABEL[organ]) & free)
        for _ in range(int(rng.poisson(mean)) if len(voxels) else 0):
            index = voxels[rng.integers(len(voxels))]
            sigma = rng.uniform(*widths) * rng.uniform(0.7, 1.3, 3) / np.array(pet.spacing[::-1])
            array += _focus(array.shape, index, sigma) * np.float32(rng.uniform(*added))
            foci.append((organ, pet.geometry.to_ras(index[::-1])))
    return replace(pet, array=array), foci


def _focus(shape: tuple[int, ...], centre: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Return a Gaussian of height 1, (D, H, W) float32; its axes are those of the grid."""
    axes = [np.exp(-0.5 * ((np.arange(n) - c) / s) ** 2) for n, c, s in zip(shape, centre, sigma, strict=True)]
    return np.einsum("i,j,k->ijk", *axes).astype(np.float32)
