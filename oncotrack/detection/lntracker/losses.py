"""The decoupled losses of detection and tracking, and what supports them (section 3.2 and supplement 6.3)."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.lntracker.hungarian import ALPHA, GAMMA, box_unit, match
from oncotrack.detection.lntracker.masks import mask_loss
from oncotrack.detection.lntracker.network import LNTargets, Output
from oncotrack.detection.lntracker.proposals import Proposals
from oncotrack.errors import InputError
from oncotrack.networks import boxes as plane

FAR = 4.0  # units of ``l1_pixels``: a match further off is no match, and must not drag its box across the slice


def losses(
    output: Output, targets: list[LNTargets], track_ids: torch.Tensor, config: LNTrackerConfig
) -> dict[str, torch.Tensor]:
    """Every part of the loss, weighted, and their sum.

    Parameters
    ----------
    output : the network's, of a batch of B slices
    targets : the truth of each slice
    track_ids : (B, T) long
        The node that each track query followed on the slice before; -1 for padding and for false queries. A node that
        has ended is one that the slice's targets do not hold.

    Returns
    -------
    dict of scalars
        ``<what>_class`` and ``<what>_box`` of detection, track, encoder or dense, and denoising, summed over the decoder
        layers; ``similarity``; ``mask`` of a mask branch; and ``loss``, the sum of all.
    """
    followed = follow(track_ids[:, : output.n_tracks], output.present, targets)
    truth = [target.boxes for target in targets]
    wanted = [torch.arange(len(boxes), device=boxes.device) for boxes in truth]
    if config.trackformer:  # the track queries come first: what they follow is nobody else's target
        wanted = [rows[~torch.isin(rows, taken)] for rows, taken in zip(wanted, followed, strict=True)]
    count = sum(len(boxes) for boxes in truth)

    first, size = output.n_tracks, output.size
    found = [boxes[rows] for boxes, rows in zip(truth, wanted, strict=True)]
    parts = _named(
        "detection", detection_loss(output.logits[:, :, first:], output.boxes[:, :, first:], found, count, size, config)
    )
    if first:
        parts |= _named("track", track_loss(output, targets, followed, config))
    if output.similarity is not None:
        parts["similarity"] = similarity_loss(output.similarity, affinity(followed), output.present)
    if output.dense is not None:
        parts |= _named("dense", dense_loss(output.dense, truth, size, config))
    else:
        encoder = output.encoder_logits[None], output.encoder_boxes[None]
        parts |= _named("encoder", detection_loss(*encoder, truth, count, size, config))
    if output.masks is not None:
        parts["mask"] = config.lambda_mask * matched_mask_loss(output, targets, wanted, followed, config)
    if output.noise is not None:
        parts |= _named("denoising", denoising_loss(output, config))
    return {"loss": torch.stack(list(parts.values())).sum(), **parts}


def _named(what: str, pair: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{what}_class": pair[0], f"{what}_box": pair[1]}


def focal(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Elementwise focal loss (Lin et al., ICCV 2017, equation 5), alpha 0.25 and gamma 2."""
    labels = labels.to(logits.dtype)
    entropy = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    score = logits.sigmoid()
    missed = torch.where(labels > 0.5, 1 - score, score)
    return torch.where(labels > 0.5, ALPHA, 1 - ALPHA) * missed**GAMMA * entropy


def box_loss(
    predicted: torch.Tensor, truth: torch.Tensor, size: tuple[int, int], config: LNTrackerConfig
) -> torch.Tensor:
    """(n,) L1 plus 1 - GIoU of pairs of boxes (n, 4), centre and edges, 0 to 1 across a slice of ``size`` pixels."""
    unit = predicted.new_tensor(box_unit(size, config)).repeat(2)
    distance = ((predicted - truth) * unit).abs().sum(-1)
    if config.l1_pixels:
        distance = distance.clamp(max=FAR)
    return distance + 1 - plane.giou_of_pairs(plane.corners(predicted), plane.corners(truth))


def follow(track_ids: torch.Tensor, present: torch.Tensor, targets: list[LNTargets]) -> torch.Tensor:
    """(B, T) long: which of the slice's targets each track query is to follow; -1 where its node is not there."""
    followed = torch.full_like(track_ids, -1)
    for row, ids, target in zip(followed, track_ids, targets, strict=True):
        same = (ids[:, None] == target.ids[None]) & (ids[:, None] >= 0)
        if same.numel():
            row.copy_(torch.where(same.any(1), same.int().argmax(1), -1))
    return torch.where(present, followed, -1)


def affinity(followed: torch.Tensor) -> torch.Tensor:
    """Equation 4's A, (B, T, T): 1 where a query before and a query after are of the same node, still there."""
    same = followed[:, :, None] == followed[:, None]
    return (same & (followed >= 0)[:, :, None]).float()


