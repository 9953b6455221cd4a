"""The Gaussian lesion map and the sparse selection of template features (sec. 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F


def gaussian_map(
    shape: Sequence[int], stride: int, centre: torch.Tensor, radius_mm: torch.Tensor, spacing: Sequence[float]
) -> torch.Tensor:
    """Return equation 1 on the voxels of a crop, resized to its cells by trilinear interpolation, (B, D, H, W).

    ``G(c, r) = exp(-sum_i (i - c_i)^2 / sum_i r_i^2)``. It is a product of one function per axis, and so is its
    trilinear interpolation; the map of the voxels is never built.

    Parameters
    ----------
    shape : (3,) int
        Cells along z, y, x.
    stride : int
        Voxels per cell.
    centre : (B, 3) tensor
        c, voxels z, y, x.
    radius_mm : (B,) tensor
        r, the same along all axes.
    spacing : (3,) float
        Millimetres of a voxel along z, y, x.
    """
    lines = []
    for axis, (cells, mm) in enumerate(zip(shape, spacing, strict=True)):
        voxels = torch.arange(cells * stride, device=centre.device, dtype=torch.float32)
        distance = (voxels - centre[:, axis, None].float()) * mm
        line = torch.exp(-(distance**2) / (3 * radius_mm[:, None].float() ** 2))
        lines.append(F.interpolate(line[:, None], size=cells, mode="linear", align_corners=False)[:, 0])
    z, y, x = lines
    return z[:, :, None, None] * y[:, None, :, None] * x[:, None, None, :]


@dataclass(frozen=True, eq=False)
class SelectedCells:
    """Template cells selected by the Gaussian map, padded to the largest number in the batch.

    Attributes
    ----------
    features : (B, L, C) tensor
        Features of the cells.
    cells : (B, L) long tensor
        Index into the flattened (D, H, W).
    present : (B, L) bool tensor
        False where padded.
    """

    features: torch.Tensor
    cells: torch.Tensor
    present: torch.Tensor


def select(features: torch.Tensor, gaussian: torch.Tensor, threshold: float, most: int = 0) -> SelectedCells:
    """Select the cells of a lesion, ``F_sparse = F(x, y, z | G(x, y, z) > T)``; at least the one of highest value.

    Parameters
    ----------
    features : (B, C, D, H, W) tensor
        F.
    gaussian : (B, D, H, W) tensor
        G, of `gaussian_map`.
    threshold : float
        T, 0.7 in the paper.
    most : int
        Largest number of cells; more are thinned evenly from the lesion's middle to its border. 0 keeps all.
    """
    flat = gaussian.flatten(1)
    count = (flat > threshold).sum(1).clamp_min(1)
    kept = count.clamp_max(most) if most else count
    index = torch.arange(int(kept.max()), device=flat.device)
    present = index < kept[:, None]
    ranks = torch.where(present, index * count[:, None] // kept[:, None], 0)
    cells = flat.topk(int(count.max()), 1).indices.gather(1, ranks)
    chosen = features.flatten(2).transpose(1, 2).gather(1, cells[..., None].expand(-1, -1, features.shape[1]))
    return SelectedCells(chosen, cells, present)
