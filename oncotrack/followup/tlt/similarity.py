"""Similarity between the surroundings of every search cell and those of the click, before any attention.

It is not in the paper. Its maximum lies near the lesion even with untrained features, so that the transformer only has
to learn corrections.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F


class TLTSimilarity(nn.Module):
    """Mean cosine between the features on a lattice of points round the click and round every search cell.

    Parameters
    ----------
    width : int
        C, channels of the features.
    edge : int
        Lattice points along each axis.
    step : int
        Cells between two lattice points.
    """

    FIRST_GAIN = 35.0
    lattice: torch.Tensor

    def __init__(self, width: int, edge: int, step: int) -> None:
        super().__init__()
        line = (torch.arange(edge) - edge // 2) * step
        self.register_buffer("lattice", torch.cartesian_prod(line, line, line), persistent=False)
        self.project = nn.Linear(width, width, bias=False)
        nn.init.orthogonal_(self.project.weight)
        self.weight = nn.Parameter(torch.zeros(edge**3))
        self.log_gain = nn.Parameter(torch.tensor(math.log(self.FIRST_GAIN)))

    def forward(self, template: torch.Tensor, clicked: torch.Tensor, search: torch.Tensor) -> torch.Tensor:
        """Return the weighted mean cosine times the gain, (B, D, H, W) float32.

        Parameters
        ----------
        template, search : (B, C, ...) tensor
            Features; lattice points outside the search crop have cosine 0.
        clicked : (B, 3) tensor
            Sub-cell position z, y, x in the template.
        """
        points = clicked[:, None] + self.lattice
        template_features = (
            F.normalize(self.project(sample_cells(template, points)).float(), dim=-1) * self.weight.softmax(0)[:, None]
        )
        search_features = F.normalize(self.project(search.movedim(1, -1)).float(), dim=-1)
        reach = int(self.lattice.max())
        cosines = torch.einsum("bkc,bzyxc->bkzyx", template_features, search_features)
        cosines = F.pad(cosines, (reach,) * 6).unbind(1)
        depth, height, width = search.shape[2:]
        total = sum(
            each[:, reach + z : reach + z + depth, reach + y : reach + y + height, reach + x : reach + x + width]
            for each, (z, y, x) in zip(cosines, self.lattice.tolist(), strict=True)
        )
        return self.log_gain.exp() * total


def sample_cells(features: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Sample features at sub-cell positions, (B, K, C), trilinear; outside, the value at the border.

    Parameters
    ----------
    features : (B, C, D, H, W) tensor
        Features.
    points : (B, K, 3) tensor
        Cells z, y, x.
    """
    size = points.new_tensor(features.shape[2:])
    grid = ((2 * points.float() + 1) / size - 1).flip(-1)[:, :, None, None].to(features.dtype)
    return F.grid_sample(features, grid, padding_mode="border", align_corners=False)[:, :, :, 0, 0].transpose(1, 2)
