"""Mask R-CNN with global-local attention and the uncertainty loss (MR, figure 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.detection.mr.attention import GlobalLocalAttention, context_boxes
from oncotrack.detection.mr.box_code import decode
from oncotrack.detection.mr.config import MRConfig
from oncotrack.detection.mr.fpn import MRBackbone, Pyramid
from oncotrack.detection.mr.heads import BoxHead, MRMaskHead
from oncotrack.detection.mr.losses import TASKS, class_box_losses, mask_loss, rpn_losses
from oncotrack.detection.mr.roi_align import pyramid_align
from oncotrack.detection.mr.rpn import MRProposalHead, make_anchors, select_proposals
from oncotrack.detection.mr.sampling import MRTargets, draw_rois
from oncotrack.detection.mr.uncertainty import FixedWeights, UncertaintyLoss
from oncotrack.networks.boxes import nms

COARSEST = 32
"""Rows and columns of the network's input are multiples of this."""


@dataclass(frozen=True, eq=False)
class Detections:
    """Nodes of one slice, best first.

    Attributes
    ----------
    boxes : (n, 4) tensor
        x0, y0, x1, y1 in pixels.
    scores : (n,) tensor
        0 to 1.
    masks : (n, m, m) tensor or None
        Probabilities over each box.
    """

    boxes: torch.Tensor
    scores: torch.Tensor
    masks: torch.Tensor | None


class MaskRCNN(nn.Module):
    """The paper's network, or plain Mask R-CNN with its switches off.

    Calling it with targets returns the losses of training; `detect` returns nodes.

    Parameters
    ----------
    config : MRConfig
        See `MRConfig`.
    """

    def __init__(self, config: MRConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = MRBackbone(config)
        self.pyramid = Pyramid(config)
        self.proposing = MRProposalHead(config)
        self.attention = GlobalLocalAttention(config) if config.attention else None
        self.box_head = BoxHead(config)
        self.mask_head = MRMaskHead(config) if config.mask_branch else None
        tasks = TASKS if config.mask_branch else TASKS[:4]
        weights = config.task_weights[: len(tasks)]
        self.balance = UncertaintyLoss(len(tasks)) if config.uncertainty else FixedWeights(weights)

    def forward(
        self, images: torch.Tensor, targets: Sequence[MRTargets], generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """Compute the losses of a batch.

        Parameters
        ----------
        images : (B, 3, H, W) tensor
            0 to 1; H and W are multiples of 32.
        targets : sequence of MRTargets
            Ground truth of each image.
        generator : torch.Generator
            Draws anchors and regions.

        Returns
        -------
        dict of str to scalar tensor
            ``loss`` (eq. 6) and the losses of `TASKS`.
        """
        config, shape = self.config, _rows_columns(images)
        maps, logits, steps, anchors = self._first_stage(images)
        first = rpn_losses(logits, steps, anchors, targets, config, generator)
        rois = []
        for image_logits, image_steps, target in zip(logits, steps, targets, strict=True):
            proposed = select_proposals(image_logits, image_steps, anchors, shape, config, config.proposals_in_training)
            rois.append(draw_rois(proposed, target, config, generator))
        second = class_box_losses(*self._second_stage(maps, [roi.boxes for roi in rois], shape), rois, targets)
        parts = [*first, *second]
        if self.mask_head is not None:
            positive = [roi.boxes[roi.labels == 1] for roi in rois]
            parts.append(mask_loss(self.mask_head(self._cells(maps, positive, config.mask_size // 2)), rois, targets))
        return {"loss": self.balance(parts), **dict(zip(TASKS, parts, strict=False))}

    @torch.inference_mode()
    def detect(self, images: torch.Tensor) -> list[Detections]:
        """Detect the nodes of slices.

        Parameters
        ----------
        images : (B, 3, H, W) tensor
            0 to 1; H and W are multiples of 32.

        Returns
        -------
        list of B Detections
            Of each slice.
        """
        config, shape = self.config, _rows_columns(images)
        maps, logits, steps, anchors = self._first_stage(images)
        regions = [
            select_proposals(image_logits, image_steps, anchors, shape, config, config.proposals)
            for image_logits, image_steps in zip(logits, steps, strict=True)
        ]
        counts = [len(image_boxes) for image_boxes in regions]
        region_logits, region_steps = (part.split(counts) for part in self._second_stage(maps, regions, shape))
        boxes, scores = [], []
        for image_boxes, image_logits, image_steps in zip(regions, region_logits, region_steps, strict=True):
            score, box = image_logits.softmax(1)[:, 1], decode(image_steps, image_boxes, shape)
            usable = ((score >= config.least_score) & ((box[:, 2:] - box[:, :2]).amin(1) >= 1)).nonzero()[:, 0]
            kept = usable[nms(box[usable], score[usable], config.detection_nms)[: config.detections]]
            boxes.append(box[kept])
            scores.append(score[kept])
        masks: Sequence[torch.Tensor | None] = [None] * len(boxes)
        if self.mask_head is not None:
            cells = self._cells(maps, boxes, config.mask_size // 2)
            masks = self.mask_head(cells).sigmoid().split([len(image_boxes) for image_boxes in boxes])
        return [Detections(*found) for found in zip(boxes, scores, masks, strict=True)]

    def _first_stage(self, images: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the maps of the pyramid, (B, A, 2) logits, (B, A, 4) steps and the (A, 4) anchors."""
        maps = self.pyramid(self.backbone(images * 2 - 1))
        logits, steps = self.proposing(maps)
        anchors = make_anchors([_rows_columns(level) for level in maps], self.config).to(logits.device)
        return maps, logits, steps, anchors

    def _second_stage(
        self, maps: Sequence[torch.Tensor], boxes: Sequence[torch.Tensor], shape: tuple[int, int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (N, 2) logits and (N, 4) steps of the regions of all images."""
        cells = self._cells(maps, boxes, self.config.box_size)
        if self.attention is not None:
            scales = [cells]
            for scale in self.config.global_scales:
                contexts = [context_boxes(image_boxes, scale, shape) for image_boxes in boxes]
                parts = self._cells(maps, contexts, self.config.box_size).split(
                    [len(image_boxes) for image_boxes in contexts]
                )
                scales.append(
                    torch.cat(
                        [
                            part.expand(len(image_boxes), -1, -1, -1)
                            for part, image_boxes in zip(parts, boxes, strict=True)
                        ]
                    )
                )
            cells = self.attention(torch.stack(scales, 1))
        return self.box_head(cells)

    def _cells(self, maps: Sequence[torch.Tensor], boxes: Sequence[torch.Tensor], size: int) -> torch.Tensor:
        return pyramid_align(maps[:4], boxes, size, self.config.canonical_pixels)


def _rows_columns(images: torch.Tensor) -> tuple[int, int]:
    return images.shape[-2], images.shape[-1]


def pad_image(images: torch.Tensor) -> torch.Tensor:
    """Add zeros below and to the right, up to multiples of 32.

    Parameters
    ----------
    images : (..., H, W) tensor
        Any size.

    Returns
    -------
    (..., H', W') tensor
        H' and W' are multiples of 32.
    """
    height, width = _rows_columns(images)
    return F.pad(images, (0, -width % COARSEST, 0, -height % COARSEST))
