"""First part of LN-Tracker: backbone, encoder and proposals."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.detection.lntracker.backbone import LNBackbone, Stems
from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.lntracker.encoder import Encoder
from oncotrack.detection.lntracker.proposals import LNProposalHead, Proposals
from oncotrack.errors import InputError

STRIDE = 32  # slices are padded to its multiples


@dataclass
class EncodedSlice:
    """A slice after the encoder and the proposal head.

    Attributes
    ----------
    maps : list of (B, C, h, w) tensors
        Input of the decoder, finest first.
    fine : (B, C, h, w) tensor or None
        Map of stride 4; None if the configuration has none.
    proposals : Proposals
        Of every cell.
    padded_size : (2,) tensor
        Width and height of the padded slice in pixels.
    size : (int, int)
        Width and height of the slice itself.
    """

    maps: list[torch.Tensor]
    fine: torch.Tensor | None
    proposals: Proposals
    padded_size: torch.Tensor
    size: tuple[int, int]

    def float(self) -> EncodedSlice:
        """Return the slice in float32, after an encoder that ran in lower precision."""
        maps = [each.float() for each in self.maps]
        fine = maps[0] if self.fine is self.maps[0] else self.fine
        return replace(self, maps=maps, fine=None if fine is None else fine.float(), proposals=self.proposals.float())


class Proposer(nn.Module):
    """First part of the network, up to the proposals; training it alone costs a third of the whole network.

    Parameters
    ----------
    config : LNTrackerConfig
        See `LNTrackerConfig`.
    """

    def __init__(self, config: LNTrackerConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = LNBackbone(config)
        self.encoder = Encoder(config)
        self.proposals = LNProposalHead(config)

    def forward(self, images: torch.Tensor) -> Proposals:
        """Propose boxes in the middle slice.

        Parameters
        ----------
        images : (B, slices, H, W) tensor
            0 to 1 over the HU window.

        Returns
        -------
        Proposals
            Of every cell.
        """
        return self.encode(images).proposals

    def encode(self, images: torch.Tensor, stems: Stems | None = None) -> EncodedSlice:
        """Encode slices and propose boxes.

        Parameters
        ----------
        images : (B, slices, H, W) tensor
            0 to 1 over the HU window.
        stems : callable, optional
            See `Stems`; then B is 1.

        Returns
        -------
        EncodedSlice
            Input of `LNTracker.decode`.

        Raises
        ------
        InputError
            The images do not have the configured number of slices.
        """
        if images.ndim != 4 or images.shape[1] != self.config.slices:
            raise InputError(
                f"LN-Tracker reads {self.config.slices} slices at once as (batch, slices, height, width); "
                f"the input is {tuple(images.shape)}."
            )
        height, width = images.shape[-2:]
        images = F.pad(images, (0, -width % STRIDE, 0, -height % STRIDE))
        padded_size = images.new_tensor([images.shape[-1], images.shape[-2]], dtype=torch.float32)
        maps, fine = self.encoder(self.backbone(images, stems))
        if self.config.fine_level:
            maps = [fine, *maps]
        proposals = self.proposals(maps[:1] if self.config.fine_level else maps, padded_size, (width, height))
        return EncodedSlice(maps, fine, proposals, padded_size, (width, height))
