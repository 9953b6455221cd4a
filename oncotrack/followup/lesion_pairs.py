"""What the learned trackers are trained on: a lesion's surroundings at two visits."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class LesionPairs:
    """A batch of baseline and follow-up crops of one grid (HU; positions in voxels z, y, x, sub-voxel, of its own crop).

    Parameters
    ----------
    template, search : (B, 1, D, H, W) Tensor
        HU, resampled to the network's spacing, on RAS-aligned axes; -1024 outside the scan.
    template_centre : (B, 3) Tensor
        The clicked place, already jittered by the centre augmentation.
    expected : (B, 3) Tensor
        The affine-projected click in the search crop, with the registration's error.
    centre : (B, 3) Tensor
        The true centre in the search crop; where the lesion vanished, the place of its tissue.
    radius_mm : (B,) Tensor
        At the baseline.
    found : (B,) bool Tensor
        False where the lesion vanished: there is no target then.
    spacing : (3,) float
        Millimetres a voxel, z, y, x.
    """

    template: Tensor
    search: Tensor
    template_centre: Tensor
    expected: Tensor
    centre: Tensor
    radius_mm: Tensor
    found: Tensor
    spacing: tuple[float, float, float]

    def to(self, device: torch.device) -> LesionPairs:
        """The batch on a device."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: value.to(device) for name, value in named.items() if isinstance(value, Tensor)})

    def __len__(self) -> int:
        return len(self.template)
