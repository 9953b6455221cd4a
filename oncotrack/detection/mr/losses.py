"""What each stage shall answer, and the five losses (MR, sec. 3.3; Mask R-CNN, sec. 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from oncotrack.detection.mr.box_code import encode
from oncotrack.detection.mr.config import MRConfig
from oncotrack.detection.mr.roi_align import roi_align
from oncotrack.networks.boxes import centre_size, corners, iou

_ROI_POSITIVE = 0.5
_SHAKEN = 0.2
_POSITIVE_ANCHORS, _POSITIVE_ROIS = 1 / 2, 1 / 3
TASKS = ("rpn class", "rpn box", "class", "box", "mask")
"""The five tasks of eq. 6, in its order: superscript r is the first stage, m the second."""


@dataclass(frozen=True, eq=False)
class MRTargets:
    """The nodes of one slice: (n, 4) boxes x0, y0, x1, y1 in pixels, and (n, H, W) bool masks where there are any."""

    boxes: torch.Tensor
    masks: torch.Tensor | None = None

    def to(self, device: torch.device) -> MRTargets:
        """The targets on a device."""
        return MRTargets(self.boxes.to(device), None if self.masks is None else self.masks.to(device))


def label_anchors(places: torch.Tensor, boxes: torch.Tensor, config: MRConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """(A,) 1 for a node, 0 for none, -1 for neither; and (A,) the node with which each of (A, 4) anchors overlaps most."""
    if not len(boxes):
        nothing = torch.zeros(len(places), dtype=torch.long, device=places.device)
        return nothing, nothing
    overlap = iou(places, boxes)
    most, node = overlap.max(1)
    labels = torch.full_like(node, -1)
    labels[most < config.anchor_negative] = 0
    best = overlap.amax(0)
    is_best = ((overlap >= best - 1e-6) & (best > 0)).any(1)
    labels[(most >= config.anchor_positive) | is_best] = 1
    return labels, node


def drawn(
    labels: torch.Tensor, count: int, share: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices of positives (at most `share` of `count`) and of negatives (the rest of `count`), drawn from 1s and 0s."""
    positive, negative = ((labels == value).nonzero()[:, 0] for value in (1, 0))
    positive = _some(positive, int(count * share), generator)
    return positive, _some(negative, count - len(positive), generator)


def rpn_losses(
    logits: torch.Tensor, steps: torch.Tensor, places: torch.Tensor, targets: Sequence[MRTargets], config: MRConfig,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """Class and box loss of the first stage.

    Parameters
    ----------
    logits, steps : (B, A, 2) and (B, A, 4) tensors
    places : (A, 4) tensor
        The anchors.
    """
    classes, wanted, given, asked = [], [], [], []
    for own_logits, own_steps, target in zip(logits, steps, targets, strict=True):
        labels, node = label_anchors(places, target.boxes, config)
        positive, negative = drawn(labels, config.anchors_sampled, _POSITIVE_ANCHORS, generator)
        hard = int(len(negative) * config.hard_anchors)
        both = torch.cat([positive, negative[hard:], hardest(own_logits, labels, hard)])
        classes.append(own_logits[both])
        wanted.append(labels[both])
        given.append(own_steps[positive])
        asked.append(encode(target.boxes[node[positive]], places[positive]) if len(positive) else given[-1].detach())
    return F.cross_entropy(torch.cat(classes), torch.cat(wanted)), box_loss(torch.cat(given), torch.cat(asked))


@torch.no_grad()
def hardest(logits: torch.Tensor, labels: torch.Tensor, count: int) -> torch.Tensor:
    """Indices of the `count` anchors labelled 0 whose (A, 2) logits speak most for a node."""
    speaks = (logits[:, 1] - logits[:, 0]).masked_fill(labels != 0, -torch.inf)
    return speaks.topk(count).indices


@dataclass(frozen=True, eq=False)
class Drawn:
    """Regions of one image that the second stage learns from: (n, 4) boxes, (n,) labels 1 or 0, (n,) their nodes."""

    boxes: torch.Tensor
    labels: torch.Tensor
    node: torch.Tensor


@torch.no_grad()
def draw_rois(proposed: torch.Tensor, target: MRTargets, config: MRConfig, generator: torch.Generator) -> Drawn:
    """Regions drawn from proposals and the nodes' own boxes: positive from an IoU of 0.5, at most a third."""
    boxes = torch.cat([proposed, target.boxes, shaken(target.boxes, config.shaken_rois, generator)])
    if len(target.boxes):
        most, node = iou(boxes, target.boxes).max(1)
        labels = (most >= _ROI_POSITIVE).long()
    else:
        labels = node = torch.zeros(len(boxes), dtype=torch.long, device=boxes.device)
    kept = torch.cat(drawn(labels, config.rois_sampled, _POSITIVE_ROIS, generator))
    return Drawn(boxes[kept], labels[kept], node[kept])


def shaken(boxes: torch.Tensor, copies: int, generator: torch.Generator) -> torch.Tensor:
    """(copies * n, 4) copies of (n, 4) boxes, shifted and scaled by up to a fifth of their edges."""
    many = centre_size(boxes.repeat(copies, 1))
    draws = torch.rand(many.shape, generator=generator, device=generator.device).to(boxes.device) * 2 - 1
    middle = many[:, :2] + _SHAKEN * draws[:, :2] * many[:, 2:]
    return corners(torch.cat([middle, many[:, 2:] * (_SHAKEN * draws[:, 2:]).exp()], 1))


def class_box_losses(
    logits: torch.Tensor, steps: torch.Tensor, rois: Sequence[Drawn], targets: Sequence[MRTargets]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Class and box loss of the second stage; (N, 2) and (N, 4) of all images' regions."""
    labels = torch.cat([roi.labels for roi in rois])
    asked = [
        encode(target.boxes[roi.node[roi.labels == 1]], roi.boxes[roi.labels == 1])
        for roi, target in zip(rois, targets, strict=True)
        if len(target.boxes)
    ]
    classes = F.cross_entropy(logits, labels) if len(labels) else logits.sum() * 0
    return classes, box_loss(steps[labels == 1], torch.cat(asked) if asked else steps[:0])


def mask_loss(logits: torch.Tensor, rois: Sequence[Drawn], targets: Sequence[MRTargets]) -> torch.Tensor:
    """Binary cross-entropy of (P, m, m) logits of the positive regions with the masks of their nodes, cut out by RoIAlign."""
    wanted = [
        roi_align(target.masks[n][None].float(), box[None], logits.shape[-1])[0, 0]
        for roi, target in zip(rois, targets, strict=True)
        for box, n in zip(roi.boxes[roi.labels == 1], roi.node[roi.labels == 1], strict=True)
    ]
    if not wanted:
        return logits.sum() * 0
    return F.binary_cross_entropy_with_logits(logits, (torch.stack(wanted) >= 0.5).float())


def box_loss(given: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    """Smooth L1, the mean over (P, 4) steps; 0 without any."""
    return F.smooth_l1_loss(given, asked) if len(given) else given.sum() * 0


def _some(indices: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """At most `count` of the indices, drawn at random."""
    order = torch.randperm(len(indices), generator=generator, device=generator.device)
    return indices[order[: max(count, 0)].to(indices.device)]
