"""Feature pyramid on a ResNet (T.-Y. Lin et al., CVPR 2017)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.detection.mr.config import MRConfig
from oncotrack.detection.resnet import ResNet


class MRBackbone(ResNet):
    """ResNet with the widths, depths and norms of a configuration.

    Parameters
    ----------
    config : MRConfig
        See `MRConfig`.
    """

    def __init__(self, config: MRConfig) -> None:
        super().__init__(config.stem, config.stages, config.blocks, bottleneck=config.bottleneck, norm=config.norm)
        self.initialise()


class Pyramid(nn.Module):
    """Maps of equal width: lateral 1x1 convolution, plus the enlarged coarser level, smoothed by 3x3.

    The fifth level, used only by the largest anchors, is the fourth subsampled by two.

    Parameters
    ----------
    config : MRConfig
        Widths and number of anchor levels.
    """

    def __init__(self, config: MRConfig) -> None:
        super().__init__()
        sideways = [nn.Conv2d(n_in, config.width, 1) for n_in in config.stages]
        smooth = [nn.Conv2d(config.width, config.width, 3, padding=1) for _ in config.stages]
        self.sideways, self.smooth = nn.ModuleList(sideways), nn.ModuleList(smooth)
        self._has_fifth = len(config.anchor_pixels) == 5
        for module in (*sideways, *smooth):
            nn.init.kaiming_uniform_(module.weight, a=1)
            nn.init.zeros_(module.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Compute the pyramid.

        Parameters
        ----------
        maps : list of (B, C, h, w) tensors
            Strides 4, 8, 16 and 32.

        Returns
        -------
        list of (B, width, h, w) tensors
            Strides 4 to 32, and 64 if there are anchors for it.
        """
        level = self.sideways[3](maps[3])
        levels = [level]
        for n in (2, 1, 0):
            level = self.sideways[n](maps[n]) + F.interpolate(level, scale_factor=2.0, mode="nearest")
            levels.insert(0, level)
        levels = [smooth(level) for smooth, level in zip(self.smooth, levels, strict=True)]
        if self._has_fifth:
            levels.append(F.max_pool2d(levels[3], 1, 2))
        return levels
