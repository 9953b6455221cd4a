"""Loss of TLT: focal loss on the classification, L1 on the globally regressed centre (sec. 3.3)."""

from __future__ import annotations

from typing import cast

import torch

from oncotrack.followup.lesion_pairs import LesionPairs
from oncotrack.followup.losses import gaussian_focal_loss, position_loss
from oncotrack.followup.tlt.config import TLTConfig
from oncotrack.followup.tlt.predictor import global_regression
from oncotrack.followup.tlt.selection import gaussian_map


def label(pairs: LesionPairs, shape: tuple[int, ...], config: TLTConfig) -> torch.Tensor:
    """Return the Gaussian map of the true centre, scaled to 0 to 1 over the cells, (B, D, H, W).

    The radius is the baseline's, which a click provides. The label of a vanished lesion is 0.

    Parameters
    ----------
    pairs : LesionPairs
        The batch.
    shape : (3,) int
        Cells along z, y, x.
    config : TLTConfig
        The network's configuration.
    """
    radius = pairs.radius_mm.clamp_max(config.label_radius_mm or torch.inf)
    gaussian = gaussian_map(shape, config.stride, pairs.centre, radius, config.spacing)
    low, high = (edge.view(-1, 1, 1, 1) for edge in gaussian.flatten(1).aminmax(dim=1))
    stretched = (gaussian - low) / (high - low).clamp_min(1e-12)
    return stretched * pairs.found[:, None, None, None]


def focal_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return equation 5 with alpha = beta = 2, summed over the cells and averaged over the samples.

    Parameters
    ----------
    logits : (B, D, H, W) tensor
        Their sigmoid is the paper's estimate.
    target : (B, D, H, W) tensor
        Label of `label`.
    """
    return gaussian_focal_loss(logits, target, alpha=2, beta=2)


def l1_loss(centre: torch.Tensor, truth: torch.Tensor, found: torch.Tensor, config: TLTConfig) -> torch.Tensor:
    """Return ``|c - c_s|`` of equation 4, summed over the axes, in units of ``l1_mm``, mean over the lesions present.

    Parameters
    ----------
    centre, truth : (B, 3) tensor
        c and c_s, voxels z, y, x.
    found : (B,) bool tensor
        False where the lesion vanished.
    config : TLTConfig
        The network's configuration.
    """
    distance = ((centre - truth) * truth.new_tensor(config.spacing)).abs().sum(1) / config.l1_mm
    return (distance * found).sum() / found.sum().clamp_min(1)


def step_loss(network: torch.nn.Module, pairs: LesionPairs, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Return the loss of a batch and its terms by name.

    Parameters
    ----------
    network : TLT
        The network, or a wrapper with it as ``module``.
    pairs : LesionPairs
        The batch.
    generator : torch.Generator
        Not used: the loss has no random part.
    """
    config = cast(TLTConfig, getattr(network, "module", network).config)
    prediction = network(pairs)
    target = label(pairs, tuple(prediction.logits.shape[1:]), config)
    focal = focal_loss(prediction.logits, target)
    l1 = l1_loss(global_regression(prediction), pairs.centre, pairs.found, config)
    terms = {"focal": focal, "l1": l1}
    if config.lambda_place:
        terms["place"] = position_loss(prediction.logits, target, pairs.found)
    return {"loss": focal + l1 + config.lambda_place * terms.get("place", 0.0), **terms}
