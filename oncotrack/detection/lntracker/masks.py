"""Mask DINO's mask branch: every query segments its node on the map of stride 4."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.detection.lntracker.anchors import MLP

STRIDE = 4


class LNMaskHead(nn.Module):
    """Scalar product of an embedding of the query with every pixel of the map.

    Parameters
    ----------
    width : int
        Channels of queries and map.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = MLP(width, width, width, 3)
        self.pixel = nn.Conv2d(width, width, 1)

    def forward(self, queries: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        """Predict masks.

        Parameters
        ----------
        queries : (B, N, C) tensor
            Features of the decoder's last layer.
        fine : (B, C, h, w) tensor
            Map of stride 4.

        Returns
        -------
        (B, N, h, w) tensor
            Logits.
        """
        return torch.einsum("bnc,bchw->bnhw", self.embed(queries), self.pixel(fine)).float()


def mask_loss(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Compute binary cross-entropy plus Dice loss of each mask.

    Parameters
    ----------
    logits : (n, h, w) tensor
        At stride 4; larger than the slice if that was padded.
    masks : (n, H, W) tensor
        Ground truth, bool or 0 to 1; compared by the fraction of each cell that it fills.

    Returns
    -------
    (n,) tensor
        Loss of each mask.
    """
    height, width = logits.shape[-2] * STRIDE, logits.shape[-1] * STRIDE
    padded = F.pad(masks.to(logits.dtype), (0, width - masks.shape[-1], 0, height - masks.shape[-2]))
    truth = F.avg_pool2d(padded[:, None], STRIDE)[:, 0]
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean((1, 2))
    score = logits.sigmoid()
    dice = 1 - (2 * (score * truth).sum((1, 2)) + 1) / (score.sum((1, 2)) + truth.sum((1, 2)) + 1)
    return entropy + dice
