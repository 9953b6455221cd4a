"""Multi-scale deformable attention in plain torch (Zhu et al., Deformable DETR, ICLR 2021, equation 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class Cells:
    """Cells of all levels as rows of one table, which a CPU reads faster than maps.

    Attributes
    ----------
    rows : (B, S, C) tensor
        Features of the cells, level after level, row by row.
    shapes : list of (int, int)
        Height and width of each level.
    """

    rows: torch.Tensor
    shapes: list[tuple[int, int]]


def reads_cells(features: torch.Tensor) -> bool:
    """Return whether attention to these features reads `Cells`: on a CPU, unless gradients are needed.

    Parameters
    ----------
    features : tensor
        Any of the features.
    """
    return features.device.type == "cpu" and not torch.is_grad_enabled()


def sample_cells(
    table: torch.Tensor, shapes: list[tuple[int, int]], locations: torch.Tensor, weights: torch.Tensor, step: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum bilinear samples of several levels with weights, as `sample` does, from the rows of a table.

    Parameters
    ----------
    table : (B * S * step, c) float32 tensor
        Features of the cells of all levels, row by row; head n reads row ``cell * step + n % step``.
    shapes : list of (int, int)
        Height and width of each level.
    locations : (B, Q, heads, levels, points, 2) tensor
        x and y, 0 to 1 across the image.
    weights : (B, Q, heads, levels, points) tensor
        Attention weights.
    step : int
        Rows per cell: 1 if all heads read the same features, otherwise the number of heads.

    Returns
    -------
    sums : (B, Q, heads, c) tensor
        Weighted sums.
    inside : (B, Q, heads) tensor
        Sum of the weights of what lies inside the maps.
    """
    batch, n, heads, levels, points = weights.shape
    # heads, levels and points are one axis: short axes are slow
    sizes = locations.new_tensor(shapes).repeat_interleave(points, 0).repeat(heads, 1)
    height, width = sizes.unbind(1)
    areas = [height * width for height, width in shapes]
    starts = torch.tensor([sum(areas[:level]) for level in range(levels)]).repeat_interleave(points).repeat(heads)
    first = ((torch.arange(batch) * sum(areas))[:, None, None] + starts).int()
    share = weights.float().flatten(2)
    x, y = locations.flatten(2, 4).unbind(-1)
    columns, rows = _neighbours(x * width - 0.5, width), _neighbours(y * height - 0.5, height)
    head = (torch.arange(heads).repeat_interleave(levels * points) % step).int()
    sums, inside = table.new_zeros(batch * n * heads, table.shape[1]), table.new_zeros(batch * n * heads)
    for row, row_share in rows:
        for column, column_share in columns:
            cells = ((row * width + column).int() + first) * step + head
            shares = (share * row_share * column_share).view(-1, levels * points)
            sums += F.embedding_bag(cells.view(-1, levels * points), table, mode="sum", per_sample_weights=shares)
            inside += shares.sum(1)
    return sums.view(batch, n, heads, -1), inside.view(batch, n, heads)


def _neighbours(at: torch.Tensor, count: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return the cells before and after each position of one axis, and their shares, 0 for cells outside the map."""
    low = at.floor()
    share = at - low
    return [
        (cell.clamp(min=0).minimum(count - 1), part * ((cell >= 0) & (cell < count)))
        for cell, part in ((low, 1 - share), (low + 1, share))
    ]


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
        self, queries: torch.Tensor, centres: torch.Tensor, unit: torch.Tensor, values: list[torch.Tensor] | Cells
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
        values : list of (B, heads, C / heads, h, w) tensors, or Cells
            From `values`; or the features themselves.

        Returns
        -------
        (B, Q, C) tensor
            Update of the queries.
        """
        shape = (*queries.shape[:2], self.heads, self.levels, self.points)
        offsets = self.offsets(queries).view(*shape, 2).float()
        weights = self.weights(queries).view(*shape[:3], -1).softmax(-1).view(shape)
        locations = centres[:, :, None, None, None] + offsets * unit[:, :, None, :, None]
        sampled = (
            self._sample(values, locations, weights)
            if isinstance(values, Cells)
            else sample(values, locations, weights)
        )
        # the bias is added after rounding to bfloat16, whatever the layout of `sampled`, so that all ways to sample agree
        update = F.linear(sampled, self.out.weight)
        return update + self.out.bias.to(update.dtype)

    def _sample(self, cells: Cells, locations: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Sample the values of cells, (B, Q, C); what there is less of is projected, the cells or the sums."""
        batch, count, _ = cells.rows.shape
        if count <= locations.shape[1]:
            table = self.value(cells.rows).float().view(batch * count * self.heads, -1)
            return sample_cells(table, cells.shapes, locations, weights, self.heads)[0].flatten(2)
        sums, inside = sample_cells(cells.rows.float().flatten(0, 1), cells.shapes, locations, weights)
        weight, bias = self.value.weight.unflatten(0, (self.heads, -1)), self.value.bias.unflatten(0, (self.heads, -1))
        return (torch.einsum("bqhi,hoi->bqho", sums, weight) + inside[..., None] * bias).flatten(2)
