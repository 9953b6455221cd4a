"""Boxes encoded as steps from a reference box (R. Girshick, Fast R-CNN, 2015, sec. 2.3)."""

from __future__ import annotations

import torch

from oncotrack.networks.boxes import centre_size, corners

SPREAD = (0.1, 0.1, 0.2, 0.2)
"""Steps are divided by these, so that their standard deviation is about 1."""
_MOST_GROWTH = 4.0


def encode(boxes: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """Compute the steps from reference boxes to boxes: shift of the centre in edges, logarithm of the growth.

    Parameters
    ----------
    boxes, references : (N, 4) tensors
        x0, y0, x1, y1.

    Returns
    -------
    (N, 4) tensor
        Steps.
    """
    target, start = centre_size(boxes), centre_size(references)
    shift = (target[:, :2] - start[:, :2]) / start[:, 2:]
    growth = torch.log(target[:, 2:] / start[:, 2:])
    return torch.cat([shift, growth], 1) / boxes.new_tensor(SPREAD)


def decode(steps: torch.Tensor, references: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Apply steps to reference boxes, the inverse of `encode`.

    Parameters
    ----------
    steps : (N, 4) tensor
        See `encode`.
    references : (N, 4) tensor
        x0, y0, x1, y1 in pixels.
    shape : (int, int)
        Rows and columns of the image that boxes are clipped to.

    Returns
    -------
    (N, 4) tensor
        x0, y0, x1, y1 in pixels.
    """
    start = centre_size(references)
    steps = steps * steps.new_tensor(SPREAD)
    centre = start[:, :2] + steps[:, :2] * start[:, 2:]
    size = start[:, 2:] * steps[:, 2:].clamp(-_MOST_GROWTH, _MOST_GROWTH).exp()
    return clip_boxes(corners(torch.cat([centre, size], 1)), shape)


def clip_boxes(boxes: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Clip boxes to an image.

    Parameters
    ----------
    boxes : (N, 4) tensor
        x0, y0, x1, y1 in pixels.
    shape : (int, int)
        Rows and columns of the image.

    Returns
    -------
    (N, 4) tensor
        Clipped boxes.
    """
    most = boxes.new_tensor([*shape[::-1], *shape[::-1]])
    return torch.minimum(boxes.clamp_min(0), most)
