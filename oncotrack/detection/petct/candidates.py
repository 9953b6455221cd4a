"""Candidates of the first stage, and the sub-volumes around them that the second stage reads (OSLN, sec. 3.1, 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from oncotrack.detection.components import Component, components
from oncotrack.detection.petct.config import GLNetConfig, StageOneConfig
from oncotrack.detection.petct.study import WorkingStudy


@dataclass(frozen=True, eq=False)
class Candidate:
    """A connected part of the thresholded probability.

    Attributes
    ----------
    component : Component
        Its voxels on the grid of the first stage.
    score : float
        First-stage score: the mean probability of its voxels (sec. 4.5).
    """

    component: Component
    score: float


def candidates(probability: np.ndarray, threshold: float, config: StageOneConfig, voxel_mm3: float) -> list[Candidate]:
    """Return the candidates of a study, highest first-stage score first.

    Parameters
    ----------
    probability : (D, H, W) ndarray
        Fused probability of the first stage.
    threshold : float
        The operating point: voxels of a candidate have a higher probability.
    config : StageOneConfig
        Least volume.
    voxel_mm3 : float
        Volume of a voxel.

    Returns
    -------
    list of Candidate
        Each at least as large as the configuration requires.
    """
    found = [
        Candidate(each, float(probability[each.where][each.mask].mean()))
        for each in components(probability, threshold, config.least_mm3 / voxel_mm3)
    ]
    return sorted(found, key=lambda candidate: -candidate.score)


def crop_bounds(box: np.ndarray, config: GLNetConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the sub-volume around a candidate.

    It has the size of the configuration, centred on the candidate. Along a dimension in which the candidate is larger than
    that, it extends `margin` voxels beyond the candidate; it is then resized.

    Parameters
    ----------
    box : (6,) ndarray
        First voxel z, y, x, then one past the last.
    config : GLNetConfig
        Crop and margin.

    Returns
    -------
    low, high : (3,) ndarray
        Edges in voxels, z, y, x; they may lie outside the image.
    """
    centre, size = (box[:3] + box[3:]) / 2, box[3:] - box[:3]
    crop = np.array(config.crop, float)
    extent = np.where((size > crop).any(), np.maximum(crop, size + 2 * config.margin), crop)
    low = np.floor(centre - extent / 2 + 0.5)
    return low, low + np.ceil(extent)


def crop_candidate(study: WorkingStudy, box: np.ndarray, config: GLNetConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut the sub-volume around a candidate out of CT and PET.

    Parameters
    ----------
    study : WorkingStudy
        The study.
    box : (6,) ndarray
        The candidate's box on its grid.
    config : GLNetConfig
        Crop and margin.

    Returns
    -------
    crop : (2, d, h, w) float32 Tensor
        CT, 0 to 1, and PET in SUV; outside the image air without uptake.
    box : (6,) float32 Tensor
        The candidate's box in voxels of the crop.
    """
    low, high = crop_bounds(box, config)
    size = (high - low).astype(int)
    shape = np.array(study.ct.shape)
    start, stop = np.clip(low, 0, shape).astype(int), np.clip(high, 0, shape).astype(int)
    inside = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    target = tuple(slice(a, b) for a, b in zip(start - low.astype(int), stop - low.astype(int), strict=True))
    crop = np.zeros((2, *size), np.float32)
    crop[(0, *target)], crop[(1, *target)] = study.ct[inside], study.pet[inside]
    tensor = torch.from_numpy(crop)
    if tuple(size) != config.crop:
        tensor = F.interpolate(tensor[None], config.crop, mode="trilinear", align_corners=False)[0]
    scale = np.array(config.crop) / size
    moved = np.concatenate([(box[:3] - low) * scale, (box[3:] - low) * scale])
    return tensor, torch.from_numpy(moved.astype(np.float32))


def normalised(crops: torch.Tensor, config: GLNetConfig, pet_mean: float, pet_std: float) -> torch.Tensor:
    """Return the channels that the local module reads.

    Parameters
    ----------
    crops : (N, 2, d, h, w) Tensor
        CT, 0 to 1, and PET in SUV.
    config : GLNetConfig
        Modalities.
    pet_mean, pet_std : float
        Of the training set, as in the first stage.

    Returns
    -------
    (N, C, d, h, w) Tensor
        CT alone, or CT and normalised PET.
    """
    if config.modalities == ("ct",):
        return crops[:, :1]
    return torch.cat([crops[:, :1], (crops[:, 1:] - pet_mean) / pet_std], 1)


def boxes_of(found: Sequence[Candidate]) -> np.ndarray:
    """Return the boxes of candidates.

    Parameters
    ----------
    found : sequence of Candidate
        The candidates.

    Returns
    -------
    (N, 6) ndarray
        First voxel z, y, x, then one past the last.
    """
    return np.array([candidate.component.box for candidate in found], float).reshape(-1, 6)
