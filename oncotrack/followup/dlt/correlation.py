"""Kernels cropped from the template and their correlation with the search image, direct and fast (sec. 3.3).

A correspondence map in the paper has one channel per feature, and ``W`` of equation 7 sums these channels. Both steps
are linear, so the kernels are multiplied by ``W`` first and the correlation returns one map.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F


def crop(features: torch.Tensor, centre: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Crop the cells round a point (equation 4, ``C(F, mu, size)``), trilinear between cells, zero outside.

    Parameters
    ----------
    features : (B, C, D, H, W) tensor
        F.
    centre : (B, 3) tensor
        mu, z, y, x in cells.
    size : (3,) int
        Cells along z, y, x.

    Returns
    -------
    (B, C, *size) tensor
        The cropped features.
    """
    shape = centre.new_tensor(features.shape[2:]).float()
    axes = [torch.arange(n, device=centre.device, dtype=torch.float32) - n // 2 for n in size]
    offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    points = centre.float()[:, None, None, None] + offsets
    grid = (2 * points + 1) / shape - 1
    return F.grid_sample(features.float(), grid.flip(-1), padding_mode="zeros", align_corners=False)


def cross_correlation(kernel: torch.Tensor, search: torch.Tensor) -> torch.Tensor:
    """Compute ``K * S``, summed over the channels: the similarity of the kernel to every position of the search image.

    It is one matrix product for all kernel cells and a sum of shifted maps, which is efficient for one output channel.
    The search image is zero outside its border.

    Parameters
    ----------
    kernel : (B, C, d, h, w) tensor
        K, with odd edges.
    search : (B, C, D, H, W) tensor
        S.

    Returns
    -------
    (B, D, H, W) tensor
        The correlation, float32.
    """
    size, shape = kernel.shape[2:], search.shape[2:]
    products = torch.bmm(kernel.flatten(2).transpose(1, 2), search.to(kernel.dtype).flatten(2)).unflatten(2, shape)
    total = torch.zeros(products.shape[0], *shape, device=search.device)  # float32 also where products are bfloat16
    for cell, product in zip(_cells(size), products.unbind(1), strict=True):
        padding = [pad for n, edge in zip(reversed(cell), reversed(size), strict=True) for pad in _shift(edge // 2 - n)]
        total = total + F.pad(product, padding)
    return total


def _cells(size: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return the indices z, y, x of all cells of a kernel."""
    return [(z, y, x) for z in range(size[0]) for y in range(size[1]) for x in range(size[2])]


def _shift(cells: int) -> tuple[int, int]:
    """Return the padding before and after that shifts a line by `cells` and keeps its length."""
    return cells, -cells


class Flatten(nn.Module):
    """Flattens the global kernel K_g to K_g,z, K_g,y and K_g,x (equation 6).

    Parameters
    ----------
    width : int
        Channels.
    size : (3,) int
        Cells of K_g along z, y, x.
    is_learned : bool
        True for convolutions as long as the kernel, which are initialised to its mean; False for its middle slices.
    """

    def __init__(self, width: int, size: Sequence[int], is_learned: bool) -> None:
        super().__init__()
        self.size = size
        self.axes = nn.ModuleList()
        for axis in range(3) if is_learned else ():
            depth, height, columns = (size[axis] if n == axis else 1 for n in range(3))
            convolution = nn.Conv3d(width, width, (depth, height, columns), bias=False)
            with torch.no_grad():
                convolution.weight.mul_(0.1).add_(torch.eye(width).view(width, width, 1, 1, 1) / size[axis])
            self.axes.append(convolution)

    def forward(self, kernel: torch.Tensor) -> list[torch.Tensor]:
        """Return the three kernels, (B, C, 1, h, w), (B, C, d, 1, w) and (B, C, d, h, 1).

        Parameters
        ----------
        kernel : (B, C, d, h, w) tensor
            K_g.
        """
        if self.axes:
            return [convolution(kernel) for convolution in self.axes]
        return [kernel.narrow(2 + axis, edge // 2, 1) for axis, edge in enumerate(self.size)]
