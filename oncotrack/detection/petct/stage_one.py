"""The first stage: four 3D U-Nets, {CT, early fusion} x {proximal, distal} (OSLN, sec. 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.background.jobs import Progress, silent
from oncotrack.detection.petct.config import StageOneConfig
from oncotrack.detection.petct.study import WorkingStudy
from oncotrack.detection.petct.windows import segment
from oncotrack.networks.devices import has_bfloat16
from oncotrack.networks.frozen import Forward, frozen
from oncotrack.networks.unet3d import UNet3D

LOSSES = ("dice", "entropy")
_RARE = -4.0
"""Logit that an untrained network starts from: nodes are rare (T.-Y. Lin et al., focal loss, ICCV 2017)."""


class StageOne(nn.Module):
    """The segmentation networks, one for each stream and region.

    Parameters
    ----------
    config : StageOneConfig
        Streams, regions, backbone and widths.
    """

    def __init__(self, config: StageOneConfig) -> None:
        super().__init__()
        self.config = config
        self._frozen: dict[str, Forward] = {}
        squeeze = config.backbone == "se-unet"
        self.nets = nn.ModuleDict({
            _name(stream, region): UNet3D(1 if stream == "ct" else 3, 1, config.channels, squeeze)
            for stream in config.streams
            for region in config.categories
        })  # fmt: skip
        for net in self.nets.values():
            cast(UNet3D, net).start_rare(_RARE)

    def forward(self, patches: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Segment training patches.

        Parameters
        ----------
        patches : mapping of str to (B, 3, D, H, W) Tensor
            For each region the patches of its networks.

        Returns
        -------
        dict of str to (B, 1, D, H, W) Tensor
            Logits, by "stream region".
        """
        return {
            _name(stream, region): self.logits(stream, region, patches[region])
            for region in self.config.categories
            for stream in self.config.streams
        }

    def logits(self, stream: str, region: str, x: torch.Tensor) -> torch.Tensor:
        """Run one network.

        Parameters
        ----------
        stream : str
            "ct" or "fusion".
        region : str
            "proximal", "distal" or "all".
        x : (B, 3, D, H, W) Tensor
            CT, PET, distance; the CT stream reads the first.

        Returns
        -------
        (B, 1, D, H, W) Tensor
            Logits.
        """
        return self.nets[_name(stream, region)](x[:, :1] if stream == "ct" else x)

    @torch.inference_mode()
    def segment(
        self, study: WorkingStudy, progress: Progress = silent, *, streams: tuple[str, ...] | None = None
    ) -> np.ndarray:
        """Compute the fused probability of every voxel of a study.

        Parameters
        ----------
        study : WorkingStudy
            On the grid of this configuration.
        progress : callable
            Receives the completed fraction (0 to 1) and a message.
        streams : tuple of str, optional
            Only these streams; all if missing.

        Returns
        -------
        (D, H, W) float32 ndarray
            0 to 1; 0 outside the sub-volumes.
        """
        return self.segment_settings(study, {"": streams or self.config.streams}, progress)[""]

    @torch.inference_mode()
    def segment_settings(
        self, study: WorkingStudy, settings: Mapping[str, Sequence[str]], progress: Progress = silent
    ) -> dict[str, np.ndarray]:
        """Compute the fused probability for several choices of streams; each network runs once.

        Parameters
        ----------
        study : WorkingStudy
            On the grid of this configuration.
        settings : mapping of str to sequence of str
            Streams by the name of the setting.
        progress : callable
            Receives the completed fraction (0 to 1) and a message.

        Returns
        -------
        dict of str to (D, H, W) float32 ndarray
            0 to 1.
        """
        device = next(self.parameters()).device
        self.to(memory_format=torch.channels_last_3d)  # pyright: ignore[reportCallIssue]  (faster in bfloat16)
        if self._is_frozen_on(device):
            self._freeze()  # once, before the threads start
        return segment(study, self.config, settings, self.probability, device, progress)

    @torch.inference_mode()
    def probability(self, stream: str, region: str, x: torch.Tensor) -> torch.Tensor:
        """Run one network as `segment` does: in bfloat16 where the device computes in it, else frozen on a CPU.

        Parameters
        ----------
        stream, region, x
            As for `logits`.

        Returns
        -------
        (B, 1, D, H, W) Tensor
            0 to 1.
        """
        if not self._is_frozen_on(x.device):
            with torch.autocast(x.device.type, torch.bfloat16, enabled=has_bfloat16(x.device)):
                return self.logits(stream, region, x).float().sigmoid()
        self._freeze()
        return self._frozen[_name(stream, region)](x[:, :1] if stream == "ct" else x).sigmoid()

    def train(self, mode: bool = True) -> StageOne:
        """Set training or evaluation mode; frozen networks are dropped, since their weights may change.

        Parameters
        ----------
        mode : bool
            Whether it is trained.
        """
        self._frozen.clear()
        return super().train(mode)

    def _is_frozen_on(self, device: torch.device) -> bool:
        """Return whether inference runs frozen networks: on a CPU that does not compute in bfloat16."""
        return device.type == "cpu" and not has_bfloat16(device) and not self.training

    def _freeze(self) -> None:
        """Freeze the networks, unless they are."""
        for name, net in self.nets.items():
            if name not in self._frozen:
                inputs = 1 if name.startswith("ct ") else 3
                self._frozen[name] = frozen(net, torch.zeros(1, inputs, *[2 ** len(self.config.channels)] * 3))


def segmentation_loss(logits: torch.Tensor, target: torch.Tensor, valid: torch.Tensor) -> dict[str, torch.Tensor]:
    """Compute Dice loss and cross-entropy over the voxels of a network's own region.

    The paper does not state its loss; this is that of nnU-Net (F. Isensee et al., Nature Methods 2021).

    Parameters
    ----------
    logits, target, valid : (B, 1, D, H, W) Tensor
        Predictions, 0 or 1, and whether the voxel belongs to the network's region.

    Returns
    -------
    dict of str to Tensor
        The terms of `LOSSES`, scalars.
    """
    probability = logits.sigmoid() * valid
    target = target * valid
    shared = (probability * target).sum()
    dice = 1 - (2 * shared + 1) / (probability.sum() + target.sum() + 1)
    entropy = F.binary_cross_entropy_with_logits(logits, target, weight=valid, reduction="sum") / valid.sum().clamp_min(
        1
    )
    return {"dice": dice, "entropy": entropy}


def _name(stream: str, region: str) -> str:
    return f"{stream} {region}"
