"""What the network finds on a slice, and how that becomes nodes of the scan (MR, sec. 4.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional as F

from oncotrack.detection.lntracker.tracking import Track, stacked
from oncotrack.detection.mr.network import Detections
from oncotrack.detection.mr.slices import MRGrid
from oncotrack.findings.finding import Observation
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.recist import measure_masks

_MASK_FROM = 0.5
_LEAST_PIXELS = 3  # a smaller mask has no axes


@dataclass(frozen=True, eq=False)
class SliceNode:
    """One node on one slice.

    Parameters
    ----------
    box : (4,) float32 ndarray
        x0, y0, x1, y1 in pixels of the working slice; pixel n reaches from n to n + 1.
    score : float
    mask : (h, w) bool ndarray, optional
        The pixels from `corner` (row, column) on.
    """

    box: np.ndarray
    score: float
    mask: np.ndarray | None = None
    corner: tuple[int, int] = (0, 0)

    def drawn(self, shape: tuple[int, int]) -> np.ndarray:
        """(H, W) bool mask of a slice of `shape`; the box itself where there is no mask."""
        slice_ = np.zeros(shape, bool)
        if self.mask is None:
            x0, y0, x1, y1 = np.rint(self.box).astype(int)
            slice_[y0:y1, x0:x1] = True
        else:
            (row, column), (height, width) = self.corner, self.mask.shape
            slice_[row : row + height, column : column + width] = self.mask
        return slice_


def slice_nodes(found: Detections, shape: tuple[int, int]) -> list[SliceNode]:
    """The detections of one slice of `shape` (rows, columns), best first; masks at the pixels' middles."""
    most = found.boxes.new_tensor([*shape[::-1], *shape[::-1]])
    boxes = torch.minimum(found.boxes, most).cpu()
    nodes = []
    for n, (box, score) in enumerate(zip(boxes, found.scores.tolist(), strict=True)):
        if (box[2:] - box[:2]).amin() < 1:
            continue
        mask, corner = (None, (0, 0)) if found.masks is None else pasted(found.masks[n].cpu(), box, shape)
        nodes.append(SliceNode(box.numpy(), score, mask, corner))
    return nodes


def pasted(mask: torch.Tensor, box: torch.Tensor, shape: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """(m, m) probabilities over a (4,) box -> bool pixels from row, column on, and those two."""
    column, row = (int(v) for v in box[:2].floor())
    right, bottom = (min(int(v), n) for v, n in zip(box[2:].ceil(), shape[::-1], strict=True))
    x, y = torch.arange(column, right) + 0.5, torch.arange(row, bottom) + 0.5
    x, y = 2 * (x - box[0]) / (box[2] - box[0]) - 1, 2 * (y - box[1]) / (box[3] - box[1]) - 1
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)[None]
    return (F.grid_sample(mask[None, None], grid, align_corners=False)[0, 0] >= _MASK_FROM).numpy(), (row, column)


def stacked_nodes(found: Sequence[Sequence[SliceNode]], overlap: float) -> list[dict[int, SliceNode]]:
    """Nodes of the scan from nodes of its slices 0, 1, ...: boxes of neighbouring slices whose IoU exceeds `overlap`.

    Best score first; a node of the scan is what lies on each of its slices.
    """
    known = {(n, node.box.tobytes()): node for n, nodes in enumerate(found) for node in nodes}
    tracks = stacked(
        ((n, [Track({n: node.box}, {n: node.score}) for node in nodes]) for n, nodes in enumerate(found)), overlap
    )
    tracks.sort(key=lambda track: -track.score)
    return [{n: known[n, box.tobytes()] for n, box in track.boxes.items()} for track in tracks]


def track_of(node: dict[int, SliceNode]) -> Track:
    """A stacked node as a track: its boxes and scores by slice."""
    return Track({n: seen.box for n, seen in node.items()}, {n: seen.score for n, seen in node.items()})


def mask_of(node: dict[int, SliceNode], slices: MRGrid) -> Volume:
    """The masks of a stacked node as uint8 voxels, on the part of the working grid round it."""
    grid, levels = slices.geometry, sorted(node)
    drawn = np.stack([node[n].drawn(grid.shape[1:]) for n in levels])
    rows, columns = (np.flatnonzero(drawn.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    if not len(rows):
        rows = columns = np.zeros(1, int)
    drawn = drawn[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    start = (columns[0], rows[0], levels[0])
    part = Geometry(drawn.shape[::-1], grid.spacing, tuple(grid.to_ras(start)), grid.direction)
    return Volume(drawn.astype(np.uint8), part, "node")


def with_mask(seen: Observation, mask: Volume) -> Observation:
    """An observation with a mask, its volume and the axes measured on it."""
    count = int(mask.array.sum())
    if not count:
        return seen
    seen = replace(seen, mask=PackedMask.of(mask), volume_mm3=count * float(np.prod(mask.spacing)))
    if mask.array.sum(axis=(1, 2)).max() < _LEAST_PIXELS:
        return seen
    measured = measure_masks(mask)[1]
    return replace(seen, long_axis=measured.long_axis, short_axis=measured.short_axis,
                   radius_mm=measured.long_axis.length_mm / 2)  # fmt: skip
