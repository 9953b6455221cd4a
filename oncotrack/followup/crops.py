"""Crops of a scan on a network's voxels, and back from their voxels to the patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

_AIR_HU = -1024.0


@dataclass(frozen=True, eq=False)
class Crop:
    """A RAS-aligned part of a scan with a place in its middle; air where nothing was scanned."""

    volume: Volume

    @classmethod
    def around(cls, scan: Volume, centre: Sequence[float], size: Sequence[int], spacing: Sequence[float]) -> Crop:
        """The crop round `centre`, RAS mm, of `size` voxels of `spacing` mm, both along z, y, x."""
        size, spacing = tuple(size)[::-1], tuple(spacing)[::-1]
        origin = np.asarray(centre) - (np.asarray(size) - 1) / 2 * spacing
        return cls(scan.resampled(Geometry(size, spacing, tuple(origin)), fill=_AIR_HU))

    @property
    def image(self) -> torch.Tensor:
        """(1, D, H, W) HU."""
        return torch.from_numpy(self.volume.array)[None]

    def voxel(self, ras: Sequence[float]) -> torch.Tensor:
        """(3,) voxel z, y, x of a RAS place."""
        return torch.tensor(self.volume.geometry.to_ijk(ras)[::-1].copy(), dtype=torch.float32)

    def ras(self, voxels: np.ndarray) -> np.ndarray:
        """(..., 3) RAS mm of voxels z, y, x."""
        return self.volume.geometry.to_ras(np.asarray(voxels)[..., ::-1])

    def cells(self, shape: Sequence[int], stride: Sequence[int]) -> Geometry:
        """The grid of (D, H, W) cells of `stride` voxels along z, y, x."""
        crop, steps = self.volume.geometry, np.asarray(stride)[::-1]
        spacing = steps * crop.spacing
        return Geometry(tuple(shape)[::-1], tuple(spacing), tuple(crop.to_ras((steps - 1) / 2)), crop.direction)


@dataclass(frozen=True, eq=False)
class EncodedCrop:
    """A crop with the network's features of it, and the scan that it is of."""

    crop: Crop
    features: Any
    scan: Volume
