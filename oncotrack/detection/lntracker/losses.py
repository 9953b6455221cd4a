"""Decoupled losses of detection and tracking, and auxiliary losses (section 3.2 and supplement 6.3)."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.lntracker.dense_supervision import dense_loss
from oncotrack.detection.lntracker.hungarian import match
from oncotrack.detection.lntracker.loss_terms import box_loss, focal, weighted
from oncotrack.detection.lntracker.masks import mask_loss
from oncotrack.detection.lntracker.slice_data import LNTargets, Output
from oncotrack.errors import InputError


def losses(
    output: Output, targets: list[LNTargets], track_ids: torch.Tensor, config: LNTrackerConfig
) -> dict[str, torch.Tensor]:
    """Compute all weighted losses and their sum.

    Parameters
    ----------
    output : Output
        Of a batch of B slices.
    targets : list of LNTargets
        Ground truth of each slice.
    track_ids : (B, T) long tensor
        Number of the node that each track query followed on the previous slice; -1 for padding and false queries. Nodes
        that are not among the slice's targets have ended.
    config : LNTrackerConfig
        Switches and weights.

    Returns
    -------
    dict of str to scalar tensor
        ``<part>_class`` and ``<part>_box`` of detection, track, encoder or dense, and denoising, summed over the decoder
        layers; ``similarity``; ``mask`` if there is a mask branch; and ``loss``, the sum of all.
    """
    followed = followed_targets(track_ids[:, : output.n_tracks], output.present, targets)
    truth = [target.boxes for target in targets]
    rows = [torch.arange(len(boxes), device=boxes.device) for boxes in truth]
    if config.trackformer:  # what a track query follows is no target of the detection queries
        rows = [row_indices[~torch.isin(row_indices, taken)] for row_indices, taken in zip(rows, followed, strict=True)]
    count = sum(len(boxes) for boxes in truth)

    first, size = output.n_tracks, output.size
    to_detect = [boxes[row_indices] for boxes, row_indices in zip(truth, rows, strict=True)]
    parts = _name_parts(
        "detection",
        detection_loss(output.logits[:, :, first:], output.boxes[:, :, first:], to_detect, count, size, config),
    )
    if first:
        parts |= _name_parts("track", track_loss(output, targets, followed, config))
    if output.similarity is not None:
        parts["similarity"] = similarity_loss(output.similarity, affinity(followed), output.present)
    if output.dense is not None:
        parts |= _name_parts("dense", dense_loss(output.dense, truth, size, config))
    else:
        encoder = output.encoder_logits[None], output.encoder_boxes[None]
        parts |= _name_parts("encoder", detection_loss(*encoder, truth, count, size, config))
    if output.masks is not None:
        parts["mask"] = config.lambda_mask * matched_mask_loss(output, targets, rows, followed, config)
    if output.noise is not None:
        parts |= _name_parts("denoising", denoising_loss(output, config))
    return {"loss": torch.stack(list(parts.values())).sum(), **parts}


def _name_parts(part: str, pair: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{part}_class": pair[0], f"{part}_box": pair[1]}


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


def detection_loss(
    logits: torch.Tensor,
    boxes: torch.Tensor,
    targets: list[torch.Tensor],
    count: int,
    size: tuple[int, int],
    config: LNTrackerConfig,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the two parts of equation 2, with one matching for each layer.

    Parameters
    ----------
    logits : (L, B, N) tensor
        Of every layer.
    boxes : (L, B, N, 4) tensor
        Of every layer.
    targets : B tensors (n, 4)
        Centre and edges, 0 to 1 across the slice.
    count : int
        Divisor of both parts.
    size : (int, int)
        Width and height of the slice in pixels.
    config : LNTrackerConfig
        Weights.

    Returns
    -------
    (scalar tensor, scalar tensor)
        Weighted class and box loss.
    """
    class_loss, boxes_loss = logits.new_zeros(()), logits.new_zeros(())
    for score, box in zip(logits, boxes, strict=True):
        pairs = match(score, box, targets, size, config)
        image = torch.cat([torch.full_like(rows, n) for n, (rows, _) in enumerate(pairs)])
        rows = torch.cat([rows for rows, _ in pairs])
        truth = torch.cat([target[columns] for target, (_, columns) in zip(targets, pairs, strict=True)])
        labels = torch.zeros_like(score).index_put((image, rows), score.new_ones(()))
        class_loss = class_loss + focal(score, labels).sum()
        boxes_loss = boxes_loss + box_loss(box[image, rows], truth, size, config).sum()
    return weighted(class_loss, boxes_loss, count, config)


