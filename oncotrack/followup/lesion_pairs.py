"""Training batches of the learned trackers: crops round a lesion at two visits."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class LesionPairs:
    """A batch of baseline and follow-up crops; positions in voxels z, y, x (sub-voxel) of the crop they belong to.

    Parameters
    ----------
    template, search : (B, 1, D, H, W) Tensor
        HU, resampled to the network's spacing, on RAS-aligned axes; -1024 outside the scan.
    template_centre : (B, 3) Tensor
        The clicked point, jittered by the centre augmentation.
    expected : (B, 3) Tensor
        The click mapped into the search crop by the affine registration, with that registration's error.
    centre : (B, 3) Tensor
        The true centre in the search crop; for a vanished lesion, where its tissue lies.
    radius_mm : (B,) Tensor
        Radius at the baseline.
    found : (B,) bool Tensor
        False where the lesion vanished: it has no target.
    spacing : (3,) float
        Millimetres per voxel along z, y, x.
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
        """Return the batch on another device.

        Parameters
        ----------
        device : torch.device
            The target device.
        """
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: value.to(device) for name, value in named.items() if isinstance(value, Tensor)})

    def __len__(self) -> int:
        return len(self.template)
