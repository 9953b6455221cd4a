"""Mask DINO's encoder: deformable self-attention over the levels of the pyramid, and the map of stride 4."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.detection.lntracker.anchors import sines
from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.lntracker.deformable import DeformableAttention


def cell_centres(height: int, width: int, device: torch.device) -> torch.Tensor:
    """(height * width, 2) x and y of the centres of a map's cells, 0 to 1 across it, row by row."""
    y = (torch.arange(height, device=device) + 0.5) / height
    x = (torch.arange(width, device=device) + 0.5) / width
    return torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], -1).flatten(0, 1)


class FeedForward(nn.Sequential):
    """The transformer's two linear layers, without the shortcut."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))


class EncoderLayer(nn.Module):
    """Deformable self-attention and a feed-forward network, each with a shortcut and layer norm after it."""

    def __init__(self, config: LNTrackerConfig) -> None:
        super().__init__()
        self.attention = DeformableAttention(config.width, config.heads, config.levels, config.points)
        self.ffn = FeedForward(config.width, config.encoder_ffn)
        self.norms = nn.ModuleList([nn.LayerNorm(config.width) for _ in range(2)])

    def forward(
        self, tokens: torch.Tensor, position: torch.Tensor, centres: torch.Tensor, shapes: list[tuple[int, int]]
    ) -> torch.Tensor:
        """(B, S, C) -> (B, S, C)."""
        unit = torch.tensor([[1 / width, 1 / height] for height, width in shapes], device=tokens.device)[None, None]
        values = self.attention.values(as_maps(tokens, shapes))
        tokens = self.norms[0](tokens + self.attention(tokens + position, centres, unit, values))
        return self.norms[1](tokens + self.ffn(tokens))


def as_maps(tokens: torch.Tensor, shapes: list[tuple[int, int]]) -> list[torch.Tensor]:
    """(B, S, C) tokens of all levels -> one (B, C, h, w) per level."""
    parts = tokens.split([height * width for height, width in shapes], dim=1)
    return [part.transpose(1, 2).unflatten(2, shape) for part, shape in zip(parts, shapes, strict=True)]


def as_tokens(maps: list[torch.Tensor]) -> torch.Tensor:
    """One (B, C, h, w) per level -> (B, S, C), the inverse of `as_maps`."""
    return torch.cat([level.flatten(2).transpose(1, 2) for level in maps], 1)


def smoothing(width: int, groups: int) -> nn.Sequential:
    """A 3x3 convolution of a sum of two maps, with norm and ReLU."""
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.GroupNorm(groups, width), nn.ReLU())


class FineMap(nn.Module):
    """The map of stride 4: the encoder's finest level, enlarged, over the backbone's first stage."""

    def __init__(self, n_in: int, width: int, groups: int) -> None:
        super().__init__()
        self.lateral = nn.Conv2d(n_in, width, 1)
        self.smooth = smoothing(width, groups)

    def forward(self, first: torch.Tensor, encoded: torch.Tensor) -> torch.Tensor:
        """(B, n_in, h, w) and (B, C, h / 2, w / 2) -> (B, C, h, w)."""
        lateral = self.lateral(first)
        return self.smooth(
            lateral + F.interpolate(encoded, size=lateral.shape[-2:], mode="bilinear", align_corners=False)
        )


class Encoder(nn.Module):
    """Backbone maps in, maps of one width out."""

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
        """Encode.

        Parameters
        ----------
        features : the backbone's four maps, finest first

        Returns
        -------
        maps : one (B, C, h, w) per encoded level, finest first
        fine : (B, C, h, w) one octave finer, or None where the configuration needs none
        """
        levels = len(self.projections)
        maps = [project(level) for project, level in zip(self.projections, features[-levels:], strict=True)]
        shapes = [tuple(level.shape[-2:]) for level in maps]
        for n in reversed(range(len(self.smooth))):
            maps[n] = self.smooth[n](maps[n] + F.interpolate(maps[n + 1], size=shapes[n], mode="nearest"))
        cells = [cell_centres(*shape, maps[0].device) for shape in shapes]
        width = self.level.shape[1]
        position = torch.cat(
            [
                (sines(cell, width // 2) if self.geometry == "image" else 0) + level.expand(len(cell), -1)
                for cell, level in zip(cells, self.level, strict=True)
            ]
        )
        tokens, centres = as_tokens(maps), torch.cat(cells)[None]
        for layer in self.layers:
            tokens = layer(tokens, position, centres, shapes)
        maps = as_maps(tokens, shapes)
        return maps, None if self.fine is None else self.fine(features[-levels - 1], maps[0])
