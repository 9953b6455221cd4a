"""The five losses (MR, sec. 3.3; Mask R-CNN, sec. 3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from oncotrack.detection.mr.box_code import encode
from oncotrack.detection.mr.config import MRConfig
from oncotrack.detection.mr.roi_align import roi_align
from oncotrack.detection.mr.sampling import (
    MRTargets,
    SampledRegions,
    draw_samples,
    hardest_negatives,
    label_anchors,
)
from oncotrack.errors import InputError

_POSITIVE_ANCHORS = 1 / 2
TASKS = ("rpn class", "rpn box", "class", "box", "mask")
"""The five tasks of eq. 6, in its order: superscript r is the first stage, m the second."""


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
    for image_logits, image_steps, target in zip(logits, steps, targets, strict=True):
        labels, node = label_anchors(anchors, target.boxes, config)
        positive, negative = draw_samples(labels, config.anchors_sampled, _POSITIVE_ANCHORS, generator)
        hard = int(len(negative) * config.hard_anchors)
        both = torch.cat([positive, negative[hard:], hardest_negatives(image_logits, labels, hard)])
        sampled_logits.append(image_logits[both])
        sampled_labels.append(labels[both])
        predicted = image_steps[positive]
        predicted_steps.append(predicted)
        target_steps.append(
            encode(target.boxes[node[positive]], anchors[positive]) if len(positive) else predicted.detach()
        )
    return (
        F.cross_entropy(torch.cat(sampled_logits), torch.cat(sampled_labels)),
        box_loss(torch.cat(predicted_steps), torch.cat(target_steps)),
    )


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
        roi_align(image_masks[n][None].float(), box[None], logits.shape[-1])[0, 0]
        for roi, image_masks in zip(rois, masks, strict=True)
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
