"""The anatomy signal: a Gaussian map of the lesion's known or expected position, and its encoder (sec. 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from oncotrack.followup.dlt.backbone import IN_PLANE
from oncotrack.followup.dlt.config import DLTConfig


def squared_mm(shape: Sequence[int], stride: int, centre: torch.Tensor, spacing: Sequence[float]) -> torch.Tensor:
    """Return the squared distance from every cell's centre to a point, (B, D, H, W) mm^2.

    Parameters
    ----------
    shape : (3,) int
        Cells along z, y, x.
    stride : int
        Voxels per cell along y and x.
    centre : (B, 3) tensor
        Voxels z, y, x.
    spacing : (3,) float
        Millimetres of a voxel along z, y, x.
    """
    lines = []
    for axis, (cells, step, mm) in enumerate(zip(shape, (1, stride, stride), spacing, strict=True)):
        voxels = torch.arange(cells, device=centre.device, dtype=torch.float32) * step + (step - 1) / 2
        lines.append(((voxels - centre[:, axis, None].float()) * mm) ** 2)
    z, y, x = lines
    return z[:, :, None, None] + y[:, None, :, None] + x[:, None, None, :]


def gaussian_map(
    shape: Sequence[int], stride: int, centre: torch.Tensor, width_mm: torch.Tensor, spacing: Sequence[float]
) -> torch.Tensor:
    """Return equation 2, ``G(mu, n r)``, at the cell centres, (B, D, H, W).

    Parameters
    ----------
    shape, stride, centre, spacing
        As in `squared_mm`; `centre` is mu.
    width_mm : (B,) tensor
        n r, the standard deviation.
    """
    squared = squared_mm(shape, stride, centre, spacing)
    return torch.exp(-squared / (2 * width_mm.float()[:, None, None, None] ** 2))


class AnatomyEncoder(nn.Module):
    """phi of the paper: maps the Gaussian, drawn on the cells of the finest scale, to features at three scales.

    Parameters
    ----------
    config : DLTConfig
        The network's configuration.
    """

    def __init__(self, config: DLTConfig) -> None:
        super().__init__()
        self.levels, self.out = nn.ModuleList(), nn.ModuleList()
        for number in range(3):
            convolution = nn.Conv3d(
                config.anatomy if number else 1, config.anatomy, 3, IN_PLANE if number else 1, 1, bias=False
            )
            self.levels.append(nn.Sequential(convolution, nn.BatchNorm3d(config.anatomy), nn.ReLU()))
            self.out.append(nn.Conv3d(config.anatomy, config.width, 1))
        if config.fusion == "multiply":  # starts as the identity on the image features
            for out in self.out:
                nn.init.normal_(cast(torch.Tensor, out.weight), std=0.02)
                nn.init.ones_(cast(torch.Tensor, out.bias))

    def forward(self, gaussian: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return features of three scales, (B, C, D, H / s, W / s) with s = 1, 2, 4.

        Parameters
        ----------
        gaussian : (B, 1, D, H, W) tensor
            The map on the finest cells.
        """
        features = []
        for level, out in zip(self.levels, self.out, strict=True):
            gaussian = level(gaussian)
            features.append(out(gaussian))
        return tuple(features)
