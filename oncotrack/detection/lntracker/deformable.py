"""Multi-scale deformable attention in plain torch (Zhu et al., Deformable DETR, ICLR 2021, equation 3)."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F


def sample(maps: list[torch.Tensor], locations: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Sum bilinear samples of several maps with weights; samples outside a map are 0.

    Parameters
    ----------
    maps : list of (B, heads, c, h, w) tensors
        One per level.
    locations : (B, Q, heads, levels, points, 2) tensor
        x and y, 0 to 1 across the image.
    weights : (B, Q, heads, levels, points) tensor
        Attention weights.

    Returns
    -------
    (B, Q, heads * c) tensor
        Weighted sums.
    """
    batch, n, heads = locations.shape[:3]
    grid = (2 * locations - 1).permute(0, 2, 3, 1, 4, 5).flatten(0, 1)
    share = weights.permute(0, 2, 1, 3, 4).flatten(0, 1)
    total = torch.zeros((), device=locations.device)
    for level, values in enumerate(maps):
        sampled = F.grid_sample(values.flatten(0, 1).float(), grid[:, level].float(), align_corners=False)
        total = total + (sampled * share[:, None, :, level].to(sampled.dtype)).sum(-1)
    return total.view(batch, heads, -1, n).permute(0, 3, 1, 2).flatten(2)


class DeformableAttention(nn.Module):
    """Attention of every query to a few points of every level, at predicted offsets.

    Parameters
    ----------
    width : int
        Channels of a query.
    heads, levels, points : int
        Attention heads, levels, and sampling points for each head and level.
    """

    def __init__(self, width: int, heads: int, levels: int, points: int) -> None:
        super().__init__()
        self.heads, self.levels, self.points = heads, levels, points
        self.offsets = nn.Linear(width, heads * levels * points * 2)
        self.weights = nn.Linear(width, heads * levels * points)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        """Start with one ray of offsets per head, its points one unit apart, and with equal attention weights."""
        angle = torch.arange(self.heads) * (2 * math.pi / self.heads)
        ray = torch.stack([angle.cos(), angle.sin()], -1)
        ray = ray / ray.abs().amax(-1, keepdim=True)
        steps = torch.arange(1, self.points + 1)
        nn.init.zeros_(self.offsets.weight)
        self.offsets.bias.copy_((ray[:, None, None] * steps[:, None]).expand(-1, self.levels, -1, -1).reshape(-1))
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        for linear in (self.value, self.out):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def values(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Project maps to the values that the heads sample.

        Parameters
        ----------
        maps : list of (B, C, h, w) tensors
            One per level.

        Returns
        -------
        list of (B, heads, C / heads, h, w) tensors
            Input of `forward`.
        """
        weight, bias = self.value.weight[..., None, None], self.value.bias
        return [F.conv2d(level, weight, bias).unflatten(1, (self.heads, -1)) for level in maps]

    def forward(
        self, queries: torch.Tensor, centres: torch.Tensor, unit: torch.Tensor, values: list[torch.Tensor]
    ) -> torch.Tensor:
        """Attend to the maps.

        Parameters
        ----------
        queries : (B, Q, C) tensor
            Content plus position.
        centres : (B, Q, 2) tensor
            x and y from which the offsets are measured, 0 to 1 across the image.
        unit : (B, Q, levels, 2) tensor, or one that broadcasts to it
            Length of an offset of one, as a fraction of the image.
        values : list of (B, heads, C / heads, h, w) tensors
            From `values`.

        Returns
        -------
        (B, Q, C) tensor
            Update of the queries.
        """
        shape = (*queries.shape[:2], self.heads, self.levels, self.points)
        offsets = self.offsets(queries).view(*shape, 2).float()
        weights = self.weights(queries).view(*shape[:3], -1).softmax(-1).view(shape)
        locations = centres[:, :, None, None, None] + offsets * unit[:, :, None, :, None]
        return self.out(sample(values, locations, weights))
