"""ROI-GAP: the mean of features inside a box, in any number of dimensions."""

from __future__ import annotations

import torch


def roi_gap(features: torch.Tensor, boxes: torch.Tensor, stride: torch.Tensor) -> torch.Tensor:
    """Compute global average pooling over a region of interest.

    Cells that a box covers in part count in part, so a box may be smaller than a cell.

    Parameters
    ----------
    features : (N, C, ...) Tensor
        Features of N crops, d dimensions.
    boxes : (N, 2 d) Tensor
        Lowest, then highest edge of one box for each crop, in voxels of the network's input.
    stride : (d,) Tensor
        Voxels of the input for each cell of the features.

    Returns
    -------
    (N, C) Tensor
        Mean features.
    """
    dimensions = features.ndim - 2
    low, high = boxes[:, :dimensions] / stride, boxes[:, dimensions:] / stride
    pooled = features
    for axis in range(dimensions):
        cells = torch.arange(features.shape[2 + axis], device=features.device, dtype=boxes.dtype)
        top = torch.minimum(high[:, axis, None], cells + 1)
        covered = (top - torch.maximum(low[:, axis, None], cells)).clamp_min(0)
        weights = covered / covered.sum(1, keepdim=True).clamp_min(1e-6)
        # the axes are summed in turn, so that the next one is always axis 2
        pooled = torch.einsum("ncz...,nz->nc...", pooled, weights.to(pooled.dtype))
    return pooled
