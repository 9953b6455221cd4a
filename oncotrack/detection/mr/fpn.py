"""Feature pyramid on a ResNet (T.-Y. Lin et al., CVPR 2017)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.detection.lntracker.backbone import Basic, Bottleneck, conv, norm
from oncotrack.detection.mr.config import MRConfig


class ResNet(nn.Module):
    """Maps of strides 4, 8, 16 and 32; convolutions and norms carry the usual names, so that ImageNet weights fit."""

    def __init__(self, config: MRConfig) -> None:
        super().__init__()
        self.is_light = not config.bottleneck
        self.conv1 = conv(3, config.stem, 3 if self.is_light else 7, 2)
        self.bn1 = norm(config.norm, config.stem)
        block = Bottleneck if config.bottleneck else Basic
        n_in = config.stem
        for number, (n_out, depth) in enumerate(zip(config.stages, config.blocks, strict=True), start=1):
            stride = 2 if self.is_light or number > 1 else 1
            layers = [block(n_in, n_out, stride, config.norm)]
            layers += [block(n_out, n_out, 1, config.norm) for _ in range(depth - 1)]
            self.add_module(f"layer{number}", nn.Sequential(*layers))
            n_in = n_out
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """(B, 3, H, W) -> four (B, C, H / stride, W / stride); H and W are multiples of 32."""
        x = F.relu(self.bn1(self.conv1(images)))
        if not self.is_light:
            x = F.max_pool2d(x, 3, 2, 1)
        maps = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            maps.append(x)
        return maps


class Pyramid(nn.Module):
    """The same width on every level: sideways 1x1, the coarser level added from above, smoothed by 3x3.

    The fifth level, for the largest anchors alone, is the fourth at every second place.
    """

    def __init__(self, config: MRConfig) -> None:
        super().__init__()
        self.sideways = nn.ModuleList([nn.Conv2d(n_in, config.width, 1) for n_in in config.stages])
        self.smooth = nn.ModuleList([nn.Conv2d(config.width, config.width, 3, padding=1) for _ in config.stages])
        self._has_fifth = len(config.anchor_pixels) == 5
        for module in (*self.sideways, *self.smooth):
            nn.init.kaiming_uniform_(module.weight, a=1)
            nn.init.zeros_(module.bias)

    def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Maps of strides 4 to 32 -> (B, width, h, w) of strides 4 to 32, and 64 where there are anchors for it."""
        level = self.sideways[3](maps[3])
        levels = [level]
        for n in (2, 1, 0):
            level = self.sideways[n](maps[n]) + F.interpolate(level, scale_factor=2.0, mode="nearest")
            levels.insert(0, level)
        levels = [smooth(level) for smooth, level in zip(self.smooth, levels, strict=True)]
        if self._has_fifth:
            levels.append(F.max_pool2d(levels[3], 1, 2))
        return levels
