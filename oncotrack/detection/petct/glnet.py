"""GLNet, the second stage: local 3D features and a global tag vector decide on a candidate (OSLN, sec. 3.2)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.detection.petct.config import GLNetConfig
from oncotrack.networks.roi_gap import roi_gap


class ResidualBlock3D(nn.Module):
    """Two convolutions of 3x3x3 with batch norm beside a shortcut (K. He et al., CVPR 2016; K. Hara et al., CVPR 2018).

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    stride : int
        Of the first convolution and of the shortcut.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.second = nn.Conv3d(outputs, outputs, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm3d(outputs), nn.BatchNorm3d(outputs)])
        self.shortcut = nn.Sequential(nn.Conv3d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm3d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the block's features.

        Parameters
        ----------
        x : (N, inputs, D, H, W) Tensor
            Features.

        Returns
        -------
        (N, outputs, D / stride, H / stride, W / stride) Tensor
            Features.
        """
        features = F.relu(self.norms[0](self.first(x)))
        return F.relu(self.norms[1](self.second(features)) + self.shortcut(x))


class LocalModule(nn.Module):
    """Four residual blocks; after each, ROI-GAP of the candidate's box and a fully connected layer.

    Parameters
    ----------
    config : GLNetConfig
        Modalities and widths.
    """

    def __init__(self, config: GLNetConfig) -> None:
        super().__init__()
        widths = [len(config.modalities), *config.channels]
        self.strides = [1, 2, 2, 2]
        self.blocks = nn.ModuleList(
            ResidualBlock3D(a, b, s) for a, b, s in zip(widths, widths[1:], self.strides, strict=False)
        )
        self.features = nn.ModuleList(nn.Linear(width, config.features) for width in config.channels)

    def forward(self, crops: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
        """Compute v, the multi-scale local representation.

        Parameters
        ----------
        crops : (N, C, D, H, W) Tensor
            Normalised sub-volumes.
        boxes : (N, 6) Tensor
            Lowest z, y, x, then highest, in voxels of the crop.

        Returns
        -------
        (N, 4 features) Tensor
            v.
        """
        parts, x = [], crops
        for block, layer in zip(self.blocks, self.features, strict=True):
            x = block(x)
            stride = torch.tensor([a / b for a, b in zip(crops.shape[2:], x.shape[2:], strict=True)], device=x.device)
            parts.append(F.relu(layer(roi_gap(x, boxes, stride))))
        return torch.cat(parts, 1)


class GLNet(nn.Module):
    """Local module and tag vector, concatenated, and one fully connected layer to the score.

    Parameters
    ----------
    config : GLNetConfig
        Which modules there are.
    """

    def __init__(self, config: GLNetConfig) -> None:
        super().__init__()
        self.config = config
        self.local = LocalModule(config) if config.local else None
        width = (4 * config.features if config.local else 0) + config.tags
        self.head = nn.Linear(width, 1)

    def forward(self, crops: torch.Tensor, boxes: torch.Tensor, tags: torch.Tensor) -> torch.Tensor:
        """Compute the logit of q, the probability that a candidate is an OSLN.

        Parameters
        ----------
        crops : (N, C, D, H, W) Tensor
            Normalised sub-volumes.
        boxes : (N, 6) Tensor
            The candidates' boxes in voxels of the crops.
        tags : (N, T) Tensor
            t, the tag vectors, 0 to 1.

        Returns
        -------
        (N,) Tensor
            Logits.
        """
        parts = [] if self.local is None else [self.local(crops, boxes)]
        if self.config.tags:
            parts.append(tags)
        return self.head(torch.cat(parts, 1))[:, 0]


def jittered(boxes: torch.Tensor, reach: int, generator: torch.Generator | None = None) -> torch.Tensor:
    """Move each side of the boxes by up to `reach` voxels at random (sec. 4.2); a box keeps at least one voxel.

    Parameters
    ----------
    boxes : (N, 6) Tensor
        Lowest z, y, x, then highest.
    reach : int
        Largest shift in voxels.
    generator : torch.Generator, optional
        Source of the shifts.

    Returns
    -------
    (N, 6) Tensor
        The moved boxes.
    """
    shift = torch.randint(-reach, reach + 1, boxes.shape, generator=generator, device=boxes.device)
    low, high = (boxes + shift).split(3, 1)
    middle = (low + high) / 2
    half = ((high - low) / 2).clamp_min(0.5)
    return torch.cat([middle - half, middle + half], 1)
