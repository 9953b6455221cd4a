"""Features of a proposal in a CT that tell nodes from vessels, muscle, bowel and bone; each takes a millisecond or two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from oncotrack.detection.anatomy import regions
from oncotrack.detection.anatomy.anatomy import Anatomy
from oncotrack.detection.ct_node_mask import NodePatch, continuation
from oncotrack.findings.finding import Box
from oncotrack.images.volume import Volume

_SHELL_MM = 3.0
_FAT_HU, _GAS_HU, _BONE_HU, _SOFT_HU = -30.0, -300.0, 250.0, -10.0
_WALLS = (regions.CHEST_WALL, regions.ABDOMINAL_WALL)

FEATURES = (
    "fat in the shell", "gas in the shell", "bone in the shell", "soft tissue in the shell of the middle slice",
    "continues at one end", "continues at both ends", "grows out of the box", "elongation", "flatness", "fills its box",
    "hu", "brightness against blood", "noise", "size", "height to width", "to bone", "to lung", "deep", "wall", "unknown region",
)  # fmt: skip
"""Names of the features, in their order."""


def features(volume: Volume, box: Box, anatomy: Anatomy, region: regions.Region | None) -> np.ndarray:
    """Compute the features of a proposal.

    Parameters
    ----------
    volume : Volume
        CT in HU.
    box : Box
        Of the proposal, RAS mm.
    anatomy : Anatomy
        Of the scan.
    region : Region, optional
        Of the proposal.

    Returns
    -------
    (len(FEATURES),) float ndarray
        Shares are 0 to 1, lengths are logarithms of mm, HU are in units of 100.
    """
    low, high = np.asarray(box.low), np.asarray(box.high)
    patch = NodePatch.of(volume, low, high)
    mask = patch.mask if patch.mask.any() else patch.inside <= max(1.0, float(patch.inside.min()))
    hu, spacing = patch.volume.array, patch.volume.spacing[::-1]
    away = np.asarray(ndimage.distance_transform_edt(~mask, sampling=spacing))
    shell = (away > 0.8 * spacing[1]) & (away <= max(_SHELL_MM, 1.6 * spacing[1]))
    in_slice = _in_slice_shell(mask, spacing)
    ends = sorted(continuation(mask, hu, spacing[0]))
    big = _grown(mask, hu, patch)
    axes = _axes_mm(mask, spacing)
    inner = np.asarray(ndimage.binary_erosion(mask, np.ones((1, 3, 3))), bool)
    inner = inner if inner.sum() > 6 else mask
    volume_mm3 = mask.sum() * float(np.prod(spacing))
    k, j, i = anatomy.index_of((low + high) / 2)
    return np.array([
        (hu[shell] < _FAT_HU).mean() - (hu[shell] < _GAS_HU).mean() if shell.any() else 0.0,
        (hu[shell] < _GAS_HU).mean() if shell.any() else 0.0,
        (hu[(away > 0) & (away < 5)] > _BONE_HU).mean(),
        (hu[in_slice] > _SOFT_HU).mean() if in_slice.any() else 0.0,
        ends[1],
        ends[0],
        np.log(max(big, 1.0)),
        np.log(axes[0] / axes[1]),
        np.log(axes[1] / axes[2]),
        min(volume_mm3 / max(float(np.prod(high - low)) * np.pi / 6, 1.0), 2.0),
        np.clip(patch.median_hu, -200, 400) / 100,
        np.clip(patch.median_hu - anatomy.tissues.blood_hu, -200, 200) / 100,
        min(float(hu[inner].std()), 100.0) / 100,
        np.log(max((6 * volume_mm3 / np.pi) ** (1 / 3), 1.0)),
        np.log(max(high[2] - low[2], 1.0) / max(float(np.sqrt(np.prod((high - low)[:2]))), 1.0)),
        np.log1p(min(float(anatomy.to_bone[k, j, i]), 60.0)),
        np.log1p(min(float(anatomy.to_lung[k, j, i]), 60.0)),
        float(anatomy.tissues.deep[k, j, i]),
        float(region in _WALLS),
        float(region is None),
    ], float)  # fmt: skip


def _in_slice_shell(mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return the voxels around the mask on its largest slice."""
    middle = int(mask.sum(axis=(1, 2)).argmax())
    out = np.zeros_like(mask)
    away = np.asarray(ndimage.distance_transform_edt(~mask[middle], sampling=spacing[1:]))
    out[middle] = (away > 0.8 * spacing[1]) & (away <= max(_SHELL_MM, 1.6 * spacing[1]))
    return out


def _grown(mask: np.ndarray, hu: np.ndarray, patch: NodePatch) -> float:
    """Return how many times larger the mask becomes when it may grow to the border of the patch."""
    labels, _ = ndimage.label(hu > max(patch.threshold_hu, _FAT_HU))  # pyright: ignore[reportGeneralTypeIssues]
    names = np.unique(labels[mask])
    return float(np.isin(labels, names[names > 0]).sum() / max(mask.sum(), 1))


def _axes_mm(mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return the standard deviations along the principal axes of a mask, mm, longest first."""
    points = np.argwhere(mask) * np.asarray(spacing)
    extent = np.diag(np.asarray(spacing) ** 2 / 12)  # of a single voxel
    spread = (np.cov(points.T) if len(points) > 3 else 0.0) + extent
    return np.sqrt(np.linalg.eigvalsh(spread)[::-1])
