"""Boxes as steps from a reference box (R. Girshick, Fast R-CNN, 2015, sec. 2.3)."""

from __future__ import annotations

import torch

from oncotrack.networks.boxes import centre_size, corners

SPREAD = (0.1, 0.1, 0.2, 0.2)
"""Steps are divided by these, so that they are about 1."""
_MOST_GROWTH = 4.0


def encode(boxes: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """(N, 4) steps from (N, 4) references to (N, 4) boxes: shift of the middle in edges, logarithm of growth."""
    target, start = centre_size(boxes), centre_size(references)
    shift = (target[:, :2] - start[:, :2]) / start[:, 2:]
    growth = torch.log(target[:, 2:] / start[:, 2:])
    return torch.cat([shift, growth], 1) / boxes.new_tensor(SPREAD)


def decode(steps: torch.Tensor, references: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """The inverse of `encode`, clipped to an image of `shape` (rows, columns)."""
    start = centre_size(references)
    steps = steps * steps.new_tensor(SPREAD)
    middle = start[:, :2] + steps[:, :2] * start[:, 2:]
    size = start[:, 2:] * steps[:, 2:].clamp(-_MOST_GROWTH, _MOST_GROWTH).exp()
    return clipped(corners(torch.cat([middle, size], 1)), shape)


def clipped(boxes: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """(N, 4) boxes, cut at the edges of an image of `shape` (rows, columns)."""
    most = boxes.new_tensor([*shape[::-1], *shape[::-1]])
    return torch.minimum(boxes.clamp_min(0), most)
