"""Targets of each stage and the five losses (MR, sec. 3.3; Mask R-CNN, sec. 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from oncotrack.detection.mr.box_code import encode
from oncotrack.detection.mr.config import MRConfig
from oncotrack.detection.mr.roi_align import roi_align
from oncotrack.errors import InputError
from oncotrack.networks.boxes import centre_size, corners, iou

_ROI_POSITIVE = 0.5
_JITTER = 0.2
_POSITIVE_ANCHORS, _POSITIVE_ROIS = 1 / 2, 1 / 3
TASKS = ("rpn class", "rpn box", "class", "box", "mask")
"""The five tasks of eq. 6, in its order: superscript r is the first stage, m the second."""


@dataclass(frozen=True, eq=False)
class MRTargets:
    """Ground truth of one slice.

    Attributes
    ----------
    boxes : (n, 4) tensor
        x0, y0, x1, y1 in pixels.
    masks : (n, H, W) bool tensor, optional
        Masks of the nodes.
    """

    boxes: torch.Tensor
    masks: torch.Tensor | None = None

    def to(self, device: torch.device) -> MRTargets:
        """Copy to a device.

        Parameters
        ----------
        device : torch.device
            Target device.

        Returns
        -------
        MRTargets
            The same targets.
        """
        return MRTargets(self.boxes.to(device), None if self.masks is None else self.masks.to(device))


def label_anchors(anchors: torch.Tensor, boxes: torch.Tensor, config: MRConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Label anchors by their overlap with the nodes.

    Parameters
    ----------
    anchors : (A, 4) tensor
        x0, y0, x1, y1 in pixels.
    boxes : (n, 4) tensor
        The nodes.
    config : MRConfig
        IoU thresholds.

    Returns
    -------
    labels : (A,) long tensor
        1 for a node, 0 for background, -1 for neither.
    node : (A,) long tensor
        The node with the largest overlap.
    """
    if not len(boxes):
        zeros = torch.zeros(len(anchors), dtype=torch.long, device=anchors.device)
        return zeros, zeros
    overlap = iou(anchors, boxes)
    most, node = overlap.max(1)
    labels = torch.full_like(node, -1)
    labels[most < config.anchor_negative] = 0
    best = overlap.amax(0)
    is_best = ((overlap >= best - 1e-6) & (best > 0)).any(1)
    labels[(most >= config.anchor_positive) | is_best] = 1
    return labels, node


