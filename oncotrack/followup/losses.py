"""Losses that DLT and TLT share."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def gaussian_focal_loss(logits: torch.Tensor, target: torch.Tensor, alpha: float, beta: float) -> torch.Tensor:
    """Return the focal loss against a Gaussian label, summed over the cells and averaged over the samples.

    With ``p = sigmoid(logits)``: ``-(1 - p)^alpha log p`` in cells whose target is 1, elsewhere
    ``-(1 - target)^beta p^alpha log(1 - p)`` (Law and Deng, CornerNet, ECCV 2018, equation 1).

    Parameters
    ----------
    logits : (B, D, H, W) tensor
        Estimate before the sigmoid.
    target : (B, D, H, W) tensor
        Label, 0 to 1.
    alpha, beta : float
        Exponents of the estimate and of the label.
    """
    estimate = logits.sigmoid()
    positive = (1 - estimate) ** alpha * -F.logsigmoid(logits)
    negative = (1 - target) ** beta * estimate**alpha * -F.logsigmoid(-logits)
    return torch.where(target == 1, positive, negative).flatten(1).sum(1).mean()


def position_loss(logits: torch.Tensor, target: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy between the softmax over all cells and the normalised label.

    It is not in the papers. The mean is over the lesions that are present.

    Parameters
    ----------
    logits : (B, D, H, W) tensor
        Scores of the cells.
    target : (B, D, H, W) tensor
        Label; its sum over the cells is scaled to 1.
    found : (B,) bool tensor
        False where the lesion vanished.
    """
    distribution = target.flatten(1) / target.flatten(1).sum(1, keepdim=True).clamp_min(1e-12)
    cross_entropy = -(distribution * logits.flatten(1).log_softmax(1)).sum(1)
    return (cross_entropy * found).sum() / found.sum().clamp_min(1)
