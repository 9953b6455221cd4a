"""Decoupled losses of detection and tracking, and auxiliary losses (section 3.2 and supplement 6.3)."""

from __future__ import annotations

import torch

from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.lntracker.dense_supervision import dense_loss
from oncotrack.detection.lntracker.hungarian import match
from oncotrack.detection.lntracker.loss_terms import box_loss, focal, weighted
from oncotrack.detection.lntracker.masks import mask_loss
from oncotrack.detection.lntracker.slice_data import LNTargets, Output, in_ignored
from oncotrack.detection.lntracker.track_losses import affinity, followed_targets, similarity_loss, track_loss
from oncotrack.errors import InputError


def losses(
    output: Output, targets: list[LNTargets], track_ids: torch.Tensor, config: LNTrackerConfig
) -> dict[str, torch.Tensor]:
    """Compute all weighted losses and their sum.

    What may be an unlabelled node is not background: a query without a node whose box lies on it has no class loss.

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
    boxes = output.boxes[:, :, first:]
    unknown = in_ignored(boxes, targets)
    parts = _name_parts(
        "detection", detection_loss(output.logits[:, :, first:], boxes, to_detect, count, size, config, unknown)
    )
    if first:
        parts |= _name_parts("track", track_loss(output, targets, followed, config))
    if output.similarity is not None:
        parts["similarity"] = similarity_loss(output.similarity, affinity(followed), output.present)
    if output.dense is not None:
        parts |= _name_parts("dense", dense_loss(output.dense, targets, size, config))
    else:
        encoder = output.encoder_logits[None], output.encoder_boxes[None]
        unknown = in_ignored(encoder[1], targets)
        parts |= _name_parts("encoder", detection_loss(*encoder, truth, count, size, config, unknown))
    if output.masks is not None:
        parts["mask"] = config.lambda_mask * matched_mask_loss(output, targets, rows, followed, config)
    if output.noise is not None:
        parts |= _name_parts("denoising", denoising_loss(output, targets, config))
    return {"loss": torch.stack(list(parts.values())).sum(), **parts}


def _name_parts(part: str, pair: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{part}_class": pair[0], f"{part}_box": pair[1]}


def detection_loss(
    logits: torch.Tensor,
    boxes: torch.Tensor,
    targets: list[torch.Tensor],
    count: int,
    size: tuple[int, int],
    config: LNTrackerConfig,
    unknown: torch.Tensor,
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
    unknown : (L, B, N) bool tensor
        Queries that are no negatives when they are not matched.

    Returns
    -------
    (scalar tensor, scalar tensor)
        Weighted class and box loss.
    """
    class_loss, boxes_loss = logits.new_zeros(()), logits.new_zeros(())
    for score, box, left_out in zip(logits, boxes, unknown, strict=True):
        pairs = match(score, box, targets, size, config)
        image = torch.cat([torch.full_like(rows, n) for n, (rows, _) in enumerate(pairs)])
        rows = torch.cat([rows for rows, _ in pairs])
        truth = torch.cat([target[columns] for target, (_, columns) in zip(targets, pairs, strict=True)])
        labels = torch.zeros_like(score).index_put((image, rows), score.new_ones(()))
        class_loss = class_loss + (focal(score, labels) * (~left_out | (labels > 0))).sum()
        boxes_loss = boxes_loss + box_loss(box[image, rows], truth, size, config).sum()
    return weighted(class_loss, boxes_loss, count, config)


def denoising_loss(
    output: Output, targets: list[LNTargets], config: LNTrackerConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the denoising losses: near queries restore their box, far queries are negatives.

    Parameters
    ----------
    output : Output
        With denoising queries.
    targets : list of LNTargets
        Ground truth of each slice.
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
    counts = noise.real & (noise.near | ~in_ignored(noise.boxes, targets))
    class_loss, boxes_loss = output.logits.new_zeros(()), output.logits.new_zeros(())
    for score, box in zip(logits, boxes, strict=True):
        class_loss = class_loss + (focal(score, noise.near) * counts).sum()
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
