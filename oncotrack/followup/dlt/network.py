"""DLT: a baseline scan with a clicked lesion and a follow-up in, how likely the lesion is at every place out."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.followup.dlt.anatomy import AnatomyEncoder, gaussian_map, squared_mm
from oncotrack.followup.dlt.backbone import DenseFPN, upscaled
from oncotrack.followup.dlt.config import DLTConfig
from oncotrack.followup.dlt.correlation import Flatten, crop, cross_correlation
from oncotrack.followup.lesion_pairs import LesionPairs

Features = tuple[torch.Tensor, ...]
Kernels = list[list[torch.Tensor]]
_RARE = -4.6
"""Logit of 0.01: nearly no cell holds the lesion (Lin et al., Focal loss, ICCV 2017)."""
_UNIT = 10.0
"""Gains and bias are learned in tens, so that they move as fast as a network's other weights do in their range."""


class DLT(nn.Module):
    """The network (fig. 2); see `DLTConfig` for its parts."""

    def __init__(self, config: DLTConfig) -> None:
        super().__init__()
        self.config = config
        self.image = DenseFPN(config)
        self.anatomy = AnatomyEncoder(config) if config.fusion != "none" else None
        width = config.fused_width
        is_learned = config.flattening == "learned"
        self.flatten = nn.ModuleList(
            Flatten(width, config.global_kernel, is_learned) for _ in range(3 * bool(config.global_kernel))
        )
        kernels = 3 * (1 + 3 * bool(config.global_kernel))
        self.weight = nn.Parameter(torch.full((width,), 1.0 if config.unit_features else width**-0.5 / kernels))
        # mean cosines begin near one half at the lesion
        rare = _RARE - kernels / 2 if config.unit_features else _RARE
        self.bias = nn.Parameter(torch.tensor(rare / _UNIT))
        self.gain = nn.Parameter(torch.full((kernels,), 1 / _UNIT)) if config.unit_features else None
        self.prior_gain = nn.Parameter(torch.ones(())) if config.prior_mm else None
        self.refine = Refine(kernels + config.width + 1, config.refine) if config.refine else None

    def encode(self, image: torch.Tensor) -> Features:
        """psi: (B, 1, D, H, W) HU -> three (B, C, D, H / s, W / s) for the config's strides s, finest first."""
        return self.image(image)

    def fused(self, features: Features, place: torch.Tensor, radius_mm: torch.Tensor) -> Features:
        """Equation 3: features and the anatomy signal of a place.

        Parameters
        ----------
        features : of `encode`
        place : (B, 3) voxels z, y, x of the image
        radius_mm : (B,)
        """
        if self.anatomy is None:
            return features
        config, shape = self.config, features[0].shape[2:]
        gaussian = gaussian_map(shape, config.strides[0], place, config.gaussian_n * radius_mm, config.spacing)
        signals = self.anatomy(gaussian[:, None])
        if config.fusion == "concatenate":
            return tuple(torch.cat([x, signal], 1) for x, signal in zip(features, signals, strict=True))
        return tuple(x * signal for x, signal in zip(features, signals, strict=True))

    def template(self, features: Features, centre: torch.Tensor, radius_mm: torch.Tensor) -> Kernels:
        """K and the flattened K_g of the lesion at `centre`, (B, 3) voxels z, y, x, at each scale (equations 4, 6)."""
        kernels = []
        for scale, fused in enumerate(self.fused(features, centre, radius_mm)):
            cell = in_cells(centre, self.config.strides[scale])
            found = [crop(fused, cell, self.config.kernel)]
            if self.flatten:
                found += self.flatten[scale](crop(fused, cell, self.config.global_kernel))
            kernels.append([unit(kernel.float()) for kernel in found] if self.config.unit_features else found)
        return kernels

    def search(
        self, features: Features, kernels: Kernels, expected: torch.Tensor, radius_mm: torch.Tensor
    ) -> torch.Tensor:
        """Logits of equation 7 on the cells of the finest scale.

        Parameters
        ----------
        features : of `encode`, of the follow-up
        kernels : of `template`
        expected : (B, 3) affine-projected place, voxels z, y, x
        radius_mm : (B,)

        Returns
        -------
        (B, D, H, W)
        """
        shape = features[0].shape[2:]
        maps = []
        for fused, group in zip(self.fused(features, expected, radius_mm), kernels, strict=True):
            found = [cross_correlation(self._weighted(kernel), fused) for kernel in group]
            maps.append(upscaled(torch.stack(found, 1), shape))
        correlations = torch.cat(maps, 1)
        if self.gain is not None:
            correlations = correlations * (_UNIT * self.gain)[:, None, None, None]
        logits = correlations.sum(1) + _UNIT * self.bias
        prior = self._log_prior(shape, expected, radius_mm)
        if self.prior_gain is not None:
            logits = logits + self.prior_gain * prior
        if self.refine is not None:
            seen = torch.cat([correlations, features[0], prior.exp()[:, None]], 1)
            logits = logits + self.refine(seen).float()
        return logits

    def forward(self, pairs: LesionPairs) -> torch.Tensor:
        """(B, D, H, W) logits of a training batch."""
        both = self.encode(torch.cat([pairs.template, pairs.search]))
        before, after = zip(*(x.chunk(2) for x in both), strict=True)
        kernels = self.template(before, pairs.template_centre, pairs.radius_mm)
        return self.search(after, kernels, pairs.expected, pairs.radius_mm)

    def _weighted(self, kernel: torch.Tensor) -> torch.Tensor:
        """W of equation 7, brought forward."""
        return kernel * self.weight[:, None, None, None]

    def _log_prior(self, shape: torch.Size, expected: torch.Tensor, radius_mm: torch.Tensor) -> torch.Tensor:
        config = self.config
        width = (config.gaussian_n * radius_mm.float()).clamp_min(max(config.prior_mm, 1e-3))
        return -squared_mm(shape, config.strides[0], expected, config.spacing) / (2 * width[:, None, None, None] ** 2)


class Refine(nn.Module):
    """Two convolutions that correct the score; they begin with no correction."""

    def __init__(self, entering: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(entering, width, 3, padding=1, bias=False)
        self.second = nn.Conv3d(width, width, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm3d(entering), nn.BatchNorm3d(width), nn.BatchNorm3d(width)])
        self.out = nn.Conv3d(width, 1, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, D, H, W) -> (B, D, H, W)."""
        x = F.relu(self.norms[1](self.first(self.norms[0](x))))
        return self.out(F.relu(self.norms[2](self.second(x))))[:, 0]


def in_cells(place: torch.Tensor, stride: int) -> torch.Tensor:
    """(B, 3) voxels z, y, x as places between the middles of cells of `stride` voxels in the plane."""
    step = place.new_tensor([1, stride, stride])
    return (place - (step - 1) / 2) / step


def unit(kernel: torch.Tensor) -> torch.Tensor:
    """A kernel (B, C, d, h, w) whose product with cells of length 1 is their mean cosine."""
    cells = kernel[0, 0].numel()
    return kernel / (kernel.flatten(1).norm(dim=1).clamp_min(1e-6) * cells**0.5)[:, None, None, None, None]
