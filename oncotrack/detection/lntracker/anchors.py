"""Geometry of queries: positional encodings of boxes, relations between boxes, and refinement of boxes.

Inside the network a box is ``[cx, cy, w, h]`` in pixels of the padded slice. A configuration names one of two
geometries: ``image`` is DINO's; ``anchor`` does not depend on where in the image a box lies, so that a network trained on
crops works in any field of view.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import nn

from oncotrack.networks import boxes as box_ops

SMALLEST = 1.0  # pixel; keeps padded queries, whose box is zero, out of the logarithms


class MLP(nn.Sequential):
    """Linear layers with ReLU between them.

    Parameters
    ----------
    n_in, width, n_out : int
        Channels of the input, the hidden layers and the output.
    depth : int
        Number of linear layers.
    last : float
        Factor of the initial weights of the last layer, whose bias starts at 0.
    """

    def __init__(self, n_in: int, width: int, n_out: int, depth: int, last: float = 1.0) -> None:
        widths = [n_in, *[width] * (depth - 1), n_out]
        linears = [nn.Linear(a, b) for a, b in itertools.pairwise(widths)]
        layers = [layer for linear in linears for layer in (linear, nn.ReLU())]
        super().__init__(*layers[:-1])
        with torch.no_grad():
            linears[-1].weight.mul_(last)
            linears[-1].bias.zero_()


def sine_encoding(positions: torch.Tensor, width: int, temperature: float = 20.0) -> torch.Tensor:
    """Encode positions as sines and cosines of several wavelengths.

    DINO uses this temperature for positions on the map and 10 000 for the boxes of queries; here both use the same.

    Parameters
    ----------
    positions : (..., n) tensor
        0 to 1 across the image.
    width : int
        Numbers per position, even.
    temperature : float
        Ratio of the longest to the shortest wavelength.

    Returns
    -------
    (..., n * width) tensor
        Encodings.
    """
    power = torch.arange(width // 2, device=positions.device) / (width // 2)
    phase = positions[..., None] * (2 * math.pi / temperature**power)
    return torch.cat([phase.sin(), phase.cos()], -1).flatten(-2)


def refine(deltas: torch.Tensor, anchors: torch.Tensor, size: torch.Tensor, geometry: str) -> torch.Tensor:
    """Move boxes by the output of a box head.

    Parameters
    ----------
    deltas : (..., 4) tensor
        Steps of the logits of centre and size ("image"), or of the centre in edge lengths and of the logarithm of the
        edges ("anchor").
    anchors : (..., 4) tensor
        Boxes in pixels.
    size : (2,) tensor
        Width and height of the padded slice in pixels.
    geometry : str
        "image" or "anchor".

    Returns
    -------
    (..., 4) tensor
        Boxes in pixels, always in single precision.
    """
    deltas = deltas.float()
    if geometry == "image":
        scale = size.repeat(2)
        return torch.sigmoid(deltas + torch.logit(anchors / scale, eps=1e-4)) * scale
    edges = anchors[..., 2:].clamp(min=SMALLEST)
    centre = anchors[..., :2] + deltas[..., :2] * edges
    return torch.cat([centre, edges * deltas[..., 2:].clamp(-3, 3).exp()], -1)


class QueryPosition(nn.Module):
    """Positional encoding of a query's box: of the whole box ("image") or of its size only ("anchor").

    Parameters
    ----------
    width : int
        Channels of a query.
    geometry : str
        "image" or "anchor".
    anchor_pixels : float
        Edge that is encoded as 0.
    """

    def __init__(self, width: int, geometry: str, anchor_pixels: float) -> None:
        super().__init__()
        self.geometry, self.width, self.anchor_pixels = geometry, width, anchor_pixels
        self.project = MLP(2 * width if geometry == "image" else 2, width, width, 2)

    def forward(self, boxes: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
        """Encode boxes.

        Parameters
        ----------
        boxes : (B, N, 4) tensor
            In pixels.
        size : (2,) tensor
            Width and height of the padded slice in pixels.

        Returns
        -------
        (B, N, C) tensor
            Encodings.
        """
        if self.geometry == "image":
            return self.project(sine_encoding(boxes / size.repeat(2), self.width // 2))
        return self.project(torch.log(boxes[..., 2:].clamp(min=SMALLEST) / self.anchor_pixels))


class Relation(nn.Module):
    """Bias of self-attention computed from the relative position of two boxes.

    From the distance of the centres in edge lengths, the ratio of the edges and the overlap, so that duplicates of a box
    attend to each other; after Hou et al., Relation DETR, ECCV 2024.

    Parameters
    ----------
    heads : int
        Attention heads.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.project = MLP(5, 32, heads, 2)

    def forward(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """Compute the bias of every pair.

        Parameters
        ----------
        queries : (B, N, 4) tensor
            Boxes in pixels.
        keys : (B, M, 4) tensor
            Boxes in pixels.

        Returns
        -------
        (B, heads, N, M) tensor
            Added to the attention logits.
        """
        edges, other_edges = queries[..., 2:].clamp(min=SMALLEST), keys[..., 2:].clamp(min=SMALLEST)
        distance = (queries[:, :, None, :2] - keys[:, None, :, :2]).abs() / edges[:, :, None]
        ratio = torch.log(other_edges[:, None] / edges[:, :, None])
        overlap = torch.stack(
            [box_ops.iou(box_ops.corners(a), box_ops.corners(b)) for a, b in zip(queries, keys, strict=True)]
        )
        return self.project(torch.cat([distance.log1p(), ratio, overlap[..., None]], -1)).permute(0, 3, 1, 2)
