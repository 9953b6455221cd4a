"""How alike the surroundings of every search cell are to those of the clicked place, before any attention.

Not of the paper. With untrained features the likeliest place is already near the lesion, so that the transformer
learns from the first steps on what is left to learn.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F


class TLTSimilarity(nn.Module):
    """Mean cosine between the features on a lattice of places round the click and round every search cell.

    Parameters
    ----------
    width : C
    edge, step : places along each axis of the lattice, and cells between them
    """

    FIRST_GAIN = 35.0

    def __init__(self, width: int, edge: int, step: int) -> None:
        super().__init__()
        line = (torch.arange(edge) - edge // 2) * step
        self.register_buffer("lattice", torch.cartesian_prod(line, line, line), persistent=False)
        self.project = nn.Linear(width, width, bias=False)
        nn.init.orthogonal_(self.project.weight)
        self.weight = nn.Parameter(torch.zeros(edge**3))
        self.log_gain = nn.Parameter(torch.tensor(math.log(self.FIRST_GAIN)))

    def forward(self, template: torch.Tensor, clicked: torch.Tensor, search: torch.Tensor) -> torch.Tensor:
        """Weighted mean cosine times the gain.

        Parameters
        ----------
        template, search : (B, C, ...) features; what lies outside of the search crop is like nothing
        clicked : (B, 3) cells z, y, x of the template, sub-cell

        Returns
        -------
        (B, D, H, W) float32
        """
        places = clicked[:, None] + self.lattice
        one = F.normalize(self.project(at_cells(template, places)).float(), dim=-1) * self.weight.softmax(0)[:, None]
        other = F.normalize(self.project(search.movedim(1, -1)).float(), dim=-1)
        reach = int(self.lattice.max())
        alike = torch.einsum("bkc,bzyxc->bkzyx", one, other)
        alike = F.pad(alike, (reach,) * 6).unbind(1)
        depth, height, width = search.shape[2:]
        total = sum(
            each[:, reach + z : reach + z + depth, reach + y : reach + y + height, reach + x : reach + x + width]
            for each, (z, y, x) in zip(alike, self.lattice.tolist(), strict=True)
        )
        return self.log_gain.exp() * total


def at_cells(features: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """(B, K, C) features at (B, K, 3) cells z, y, x, trilinear between them; outside, those of the border."""
    size = places.new_tensor(features.shape[2:])
    grid = ((2 * places.float() + 1) / size - 1).flip(-1)[:, :, None, None].to(features.dtype)
    return F.grid_sample(features, grid, padding_mode="border", align_corners=False)[:, :, :, 0, 0].transpose(1, 2)
