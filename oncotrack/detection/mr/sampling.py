"""Ground truth of a slice, and the anchors and regions that each stage learns from (Mask R-CNN, sec. 3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from oncotrack.detection.mr.config import MRConfig
from oncotrack.networks.boxes import centre_size, corners, iou

_ROI_POSITIVE = 0.5
_JITTER = 0.2
_POSITIVE_ROIS = 1 / 3


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


def _draw(indices: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """Draw at most `count` of the indices."""
    order = torch.randperm(len(indices), generator=generator, device=generator.device)
    return indices[order[: max(count, 0)].to(indices.device)]
