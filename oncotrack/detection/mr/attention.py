"""Global-local attention (MR, sec. 3.2)."""

from __future__ import annotations

import torch
from torch import nn

from oncotrack.detection.mr.config import MRConfig


class GlobalLocalAttention(nn.Module):
    """Weighted mean of the features of a region and of its context, with weights for each cell.

    A 3x3 convolution, batch norm, ReLU and another 3x3 convolution over the concatenated scales give one map per scale;
    their softmax over the scales gives the weights (figure 4).

    Parameters
    ----------
    config : MRConfig
        Number of scales and widths.
    """

    def __init__(self, config: MRConfig) -> None:
        super().__init__()
        scales = 1 + len(config.global_scales)
        self.conv1 = nn.Conv2d(scales * config.width, config.attention_width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(config.attention_width)
        self.conv2 = nn.Conv2d(config.attention_width, scales, 3, padding=1)

    def weights(self, scales: torch.Tensor) -> torch.Tensor:
        """Compute the weights of the scales, ``w_i^s = exp(r_i^s) / sum_t exp(r_i^t)`` (eq. 1).

        Parameters
        ----------
        scales : (N, S, C, k, k) tensor
            Features of each scale.

        Returns
        -------
        (N, S, k, k) tensor
            Sum over S is 1.
        """
        r = self.conv2(torch.relu(self.bn1(self.conv1(scales.flatten(1, 2)))))
        return r.float().softmax(1)

    def forward(self, scales: torch.Tensor) -> torch.Tensor:
        """Combine the scales, ``h_ic = sum_s w_i^s f_ic^s`` (eq. 2); all channels share the weights.

        Parameters
        ----------
        scales : (N, S, C, k, k) tensor
            Features of each scale.

        Returns
        -------
        (N, C, k, k) tensor
            Combined features.
        """
        return (self.weights(scales)[:, :, None] * scales).sum(1)


def context_boxes(boxes: torch.Tensor, scale: float, shape: tuple[int, int]) -> torch.Tensor:
    """Return the context of regions at one global scale (sec. 3.2, 4.5).

    Parameters
    ----------
    boxes : (n, 4) tensor
        Regions, x0, y0, x1, y1 in pixels.
    scale : float
        1 is the whole image; less is a fraction of the image and more is an edge in pixels, both centred on the region
        and clipped to the image.
    shape : (int, int)
        Rows and columns of the image.

    Returns
    -------
    (n, 4) tensor
        Or (1, 4) if it is the whole image for all regions.
    """
    size = boxes.new_tensor(shape[::-1])
    if scale == 1:
        return torch.cat([torch.zeros_like(size), size])[None]
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = size * scale / 2 if scale < 1 else torch.full_like(size, scale / 2)
    low, high = centre - half, centre + half
    return torch.cat([low.clamp_min(0), torch.minimum(high, size)], 1)
