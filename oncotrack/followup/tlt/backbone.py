"""The feature extractor: a 3D ResNet-18 without its last stage, with a first convolution of stride 1 (sec. 3.1)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.followup.tlt.config import TLTConfig


class ResBlock(nn.Module):
    """Residual block of two convolutions; batch norm with running statistics does not depend on the crop size.

    Parameters
    ----------
    in_channels : int
        Input channels.
    width : int
        Output channels.
    stride : int
        Stride of the first convolution.
    """

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(in_channels, width, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm3d(width)
        is_same = stride == 1 and in_channels == width
        self.shortcut = (
            nn.Identity()
            if is_same
            else nn.Sequential(nn.Conv3d(in_channels, width, 1, stride, bias=False), nn.BatchNorm3d(width))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, width, D / stride, H / stride, W / stride).

        Parameters
        ----------
        x : (B, C, D, H, W) tensor
            Features.
        """
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class TLTBackbone(nn.Module):
    """The backbone of template and search image (supplement, table 2).

    Parameters
    ----------
    config : TLTConfig
        The network's configuration.
    """

    def __init__(self, config: TLTConfig) -> None:
        super().__init__()
        in_channels = [(len(config.windows), config.stem_kernel)] + [(config.stem, 3)] * (config.stem_convs - 1)
        self.stem = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv3d(channels, config.stem, kernel, 1, kernel // 2, bias=False),
                    nn.BatchNorm3d(config.stem),
                    nn.ReLU(),
                )
                for channels, kernel in in_channels
            )
        )
        widths = (config.stem, *config.stages)
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(ResBlock(widths[n] if block == 0 else width, width, 2 if block == 0 else 1) for block in range(count))
            )
            for n, (width, count) in enumerate(zip(config.stages, config.blocks, strict=True))
        )
        self.merge = nn.ModuleList(
            nn.Sequential(nn.Conv3d(width, config.width, 1, bias=False), nn.BatchNorm3d(config.width))
            for width in config.stages * config.merged
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features, (B, C, D / stride, H / stride, W / stride).

        Parameters
        ----------
        x : (B, windows, D, H, W) tensor
            Windowed image, 0 to 1.
        """
        x, maps = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        if not self.merge:
            return x
        coarsest, *finer = zip(reversed(self.merge), reversed(maps), strict=True)
        merged = coarsest[0](coarsest[1])
        for merge, each in finer:
            projected = merge(each)
            merged = projected + F.interpolate(merged, projected.shape[2:], mode="trilinear", align_corners=False)
        return merged
