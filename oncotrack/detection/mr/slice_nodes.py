"""Nodes on single slices, and their stacking to nodes of the scan (MR, sec. 4.8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from oncotrack.detection.mr.network import Detections
from oncotrack.detection.mr.slices import MRGrid
from oncotrack.detection.tracks import Track, stack_boxes
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

_MASK_FROM = 0.5


@dataclass(frozen=True, eq=False)
class SliceNode:
    """One node on one slice.

    Parameters
    ----------
    box : (4,) float32 ndarray
        x0, y0, x1, y1 in pixels of the working slice; pixel n reaches from n to n + 1.
    score : float
        0 to 1.
    mask : (h, w) bool ndarray, optional
        Pixels of the node, starting at `corner`.
    corner : (int, int)
        Row and column of the mask's first pixel.
    """

    box: np.ndarray
    score: float
    mask: np.ndarray | None = None
    corner: tuple[int, int] = (0, 0)

    def full_mask(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the mask of the whole slice, filled with the box if the node has no mask.

        Parameters
        ----------
        shape : (int, int)
            Rows and columns of the slice.

        Returns
        -------
        (H, W) bool ndarray
            True in the node.
        """
        full = np.zeros(shape, bool)
        if self.mask is None:
            x0, y0, x1, y1 = np.rint(self.box).astype(int)
            full[y0:y1, x0:x1] = True
        else:
            row, column = self.corner
            height, width = self.mask.shape
            full[row : row + height, column : column + width] = self.mask
        return full


def slice_nodes(found: Detections, shape: tuple[int, int]) -> list[SliceNode]:
    """Convert the detections of one slice, sampling masks at the centres of the pixels.

    Parameters
    ----------
    found : Detections
        Of the network.
    shape : (int, int)
        Rows and columns of the slice; boxes are clipped to it.

    Returns
    -------
    list of SliceNode
        Best first; boxes of less than a pixel are dropped.
    """
    most = found.boxes.new_tensor([*shape[::-1], *shape[::-1]])
    boxes = torch.minimum(found.boxes, most).cpu()
    nodes = []
    for n, (box, score) in enumerate(zip(boxes, found.scores.tolist(), strict=True)):
        if (box[2:] - box[:2]).amin() < 1:
            continue
        mask, corner = (None, (0, 0)) if found.masks is None else paste_mask(found.masks[n].cpu(), box, shape)
        nodes.append(SliceNode(box.numpy(), score, mask, corner))
    return nodes


def paste_mask(mask: torch.Tensor, box: torch.Tensor, shape: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """Resample a predicted mask to the pixels of its box.

    Parameters
    ----------
    mask : (m, m) tensor
        Probabilities over the box.
    box : (4,) tensor
        x0, y0, x1, y1 in pixels.
    shape : (int, int)
        Rows and columns of the slice.

    Returns
    -------
    pixels : (h, w) bool ndarray
        True where the probability is at least 0.5.
    corner : (int, int)
        Row and column of the first pixel.
    """
    column, row = int(box[0].floor()), int(box[1].floor())
    right, bottom = (min(int(v), n) for v, n in zip(box[2:].ceil(), shape[::-1], strict=True))
    x, y = torch.arange(column, right) + 0.5, torch.arange(row, bottom) + 0.5
    x, y = 2 * (x - box[0]) / (box[2] - box[0]) - 1, 2 * (y - box[1]) / (box[3] - box[1]) - 1
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)[None]
    return (F.grid_sample(mask[None, None], grid, align_corners=False)[0, 0] >= _MASK_FROM).numpy(), (row, column)


def stack_nodes(found: Sequence[Sequence[SliceNode]], overlap: float) -> list[dict[int, SliceNode]]:
    """Link the nodes of neighbouring slices whose boxes overlap.

    Parameters
    ----------
    found : sequence of sequence of SliceNode
        Nodes of slices 0, 1, ...
    overlap : float
        IoU that two boxes must exceed.

    Returns
    -------
    list of dict of int to SliceNode
        Nodes of the scan: the slice node on each of their slices; highest score first.
    """
    by_box = {(n, node.box.tobytes()): node for n, nodes in enumerate(found) for node in nodes}
    tracks = stack_boxes(
        ((n, [Track({n: node.box}, {n: node.score}) for node in nodes]) for n, nodes in enumerate(found)), overlap
    )
    tracks.sort(key=lambda track: -track.score)
    return [{n: by_box[n, box.tobytes()] for n, box in track.boxes.items()} for track in tracks]


def track_of(node: Mapping[int, SliceNode]) -> Track:
    """Return a stacked node as a track.

    Parameters
    ----------
    node : mapping of int to SliceNode
        By slice index.

    Returns
    -------
    Track
        Its boxes and scores.
    """
    return Track({n: part.box for n, part in node.items()}, {n: part.score for n, part in node.items()})


def mask_of(node: Mapping[int, SliceNode], slices: MRGrid) -> Volume:
    """Return the mask of a stacked node.

    Parameters
    ----------
    node : mapping of int to SliceNode
        By slice index, consecutive slices.
    slices : MRGrid
        The slices that the node lies on.

    Returns
    -------
    Volume
        uint8 voxels on the part of the working grid around the node.
    """
    grid, levels = slices.geometry, sorted(node)
    shape = (grid.size[1], grid.size[0])
    mask = np.stack([node[n].full_mask(shape) for n in levels])
    rows, columns = np.flatnonzero(mask.any(axis=0).any(axis=-1)), np.flatnonzero(mask.any(axis=0).any(axis=0))
    if not len(rows):
        rows = columns = np.zeros(1, int)
    mask = mask[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    start = (columns[0], rows[0], levels[0])
    part = Geometry(mask.shape[::-1], grid.spacing, tuple(grid.to_ras(start)), grid.direction)
    return Volume(mask.astype(np.uint8), part, "node")
