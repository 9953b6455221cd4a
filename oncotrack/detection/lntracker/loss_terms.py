"""Terms of LN-Tracker's losses: focal loss, box loss, weights."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.lntracker.hungarian import ALPHA, GAMMA, box_scale
from oncotrack.networks import boxes as box_ops

FAR = 4.0  # units of ``l1_pixels``; limits the loss of a distant match, which must not drag its box across the slice


def focal(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Compute the focal loss of each element (Lin et al., ICCV 2017, equation 5), alpha 0.25 and gamma 2.

    Parameters
    ----------
    logits : tensor
        Any shape.
    labels : tensor
        0 or 1, the same shape.

    Returns
    -------
    tensor
        The same shape.
    """
    labels = labels.to(logits.dtype)
    entropy = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    score = logits.sigmoid()
    missed = torch.where(labels > 0.5, 1 - score, score)
    return torch.where(labels > 0.5, ALPHA, 1 - ALPHA) * missed**GAMMA * entropy


def box_loss(
    predicted: torch.Tensor, truth: torch.Tensor, size: tuple[int, int], config: LNTrackerConfig
) -> torch.Tensor:
    """Compute L1 plus 1 - GIoU of paired boxes.

    Parameters
    ----------
    predicted, truth : (n, 4) tensors
        Centre and edges, 0 to 1 across the slice.
    size : (int, int)
        Width and height of the slice in pixels.
    config : LNTrackerConfig
        Unit of the L1 loss.

    Returns
    -------
    (n,) tensor
        Loss of each pair.
    """
    scale = predicted.new_tensor(box_scale(size, config)).repeat(2)
    distance = ((predicted - truth) * scale).abs().sum(-1)
    if config.l1_pixels:
        distance = distance.clamp(max=FAR)
    return distance + 1 - box_ops.giou_of_pairs(box_ops.corners(predicted), box_ops.corners(truth))


def weighted(
    class_loss: torch.Tensor, boxes_loss: torch.Tensor, count: int, config: LNTrackerConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Divide the sums of class and box losses by a count and weight them.

    Parameters
    ----------
    class_loss, boxes_loss : scalar tensors
        Sums.
    count : int
        Divisor; 0 counts as 1.
    config : LNTrackerConfig
        Weights.

    Returns
    -------
    (scalar tensor, scalar tensor)
        Weighted class and box loss.
    """
    return config.lambda_cls * class_loss / max(count, 1), config.lambda_box * boxes_loss / max(count, 1)
