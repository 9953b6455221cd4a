"""RoIAlign (K. He et al., Mask R-CNN, ICCV 2017, sec. 3), and which level of the pyramid a region is read from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

SAMPLES = 2
"""Bilinear samples a cell and direction."""


def roi_align(features: torch.Tensor, boxes: torch.Tensor, size: int, samples: int = SAMPLES) -> torch.Tensor:
    """Features of regions of one image: every cell is the mean of `samples` x `samples` bilinear samples.

    Parameters
    ----------
    features : (C, h, w) tensor
    boxes : (N, 4) tensor
        x0, y0, x1, y1 in pixels of `features`; pixel n reaches from n to n + 1, its value stands in its middle, and beyond
        the middles at the border the border's values go on.
    size : int
        Cells a side.

    Returns
    -------
    (N, C, size, size) tensor
    """
    height, width = features.shape[-2:]
    steps = (torch.arange(size * samples, device=boxes.device, dtype=boxes.dtype) + 0.5) / (size * samples)
    low, extent = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    places = low[:, None] + extent[:, None] * steps[:, None]  # (N, size * samples, 2)
    places = 2 * places / places.new_tensor([width, height]) - 1
    x = places[:, None, :, 0].expand(-1, len(steps), -1)
    y = places[:, :, None, 1].expand(-1, -1, len(steps))
    grid = torch.stack([x, y], -1).flatten(0, 1)[None].to(features.dtype)
    sampled = F.grid_sample(features[None], grid, padding_mode="border", align_corners=False)[0]
    return F.avg_pool2d(sampled.unflatten(1, (len(boxes), len(steps))).transpose(0, 1), samples)


def level_of(boxes: torch.Tensor, levels: int, canonical_pixels: float) -> torch.Tensor:
    """(N,) level of (N, 4) boxes in pixels of the image, 0 for stride 4: ``floor(k0 + log2(sqrt(w h) / canonical))``.

    FPN, eq. 1; a region of the canonical size belongs to stride 16, smaller ones to finer maps.
    """
    edge = (boxes[:, 2:] - boxes[:, :2]).clamp_min(1e-3).prod(1).sqrt()
    return (2 + torch.log2(edge / canonical_pixels + 1e-6)).floor().clamp(0, levels - 1).long()


def pyramid_align(
    maps: Sequence[torch.Tensor], boxes: Sequence[torch.Tensor], size: int, canonical_pixels: float
) -> torch.Tensor:
    """Features of the regions of a batch, each read from its own level.

    Parameters
    ----------
    maps : four (B, C, h, w) tensors
        Strides 4, 8, 16, 32.
    boxes : B (n, 4) tensors
        In pixels of the image.

    Returns
    -------
    (sum of n, C, size, size) tensor
        Image after image.
    """
    parts = []
    for image, own in enumerate(boxes):
        levels = level_of(own, 4, canonical_pixels)
        cells = maps[0].new_zeros(len(own), maps[0].shape[1], size, size, dtype=torch.float32)
        for level in levels.unique().tolist():
            here = (levels == level).nonzero()[:, 0]
            read = roi_align(maps[level][image].float(), own[here] / (4 * 2**level), size)
            cells = cells.index_copy(0, here, read)
        parts.append(cells)
    return torch.cat(parts)
