"""Losses of the track queries: equations 1 and 4 (section 3.2)."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.lntracker.loss_terms import box_loss, focal, weighted
from oncotrack.detection.lntracker.slice_data import LNTargets, Output, in_ignored


def followed_targets(track_ids: torch.Tensor, present: torch.Tensor, targets: list[LNTargets]) -> torch.Tensor:
    """Return the target that each track query has to follow.

    Parameters
    ----------
    track_ids : (B, T) long tensor
        Number of each query's node; -1 without one.
    present : (B, T) bool tensor
        False for padding.
    targets : list of LNTargets
        Ground truth of each slice.

    Returns
    -------
    (B, T) long tensor
        Row of the target; -1 if the node is not on this slice.
    """
    followed = torch.full_like(track_ids, -1)
    for row, ids, target in zip(followed, track_ids, targets, strict=True):
        same = (ids[:, None] == target.ids[None]) & (ids[:, None] >= 0)
        if same.numel():
            row.copy_(torch.where(same.any(1), same.int().argmax(1), -1))
    return torch.where(present, followed, -1)


def affinity(followed: torch.Tensor) -> torch.Tensor:
    """Return equation 4's A: 1 where a query before and a query after belong to the same node, still on the slice.

    Parameters
    ----------
    followed : (B, T) long tensor
        From `followed_targets`.

    Returns
    -------
    (B, T, T) tensor
        0 or 1.
    """
    same = followed[:, :, None] == followed[:, None]
    return (same & (followed >= 0)[:, :, None]).float()


def similarity_loss(logits: torch.Tensor, same: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Compute equation 4: binary cross-entropy averaged over the pairs of track queries of a slice.

    Parameters
    ----------
    logits : (B, T, T) tensor
        Before by after.
    same : (B, T, T) tensor
        From `affinity`.
    present : (B, T) bool tensor
        False for padding.

    Returns
    -------
    scalar tensor
        The loss.
    """
    pairs = present[:, :, None] & present[:, None]
    entropy = F.binary_cross_entropy_with_logits(logits, same, reduction="none")
    return (entropy * pairs).sum() / pairs.sum().clamp(min=1)


def track_loss(
    output: Output, targets: list[LNTargets], followed: torch.Tensor, config: LNTrackerConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the two parts of equation 1, by identity: queries whose node has ended are negatives.

    A query without a node on something that may be an unlabelled node is neither.

    Both are divided by the number of nodes that continue; in TrackFormer's joint loss by the number of nodes on the slices.

    Parameters
    ----------
    output : Output
        Of the network.
    targets : list of LNTargets
        Ground truth of each slice.
    followed : (B, T) long tensor
        From `followed_targets`.
    config : LNTrackerConfig
        Switches and weights.

    Returns
    -------
    (scalar tensor, scalar tensor)
        Weighted class and box loss.
    """
    continues = followed >= 0
    image, track = continues.nonzero(as_tuple=True)
    truth = torch.cat([target.boxes[row[row >= 0]] for target, row in zip(targets, followed, strict=True)])
    class_loss, boxes_loss = output.logits.new_zeros(()), output.logits.new_zeros(())
    for score, box in zip(output.logits[:, :, : output.n_tracks], output.boxes[:, :, : output.n_tracks], strict=True):
        counts = output.present & (continues | ~in_ignored(box, targets))
        class_loss = class_loss + (focal(score, continues) * counts).sum()
        boxes_loss = boxes_loss + box_loss(box[image, track], truth, output.size, config).sum()
    count = sum(len(target.boxes) for target in targets) if config.trackformer else len(truth)
    return weighted(class_loss, boxes_loss, count, config)
