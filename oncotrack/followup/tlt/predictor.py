"""The centre predictor: classification, regression, and their combination, global regression (sec. 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from oncotrack.followup.tlt.config import TLTConfig

_PRIOR_LOGIT = -4.6
"""Logit of 0.01, because few cells hold the lesion (Lin et al., Focal loss, ICCV 2017, section 3.3); a lattice needs no
such prior."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Output of TLT for every cell of the search crop.

    Attributes
    ----------
    logits : (B, D, H, W) tensor
        Classification before the sigmoid.
    centres : (B, 3, D, H, W) tensor
        Lesion centre regressed by each cell, voxels z, y, x of the crop.
    """

    logits: torch.Tensor
    centres: torch.Tensor


def global_regression(prediction: Prediction, near: torch.Tensor | None = None) -> torch.Tensor:
    """Return the centre by equation 4, ``c = sum softmax(Y) * C``, over all cells or some of them.

    Parameters
    ----------
    prediction : Prediction
        Y and C.
    near : (B, D, H, W) bool tensor, optional
        The cells to use, at least one per sample.

    Returns
    -------
    (B, 3) tensor
        Voxels z, y, x of the crop.
    """
    logits = prediction.logits if near is None else prediction.logits.masked_fill(~near, -torch.inf)
    weights = logits.flatten(1).softmax(1)
    return (prediction.centres.flatten(2) * weights[:, None]).sum(2)


def cell_centres(shape: tuple[int, ...], stride: int, device: torch.device) -> torch.Tensor:
    """Return the centres of all cells, (3, D, H, W) voxels z, y, x.

    Parameters
    ----------
    shape : (3,) int
        Cells along z, y, x.
    stride : int
        Voxels per cell.
    device : torch.device
        Device of the result.
    """
    axes = [torch.arange(n, device=device, dtype=torch.float32) * stride + (stride - 1) / 2 for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


class PredictionMLP(nn.Sequential):
    """Three linear layers.

    Parameters
    ----------
    width : int
        Channels of the input and of the hidden layers.
    out : int
        Channels of the output.
    """

    def __init__(self, width: int, out: int) -> None:
        super().__init__(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, out))

    @property
    def last(self) -> nn.Linear:
        """The output layer."""
        return cast(nn.Linear, self[-1])


class Predictor(nn.Module):
    """Two multilayer perceptrons, classification and regression, on every search cell.

    Parameters
    ----------
    config : TLTConfig
        The network's configuration.
    """

    def __init__(self, config: TLTConfig) -> None:
        super().__init__()
        self.stride, self.is_offset = config.stride, config.regression == "offset"
        self.classification, self.regression = PredictionMLP(config.width, 1), PredictionMLP(config.width, 3)
        nn.init.constant_(self.classification.last.bias, 0.0 if config.lattice else _PRIOR_LOGIT)
        nn.init.zeros_(self.regression.last.bias)
        if self.is_offset:  # start at every cell's own centre
            nn.init.normal_(self.regression.last.weight, std=1e-3)

    def forward(self, features: torch.Tensor, shape: tuple[int, ...]) -> Prediction:
        """Return the classification and the regressed centres.

        Parameters
        ----------
        features : (B, N, C) tensor
            Fused features of the search cells.
        shape : (3,) int
            D, H, W with N = D H W.
        """
        logits = self.classification(features).float().unflatten(1, shape)[..., 0]
        regressed = self.regression(features).float().transpose(1, 2).unflatten(2, shape)
        if self.is_offset:
            return Prediction(logits, cell_centres(shape, self.stride, regressed.device) + regressed * self.stride)
        size = regressed.new_tensor(shape)[:, None, None, None] * self.stride
        return Prediction(logits, regressed.sigmoid() * size - 0.5)
