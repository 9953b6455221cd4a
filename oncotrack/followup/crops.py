"""Crops of a scan on a network's voxel grid, with the mapping between their voxels and RAS mm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

_AIR_HU = -1024.0


def window_channels(image: torch.Tensor, windows: Sequence[tuple[float, float]]) -> torch.Tensor:
    """Return HU windows as input channels, (B, windows, D, H, W), each from 0 to 1.

    Parameters
    ----------
    image : (B, 1, D, H, W) tensor
        HU.
    windows : sequence of (float, float)
        Lowest and highest HU of each channel.
    """
    return torch.cat([(image.clamp(low, high) - low) / (high - low) for low, high in windows], 1)


@dataclass(frozen=True, eq=False)
class Crop:
    """A RAS-aligned block of a scan round a point; air (-1024 HU) outside the scan."""

    volume: Volume

    @classmethod
    def around(cls, scan: Volume, centre: Sequence[float], size: Sequence[int], spacing: Sequence[float]) -> Crop:
        """Resample the block round a point.

        Parameters
        ----------
        scan : Volume
            The scan to crop, HU.
        centre : (3,) float
            Middle of the crop, RAS mm.
        size : (3,) int
            Voxels along z, y, x.
        spacing : (3,) float
            Millimetres along z, y, x.
        """
        (depth, height, width), (dz, dy, dx) = size, spacing
        x, y, z = np.asarray(centre) - (np.array([width, height, depth]) - 1) / 2 * (dx, dy, dz)
        return cls(scan.resampled(Geometry((width, height, depth), (dx, dy, dz), (x, y, z)), fill=_AIR_HU))

    @property
    def image(self) -> torch.Tensor:
        """HU, (1, D, H, W)."""
        return torch.from_numpy(self.volume.array)[None]

    def to_voxel(self, ras: Sequence[float]) -> torch.Tensor:
        """Return the sub-voxel position z, y, x of a point, (3,) float32.

        Parameters
        ----------
        ras : (3,) float
            RAS mm.
        """
        return torch.tensor(self.volume.geometry.to_ijk(ras)[::-1].copy(), dtype=torch.float32)

    def to_ras(self, voxels: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return RAS mm, (..., 3).

        Parameters
        ----------
        voxels : (..., 3) float
            Voxels z, y, x.
        """
        return self.volume.geometry.to_ras(np.asarray(voxels)[..., ::-1])

    def cell_grid(self, shape: Sequence[int], stride: Sequence[int]) -> Geometry:
        """Return the grid of a network's cells on this crop.

        Parameters
        ----------
        shape : (3,) int
            Cells along z, y, x.
        stride : (3,) int
            Voxels per cell along z, y, x.
        """
        crop, (depth, height, width) = self.volume.geometry, shape
        steps = np.asarray(stride)[::-1]
        dx, dy, dz = steps * crop.spacing
        x, y, z = crop.to_ras((steps - 1) / 2)
        return Geometry((width, height, depth), (dx, dy, dz), (x, y, z), crop.direction)


@dataclass(frozen=True, eq=False)
class EncodedCrop:
    """A crop with its network features and the scan that it was taken from."""

    crop: Crop
    features: Any
    scan: Volume
