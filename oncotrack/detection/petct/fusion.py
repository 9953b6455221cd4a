"""Fusion of the segmentation networks' predictions (OSLN, equation 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np

from oncotrack.detection.petct.distance import is_proximal


def late_fusion(
    predictions: Mapping[str, Sequence[np.ndarray]], distance_mm: np.ndarray, border_mm: float
) -> np.ndarray:
    """Compute ``p_i = union{max{p_prox_i(CT), p_prox_i(EF)}, max{p_dis_i(CT), p_dis_i(EF)}}`` (equation 2).

    The regions have no voxel in common, so the union gives each voxel the prediction of its own region. Where the 70 mm border
    runs through a node, its proximal voxels come from the proximal networks and the others from the distal networks; the
    two parts touch and are one candidate.

    Parameters
    ----------
    predictions : mapping of str to sequence of ndarray
        Probabilities of each stream by region, "proximal" and "distal"; or by "all", without stratification.
    distance_mm : ndarray
        Signed distance to the tumour, of the same shape.
    border_mm : float
        d.

    Returns
    -------
    ndarray
        Probabilities of the same shape.
    """
    highest = {region: reduce(np.maximum, streams) for region, streams in predictions.items()}
    if "all" in highest:
        return highest["all"]
    return np.where(is_proximal(distance_mm, border_mm), highest["proximal"], highest["distal"])
