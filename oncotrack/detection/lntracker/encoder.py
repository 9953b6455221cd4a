"""Mask DINO's encoder: deformable self-attention over the levels of the pyramid, and the map of stride 4."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.detection.lntracker.anchors import sine_encoding
from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.lntracker.deformable import Cells, DeformableAttention, reads_cells

Shapes = list[tuple[int, int]]
"""Height and width of each level."""


def map_shapes(maps: list[torch.Tensor]) -> Shapes:
    """Return the height and width of each map.

    Parameters
    ----------
    maps : list of (B, C, h, w) tensors
        One per level.

    Returns
    -------
    list of (int, int)
        h and w.
    """
    return [(level.shape[-2], level.shape[-1]) for level in maps]


def cell_centres(height: int, width: int, device: torch.device) -> torch.Tensor:
    """Return the centres of a map's cells, row by row.

    Parameters
    ----------
    height, width : int
        Of the map.
    device : torch.device
        Of the result.

    Returns
    -------
    (height * width, 2) tensor
        x and y, 0 to 1 across the map.
    """
    y = (torch.arange(height, device=device) + 0.5) / height
    x = (torch.arange(width, device=device) + 0.5) / width
    return torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], -1).flatten(0, 1)


class FeedForward(nn.Sequential):
    """Two linear layers of a transformer, without the shortcut.

    Parameters
    ----------
    width : int
        Channels of input and output.
    hidden : int
        Channels between the layers.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))


class EncoderLayer(nn.Module):
    """Deformable self-attention and a feed-forward network, each with a shortcut and followed by a layer norm.

    Parameters
    ----------
    config : LNTrackerConfig
        Widths, heads, levels and points.
    """

    def __init__(self, config: LNTrackerConfig) -> None:
        super().__init__()
        self.attention = DeformableAttention(config.width, config.heads, config.levels, config.points)
        self.ffn = FeedForward(config.width, config.encoder_ffn)
        self.norms = nn.ModuleList([nn.LayerNorm(config.width) for _ in range(2)])

    def forward(
        self, tokens: torch.Tensor, position: torch.Tensor, centres: torch.Tensor, shapes: Shapes
    ) -> torch.Tensor:
        """Compute the layer.

        Parameters
        ----------
        tokens : (B, S, C) tensor
            Cells of all levels.
        position : (S, C) tensor
            Positional encoding of the cells.
        centres : (1, S, 2) tensor
            x and y of the cells, 0 to 1 across the image.
        shapes : list of (int, int)
            Height and width of each level.

        Returns
        -------
        (B, S, C) tensor
            New tokens.
        """
        unit = torch.tensor([[1 / width, 1 / height] for height, width in shapes], device=tokens.device)[None, None]
        values = Cells(tokens, shapes) if reads_cells(tokens) else self.attention.values(as_maps(tokens, shapes))
        tokens = self.norms[0](tokens + self.attention(tokens + position, centres, unit, values))
        return self.norms[1](tokens + self.ffn(tokens))


def as_maps(tokens: torch.Tensor, shapes: Shapes) -> list[torch.Tensor]:
    """Split tokens into the maps of all levels.

    Parameters
    ----------
    tokens : (B, S, C) tensor
        Cells of all levels, row by row.
    shapes : list of (int, int)
        Height and width of each level.

    Returns
    -------
    list of (B, C, h, w) tensors
        One per level.
    """
    parts = tokens.split([height * width for height, width in shapes], dim=1)
    return [part.transpose(1, 2).unflatten(2, shape) for part, shape in zip(parts, shapes, strict=True)]


def as_tokens(maps: list[torch.Tensor]) -> torch.Tensor:
    """Join the maps of all levels to tokens, the inverse of `as_maps`.

    Parameters
    ----------
    maps : list of (B, C, h, w) tensors
        One per level.

    Returns
    -------
    (B, S, C) tensor
        Cells of all levels, row by row.
    """
    return torch.cat([level.flatten(2).transpose(1, 2) for level in maps], 1)


