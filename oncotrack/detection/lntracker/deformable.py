"""Multi-scale deformable attention in plain torch (Zhu et al., Deformable DETR, ICLR 2021, equation 3)."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F


def sample(maps: list[torch.Tensor], locations: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted sum of bilinear samples from several maps; nothing lies outside of a map.

    Parameters
    ----------
    maps : one (B, heads, c, h, w) per level
    locations : (B, Q, heads, levels, points, 2), x and y from 0 to 1 across the image
    weights : (B, Q, heads, levels, points)

    Returns
    -------
    (B, Q, heads * c)
    """
    batch, n, heads = locations.shape[:3]
    grid = (2 * locations - 1).permute(0, 2, 3, 1, 4, 5).flatten(0, 1)
    share = weights.permute(0, 2, 1, 3, 4).flatten(0, 1)
    total = 0
    for level, values in enumerate(maps):
        sampled = F.grid_sample(values.flatten(0, 1).float(), grid[:, level].float(), align_corners=False)
        total = total + (sampled * share[:, None, :, level].to(sampled.dtype)).sum(-1)
    return total.view(batch, heads, -1, n).permute(0, 3, 1, 2).flatten(2)


class DeformableAttention(nn.Module):
    """Every query gathers from a few points of every level, at offsets that it predicts.

    Parameters
    ----------
    width, heads, levels, points : the queries' width, and how many heads look at how many points of how many levels.
    """

    def __init__(self, width: int, heads: int, levels: int, points: int) -> None:
        super().__init__()
        self.heads, self.levels, self.points = heads, levels, points
        self.offsets = nn.Linear(width, heads * levels * points * 2)
        self.weights = nn.Linear(width, heads * levels * points)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self._spread()

    @torch.no_grad()
    def _spread(self) -> None:
        """Offsets begin as one ray a head, its points one unit apart; attention begins even."""
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

    def values(self, memory: list[torch.Tensor]) -> list[torch.Tensor]:
        """Project the maps, (B, C, h, w) each, into what the heads sample: (B, heads, C / heads, h, w) each."""
        weight, bias = self.value.weight[..., None, None], self.value.bias
        return [F.conv2d(level, weight, bias).unflatten(1, (self.heads, -1)) for level in memory]

    def forward(
        self, queries: torch.Tensor, centres: torch.Tensor, unit: torch.Tensor, values: list[torch.Tensor]
    ) -> torch.Tensor:
        """Attend.

        Parameters
        ----------
        queries : (B, Q, C), content and position
        centres : (B, Q, 2), x and y where the offsets begin, 0 to 1 across the image
        unit : (B, Q, levels, 2) or what broadcasts to it: how far an offset of one reaches, in the same measure
        values : what `values` made of the maps

        Returns
        -------
        (B, Q, C)
        """
        shape = (*queries.shape[:2], self.heads, self.levels, self.points)
        offsets = self.offsets(queries).view(*shape, 2).float()
        weights = self.weights(queries).view(*shape[:3], -1).softmax(-1).view(shape)
        locations = centres[:, :, None, None, None] + offsets * unit[:, :, None, :, None]
        return self.out(sample(values, locations, weights))
