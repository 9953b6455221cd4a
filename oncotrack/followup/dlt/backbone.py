"""The image encoder: a three-dimensional DenseNet and a feature pyramid of three scales (sec. 3.1).

Strides are in the plane only. The modules of the DenseNet are named as in torchvision's two-dimensional network.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.followup.crops import window_channels
from oncotrack.followup.dlt.config import DLTConfig

IN_PLANE = (1, 2, 2)


class DenseLayer(nn.Module):
    """Batch norm, ReLU, 1x1x1 and 3x3x3 convolution; the output is appended to the input.

    Parameters
    ----------
    in_channels : int
        Input channels.
    growth : int
        Channels that the layer adds.
    bottleneck : int
        Width of the 1x1x1 convolution as a multiple of `growth`.
    """

    def __init__(self, in_channels: int, growth: int, bottleneck: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm3d(in_channels)
        self.conv1 = nn.Conv3d(in_channels, bottleneck * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm3d(bottleneck * growth)
        self.conv2 = nn.Conv3d(bottleneck * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, C + growth, D, H, W).

        Parameters
        ----------
        x : (B, C, D, H, W) tensor
            Features.
        """
        narrow = self.conv1(F.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(F.relu(self.norm2(narrow)))], 1)


class Transition(nn.Module):
    """Halves channels, rows and columns between two dense blocks.

    Parameters
    ----------
    in_channels : int
        Input channels.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm3d(in_channels)
        self.conv = nn.Conv3d(in_channels, in_channels // 2, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, C / 2, D, H / 2, W / 2).

        Parameters
        ----------
        x : (B, C, D, H, W) tensor
            Features.
        """
        return F.avg_pool3d(self.conv(F.relu(self.norm(x))), IN_PLANE)


class DenseNet(nn.Module):
    """The first three blocks of a DenseNet; their outputs are the three scales.

    Parameters
    ----------
    config : DLTConfig
        The network's configuration.
    """

    denseblock1: nn.Sequential
    denseblock2: nn.Sequential
    denseblock3: nn.Sequential
    transition1: Transition
    transition2: Transition

    def __init__(self, config: DLTConfig) -> None:
        super().__init__()
        kernel = config.stem_kernel
        self.conv0 = nn.Conv3d(len(config.windows), config.stem, kernel, IN_PLANE, kernel // 2, bias=False)
        self.norm0 = nn.BatchNorm3d(config.stem)
        self.pool0 = nn.MaxPool3d((1, 3, 3), IN_PLANE, (0, 1, 1)) if config.stem_pool else nn.Identity()
        width = config.stem
        self.widths: list[int] = []
        for number, layers in enumerate(config.blocks, 1):
            if number > 1:
                self.add_module(f"transition{number - 1}", Transition(width))
                width //= 2
            block = OrderedDict[str, nn.Module](
                (f"denselayer{n + 1}", DenseLayer(width + n * config.growth, config.growth, config.bottleneck))
                for n in range(layers)
            )
            self.add_module(f"denseblock{number}", nn.Sequential(block))
            width += layers * config.growth
            self.widths.append(width)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the outputs of the three blocks, finest first.

        Parameters
        ----------
        x : (B, windows, D, H, W) tensor
            Windowed image, 0 to 1.
        """
        x = self.pool0(F.relu(self.norm0(self.conv0(x))))
        first = self.denseblock1(x)
        second = self.denseblock2(self.transition1(first))
        return [first, second, self.denseblock3(self.transition2(second))]


class DenseFPN(nn.Module):
    """psi of the paper: maps an image to features of equal width at three scales.

    Parameters
    ----------
    config : DLTConfig
        The network's configuration.
    """

    def __init__(self, config: DLTConfig) -> None:
        super().__init__()
        self.config = config
        self.densenet = DenseNet(config)
        self.lateral = nn.ModuleList(
            nn.Sequential(nn.BatchNorm3d(width), nn.ReLU(), nn.Conv3d(width, config.width, 1))
            for width in self.densenet.widths
        )
        self.smooth = nn.ModuleList(
            nn.Sequential(
                nn.Conv3d(config.width, config.width, 3, padding=1, bias=not config.unit_features),
                nn.BatchNorm3d(config.width, affine=False) if config.unit_features else nn.Identity(),
            )
            for _ in self.densenet.widths
        )

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return features of three scales, (B, C, D, H / s, W / s) for the config's strides s, finest first.

        Parameters
        ----------
        image : (B, 1, D, H, W) tensor
            HU.
        """
        maps = self.densenet(window_channels(image, self.config.windows))
        merged: list[torch.Tensor] = []
        for lateral, each in zip(reversed(self.lateral), reversed(maps), strict=True):
            x = lateral(each)
            if merged:
                x = x + upscale(merged[-1], x.shape[2:])
            merged.append(x)
        features = [smooth(x) for smooth, x in zip(self.smooth, reversed(merged), strict=True)]
        return tuple(F.normalize(x.float(), dim=1) if self.config.unit_features else x for x in features)


def upscale(x: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Interpolate features to a finer grid.

    Parameters
    ----------
    x : (B, C, ...) tensor
        Features.
    shape : (3,) int
        D, H, W of the result.
    """
    return F.interpolate(x, size=tuple(shape), mode="trilinear", align_corners=False)