def draw_samples(
    labels: torch.Tensor, count: int, fraction: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw positives and negatives at random.

    Parameters
    ----------
    labels : (A,) tensor
        1 is positive, 0 is negative.
    count : int
        Most samples.
    fraction : float
        Largest fraction of positives.
    generator : torch.Generator
        Source of random numbers.

    Returns
    -------
    positive, negative : long tensors
        Indices.
    """
    positive, negative = ((labels == value).nonzero()[:, 0] for value in (1, 0))
    positive = _draw(positive, int(count * fraction), generator)
    return positive, _draw(negative, count - len(positive), generator)


def rpn_losses(
    logits: torch.Tensor, steps: torch.Tensor, anchors: torch.Tensor, targets: Sequence[MRTargets], config: MRConfig,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """Compute class and box loss of the first stage.

    Parameters
    ----------
    logits : (B, A, 2) tensor
        Background, node.
    steps : (B, A, 4) tensor
        See `box_code.encode`.
    anchors : (A, 4) tensor
        x0, y0, x1, y1 in pixels.
    targets : sequence of MRTargets
        Ground truth of each image.
    config : MRConfig
        Sampling.
    generator : torch.Generator
        Source of random numbers.

    Returns
    -------
    (scalar tensor, scalar tensor)
        Class and box loss.
    """
    sampled_logits, sampled_labels, predicted_steps, target_steps = [], [], [], []
    for own_logits, own_steps, target in zip(logits, steps, targets, strict=True):
        labels, node = label_anchors(anchors, target.boxes, config)
        positive, negative = draw_samples(labels, config.anchors_sampled, _POSITIVE_ANCHORS, generator)
        hard = int(len(negative) * config.hard_anchors)
        both = torch.cat([positive, negative[hard:], hardest_negatives(own_logits, labels, hard)])
        sampled_logits.append(own_logits[both])
        sampled_labels.append(labels[both])
        predicted = own_steps[positive]
        predicted_steps.append(predicted)
        target_steps.append(
            encode(target.boxes[node[positive]], anchors[positive]) if len(positive) else predicted.detach()
        )
    return (
        F.cross_entropy(torch.cat(sampled_logits), torch.cat(sampled_labels)),
        box_loss(torch.cat(predicted_steps), torch.cat(target_steps)),
    )


@torch.no_grad()
def hardest_negatives(logits: torch.Tensor, labels: torch.Tensor, count: int) -> torch.Tensor:
    """Return the negative anchors with the highest node scores.

    Parameters
    ----------
    logits : (A, 2) tensor
        Background, node.
    labels : (A,) tensor
        0 is negative.
    count : int
        How many.

    Returns
    -------
    (count,) long tensor
        Indices.
    """
    node = (logits[:, 1] - logits[:, 0]).masked_fill(labels != 0, -torch.inf)
    return node.topk(count).indices


@dataclass(frozen=True, eq=False)
class SampledRegions:
    """Regions of one image that the second stage learns from.

    Attributes
    ----------
    boxes : (n, 4) tensor
        x0, y0, x1, y1 in pixels.
    labels : (n,) long tensor
        1 for a node, 0 for background.
    node : (n,) long tensor
        The node with the largest overlap.
    """

    boxes: torch.Tensor
    labels: torch.Tensor
    node: torch.Tensor


@torch.no_grad()
def draw_rois(
    proposed: torch.Tensor, target: MRTargets, config: MRConfig, generator: torch.Generator
) -> SampledRegions:
    """Draw regions from proposals and the nodes' own boxes; positive from an IoU of 0.5, at most a third.

    Parameters
    ----------
    proposed : (n, 4) tensor
        x0, y0, x1, y1 in pixels.
    target : MRTargets
        Ground truth of the image.
    config : MRConfig
        How many.
    generator : torch.Generator
        Source of random numbers.

    Returns
    -------
    SampledRegions
        At most ``rois_sampled``.
    """
    boxes = torch.cat([proposed, target.boxes, jitter_boxes(target.boxes, config.shaken_rois, generator)])
    if len(target.boxes):
        most, node = iou(boxes, target.boxes).max(1)
        labels = (most >= _ROI_POSITIVE).long()
    else:
        labels = node = torch.zeros(len(boxes), dtype=torch.long, device=boxes.device)
    kept = torch.cat(draw_samples(labels, config.rois_sampled, _POSITIVE_ROIS, generator))
    return SampledRegions(boxes[kept], labels[kept], node[kept])


def jitter_boxes(boxes: torch.Tensor, copies: int, generator: torch.Generator) -> torch.Tensor:
    """Return copies of boxes, shifted and scaled by up to a fifth of their edges.

    Parameters
    ----------
    boxes : (n, 4) tensor
        x0, y0, x1, y1.
    copies : int
        Of each box.
    generator : torch.Generator
        Source of random numbers.

    Returns
    -------
    (copies * n, 4) tensor
        x0, y0, x1, y1.
    """
    many = centre_size(boxes.repeat(copies, 1))
    draws = torch.rand(many.shape, generator=generator, device=generator.device).to(boxes.device) * 2 - 1
    centre = many[:, :2] + _JITTER * draws[:, :2] * many[:, 2:]
    return corners(torch.cat([centre, many[:, 2:] * (_JITTER * draws[:, 2:]).exp()], 1))


def class_box_losses(
    logits: torch.Tensor, steps: torch.Tensor, rois: Sequence[SampledRegions], targets: Sequence[MRTargets]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute class and box loss of the second stage.

    Parameters
    ----------
    logits : (N, 2) tensor
        Of the regions of all images.
    steps : (N, 4) tensor
        See `box_code.encode`.
    rois : sequence of SampledRegions
        Of each image.
    targets : sequence of MRTargets
        Ground truth of each image.

    Returns
    -------
    (scalar tensor, scalar tensor)
        Class and box loss.
    """
    labels = torch.cat([roi.labels for roi in rois])
    target_steps = [
        encode(target.boxes[roi.node[roi.labels == 1]], roi.boxes[roi.labels == 1])
        for roi, target in zip(rois, targets, strict=True)
        if len(target.boxes)
    ]
    classes = F.cross_entropy(logits, labels) if len(labels) else logits.sum() * 0
    return classes, box_loss(steps[labels == 1], torch.cat(target_steps) if target_steps else steps[:0])


def mask_loss(logits: torch.Tensor, rois: Sequence[SampledRegions], targets: Sequence[MRTargets]) -> torch.Tensor:
    """Compute binary cross-entropy with the masks of the nodes, cropped to the positive regions by RoIAlign.

    Parameters
    ----------
    logits : (P, m, m) tensor
        Of the positive regions of all images.
    rois : sequence of SampledRegions
        Of each image.
    targets : sequence of MRTargets
        Ground truth of each image, with masks.

    Returns
    -------
    scalar tensor
        0 without positive regions.

    Raises
    ------
    InputError
        Targets without masks.
    """
    masks = [target.masks for target in targets if target.masks is not None]
    if len(masks) < len(targets):
        raise InputError("The mask branch needs the masks of the nodes to learn from; these targets have boxes only.")
    cropped = [
        roi_align(own[n][None].float(), box[None], logits.shape[-1])[0, 0]
        for roi, own in zip(rois, masks, strict=True)
        for box, n in zip(roi.boxes[roi.labels == 1], roi.node[roi.labels == 1], strict=True)
    ]
    if not cropped:
        return logits.sum() * 0
    return F.binary_cross_entropy_with_logits(logits, (torch.stack(cropped) >= 0.5).float())


def box_loss(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Compute the mean smooth L1 loss.

    Parameters
    ----------
    predicted, target : (P, 4) tensors
        Steps.

    Returns
    -------
    scalar tensor
        0 without any.
    """
    return F.smooth_l1_loss(predicted, target) if len(predicted) else predicted.sum() * 0


def _draw(indices: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """Draw at most `count` of the indices."""
    order = torch.randperm(len(indices), generator=generator, device=generator.device)
    return indices[order[: max(count, 0)].to(indices.device)]
