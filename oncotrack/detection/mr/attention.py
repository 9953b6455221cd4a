"""Global-local attention (MR, sec. 3.2)."""

from __future__ import annotations

import torch
from torch import nn

from oncotrack.detection.mr.config import MRConfig


class GlobalLocalAttention(nn.Module):
    """Weighs what is seen in a region against what is seen round it, place by place.

    3x3 convolution, batch norm, ReLU and another 3x3 convolution over all scales side by side give one map a scale; their
    softmax over the scales are the weights (figure 4).
    """

    def __init__(self, config: MRConfig) -> None:
        super().__init__()
        scales = 1 + len(config.global_scales)
        self.conv1 = nn.Conv2d(scales * config.width, config.attention_width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(config.attention_width)
        self.conv2 = nn.Conv2d(config.attention_width, scales, 3, padding=1)

    def weights(self, scales: torch.Tensor) -> torch.Tensor:
        """(N, S, C, k, k) features -> (N, S, k, k), ``w_i^s = exp(r_i^s) / sum_t exp(r_i^t)`` (eq. 1)."""
        r = self.conv2(torch.relu(self.bn1(self.conv1(scales.flatten(1, 2)))))
        return r.float().softmax(1)

    def forward(self, scales: torch.Tensor) -> torch.Tensor:
        """(N, S, C, k, k) -> (N, C, k, k), ``h_ic = sum_s w_i^s f_ic^s`` (eq. 2); weights are shared by the channels."""
        return (self.weights(scales)[:, :, None] * scales).sum(1)


def context_boxes(boxes: torch.Tensor, scale: float, shape: tuple[int, int]) -> torch.Tensor:
    """The places of one global scale of the regions of an image (sec. 3.2, 4.5).

    Parameters
    ----------
    boxes : (n, 4) tensor
        Regions, x0, y0, x1, y1 in pixels.
    scale : float
        1 is the whole image; less is that share of it, more is an edge in pixels, both round the region's middle and cut at
        the image's edge.
    shape : (int, int)
        Rows and columns of the image.

    Returns
    -------
    (n, 4) tensor, or (1, 4) when all regions share it (the whole image)
    """
    size = boxes.new_tensor(shape[::-1])
    if scale == 1:
        return torch.cat([torch.zeros_like(size), size])[None]
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = size * scale / 2 if scale < 1 else torch.full_like(size, scale / 2)
    low, high = middle - half, middle + half
    return torch.cat([low.clamp_min(0), torch.minimum(high, size)], 1)
