"""The centre predictor: classification, regression, and both together as global regression (sec. 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from oncotrack.followup.tlt.config import TLTConfig

_RARE = -4.6
"""Logit of 0.01: nearly no cell holds the lesion (Lin et al., Focal loss, ICCV 2017). A lattice says so by itself."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What TLT says of every cell of the search crop.

    Attributes
    ----------
    logits : (B, D, H, W) classification, before the sigmoid
    centres : (B, 3, D, H, W) where each cell sees the lesion's centre, voxels z, y, x of the crop
    """

    logits: torch.Tensor
    centres: torch.Tensor


def global_regression(prediction: Prediction, near: torch.Tensor | None = None) -> torch.Tensor:
    """Equation 4, ``c = sum softmax(Y) * C`` over all cells, or over those that are `near`.

    Parameters
    ----------
    near : (B, D, H, W) bool, optional; at least one cell a sample

    Returns
    -------
    (B, 3) voxels z, y, x of the crop
    """
    logits = prediction.logits if near is None else prediction.logits.masked_fill(~near, -torch.inf)
    weights = logits.flatten(1).softmax(1)
    return (prediction.centres.flatten(2) * weights[:, None]).sum(2)


def cell_places(shape: tuple[int, ...], stride: int, device: torch.device) -> torch.Tensor:
    """(3, D, H, W) voxels z, y, x of the middles of the cells."""
    axes = [torch.arange(n, device=device, dtype=torch.float32) * stride + (stride - 1) / 2 for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


class PredictionMLP(nn.Sequential):
    """Three linear layers."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, out))


class Predictor(nn.Module):
    """Two multilayer perceptrons on every search cell."""

    def __init__(self, config: TLTConfig) -> None:
        super().__init__()
        self.stride, self.is_offset = config.stride, config.regression == "offset"
        self.classification, self.regression = PredictionMLP(config.width, 1), PredictionMLP(config.width, 3)
        nn.init.constant_(self.classification[-1].bias, 0.0 if config.lattice else _RARE)
        nn.init.zeros_(self.regression[-1].bias)
        if self.is_offset:  # begin with every cell's own place
            nn.init.normal_(self.regression[-1].weight, std=1e-3)

    def forward(self, features: torch.Tensor, shape: tuple[int, ...]) -> Prediction:
        """(B, N, C) features of cells (D, H, W) -> their classes and centres."""
        logits = self.classification(features).float().unflatten(1, shape)[..., 0]
        said = self.regression(features).float().transpose(1, 2).unflatten(2, shape)
        if self.is_offset:
            return Prediction(logits, cell_places(shape, self.stride, said.device) + said * self.stride)
        size = said.new_tensor(shape)[:, None, None, None] * self.stride
        return Prediction(logits, said.sigmoid() * size - 0.5)