def similarity_loss(logits: torch.Tensor, same: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Equation 4: binary cross-entropy of (B, T, T) logits, averaged over the pairs of track queries of a slice."""
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
    """Equation 2's two parts, with matching in every layer.

    (L, B, N) logits and (L, B, N, 4) boxes against B tensors (n, 4); both parts are divided by ``count``.
    """
    by_class, by_box = logits.new_zeros(()), logits.new_zeros(())
    for score, box in zip(logits, boxes, strict=True):
        pairs = match(score, box, targets, size, config)
        image = torch.cat([torch.full_like(rows, n) for n, (rows, _) in enumerate(pairs)])
        rows = torch.cat([rows for rows, _ in pairs])
        truth = torch.cat([target[columns] for target, (_, columns) in zip(targets, pairs, strict=True)])
        labels = torch.zeros_like(score).index_put((image, rows), score.new_ones(()))
        by_class = by_class + focal(score, labels).sum()
        by_box = by_box + box_loss(box[image, rows], truth, size, config).sum()
    return _weighted(by_class, by_box, count, config)


def track_loss(
    output: Output, targets: list[LNTargets], followed: torch.Tensor, config: LNTrackerConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Equation 1's two parts, by identity: a query whose node is still there is that node, every other is nothing.

    Divided by how many go on; in TrackFormer's joint loss by how many nodes the slices have.
    """
    goes_on = followed >= 0
    image, track = goes_on.nonzero(as_tuple=True)
    truth = torch.cat([target.boxes[row[row >= 0]] for target, row in zip(targets, followed, strict=True)])
    by_class, by_box = output.logits.new_zeros(()), output.logits.new_zeros(())
    for score, box in zip(output.logits[:, :, : output.n_tracks], output.boxes[:, :, : output.n_tracks], strict=True):
        by_class = by_class + (focal(score, goes_on) * output.present).sum()
        by_box = by_box + box_loss(box[image, track], truth, output.size, config).sum()
    count = sum(len(target.boxes) for target in targets) if config.trackformer else len(truth)
    return _weighted(by_class, by_box, count, config)


def denoising_loss(output: Output, config: LNTrackerConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Near queries are to become the box they came from, far ones nothing."""
    noise = output.noise
    by_class, by_box = output.logits.new_zeros(()), output.logits.new_zeros(())
    for score, box in zip(output.noise_logits, output.noise_boxes, strict=True):
        by_class = by_class + (focal(score, noise.near) * noise.real).sum()
        by_box = by_box + box_loss(box[noise.near], noise.truth[noise.near], output.size, config).sum()
    return _weighted(by_class, by_box, int(noise.near.sum()), config)


def matched_mask_loss(
    output: Output,
    targets: list[LNTargets],
    wanted: list[torch.Tensor],
    followed: torch.Tensor,
    config: LNTrackerConfig,
) -> torch.Tensor:
    """Mean mask loss of the detection queries matched with the ``wanted`` targets and of the tracks that go on."""
    if any(target.masks is None for target in targets):
        raise InputError("The mask branch needs the masks of the nodes to learn from; these targets have boxes only.")
    first = output.n_tracks
    found = [target.boxes[rows] for target, rows in zip(targets, wanted, strict=True)]
    pairs = match(output.logits[-1, :, first:], output.boxes[-1, :, first:], found, output.size, config)
    each = []
    for logits, target, rows, row, (queries, columns) in zip(
        output.masks, targets, wanted, followed, pairs, strict=True
    ):
        going = (row >= 0).nonzero()[:, 0]
        nodes = torch.cat([rows[columns], row[going]])
        each.append(mask_loss(logits[torch.cat([queries + first, going])], target.masks[nodes]))
    each = torch.cat(each)
    return each.sum() / max(len(each), 1)


def dense_loss(
    dense: Proposals, targets: list[torch.Tensor], size: tuple[int, int], config: LNTrackerConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Supervision of every proposal: a Gaussian of each node's size on its centre (Zhou et al., CenterNet, 2019).

    The class part is CenterNet's focal loss (equation 1 there, alpha 2 and beta 4), divided by the number of nodes; the
    box part is a mean over the cells in the upper half of a Gaussian, weighted by it.
    """
    frame = dense.logits.new_tensor(size).repeat(2)
    by_class, by_box, weight = (dense.logits.new_zeros(()) for _ in range(3))
    for logits, boxes, truth in zip(dense.logits, dense.boxes, targets, strict=True):
        heat, which = heat_map(dense.centres, truth * frame, dense.stride)
        score = logits.sigmoid()
        hit = (1 - score) ** 2 * F.logsigmoid(logits)
        miss = (1 - heat) ** 4 * score**2 * F.logsigmoid(-logits)
        by_class = by_class - torch.where(heat == 1, hit, miss).sum()
        near = heat > 0.5
        error = box_loss(boxes[near] / frame, truth[which[near]], size, config)
        by_box, weight = by_box + (heat[near] * error).sum(), weight + heat[near].sum()
    nodes = max(sum(len(truth) for truth in targets), 1)
    return config.lambda_cls * by_class / nodes, config.lambda_box * by_box / weight.clamp(min=1)


def heat_map(centres: torch.Tensor, boxes: torch.Tensor, cell: float) -> tuple[torch.Tensor, torch.Tensor]:
    """How close each cell is to the centre of a box, 1 at the nearest cell.

    Parameters
    ----------
    centres : (S, 2) in pixels
    boxes : (n, 4), centre and edges in pixels
    cell : edge of a cell in pixels; a Gaussian's sigma is 0.15 of the box's edge and at least half a cell

    Returns
    -------
    (S,) 0 to 1 and (S,) long, which box that is of
    """
    if not len(boxes):
        return torch.zeros_like(centres[:, 0]), torch.zeros_like(centres[:, 0], dtype=torch.long)
    apart = centres[:, None] - boxes[None, :, :2]
    sigma = (0.15 * boxes[:, 2:]).clamp(min=cell / 2)
    heat = torch.exp(-((apart / sigma) ** 2).sum(-1) / 2)
    heat[apart.square().sum(-1).argmin(0), torch.arange(len(boxes), device=boxes.device)] = 1
    best = heat.max(1)
    return best.values, best.indices


def _weighted(
    by_class: torch.Tensor, by_box: torch.Tensor, count: int, config: LNTrackerConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    return config.lambda_cls * by_class / max(count, 1), config.lambda_box * by_box / max(count, 1)
