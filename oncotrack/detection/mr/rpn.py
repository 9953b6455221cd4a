"""First stage: anchors on every level of the pyramid, and the regions proposed from them (S. Ren et al., 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from oncotrack.detection.mr.box_code import decode
from oncotrack.detection.mr.config import MRConfig
from oncotrack.networks.boxes import area, nms

_LEAST_AREA = 1.0  # pixels; a proposal that is clipped to less is dropped


def make_anchors(shapes: Sequence[tuple[int, int]], config: MRConfig) -> torch.Tensor:
    """Return the anchors of all levels, level by level; within a level by row, column and ratio.

    Parameters
    ----------
    shapes : sequence of (int, int)
        Rows and columns of each level, strides 4, 8, ...
    config : MRConfig
        Sizes and ratios.

    Returns
    -------
    (sum of rows * columns * ratios, 4) tensor
        x0, y0, x1, y1 in pixels of the image.
    """
    levels = []
    ratios = torch.tensor(config.ratios)
    for level, ((rows, columns), edge) in enumerate(zip(shapes, config.anchor_pixels, strict=True)):
        stride = 4 * 2**level
        height, width = edge * ratios.sqrt(), edge / ratios.sqrt()
        y, x = ((torch.arange(n) + 0.5) * stride for n in (rows, columns))
        centre = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1)[:, :, None]
        half = torch.stack([height, width], -1) / 2
        low, high = (centre - half).flip(-1), (centre + half).flip(-1)
        levels.append(torch.cat([low, high], -1).reshape(-1, 4))
    return torch.cat(levels)


class MRProposalHead(nn.Module):
    """Class and box of every anchor; all levels share the weights.

    Parameters
    ----------
    config : MRConfig
        Width and ratios.
    """

    def __init__(self, config: MRConfig) -> None:
        super().__init__()
        count = len(config.ratios)
        self.conv = nn.Conv2d(config.width, config.width, 3, padding=1)
        self.classes = nn.Conv2d(config.width, 2 * count, 1)
        self.boxes = nn.Conv2d(config.width, 4 * count, 1)
        for module in (self.conv, self.classes, self.boxes):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, maps: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Classify the anchors and refine their boxes.

        Parameters
        ----------
        maps : sequence of (B, C, h, w) tensors
            Levels of the pyramid.

        Returns
        -------
        logits : (B, A, 2) tensor
            Background, node; in the order of `make_anchors`.
        steps : (B, A, 4) tensor
            See `box_code.encode`.
        """
        logits, steps = [], []
        for level in maps:
            x = torch.relu(self.conv(level))
            for values, head, count in ((logits, self.classes, 2), (steps, self.boxes, 4)):
                values.append(head(x).permute(0, 2, 3, 1).reshape(len(x), -1, count))
        return torch.cat(logits, 1).float(), torch.cat(steps, 1).float()


@torch.no_grad()
def select_proposals(
    logits: torch.Tensor,
    steps: torch.Tensor,
    anchors: torch.Tensor,
    shape: tuple[int, int],
    config: MRConfig,
    count: int,
) -> torch.Tensor:
    """Return the best regions of one image after non-maximum suppression.

    Parameters
    ----------
    logits : (A, 2) tensor
        Background, node.
    steps : (A, 4) tensor
        See `box_code.encode`.
    anchors : (A, 4) tensor
        x0, y0, x1, y1 in pixels.
    shape : (int, int)
        Rows and columns of the image that regions are clipped to.
    config : MRConfig
        Number of candidates and IoU of suppression.
    count : int
        Most regions to return.

    Returns
    -------
    (at most count, 4) tensor
        Best first.
    """
    scores = logits.softmax(1)[:, 1]
    best = scores.topk(min(config.candidates, len(scores))).indices
    boxes = decode(steps[best], anchors[best], shape)
    usable = area(boxes) >= _LEAST_AREA
    boxes, scores = boxes[usable], scores[best][usable]
    return boxes[nms(boxes, scores, config.proposal_nms)[:count]]