def track_loss(
    output: Output, targets: list[LNTargets], followed: torch.Tensor, config: LNTrackerConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the two parts of equation 1, by identity: queries whose node has ended are negatives.

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
        class_loss = class_loss + (focal(score, continues) * output.present).sum()
        boxes_loss = boxes_loss + box_loss(box[image, track], truth, output.size, config).sum()
    count = sum(len(target.boxes) for target in targets) if config.trackformer else len(truth)
    return weighted(class_loss, boxes_loss, count, config)


def denoising_loss(output: Output, config: LNTrackerConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the denoising losses: near queries restore their box, far queries are negatives.

    Parameters
    ----------
    output : Output
        With denoising queries.
    config : LNTrackerConfig
        Weights.

    Returns
    -------
    (scalar tensor, scalar tensor)
        Weighted class and box loss.

    Raises
    ------
    InputError
        The output has no denoising queries.
    """
    noise, logits, boxes = output.noise, output.noise_logits, output.noise_boxes
    if noise is None or logits is None or boxes is None:
        raise InputError("This output of LN-Tracker has no denoising queries; they exist in training only.")
    class_loss, boxes_loss = output.logits.new_zeros(()), output.logits.new_zeros(())
    for score, box in zip(logits, boxes, strict=True):
        class_loss = class_loss + (focal(score, noise.near) * noise.real).sum()
        boxes_loss = boxes_loss + box_loss(box[noise.near], noise.truth[noise.near], output.size, config).sum()
    return weighted(class_loss, boxes_loss, int(noise.near.sum()), config)


def matched_mask_loss(
    output: Output,
    targets: list[LNTargets],
    rows: list[torch.Tensor],
    followed: torch.Tensor,
    config: LNTrackerConfig,
) -> torch.Tensor:
    """Compute the mean mask loss of matched detection queries and of the tracks that continue.

    Parameters
    ----------
    output : Output
        With masks.
    targets : list of LNTargets
        Ground truth of each slice.
    rows : B long tensors
        Targets that the detection queries are matched with.
    followed : (B, T) long tensor
        From `followed_targets`.
    config : LNTrackerConfig
        Weights of the matching.

    Returns
    -------
    scalar tensor
        The loss.

    Raises
    ------
    InputError
        Targets or output have no masks.
    """
    truth = [target.masks for target in targets if target.masks is not None]
    if len(truth) < len(targets) or output.masks is None:
        raise InputError("The mask branch needs the masks of the nodes to learn from; these targets have boxes only.")
    first = output.n_tracks
    to_detect = [target.boxes[row_indices] for target, row_indices in zip(targets, rows, strict=True)]
    pairs = match(output.logits[-1, :, first:], output.boxes[-1, :, first:], to_detect, output.size, config)
    each = []
    for logits, masks, row_indices, row, (queries, columns) in zip(
        output.masks, truth, rows, followed, pairs, strict=True
    ):
        continuing = (row >= 0).nonzero()[:, 0]
        nodes = torch.cat([row_indices[columns], row[continuing]])
        each.append(mask_loss(logits[torch.cat([queries + first, continuing])], masks[nodes]))
    each = torch.cat(each)
    return each.sum() / max(len(each), 1)
