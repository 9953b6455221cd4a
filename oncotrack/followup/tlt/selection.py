"""The Gaussian lesion map and the sparse selection of template features (sec. 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F


def gaussian_map(
    shape: Sequence[int], stride: int, centre: torch.Tensor, radius_mm: torch.Tensor, spacing: Sequence[float]
) -> torch.Tensor:
    """Equation 1 on the voxels of a crop, resized to its cells by trilinear interpolation.

    ``G(c, r) = exp(-sum_i (i - c_i)^2 / sum_i r_i^2)``. It is a product of one function an axis and so is its
    trilinear interpolation; nothing is drawn on the voxels.

    Parameters
    ----------
    shape : (D, H, W) cells
    stride : voxels per cell
    centre : (B, 3) voxels z, y, x
    radius_mm : (B,)
    spacing : mm of a voxel along z, y, x

    Returns
    -------
    (B, D, H, W) tensor, at most 1
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
class Selected:
    """Template cells that the Gaussian map keeps, padded where an image of a batch has fewer.

    Attributes
    ----------
    features : (B, L, C)
    cells : (B, L) long, index into the flattened (D, H, W)
    present : (B, L) bool, False where padded
    """

    features: torch.Tensor
    cells: torch.Tensor
    present: torch.Tensor


def select(features: torch.Tensor, gaussian: torch.Tensor, threshold: float, most: int = 0) -> Selected:
    """``F_sparse = F(x, y, z | G(x, y, z) > T)``; the best cell survives whatever its value.

    Parameters
    ----------
    features : (B, C, D, H, W)
    gaussian : (B, D, H, W), of `gaussian_map`
    threshold : T, 0.7 in the paper
    most : thin the cells evenly, from the middle of the lesion to its border, to so many; 0 keeps all
    """
    flat = gaussian.flatten(1)
    count = (flat > threshold).sum(1).clamp_min(1)
    kept = count.clamp_max(most) if most else count
    places = torch.arange(int(kept.max()), device=flat.device)
    present = places < kept[:, None]
    ranks = torch.where(present, places * count[:, None] // kept[:, None], 0)
    cells = flat.topk(int(count.max()), 1).indices.gather(1, ranks)
    chosen = features.flatten(2).transpose(1, 2).gather(1, cells[..., None].expand(-1, -1, features.shape[1]))
    return Selected(chosen, cells, present)
