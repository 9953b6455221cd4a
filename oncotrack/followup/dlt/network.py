"""The DLT network: from a baseline crop with a clicked lesion and a follow-up crop to a score per cell."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.followup.dlt.anatomy import AnatomyEncoder, gaussian_map, squared_mm
from oncotrack.followup.dlt.backbone import DenseFPN, upscale
from oncotrack.followup.dlt.config import DLTConfig
from oncotrack.followup.dlt.correlation import Flatten, crop, cross_correlation
from oncotrack.followup.lesion_pairs import LesionPairs

Features = tuple[torch.Tensor, ...]
Kernels = list[list[torch.Tensor]]
_PRIOR_LOGIT = -4.6
"""Logit of 0.01, because few cells hold the lesion (Lin et al., Focal loss, ICCV 2017, section 3.3)."""
_UNIT = 10.0
"""Gains and bias are stored divided by 10, so that one learning rate suits them and the other weights."""


class DLT(nn.Module):
    """The network (fig. 2).

    Parameters
    ----------
    config : DLTConfig
        Its shape and optional parts.
    """

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
        # mean cosines are about one half at the lesion before training
        bias = _PRIOR_LOGIT - kernels / 2 if config.unit_features else _PRIOR_LOGIT
        self.bias = nn.Parameter(torch.tensor(bias / _UNIT))
        self.gain = nn.Parameter(torch.full((kernels,), 1 / _UNIT)) if config.unit_features else None
        self.prior_gain = nn.Parameter(torch.ones(())) if config.prior_mm else None
        self.refine = Refine(kernels + config.width + 1, config.refine) if config.refine else None

    def encode(self, image: torch.Tensor) -> Features:
        """Compute psi: three feature maps, (B, C, D, H / s, W / s) for the config's strides s, finest first.

        Parameters
        ----------
        image : (B, 1, D, H, W) tensor
            HU.
        """
        return self.image(image)

    def fuse(self, features: Features, centre: torch.Tensor, radius_mm: torch.Tensor) -> Features:
        """Combine features with the anatomy signal of a position (equation 3).

        Parameters
        ----------
        features : tuple of tensors
            Result of `encode`.
        centre : (B, 3) tensor
            Position in voxels z, y, x of the image.
        radius_mm : (B,) tensor
            Lesion radii.
        """
        if self.anatomy is None:
            return features
        config, shape = self.config, features[0].shape[2:]
        gaussian = gaussian_map(shape, config.strides[0], centre, config.gaussian_n * radius_mm, config.spacing)
        signals = self.anatomy(gaussian[:, None])
        if config.fusion == "concatenate":
            return tuple(torch.cat([x, signal], 1) for x, signal in zip(features, signals, strict=True))
        return tuple(x * signal for x, signal in zip(features, signals, strict=True))

    def template(self, features: Features, centre: torch.Tensor, radius_mm: torch.Tensor) -> Kernels:
        """Return K and the flattened K_g of a lesion at each scale (equations 4 and 6).

        Parameters
        ----------
        features : tuple of tensors
            Result of `encode`, of the baseline.
        centre : (B, 3) tensor
            Clicked position in voxels z, y, x.
        radius_mm : (B,) tensor
            Lesion radii.
        """
        kernels = []
        for scale, fused in enumerate(self.fuse(features, centre, radius_mm)):
            cell = to_cells(centre, self.config.strides[scale])
            cut = [crop(fused, cell, self.config.kernel)]
            if self.flatten:
                cut += self.flatten[scale](crop(fused, cell, self.config.global_kernel))
            kernels.append([normalize_kernel(kernel.float()) for kernel in cut] if self.config.unit_features else cut)
        return kernels

    def search(
        self, features: Features, kernels: Kernels, expected: torch.Tensor, radius_mm: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits of equation 7 on the cells of the finest scale.

        Parameters
        ----------
        features : tuple of tensors
            Result of `encode`, of the follow-up.
        kernels : list of lists of tensors
            Result of `template`.
        expected : (B, 3) tensor
            Position from the affine registration, voxels z, y, x.
        radius_mm : (B,) tensor
            Lesion radii.

        Returns
        -------
        (B, D, H, W) tensor
            Logits, float32.
        """
        shape = features[0].shape[2:]
        maps = []
        for fused, group in zip(self.fuse(features, expected, radius_mm), kernels, strict=True):
            correlated = [cross_correlation(self._apply_weight(kernel), fused) for kernel in group]
            maps.append(upscale(torch.stack(correlated, 1), shape))
        correlations = torch.cat(maps, 1)
        if self.gain is not None:
            correlations = correlations * (_UNIT * self.gain)[:, None, None, None]
        logits = correlations.sum(1) + _UNIT * self.bias
        prior = self._log_prior(shape, expected, radius_mm)
        if self.prior_gain is not None:
            logits = logits + self.prior_gain * prior
        if self.refine is not None:
            inputs = torch.cat([correlations, features[0], prior.exp()[:, None]], 1)
            logits = logits + self.refine(inputs).float()
        return logits

    def forward(self, pairs: LesionPairs) -> torch.Tensor:
        """Return the logits of a training batch, (B, D, H, W).

        Parameters
        ----------
        pairs : LesionPairs
            The batch.
        """
        both = self.encode(torch.cat([pairs.template, pairs.search]))
        before, after = zip(*(x.chunk(2) for x in both), strict=True)
        kernels = self.template(before, pairs.template_centre, pairs.radius_mm)
        return self.search(after, kernels, pairs.expected, pairs.radius_mm)

    def _apply_weight(self, kernel: torch.Tensor) -> torch.Tensor:
        """Multiply a kernel by W of equation 7; see the module `correlation`."""
        return kernel * self.weight[:, None, None, None]

    def _log_prior(self, shape: torch.Size, expected: torch.Tensor, radius_mm: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of the anatomy signal on the finest cells, (B, D, H, W)."""
        config = self.config
        width = (config.gaussian_n * radius_mm.float()).clamp_min(max(config.prior_mm, 1e-3))
        return -squared_mm(shape, config.strides[0], expected, config.spacing) / (2 * width[:, None, None, None] ** 2)


class Refine(nn.Module):
    """Two convolutions that correct the score; the correction is zero before training.

    Parameters
    ----------
    in_channels : int
        Input channels.
    width : int
        Channels of the convolutions.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(in_channels, width, 3, padding=1, bias=False)
        self.second = nn.Conv3d(width, width, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm3d(in_channels), nn.BatchNorm3d(width), nn.BatchNorm3d(width)])
        self.out = nn.Conv3d(width, 1, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(cast(torch.Tensor, self.out.bias))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the correction, (B, D, H, W).

        Parameters
        ----------
        x : (B, C, D, H, W) tensor
            Correlations, features and anatomy signal.
        """
        x = F.relu(self.norms[1](self.first(self.norms[0](x))))
        return self.out(F.relu(self.norms[2](self.second(x))))[:, 0]


def to_cells(position: torch.Tensor, stride: int) -> torch.Tensor:
    """Convert voxels to sub-cell positions, (B, 3) z, y, x.

    Parameters
    ----------
    position : (B, 3) tensor
        Voxels z, y, x.
    stride : int
        Voxels per cell along y and x.
    """
    step = position.new_tensor([1, stride, stride])
    return (position - (step - 1) / 2) / step


def normalize_kernel(kernel: torch.Tensor) -> torch.Tensor:
    """Scale a kernel so that its product with unit features is their mean cosine.

    Parameters
    ----------
    kernel : (B, C, d, h, w) tensor
        The kernel.
    """
    cells = kernel[0, 0].numel()
    return kernel / (kernel.flatten(1).norm(dim=1).clamp_min(1e-6) * cells**0.5)[:, None, None, None, None]
