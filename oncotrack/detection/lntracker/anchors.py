"""The geometry of queries: how boxes become positions, relations and refined boxes.

Inside the network a box is ``[cx, cy, w, h]`` in pixels of the padded slice. Two geometries exist, as the configuration
names them: ``image`` is DINO's, ``anchor`` never looks at where in the image a box lies, so that a network trained on
crops works in any field of view.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import nn

from oncotrack.networks import boxes as plane

SMALLEST = 1.0  # pixel; keeps padded queries, whose box is zero, out of the logarithms


class MLP(nn.Sequential):
    """Linear layers with ReLU between them; the last begins at ``last`` times its usual weights, without bias."""

    def __init__(self, n_in: int, width: int, n_out: int, depth: int, last: float = 1.0) -> None:
        widths = [n_in, *[width] * (depth - 1), n_out]
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(widths):
            layers += [nn.Linear(a, b), nn.ReLU()]
        super().__init__(*layers[:-1])
        with torch.no_grad():
            self[-1].weight.mul_(last)
            self[-1].bias.zero_()


def sines(positions: torch.Tensor, width: int, temperature: float = 20.0) -> torch.Tensor:
    """(..., n) positions, 0 to 1 across the image -> (..., n * width) sines and cosines.

    DINO's temperature for places on the map; it takes 10 000 for boxes of queries, where this takes the same for both.
    """
    power = torch.arange(width // 2, device=positions.device) / (width // 2)
    phase = positions[..., None] * (2 * math.pi / temperature**power)
    return torch.cat([phase.sin(), phase.cos()], -1).flatten(-2)


def refine(deltas: torch.Tensor, anchors: torch.Tensor, size: torch.Tensor, geometry: str) -> torch.Tensor:
    """Move anchors by what a box head says.

    Parameters
    ----------
    deltas : (..., 4)
        Of the logits of centre and size ("image"), or of the centre in edges and the logarithm of the edges ("anchor").
    anchors : (..., 4) in pixels
    size : (2,), width and height of the padded slice in pixels

    Returns
    -------
    (..., 4) in pixels, always in single precision
    """
    deltas = deltas.float()
    if geometry == "image":
        scale = size.repeat(2)
        return torch.sigmoid(deltas + torch.logit(anchors / scale, eps=1e-4)) * scale
    edges = anchors[..., 2:].clamp(min=SMALLEST)
    centre = anchors[..., :2] + deltas[..., :2] * edges
    return torch.cat([centre, edges * deltas[..., 2:].clamp(-3, 3).exp()], -1)


class QueryPosition(nn.Module):
    """What a query's box adds to its content: sines of the whole box, or only how large it is."""

    def __init__(self, width: int, geometry: str, anchor_pixels: float) -> None:
        super().__init__()
        self.geometry, self.width, self.anchor_pixels = geometry, width, anchor_pixels
        self.project = MLP(2 * width if geometry == "image" else 2, width, width, 2)

    def forward(self, boxes: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
        """(B, N, 4) pixels -> (B, N, C)."""
        if self.geometry == "image":
            return self.project(sines(boxes / size.repeat(2), self.width // 2))
        return self.project(torch.log(boxes[..., 2:].clamp(min=SMALLEST) / self.anchor_pixels))


class Relation(nn.Module):
    """A bias of self-attention from how two boxes lie to each other.

    Distance of centres in edges, ratio of edges and overlap, so that copies of one box find each other; the idea of
    Hou et al., Relation DETR, ECCV 2024.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.project = MLP(5, 32, heads, 2)

    def forward(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """(B, N, 4) and (B, M, 4) pixels -> (B, heads, N, M)."""
        edges, others = queries[..., 2:].clamp(min=SMALLEST), keys[..., 2:].clamp(min=SMALLEST)
        apart = (queries[:, :, None, :2] - keys[:, None, :, :2]).abs() / edges[:, :, None]
        ratio = torch.log(others[:, None] / edges[:, :, None])
        overlap = torch.stack(
            [plane.iou(plane.corners(a), plane.corners(b)) for a, b in zip(queries, keys, strict=True)]
        )
        return self.project(torch.cat([apart.log1p(), ratio, overlap[..., None]], -1)).permute(0, 3, 1, 2)
