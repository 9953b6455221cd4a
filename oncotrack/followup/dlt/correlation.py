"""Kernels cut from the template and their correlation with the search image, direct and fast (sec. 3.3).

A correspondence map of the paper has one channel for each of the features, which ``W`` of equation 7 then adds up. Both
are linear, so the kernels are multiplied by ``W`` first and one map comes out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F


def crop(features: torch.Tensor, centre: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Equation 4, ``C(F, mu, size)``: the cells round a place; between cells trilinear, beyond the border zero.

    Parameters
    ----------
    features : (B, C, D, H, W)
    centre : (B, 3) z, y, x in cells

    Returns
    -------
    (B, C, *size)
    """
    shape = centre.new_tensor(features.shape[2:]).float()
    axes = [torch.arange(n, device=centre.device, dtype=torch.float32) - n // 2 for n in size]
    offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    places = centre.float()[:, None, None, None] + offsets
    grid = (2 * places + 1) / shape - 1
    return F.grid_sample(features.float(), grid.flip(-1), padding_mode="zeros", align_corners=False)


def cross_correlation(kernel: torch.Tensor, search: torch.Tensor) -> torch.Tensor:
    """``K * S``, added up over the channels: how much every place of the search image looks like the kernel.

    Computed as one matrix product for all kernel cells and a sum of shifted maps, which suits one output channel.
    Beyond its border the search image is zero.

    Parameters
    ----------
    kernel : (B, C, d, h, w), odd edges
    search : (B, C, D, H, W)

    Returns
    -------
    (B, D, H, W)
    """
    size, shape = kernel.shape[2:], search.shape[2:]
    products = torch.bmm(kernel.flatten(2).transpose(1, 2), search.to(kernel.dtype).flatten(2)).unflatten(2, shape)
    total = torch.zeros(products.shape[0], *shape, device=search.device)  # float32 also where products are bfloat16
    for cell, product in zip(_cells(size), products.unbind(1), strict=True):
        away = [pad for n, edge in zip(reversed(cell), reversed(size), strict=True) for pad in _shift(edge // 2 - n)]
        total = total + F.pad(product, away)
    return total


def _cells(size: Sequence[int]) -> list[tuple[int, int, int]]:
    return [(z, y, x) for z in range(size[0]) for y in range(size[1]) for x in range(size[2])]


def _shift(cells: int) -> tuple[int, int]:
    """Padding before and after that moves a line by so many cells and keeps its length."""
    return cells, -cells


class Flatten(nn.Module):
    """The global kernel K_g as three flattened ones, K_g,z, K_g,y and K_g,x (equation 6).

    Parameters
    ----------
    width : channels
    size : (3,) cells of K_g
    is_learned : bool
        By convolutions as long as the kernel, which begin as its mean; else the middle slices are taken.
    """

    def __init__(self, width: int, size: tuple[int, int, int], is_learned: bool) -> None:
        super().__init__()
        self.size = size
        self.axes = nn.ModuleList()
        for axis in range(3) if is_learned else ():
            edges = [size[axis] if n == axis else 1 for n in range(3)]
            convolution = nn.Conv3d(width, width, edges, bias=False)
            with torch.no_grad():
                convolution.weight.mul_(0.1).add_(torch.eye(width).view(width, width, 1, 1, 1) / size[axis])
            self.axes.append(convolution)

    def forward(self, kernel: torch.Tensor) -> list[torch.Tensor]:
        """(B, C, d, h, w) -> (B, C, 1, h, w), (B, C, d, 1, w), (B, C, d, h, 1)."""
        if self.axes:
            return [convolution(kernel) for convolution in self.axes]
        return [kernel.narrow(2 + axis, edge // 2, 1) for axis, edge in enumerate(self.size)]
