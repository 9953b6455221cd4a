"""The 3D U-Net of Çiçek et al. (MICCAI 2016), plain or with squeeze-and-excitation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class SqueezeExcitation(nn.Module):
    """Weigh channels by their mean over the volume (J. Hu et al., CVPR 2018).

    Parameters
    ----------
    channels : int
        Of input and output.
    reduction : int
        Ratio of the hidden layer.
    """

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.weigh = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Weigh the channels of (B, C, D, H, W).

        Parameters
        ----------
        x : (B, C, D, H, W) Tensor
            Features.

        Returns
        -------
        (B, C, D, H, W) Tensor
            The weighted features.
        """
        return x * self.weigh(x.mean((2, 3, 4)))[..., None, None, None]


class UNet3D(nn.Module):
    """3D U-Net: two convolutions of 3x3x3 on each level, pooling and up-convolution of 2x2x2, skip connections.

    As in the paper, the second convolution on the way down doubles the channels, an up-convolution keeps them, and batch
    norm precedes each ReLU. With ``channels=(64, 128, 256, 512)`` and three channels in and out it has the paper's
    19,069,955 parameters, without those of the batch norms.

    Parameters
    ----------
    inputs, outputs : int
        Channels of image and logits.
    channels : sequence of int
        Of each level, after its second convolution.
    squeeze : bool
        Add squeeze-and-excitation after each level.
    """

    def __init__(self, inputs: int, outputs: int, channels: Sequence[int], squeeze: bool = False) -> None:
        super().__init__()
        self.levels = len(channels)
        self.down = nn.ModuleList()
        before = inputs
        for level, width in enumerate(channels):
            self.down.append(_level(before, width // 2 if level == 0 else before, width, squeeze))
            before = width
        self.upsample, self.up = nn.ModuleList(), nn.ModuleList()
        for width in reversed(channels[:-1]):
            self.upsample.append(nn.ConvTranspose3d(before, before, 2, 2, bias=False))
            self.up.append(_level(before + width, width, width, squeeze))
            before = width
        self.last = nn.Conv3d(before, outputs, 1)

    def start_rare(self, logit: float) -> None:
        """Let the untrained network predict the same small probability everywhere.

        Parameters
        ----------
        logit : float
            Of that probability.
        """
        assert self.last.bias is not None
        nn.init.constant_(self.last.bias, logit)

    @property
    def multiple(self) -> int:
        """Number of voxels of which every edge of the input must be a multiple."""
        return 2 ** (self.levels - 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Segment a volume.

        Parameters
        ----------
        x : (B, inputs, D, H, W) Tensor
            Every edge a multiple of `multiple`.

        Returns
        -------
        (B, outputs, D, H, W) Tensor
            Logits.
        """
        kept: list[torch.Tensor] = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else nn.functional.max_pool3d(x, 2))
            kept.append(x)
        kept.pop()
        for upsample, block in zip(self.upsample, self.up, strict=True):
            x = block(torch.cat([upsample(x), kept.pop()], 1))
        return self.last(x)


def _level(before: int, between: int, after: int, squeeze: bool) -> nn.Sequential:
    """Return two convolutions with batch norm and ReLU, and squeeze-and-excitation if wanted."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((before, between), (between, after)):
        layers += [nn.Conv3d(inputs, outputs, 3, padding=1), nn.BatchNorm3d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, *([SqueezeExcitation(after)] if squeeze else []))
