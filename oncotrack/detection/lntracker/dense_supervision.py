"""Dense supervision of the proposals by a heat map of node centres (Zhou et al., CenterNet, 2019)."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.lntracker.loss_terms import box_loss
from oncotrack.detection.lntracker.proposals import Proposals
from oncotrack.detection.lntracker.slice_data import LNTargets, in_ignored


def dense_loss(
    dense: Proposals, targets: list[LNTargets], size: tuple[int, int], config: LNTrackerConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the supervision of every proposal by a Gaussian on each node's centre (Zhou et al., CenterNet, 2019).

    The class part is CenterNet's focal loss (equation 1 there, alpha 2 and beta 4), divided by the number of nodes; the
    box part is a mean over the cells in the upper half of a Gaussian, weighted by it. Cells on what may be an unlabelled
    node are no negatives.

    Parameters
    ----------
    dense : Proposals
        Of every cell.
    targets : list of LNTargets
        Ground truth of each slice.
    size : (int, int)
        Width and height of the slice in pixels.
    config : LNTrackerConfig
        Weights.

    Returns
    -------
    (scalar tensor, scalar tensor)
        Weighted class and box loss.
    """
    frame = dense.logits.new_tensor(size).repeat(2)
    class_loss, boxes_loss, weight = (dense.logits.new_zeros(()) for _ in range(3))
    unknown = in_ignored((dense.centres / frame[:2]).expand(len(targets), -1, -1), targets)
    for logits, boxes, target, left_out in zip(dense.logits, dense.boxes, targets, unknown, strict=True):
        truth = target.boxes
        heat, nearest = heat_map(dense.centres, truth * frame, dense.stride)
        score = logits.sigmoid()
        positive = (1 - score) ** 2 * F.logsigmoid(logits)
        negative = ~left_out * (1 - heat) ** 4 * score**2 * F.logsigmoid(-logits)
        class_loss = class_loss - torch.where(heat == 1, positive, negative).sum()
        near = heat > 0.5
        error = box_loss(boxes[near] / frame, truth[nearest[near]], size, config)
        boxes_loss, weight = boxes_loss + (heat[near] * error).sum(), weight + heat[near].sum()
    nodes = max(sum(len(target.boxes) for target in targets), 1)
    return config.lambda_cls * class_loss / nodes, config.lambda_box * boxes_loss / weight.clamp(min=1)


def heat_map(centres: torch.Tensor, boxes: torch.Tensor, cell: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute how close each cell is to the centre of a box, 1 at the nearest cell.

    Parameters
    ----------
    centres : (S, 2) tensor
        Of the cells, in pixels.
    boxes : (n, 4) tensor
        Centre and edges in pixels.
    cell : float
        Edge of a cell in pixels; the Gaussian's sigma is 0.15 of the box's edge and at least half a cell.

    Returns
    -------
    heat : (S,) tensor
        0 to 1.
    box : (S,) long tensor
        The box with the highest value at that cell.
    """
    if not len(boxes):
        return torch.zeros_like(centres[:, 0]), torch.zeros_like(centres[:, 0], dtype=torch.long)
    offset = centres[:, None] - boxes[None, :, :2]
    sigma = (0.15 * boxes[:, 2:]).clamp(min=cell / 2)
    heat = torch.exp(-((offset / sigma) ** 2).sum(-1) / 2)
    heat[offset.square().sum(-1).argmin(0), torch.arange(len(boxes), device=boxes.device)] = 1
    best = heat.max(1)
    return best.values, best.indices
