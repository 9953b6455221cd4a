"""Two-stage query selection: the encoder's maps propose boxes, and the best become detection queries."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.detection.lntracker.anchors import MLP, refine
from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.lntracker.encoder import as_tokens, cell_centres

PRIOR = -math.log((1 - 0.01) / 0.01)  # every score begins at 0.01


@dataclass
class Proposals:
    """What every cell of the proposing levels says.

    Attributes
    ----------
    logits : (B, S)
    boxes : (B, S, 4) in pixels
    content : (B, S, C)
    centres : (S, 2), x and y of the cells in pixels
    stride : edge of the finest level's cells in pixels
    shapes : height and width of each level
    """

    logits: torch.Tensor
    boxes: torch.Tensor
    content: torch.Tensor
    centres: torch.Tensor
    stride: int
    shapes: list[tuple[int, int]]


class LNProposalHead(nn.Module):
    """A score and a box for every cell."""

    def __init__(self, config: LNTrackerConfig) -> None:
        super().__init__()
        self.geometry, self.anchor_pixels = config.geometry, config.anchor_pixels
        self.stride = config.strides[0]
        self.transform = nn.Sequential(nn.Linear(config.width, config.width), nn.LayerNorm(config.width))
        self.score = nn.Linear(config.width, 1)
        self.box = MLP(config.width, config.width, 4, 3, last=0.01)
        nn.init.constant_(self.score.bias, PRIOR)

    def forward(self, maps: list[torch.Tensor], size: torch.Tensor, inside: tuple[int, int]) -> Proposals:
        """Score every cell.

        Parameters
        ----------
        maps : one (B, C, h, w) per level, finest first
        size : (2,), width and height of the padded slice in pixels
        inside : width and height of the slice before it was padded; cells beyond are never proposed
        """
        shapes = [tuple(level.shape[-2:]) for level in maps]
        centres = torch.cat([cell_centres(*shape, maps[0].device) for shape in shapes]) * size
        edges = [
            torch.full((height * width, 2), self.anchor_pixels * 2**level, device=size.device)
            for level, (height, width) in enumerate(shapes)
        ]
        anchors = torch.cat([centres, torch.cat(edges)], -1)
        content = self.transform(as_tokens(maps))
        outside = (centres >= torch.tensor(inside, device=size.device)).any(-1)
        logits = self.score(content)[..., 0].float().masked_fill(outside, -20.0)
        boxes = refine(self.box(content), anchors, size, self.geometry)
        return Proposals(logits, boxes, content, centres, self.stride, shapes)


def select(proposals: Proposals, count: int, peaks: bool) -> torch.Tensor:
    """Indices (B, K) of the best proposals, best first; K is ``count`` or all there are.

    With ``peaks`` a cell that has a better neighbour (of eight) comes after all that have none.
    """
    scores = proposals.logits.detach()
    if peaks:
        parts = scores.split([height * width for height, width in proposals.shapes], dim=1)
        best = [_best_around(part, shape) for part, shape in zip(parts, proposals.shapes, strict=True)]
        scores = torch.where(scores < torch.cat(best, 1), scores - 100.0, scores)
    return scores.topk(min(count, scores.shape[1]), dim=1).indices


def score_near(proposals: Proposals, boxes: torch.Tensor) -> torch.Tensor:
    """(B, T): the best logit among the cell of the finest level that holds the middle of a box and its eight neighbours.

    `boxes` are (B, T, 4) in pixels; beyond the slice the nearest cell counts.
    """
    height, width = proposals.shapes[0]
    best = _best_around(proposals.logits.detach()[:, : height * width], (height, width))
    column, row = (boxes[..., :2] / proposals.stride).long().unbind(-1)
    return best.gather(1, row.clamp(0, height - 1) * width + column.clamp(0, width - 1))


def _best_around(scores: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """(B, h * w): for each cell of a level the best score of it and its eight neighbours."""
    return F.max_pool2d(scores.unflatten(1, (1, *shape)), 3, 1, 1).flatten(1)
