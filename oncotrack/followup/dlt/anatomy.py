"""The anatomy signal: where the lesion is, or should be, as a Gaussian map, and its encoder (sec. 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from oncotrack.followup.dlt.backbone import IN_PLANE
from oncotrack.followup.dlt.config import DLTConfig


def squared_mm(shape: Sequence[int], stride: int, centre: torch.Tensor, spacing: Sequence[float]) -> torch.Tensor:
    """Squared distance of every cell's middle to a place.

    Parameters
    ----------
    shape : (D, H, W) cells
    stride : voxels per cell along y and x
    centre : (B, 3) voxels z, y, x
    spacing : mm of a voxel along z, y, x

    Returns
    -------
    (B, D, H, W) mm^2
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
    """Equation 2, ``G(mu, n r)``, at the middles of the cells; `width_mm`, (B,), is n r. See `squared_mm`."""
    apart = squared_mm(shape, stride, centre, spacing)
    return torch.exp(-apart / (2 * width_mm.float()[:, None, None, None] ** 2))


class AnatomyEncoder(nn.Module):
    """phi of the paper: a Gaussian map, drawn on the cells of the finest scale, to features at three scales."""

    def __init__(self, config: DLTConfig) -> None:
        super().__init__()
        self.levels, self.out = nn.ModuleList(), nn.ModuleList()
        for number in range(3):
            convolution = nn.Conv3d(
                config.anatomy if number else 1, config.anatomy, 3, IN_PLANE if number else 1, 1, bias=False
            )
            self.levels.append(nn.Sequential(convolution, nn.BatchNorm3d(config.anatomy), nn.ReLU()))
            self.out.append(nn.Conv3d(config.anatomy, config.width, 1))
        if config.fusion == "multiply":  # begin with the image's features as they are
            for out in self.out:
                nn.init.normal_(out.weight, std=0.02)
                nn.init.ones_(out.bias)

    def forward(self, gaussian: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, 1, D, H, W) -> three (B, C, D, H / s, W / s), s = 1, 2, 4."""
        features = []
        for level, out in zip(self.levels, self.out, strict=True):
            gaussian = level(gaussian)
            features.append(out(gaussian))
        return tuple(features)
