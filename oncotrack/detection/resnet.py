"""ResNet (He et al., CVPR 2016) with the usual parameter names, so that ImageNet weights fit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F


class FrozenBatchNorm(nn.Module):
    """Batch normalisation with constant statistics and weights, under the parameter names of `nn.BatchNorm2d`.

    Parameters
    ----------
    width : int
        Channels.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((width,), value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise.

        Parameters
        ----------
        x : (B, C, H, W) tensor
            Features.

        Returns
        -------
        (B, C, H, W) tensor
            Normalised features.
        """
        scale = self.weight * (self.running_var + 1e-5).rsqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale[:, None, None] + shift[:, None, None]


def norm_layer(kind: str, width: int) -> nn.Module:
    """Build a normalisation layer.

    Parameters
    ----------
    kind : str
        "frozen" (constant statistics), "batch" (running statistics) or "group".
    width : int
        Channels.

    Returns
    -------
    Module
        (B, C, H, W) to (B, C, H, W).
    """
    if kind == "batch":
        return nn.BatchNorm2d(width)
    return FrozenBatchNorm(width) if kind == "frozen" else nn.GroupNorm(8, width)


def conv_layer(n_in: int, n_out: int, size: int, stride: int = 1) -> nn.Conv2d:
    """Build a convolution without bias (a norm follows) that pads by half its kernel.

    Parameters
    ----------
    n_in, n_out : int
        Channels.
    size : int
        Edge of the kernel.
    stride : int
        Factor by which height and width are divided.

    Returns
    -------
    Conv2d
        (B, n_in, H, W) to (B, n_out, H / stride, W / stride).
    """
    return nn.Conv2d(n_in, n_out, size, stride, padding=size // 2, bias=False)


class BasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions.

    Parameters
    ----------
    n_in, n_out : int
        Channels.
    stride : int
        Of the first convolution.
    norm : str
        See `norm_layer`.
    """

    def __init__(self, n_in: int, n_out: int, stride: int, norm: str) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_layer(n_in, n_out, 3, stride), norm_layer(norm, n_out)
        self.conv2, self.bn2 = conv_layer(n_out, n_out, 3), norm_layer(norm, n_out)
        self.downsample = _shortcut(n_in, n_out, stride, norm)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the block.

        Parameters
        ----------
        x : (B, n_in, H, W) tensor
            Features.

        Returns
        -------
        (B, n_out, H / stride, W / stride) tensor
            Features.
        """
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)).add_(self.downsample(x)), inplace=True)


class Bottleneck(nn.Module):
    """Residual block of ResNet-50: 1x1, 3x3 (with the stride) and 1x1 convolutions.

    Parameters
    ----------
    n_in, n_out : int
        Channels; the 3x3 convolution has a quarter of `n_out`.
    stride : int
        Of the 3x3 convolution.
    norm : str
        See `norm_layer`.
    """

    def __init__(self, n_in: int, n_out: int, stride: int, norm: str) -> None:
        super().__init__()
        narrow = n_out // 4
        self.conv1, self.bn1 = conv_layer(n_in, narrow, 1), norm_layer(norm, narrow)
        self.conv2, self.bn2 = conv_layer(narrow, narrow, 3, stride), norm_layer(norm, narrow)
        self.conv3, self.bn3 = conv_layer(narrow, n_out, 1), norm_layer(norm, n_out)
        self.downsample = _shortcut(n_in, n_out, stride, norm)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the block.

        Parameters
        ----------
        x : (B, n_in, H, W) tensor
            Features.

        Returns
        -------
        (B, n_out, H / stride, W / stride) tensor
            Features.
        """
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        return F.relu(self.bn3(self.conv3(y)).add_(self.downsample(x)), inplace=True)


def _shortcut(n_in: int, n_out: int, stride: int, norm: str) -> nn.Module:
    if n_in == n_out and stride == 1:
        return nn.Identity()
    return nn.Sequential(conv_layer(n_in, n_out, 1, stride), norm_layer(norm, n_out))


class ResNet(nn.Module):
    """Feature maps of strides 4, 8, 16 and 32 of an image.

    With bottlenecks the stem is ResNet-50's (7x7 convolution and max pooling). Without, it is a 3x3 convolution of
    stride 2, and every stage has stride 2. A subclass calls `initialise` once all of its layers exist.

    Parameters
    ----------
    stem : int
        Channels of the stem.
    stages : (4,) int
        Channels of the stages.
    blocks : (4,) int
        Blocks of the stages.
    bottleneck : bool
        Bottleneck blocks; otherwise basic blocks.
    norm : str
        See `norm_layer`.
    stem_blocks : int
        Blocks between the stem and the first stage.
    """

    layer0: nn.Sequential
    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(
        self,
        stem: int,
        stages: Sequence[int],
        blocks: Sequence[int],
        *,
        bottleneck: bool,
        norm: str,
        stem_blocks: int = 0,
    ) -> None:
        super().__init__()
        self.is_light = not bottleneck
        self.conv1 = conv_layer(3, stem, 3 if self.is_light else 7, 2)
        self.bn1 = norm_layer(norm, stem)
        block = Bottleneck if bottleneck else BasicBlock
        n_in = stem
        self.layer0 = nn.Sequential(*[block(n_in, n_in, 1, norm) for _ in range(stem_blocks)])
        for number, (n_out, depth) in enumerate(zip(stages, blocks, strict=True), start=1):
            stride = 2 if self.is_light or number > 1 else 1
            layers = [block(n_in, n_out, stride, norm)]
            layers += [block(n_out, n_out, 1, norm) for _ in range(depth - 1)]
            self.add_module(f"layer{number}", nn.Sequential(*layers))
            n_in = n_out

    def initialise(self) -> None:
        """Draw the weights of all convolutions that are followed by a norm (He et al., ICCV 2015)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is None:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def stages(self) -> tuple[nn.Sequential, ...]:
        """The four stages, finest first."""
        return self.layer1, self.layer2, self.layer3, self.layer4

    def stem(self, images: torch.Tensor) -> torch.Tensor:
        """Compute the stem.

        Parameters
        ----------
        images : (B, 3, H, W) tensor
            Normalised images.

        Returns
        -------
        (B, C, H / s, W / s) tensor
            Features; s is 4 with bottlenecks, otherwise 2.
        """
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        return x if self.is_light else F.max_pool2d(x, 3, 2, 1)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Compute the maps of all stages.

        Parameters
        ----------
        images : (B, 3, H, W) tensor
            H and W are multiples of 32.

        Returns
        -------
        list of (B, C, H / stride, W / stride) tensors
            Strides 4, 8, 16 and 32.
        """
        x = self.layer0(self.stem(images))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps
