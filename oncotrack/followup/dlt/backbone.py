"""The image encoder: a DenseNet inflated from two to three dimensions, and a feature pyramid of three scales (sec. 3.1).

Steps are taken in the plane only. The DenseNet's modules are named as in the 2D networks that are published, so that
their weights can be inflated.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.errors import WeightsError
from oncotrack.followup.dlt.config import DLTConfig

IN_PLANE = (1, 2, 2)


class DenseLayer(nn.Module):
    """Batch norm, ReLU, 1x1x1 and 3x3x3 convolution; its `growth` channels are appended to what it was given."""

    def __init__(self, entering: int, growth: int, bottleneck: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm3d(entering)
        self.conv1 = nn.Conv3d(entering, bottleneck * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm3d(bottleneck * growth)
        self.conv2 = nn.Conv3d(bottleneck * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, D, H, W) -> (B, C + growth, D, H, W)."""
        narrow = self.conv1(F.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(F.relu(self.norm2(narrow)))], 1)


class Transition(nn.Module):
    """Half the channels on half the rows and columns."""

    def __init__(self, entering: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm3d(entering)
        self.conv = nn.Conv3d(entering, entering // 2, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, D, H, W) -> (B, C / 2, D, H / 2, W / 2)."""
        return F.avg_pool3d(self.conv(F.relu(self.norm(x))), IN_PLANE)


class DenseNet(nn.Module):
    """The first three blocks; their outputs are the three scales."""

    def __init__(self, config: DLTConfig) -> None:
        super().__init__()
        kernel = config.stem_kernel
        self.conv0 = nn.Conv3d(len(config.windows), config.stem, kernel, IN_PLANE, kernel // 2, bias=False)
        self.norm0 = nn.BatchNorm3d(config.stem)
        self.pool0 = nn.MaxPool3d((1, 3, 3), IN_PLANE, (0, 1, 1)) if config.stem_pool else nn.Identity()
        width, self.widths = config.stem, []
        for number, layers in enumerate(config.blocks, 1):
            if number > 1:
                self.add_module(f"transition{number - 1}", Transition(width))
                width //= 2
            block = OrderedDict(
                (f"denselayer{n + 1}", DenseLayer(width + n * config.growth, config.growth, config.bottleneck))
                for n in range(layers)
            )
            self.add_module(f"denseblock{number}", nn.Sequential(block))
            width += layers * config.growth
            self.widths.append(width)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(B, windows, D, H, W) -> three maps, finest first."""
        x = self.pool0(F.relu(self.norm0(self.conv0(x))))
        first = self.denseblock1(x)
        second = self.denseblock2(self.transition1(first))
        return [first, second, self.denseblock3(self.transition2(second))]


class DenseFPN(nn.Module):
    """psi of the paper: an image to features at three scales, of the same width."""

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
        """(B, 1, D, H, W) HU -> three (B, C, D, H / s, W / s) for the config's strides s, finest first."""
        maps = self.densenet(windowed(image, self.config.windows))
        merged: list[torch.Tensor] = []
        for lateral, each in zip(reversed(self.lateral), reversed(maps), strict=True):
            x = lateral(each)
            if merged:
                x = x + upscaled(merged[-1], x.shape[2:])
            merged.append(x)
        features = [smooth(x) for smooth, x in zip(self.smooth, reversed(merged), strict=True)]
        return tuple(F.normalize(x.float(), dim=1) if self.config.unit_features else x for x in features)


def upscaled(x: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """(B, C, ...) interpolated between its cells to `shape` (D, H, W)."""
    return F.interpolate(x, size=tuple(shape), mode="trilinear", align_corners=False)


def windowed(image: torch.Tensor, windows: tuple[tuple[float, float], ...]) -> torch.Tensor:
    """(B, 1, D, H, W) HU -> (B, windows, D, H, W), each window from 0 to 1."""
    return torch.cat([(image.clamp(low, high) - low) / (high - low) for low, high in windows], 1)


def inflated(kernel: torch.Tensor, depth: int) -> torch.Tensor:
    """A 2D kernel (O, I, H, W) as (O, I, depth, H, W): repeated along z and divided by the repetitions."""
    return kernel[:, :, None].expand(-1, -1, depth, -1, -1) / depth


def load_2d(densenet: DenseNet, state: Mapping[str, torch.Tensor]) -> None:
    """Begin with the weights of a 2D DenseNet, for instance one that was trained on ImageNet.

    Parameters
    ----------
    state : mapping
        ``features.`` of a DenseNet as torchvision names it; deeper blocks are left out, and kernels of the first
        convolution are summed over its colours.

    Raises
    ------
    WeightsError
        Weights of another network.
    """
    ours = densenet.state_dict()
    for name, value in ours.items():
        found = state.get(f"features.{name}", state.get(name))
        if found is not None and value.ndim == 5:
            if name == "conv0.weight":
                found = found.sum(1, keepdim=True).expand(-1, value.shape[1], -1, -1) / value.shape[1]
            found = inflated(found, value.shape[2])
        if name.endswith("num_batches_tracked"):
            continue
        if found is None or found.shape != value.shape:
            raise WeightsError(f"These are not the 2D weights of this DenseNet: {name} is missing or of another size.")
        ours[name] = found
    densenet.load_state_dict(ours)
