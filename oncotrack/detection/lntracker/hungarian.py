"""One-to-one matching of predictions and targets at the lowest total cost (DETR's Hungarian matching)."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment

from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.networks import boxes as box_ops

ALPHA, GAMMA = 0.25, 2.0  # of the focal loss


def box_scale(size: tuple[int, int], config: LNTrackerConfig) -> tuple[float, float]:
    """Return the factors of x and y that boxes of 0 to 1 are multiplied by before their L1 distance.

    Parameters
    ----------
    size : (int, int)
        Width and height of the slice in pixels.
    config : LNTrackerConfig
        ``l1_pixels`` is the unit of the distance.

    Returns
    -------
    (float, float)
        1 and 1 if the unit is the slice itself.
    """
    return (size[0] / config.l1_pixels, size[1] / config.l1_pixels) if config.l1_pixels else (1.0, 1.0)


def matching_cost(
    logits: torch.Tensor, boxes: torch.Tensor, targets: torch.Tensor, size: tuple[int, int], config: LNTrackerConfig
) -> torch.Tensor:
    """Compute the matching cost of every prediction and target, with the weights of the losses.

    Parameters
    ----------
    logits : (N,) tensor
        Of the predictions.
    boxes : (N, 4) tensor
        Centre and edges, 0 to 1 across the slice.
    targets : (n, 4) tensor
        Centre and edges, 0 to 1 across the slice.
    size : (int, int)
        Width and height of the slice in pixels.
    config : LNTrackerConfig
        Weights of class and box.

    Returns
    -------
    (N, n) tensor
        Sum of the focal classification cost, the L1 distance and the negative GIoU.
    """
    score = logits.float().sigmoid()[:, None]
    positive = -ALPHA * (1 - score) ** GAMMA * score.clamp_min(1e-8).log()
    negative = -(1 - ALPHA) * score**GAMMA * (1 - score).clamp_min(1e-8).log()
    cost_class = positive - negative
    scale = boxes.new_tensor(box_scale(size, config)).repeat(2)
    cost_bbox = torch.cdist(boxes * scale, targets * scale, p=1)
    cost_giou = -box_ops.giou(box_ops.corners(boxes), box_ops.corners(targets))
    return config.lambda_cls * cost_class + config.lambda_box * (cost_bbox + cost_giou)


@torch.no_grad()
def match(
    logits: torch.Tensor,
    boxes: torch.Tensor,
    targets: list[torch.Tensor],
    size: tuple[int, int],
    config: LNTrackerConfig,
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Match predictions and targets of every image one to one at the lowest total cost.

    Parameters
    ----------
    logits : (B, N) tensor
        Of the predictions.
    boxes : (B, N, 4) tensor
        Centre and edges, 0 to 1 across the slice.
    targets : B tensors (n, 4)
        Centre and edges, 0 to 1 across the slice.
    size : (int, int)
        Width and height of the slice in pixels.
    config : LNTrackerConfig
        Weights of the cost.

    Returns
    -------
    list of B (predictions, targets)
        Indices of matched predictions and targets: long tensors of length min(N, n).
    """
    pairs = []
    for image_logits, image_boxes, image_targets in zip(logits, boxes.float(), targets, strict=True):
        matrix = matching_cost(image_logits, image_boxes, image_targets, size, config)
        rows, columns = linear_sum_assignment(matrix.nan_to_num(1e6).cpu().numpy())
        pairs.append((torch.as_tensor(rows, device=boxes.device), torch.as_tensor(columns, device=boxes.device)))
    return pairs
