"""One-to-one matching of predictions to boxes, at the least cost (DETR's Hungarian matching)."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment

from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.networks import boxes as plane

ALPHA, GAMMA = 0.25, 2.0  # of the focal loss


def box_unit(size: tuple[int, int], config: LNTrackerConfig) -> tuple[float, float]:
    """What to multiply a box of 0 to 1 by before its L1 loss: 1, or the slice's width and height in ``l1_pixels``."""
    return (size[0] / config.l1_pixels, size[1] / config.l1_pixels) if config.l1_pixels else (1.0, 1.0)


def cost(
    logits: torch.Tensor, boxes: torch.Tensor, targets: torch.Tensor, size: tuple[int, int], config: LNTrackerConfig
) -> torch.Tensor:
    """What it costs to give each target to each prediction; the weights are those of the losses.

    Parameters
    ----------
    logits : (N,)
    boxes : (N, 4), centre and edges, 0 to 1 across the slice
    targets : (n, 4), the same
    size : the slice's width and height in pixels

    Returns
    -------
    (N, n) tensor
    """
    score = logits.float().sigmoid()[:, None]
    positive = -ALPHA * (1 - score) ** GAMMA * score.clamp_min(1e-8).log()
    negative = -(1 - ALPHA) * score**GAMMA * (1 - score).clamp_min(1e-8).log()
    unit = boxes.new_tensor(box_unit(size, config)).repeat(2)
    distance = torch.cdist(boxes * unit, targets * unit, p=1)
    overlap = plane.giou(plane.corners(boxes), plane.corners(targets))
    return config.lambda_cls * (positive - negative) + config.lambda_box * (distance - overlap)


@torch.no_grad()
def match(
    logits: torch.Tensor,
    boxes: torch.Tensor,
    targets: list[torch.Tensor],
    size: tuple[int, int],
    config: LNTrackerConfig,
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The cheapest one-to-one matching of every image.

    Parameters
    ----------
    logits : (B, N)
    boxes : (B, N, 4), centre and edges, 0 to 1 across the slice
    targets : B tensors (n, 4), the same
    size : the slice's width and height in pixels

    Returns
    -------
    B pairs of long tensors of one length, min(N, n): which predictions, and which targets they get
    """
    pairs = []
    for score, box, target in zip(logits, boxes.float(), targets, strict=True):
        matrix = cost(score, box, target, size, config).nan_to_num(1e6).cpu().numpy()
        rows, columns = linear_sum_assignment(matrix)
        pairs.append((torch.as_tensor(rows, device=boxes.device), torch.as_tensor(columns, device=boxes.device)))
    return pairs
