"""RoIAlign (K. He et al., Mask R-CNN, ICCV 2017, sec. 3), and the pyramid level that a region is read from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

SAMPLES = 2
"""Bilinear samples for each cell and direction."""


def roi_align(features: torch.Tensor, boxes: torch.Tensor, size: int, samples: int = SAMPLES) -> torch.Tensor:
    """Sample features of regions of one image: every cell is the mean of `samples` x `samples` bilinear samples.

    Parameters
    ----------
    features : (C, h, w) tensor
        Map of the image.
    boxes : (N, 4) tensor
        x0, y0, x1, y1 in pixels of `features`; pixel n reaches from n to n + 1 and its value belongs to its centre.
        Outside the outermost centres, border values are repeated.
    size : int
        Cells for each side.
    samples : int
        Samples for each cell and direction.

    Returns
    -------
    (N, C, size, size) tensor
        Features of the regions.
    """
    height, width = features.shape[-2:]
    steps = (torch.arange(size * samples, device=boxes.device, dtype=boxes.dtype) + 0.5) / (size * samples)
    low, extent = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    points = low[:, None] + extent[:, None] * steps[:, None]  # (N, size * samples, 2)
    points = 2 * points / points.new_tensor([width, height]) - 1
    x = points[:, None, :, 0].expand(-1, len(steps), -1)
    y = points[:, :, None, 1].expand(-1, -1, len(steps))
    grid = torch.stack([x, y], -1).flatten(0, 1)[None].to(features.dtype)
    sampled = F.grid_sample(features[None], grid, padding_mode="border", align_corners=False)[0]
    return F.avg_pool2d(sampled.unflatten(1, (len(boxes), len(steps))).transpose(0, 1), samples)


def level_of(boxes: torch.Tensor, levels: int, canonical_pixels: float) -> torch.Tensor:
    """Return the level of each region, ``floor(k0 + log2(sqrt(w h) / canonical))`` (FPN, eq. 1).

    Parameters
    ----------
    boxes : (N, 4) tensor
        x0, y0, x1, y1 in pixels of the image.
    levels : int
        Number of levels.
    canonical_pixels : float
        Edge of a region that belongs to stride 16; smaller ones belong to finer maps.

    Returns
    -------
    (N,) long tensor
        0 is stride 4.
    """
    edge = (boxes[:, 2:] - boxes[:, :2]).clamp_min(1e-3).prod(1).sqrt()
    return (2 + torch.log2(edge / canonical_pixels + 1e-6)).floor().clamp(0, levels - 1).long()


def pyramid_align(
    maps: Sequence[torch.Tensor], boxes: Sequence[torch.Tensor], size: int, canonical_pixels: float
) -> torch.Tensor:
    """Sample features of the regions of a batch, each from its own level.

    Parameters
    ----------
    maps : four (B, C, h, w) tensors
        Strides 4, 8, 16, 32.
    boxes : B tensors (n, 4)
        x0, y0, x1, y1 in pixels of the image.
    size : int
        Cells for each side.
    canonical_pixels : float
        See `level_of`.

    Returns
    -------
    (sum of n, C, size, size) tensor
        Image after image.
    """
    parts = []
    for image, image_boxes in enumerate(boxes):
        levels = level_of(image_boxes, 4, canonical_pixels)
        cells = maps[0].new_zeros(len(image_boxes), maps[0].shape[1], size, size, dtype=torch.float32)
        for level in levels.unique().tolist():
            here = (levels == level).nonzero()[:, 0]
            features = roi_align(maps[level][image].float(), image_boxes[here] / (4 * 2**level), size)
            cells = cells.index_copy(0, here, features)
        parts.append(cells)
    return torch.cat(parts)
