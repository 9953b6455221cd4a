"""The feature extractor: a 3D ResNet-18 without its last stage, its first convolution of stride 1 (sec. 3.1)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.followup.tlt.config import TLTConfig


class ResBlock(nn.Module):
    """Two convolutions and a shortcut; batch norm with running statistics does not see the field of view."""

    def __init__(self, entering: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(entering, width, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm3d(width)
        is_same = stride == 1 and entering == width
        self.shortcut = (
            nn.Identity()
            if is_same
            else nn.Sequential(nn.Conv3d(entering, width, 1, stride, bias=False), nn.BatchNorm3d(width))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, D, H, W) -> (B, width, D / stride, H / stride, W / stride)."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class TLTBackbone(nn.Module):
    """Supplement, table 2, for the template and the search image alike."""

    def __init__(self, config: TLTConfig) -> None:
        super().__init__()
        entering = [(len(config.windows), config.stem_kernel)] + [(config.stem, 3)] * (config.stem_convs - 1)
        self.stem = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv3d(channels, config.stem, kernel, 1, kernel // 2, bias=False),
                    nn.BatchNorm3d(config.stem),
                    nn.ReLU(),
                )
                for channels, kernel in entering
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
        """(B, windows, D, H, W) -> (B, C, D / stride, H / stride, W / stride)."""
        x, maps = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        if not self.merge:
            return x
        merged = 0
        for merge, each in zip(reversed(self.merge), reversed(maps), strict=True):
            each = merge(each)
            if torch.is_tensor(merged):
                each = each + F.interpolate(merged, each.shape[2:], mode="trilinear", align_corners=False)
            merged = each
        return merged


def windowed(image: torch.Tensor, windows: tuple[tuple[float, float], ...]) -> torch.Tensor:
    """(B, 1, D, H, W) HU -> (B, windows, D, H, W), each window from 0 to 1."""
    return torch.cat([(image.clamp(low, high) - low) / (high - low) for low, high in windows], 1)
