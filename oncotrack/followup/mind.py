"""Modality-independent neighbourhood descriptors and their dense search."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from scipy.fft import next_fast_len

_NEIGHBOURS = ((-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1))
_PAIRS = tuple(
    (a, b)
    for a, b in combinations(range(6), 2)
    if sum((x - y) ** 2 for x, y in zip(_NEIGHBOURS[a], _NEIGHBOURS[b], strict=True)) == 2
)
MARGIN = 2
"""Border voxels without a descriptor: one for the neighbour, one for the patch."""


def mind_ssc(image: torch.Tensor) -> torch.Tensor:
    """Compute the self-similarity context: similarity of the patches round a voxel to each other, contrast-invariant.

    Parameters
    ----------
    image : (D, H, W) float tensor
        Any intensity unit.

    Returns
    -------
    (12, D - 4, H - 4, W - 4) float tensor in (0, 1]
        ``exp(-D_p / V)`` for the twelve pairs of six-neighbours at distance sqrt(2), with D_p the mean squared
        difference of their 3x3x3 patches and V the mean of D_p over the pairs; `MARGIN` voxels are lost on each side.

    References
    ----------
    Heinrich et al., MIND, Medical Image Analysis 2012, equations 3 and 4; self-similarity context: MICCAI 2013.
    """
    depth, height, width = (n - 2 for n in image.shape)
    shifted = [image[1 + z :, 1 + y :, 1 + x :][:depth, :height, :width] for z, y, x in _NEIGHBOURS]
    distance = torch.stack([(shifted[a] - shifted[b]).square_() for a, b in _PAIRS])
    for axis, size in ((1, depth - 2), (2, height - 2), (3, width - 2)):  # box filter, three times faster than pooling
        first, second, third = (distance.narrow(axis, n, size) for n in range(3))
        distance = (first + second + third) / 3
    distance -= distance.amin(0, keepdim=True)
    variance = distance.mean(0, keepdim=True)
    typical = variance.mean().clamp_min(1e-12)
    return torch.exp_(distance.div_(variance.clamp_(typical * 1e-3, typical * 1e3)).neg_())


def search(template: torch.Tensor, weight: torch.Tensor, searched: torch.Tensor, scanned: torch.Tensor) -> torch.Tensor:
    """Compute the weighted mean squared difference of a template at every position of a block, by Fourier transform.

    Parameters
    ----------
    template : (C, K, K, K) tensor
        Descriptors round the clicked point.
    weight : (K, K, K) tensor
        Weight of each template voxel; zero where the baseline was not scanned.
    searched : (C, N, N, N) tensor
        Descriptors of the follow-up.
    scanned : (N, N, N) tensor
        1 where the follow-up was scanned; voxels with 0 are ignored.

    Returns
    -------
    (M, M, M) tensor, M = N - K + 1
        Cost per position, 0 to 1; infinite where less than a third of the template's weight was scanned.
    """
    channels, size = template.shape[0], template.shape[-1]
    positions = searched.shape[-1] - size + 1
    full = (next_fast_len(searched.shape[-1], real=True),) * 3
    masked = searched * scanned
    images = torch.cat([masked, (masked * searched).sum(0, keepdim=True), scanned[None]])
    kernels = torch.cat([-2 * weight * template, weight[None], (weight * template**2).sum(0, keepdim=True)])
    spectrum = torch.fft.rfftn(images, s=full, dim=(1, 2, 3))
    flipped = torch.fft.rfftn(kernels, s=full, dim=(1, 2, 3)).conj()
    inside = slice(0, positions)
    difference = torch.fft.irfftn((spectrum * flipped).sum(0), s=full)[inside, inside, inside]
    support = torch.fft.irfftn(spectrum[-1] * flipped[-2], s=full)[inside, inside, inside]
    enough = support > weight.sum() / 3
    cost = difference / (channels * support.clamp_min(1e-6))
    return torch.where(enough, cost.clamp_min(0), torch.inf)


def gaussian_weight(half: int, sigma: float) -> torch.Tensor:
    """Return Gaussian weights, (N, N, N) with N = 2 half + 1, 1 in the middle.

    Parameters
    ----------
    half : int
        Voxels on each side of the middle.
    sigma : float
        Standard deviation, voxels.
    """
    line = torch.exp(-(torch.arange(-half, half + 1, dtype=torch.float32) ** 2) / (2 * sigma**2))
    return line[:, None, None] * line[None, :, None] * line[None, None, :]


def subvoxel(cost: np.ndarray, index: tuple[int, int, int]) -> np.ndarray:
    """Return the offset of the minimum from a voxel, (3,) within half a voxel, by a parabola along each axis.

    Parameters
    ----------
    cost : (D, H, W) ndarray
        The map; infinite where it is undefined.
    index : (int, int, int)
        Voxel of the lowest value.
    """
    offset = np.zeros(3)
    for axis in range(3):
        if not 0 < index[axis] < cost.shape[axis] - 1:
            continue
        step = np.eye(3, dtype=int)[axis]
        before, here, after = (float(cost[tuple(np.add(index, t * step))]) for t in (-1, 0, 1))
        curvature = before - 2 * here + after
        if np.isfinite(curvature) and curvature > 1e-12:
            offset[axis] = np.clip((before - after) / (2 * curvature), -0.5, 0.5)
    return offset
