"""Boxes in two and three dimensions as tensors: overlap and non-maximum suppression.

A box is its lowest and its highest corner, ``[x0, y0, x1, y1]`` or ``[x0, y0, z0, x1, y1, z1]``, in any one unit.
"""

from __future__ import annotations

import torch

from oncotrack.errors import InputError


def area(boxes: torch.Tensor) -> torch.Tensor:
    """Return the areas of flat boxes or the volumes of solid ones, (N,).

    Parameters
    ----------
    boxes : (N, 2d) tensor
        Lowest and highest corners, d = 2 or 3.

    Raises
    ------
    InputError
        These are neither flat nor solid boxes.
    """
    low, high = _corners(boxes)
    return (high - low).clamp(min=0).prod(-1)


def iou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the intersection over union of every pair, (N, M), 0 to 1; it is 0 for two empty boxes.

    Parameters
    ----------
    a : (N, 2d) tensor
        Lowest and highest corners.
    b : (M, 2d) tensor
        Lowest and highest corners.

    Raises
    ------
    InputError
        These are neither flat nor solid boxes, or some are flat and some are solid.
    """
    overlap, union, _ = _overlap(a[:, None], b[None])
    return torch.where(union > 0, overlap / union.clamp_min(torch.finfo(union.dtype).tiny), 0.0)


def giou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the generalised intersection over union of every pair, (N, M), -1 to 1.

    ``IoU - |C \\ (A u B)| / |C|`` with C the smallest box around both.

    Parameters
    ----------
    a : (N, 2d) tensor
        Lowest and highest corners.
    b : (M, 2d) tensor
        Lowest and highest corners.

    References
    ----------
    Rezatofighi et al., Generalized Intersection over Union, CVPR 2019, algorithm 1.
    """
    return giou_of_pairs(a[:, None], b[None])


def giou_of_pairs(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the generalised intersection over union of corresponding boxes, (...); see `giou`.

    Parameters
    ----------
    a, b : (..., 2d) tensor
        Lowest and highest corners; they are broadcast against each other.
    """
    overlap, union, hull = _overlap(a, b)
    tiny = torch.finfo(union.dtype).tiny
    ratio = torch.where(union > 0, overlap / union.clamp_min(tiny), 0.0)
    return ratio - torch.where(hull > 0, (hull - union) / hull.clamp_min(tiny), 0.0)


def nms(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> torch.Tensor:
    """Suppress boxes that overlap a better one (greedy non-maximum suppression).

    Parameters
    ----------
    boxes : (N, 2d) tensor
        Lowest and highest corners.
    scores : (N,) tensor
        The higher, the better.
    threshold : float
        A box that overlaps a better one by more than this IoU is dropped.

    Returns
    -------
    (K,) long tensor
        Indices of the kept boxes, best score first; equal scores keep their order.

    Raises
    ------
    InputError
        There are not as many scores as boxes.
    """
    if len(boxes) != len(scores):
        raise InputError(f"There are {len(boxes)} boxes and {len(scores)} scores; give one score per box.")
    order = torch.argsort(scores, descending=True, stable=True)
    better = torch.triu(iou(boxes[order], boxes[order]) > threshold, diagonal=1)
    kept = torch.ones(len(order), dtype=torch.bool, device=boxes.device)
    for n in range(len(order)):
        if kept[n]:
            kept &= ~better[n]
    return order[kept]


def centre_size(boxes: torch.Tensor) -> torch.Tensor:
    """Convert corners to centres and edge lengths, DETR's box coordinates, (N, 2d).

    Parameters
    ----------
    boxes : (N, 2d) tensor
        Lowest and highest corners.
    """
    low, high = _corners(boxes)
    return torch.cat([(low + high) / 2, high - low], -1)


def corners(boxes: torch.Tensor) -> torch.Tensor:
    """Convert centres and edge lengths to lowest and highest corners, (N, 2d); the inverse of `centre_size`.

    Parameters
    ----------
    boxes : (N, 2d) tensor
        Centres and edge lengths.
    """
    centre, size = _corners(boxes)
    return torch.cat([centre - size / 2, centre + size / 2], -1)


def _corners(boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    if boxes.shape[-1] not in (4, 6):
        raise InputError(f"A box has 4 numbers (flat) or 6 (solid); these have {boxes.shape[-1]}.")
    low, high = boxes.chunk(2, dim=-1)
    return low, high


def _overlap(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the areas of intersection, union and hull of boxes that are broadcast against each other."""
    if a.shape[-1] != b.shape[-1]:
        raise InputError(
            f"Boxes of {a.shape[-1]} and of {b.shape[-1]} numbers cannot be compared; give both flat or both solid."
        )
    (a_low, a_high), (b_low, b_high) = _corners(a), _corners(b)
    overlap = (torch.minimum(a_high, b_high) - torch.maximum(a_low, b_low)).clamp(min=0).prod(-1)
    hull = (torch.maximum(a_high, b_high) - torch.minimum(a_low, b_low)).clamp(min=0).prod(-1)
    return overlap, area(a) + area(b) - overlap, hull