def smoothing(width: int, groups: int) -> nn.Sequential:
    """Build a 3x3 convolution with norm and ReLU, applied to the sum of two maps.

    Parameters
    ----------
    width : int
        Channels.
    groups : int
        Of the group norm.

    Returns
    -------
    Sequential
        (B, C, h, w) to (B, C, h, w).
    """
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.GroupNorm(groups, width), nn.ReLU())


class FineMap(nn.Module):
    """Map of stride 4: the encoder's finest level, enlarged, plus the backbone's first stage.

    Parameters
    ----------
    n_in : int
        Channels of the backbone's stage.
    width : int
        Channels of the encoder.
    groups : int
        Of the group norm.
    """

    def __init__(self, n_in: int, width: int, groups: int) -> None:
        super().__init__()
        self.lateral = nn.Conv2d(n_in, width, 1)
        self.smooth = smoothing(width, groups)

    def forward(self, first: torch.Tensor, encoded: torch.Tensor) -> torch.Tensor:
        """Compute the map.

        Parameters
        ----------
        first : (B, n_in, h, w) tensor
            Map of the backbone.
        encoded : (B, C, h / 2, w / 2) tensor
            Finest map of the encoder.

        Returns
        -------
        (B, C, h, w) tensor
            The finer map.
        """
        lateral = self.lateral(first)
        return self.smooth(
            lateral + F.interpolate(encoded, size=lateral.shape[-2:], mode="bilinear", align_corners=False)
        )


class Encoder(nn.Module):
    """Encoder of the backbone's maps; all of its outputs have the same width.

    Parameters
    ----------
    config : LNTrackerConfig
        Widths, levels and number of layers.
    """

    def __init__(self, config: LNTrackerConfig) -> None:
        super().__init__()
        self.geometry = config.geometry
        encoded = config.stages[4 - config.levels :]
        self.projections = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(n_in, config.width, 1), nn.GroupNorm(config.groups, config.width))
                for n_in in encoded
            ]
        )
        finer = (config.levels - 1) * config.top_down
        self.smooth = nn.ModuleList([smoothing(config.width, config.groups) for _ in range(finer)])
        self.level = nn.Parameter(torch.randn(config.levels, config.width) * 0.02)
        self.layers = nn.ModuleList([EncoderLayer(config) for _ in range(config.encoder_layers)])
        needs_fine = config.fine_level or config.mask_branch
        self.fine = FineMap(config.stages[3 - config.levels], config.width, config.groups) if needs_fine else None

    def forward(self, features: list[torch.Tensor]) -> tuple[list[torch.Tensor], torch.Tensor | None]:
        """Encode the maps of the backbone.

        Parameters
        ----------
        features : list of (B, C, h, w) tensors
            The backbone's four maps, finest first.

        Returns
        -------
        maps : list of (B, C, h, w) tensors
            One per encoded level, finest first.
        fine : (B, C, h, w) tensor or None
            Map of half the finest stride; None if the configuration has none.
        """
        levels = len(self.projections)
        maps = [project(level) for project, level in zip(self.projections, features[-levels:], strict=True)]
        shapes = map_shapes(maps)
        for n in reversed(range(len(self.smooth))):
            maps[n] = self.smooth[n](maps[n] + F.interpolate(maps[n + 1], size=shapes[n], mode="nearest"))
        cells = [cell_centres(height, width, maps[0].device) for height, width in shapes]
        width = self.level.shape[1]
        position = torch.cat(
            [
                (sine_encoding(cell, width // 2) if self.geometry == "image" else 0) + level.expand(len(cell), -1)
                for cell, level in zip(cells, self.level, strict=True)
            ]
        )
        tokens, centres = as_tokens(maps), torch.cat(cells)[None]
        for layer in self.layers:
            tokens = layer(tokens, position, centres, shapes)
        maps = as_maps(tokens, shapes)
        return maps, None if self.fine is None else self.fine(features[-levels - 1], maps[0])
