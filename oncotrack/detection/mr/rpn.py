"""The first stage: anchors on every level of the pyramid, and the regions proposed from them (S. Ren et al., 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from oncotrack.detection.mr.box_code import decode
from oncotrack.detection.mr.config import MRConfig
from oncotrack.networks.boxes import area, nms

_LEAST_AREA = 1.0  # pixels; a proposal that is clipped to less is dropped


def anchors(shapes: Sequence[tuple[int, int]], config: MRConfig) -> torch.Tensor:
    """The anchors of all levels, one after the other; on a level by row, column and ratio.

    Parameters
    ----------
    shapes : sequence of (int, int)
        Rows and columns of each level, strides 4, 8, ...

    Returns
    -------
    (sum of rows * columns * ratios, 4) tensor
        x0, y0, x1, y1 in pixels of the image.
    """
    found = []
    ratios = torch.tensor(config.ratios)
    for level, ((rows, columns), edge) in enumerate(zip(shapes, config.anchor_pixels, strict=True)):
        stride = 4 * 2**level
        height, width = edge * ratios.sqrt(), edge / ratios.sqrt()
        y, x = ((torch.arange(n) + 0.5) * stride for n in (rows, columns))
        middle = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1)[:, :, None]
        half = torch.stack([height, width], -1) / 2
        low, high = (middle - half).flip(-1), (middle + half).flip(-1)
        found.append(torch.cat([low, high], -1).reshape(-1, 4))
    return torch.cat(found)


class MRProposalHead(nn.Module):
    """For every anchor whether it is a node, and the steps to the node's box; the same weights on every level."""

    def __init__(self, config: MRConfig) -> None:
        super().__init__()
        count = len(config.ratios)
        self.conv = nn.Conv2d(config.width, config.width, 3, padding=1)
        self.classes = nn.Conv2d(config.width, 2 * count, 1)
        self.boxes = nn.Conv2d(config.width, 4 * count, 1)
        for module in (self.conv, self.classes, self.boxes):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)

    def forward(self, maps: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Maps (B, C, h, w) -> (B, A, 2) logits (other, node) and (B, A, 4) steps, in the order of `anchors`."""
        logits, steps = [], []
        for level in maps:
            x = torch.relu(self.conv(level))
            for values, head, count in ((logits, self.classes, 2), (steps, self.boxes, 4)):
                values.append(head(x).permute(0, 2, 3, 1).reshape(len(x), -1, count))
        return torch.cat(logits, 1).float(), torch.cat(steps, 1).float()


@torch.no_grad()
def proposals(
    logits: torch.Tensor,
    steps: torch.Tensor,
    places: torch.Tensor,
    shape: tuple[int, int],
    config: MRConfig,
    count: int,
) -> torch.Tensor:
    """The `count` best regions of one image.

    Parameters
    ----------
    logits, steps : (A, 2) and (A, 4) tensors
    places : (A, 4) tensor
        The anchors.
    shape : (int, int)
        Rows and columns of the image, at whose edges regions end.

    Returns
    -------
    (at most count, 4) tensor, best first
    """
    scores = logits.softmax(1)[:, 1]
    best = scores.topk(min(config.candidates, len(scores))).indices
    boxes = decode(steps[best], places[best], shape)
    whole = area(boxes) >= _LEAST_AREA
    boxes, scores = boxes[whole], scores[best][whole]
    return boxes[nms(boxes, scores, config.proposal_nms)[:count]]
