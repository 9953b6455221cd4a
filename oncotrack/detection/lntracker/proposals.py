"""Two-stage query selection: the encoder's maps propose boxes, and the best become detection queries."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.detection.lntracker.anchors import MLP, refine
from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.lntracker.encoder import Shapes, as_tokens, cell_centres, map_shapes

PRIOR = -math.log((1 - 0.01) / 0.01)  # logit of the initial score of 0.01


@dataclass
class Proposals:
    """Proposals of all S cells of the proposing levels.

    Attributes
    ----------
    logits : (B, S) tensor
        Score of each cell.
    boxes : (B, S, 4) tensor
        In pixels.
    content : (B, S, C) tensor
        Features of each cell.
    centres : (S, 2) tensor
        x and y of the cells in pixels.
    stride : int
        Edge of the finest level's cells in pixels.
    shapes : list of (int, int)
        Height and width of each level.
    """

    logits: torch.Tensor
    boxes: torch.Tensor
    content: torch.Tensor
    centres: torch.Tensor
    stride: int
    shapes: Shapes

    def float(self) -> Proposals:
        """Return the proposals in float32."""
        return replace(self, logits=self.logits.float(), boxes=self.boxes.float(), content=self.content.float())


class LNProposalHead(nn.Module):
    """Score and box of every cell.

    Parameters
    ----------
    config : LNTrackerConfig
        Width, strides, geometry and anchors.
    """

    def __init__(self, config: LNTrackerConfig) -> None:
        super().__init__()
        self.geometry, self.anchor_pixels = config.geometry, config.anchor_pixels
        self.stride = config.strides[0]
        self.transform = nn.Sequential(nn.Linear(config.width, config.width), nn.LayerNorm(config.width))
        self.score = nn.Linear(config.width, 1)
        self.box = MLP(config.width, config.width, 4, 3, last=0.01)
        nn.init.constant_(self.score.bias, PRIOR)

    def forward(self, maps: list[torch.Tensor], size: torch.Tensor, slice_size: tuple[int, int]) -> Proposals:
        """Score every cell.

        Parameters
        ----------
        maps : list of (B, C, h, w) tensors
            One per level, finest first.
        size : (2,) tensor
            Width and height of the padded slice in pixels.
        slice_size : (int, int)
            Width and height of the slice before padding; cells outside it are never proposed.

        Returns
        -------
        Proposals
            Of all cells.
        """
        shapes = map_shapes(maps)
        centres = torch.cat([cell_centres(height, width, maps[0].device) for height, width in shapes]) * size
        edges = [
            torch.full((height * width, 2), self.anchor_pixels * 2**level, device=size.device)
            for level, (height, width) in enumerate(shapes)
        ]
        anchors = torch.cat([centres, torch.cat(edges)], -1)
        content = self.transform(as_tokens(maps))
        outside = (centres >= torch.tensor(slice_size, device=size.device)).any(-1)
        logits = self.score(content)[..., 0].float().masked_fill(outside, -20.0)
        boxes = refine(self.box(content), anchors, size, self.geometry)
        return Proposals(logits, boxes, content, centres, self.stride, shapes)


def select(proposals: Proposals, count: int, peaks: bool) -> torch.Tensor:
    """Return the indices of the best proposals, best first.

    Parameters
    ----------
    proposals : Proposals
        Of all cells.
    count : int
        Most proposals to return.
    peaks : bool
        Rank cells that have a better neighbour (of eight) after all local maxima.

    Returns
    -------
    (B, K) long tensor
        K is `count`, or the number of cells if that is smaller.
    """
    scores = proposals.logits.detach()
    if peaks:
        parts = scores.split([height * width for height, width in proposals.shapes], dim=1)
        best = [_best_around(part, shape) for part, shape in zip(parts, proposals.shapes, strict=True)]
        scores = torch.where(scores < torch.cat(best, 1), scores - 100.0, scores)
    return scores.topk(min(count, scores.shape[1]), dim=1).indices


def score_near(proposals: Proposals, boxes: torch.Tensor) -> torch.Tensor:
    """Return the best logit of the finest level near the centre of each box: of its cell and the eight neighbours.

    Parameters
    ----------
    proposals : Proposals
        Of all cells.
    boxes : (B, T, 4) tensor
        Centre and edges in pixels; outside the slice the nearest cell is used.

    Returns
    -------
    (B, T) tensor
        Logits.
    """
    height, width = proposals.shapes[0]
    best = _best_around(proposals.logits.detach()[:, : height * width], (height, width))
    column, row = (boxes[..., :2] / proposals.stride).long().unbind(-1)
    return best.gather(1, row.clamp(0, height - 1) * width + column.clamp(0, width - 1))


def _best_around(scores: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Return for each cell of a level the best score of it and its eight neighbours, (B, h * w)."""
    return F.max_pool2d(scores.unflatten(1, (1, *shape)), 3, 1, 1).flatten(1)
