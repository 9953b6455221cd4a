"""Loss of DLT: focal loss against a Gaussian at the true centre (sec. 4.1), with self-supervised pairs (sec. 4.2)."""

from __future__ import annotations

from typing import cast

import torch

from oncotrack.followup.dlt.anatomy import gaussian_map, squared_mm
from oncotrack.followup.dlt.augmentation import is_self_supervised, make_self_supervised
from oncotrack.followup.dlt.config import DLTConfig
from oncotrack.followup.lesion_pairs import LesionPairs
from oncotrack.followup.losses import gaussian_focal_loss, position_loss


def label(pairs: LesionPairs, shape: tuple[int, ...], config: DLTConfig) -> torch.Tensor:
    """Return ``Y = G(mu_s, r_s)`` on the cells, (B, D, H, W), with 1 in the cell nearest to the centre.

    r_s is the baseline radius, which a click provides. The label of a vanished lesion is 0.

    Parameters
    ----------
    pairs : LesionPairs
        The batch.
    shape : (3,) int
        Cells along z, y, x.
    config : DLTConfig
        The network's configuration.
    """
    radius = pairs.radius_mm.clamp_max(config.label_radius_mm or torch.inf)
    gaussian = gaussian_map(shape, config.strides[0], pairs.centre, radius, config.spacing)
    nearest = squared_mm(shape, config.strides[0], pairs.centre, config.spacing).flatten(1).argmin(1)
    gaussian.flatten(1).scatter_(1, nearest[:, None], 1.0)
    return gaussian * pairs.found[:, None, None, None]


def focal_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return equation 8 (with the sign of a loss), summed over the cells and averaged over the samples.

    Parameters
    ----------
    logits : (B, D, H, W) tensor
        Their sigmoid is the paper's estimate.
    target : (B, D, H, W) tensor
        Y.
    """
    return gaussian_focal_loss(logits, target, alpha=2, beta=4)


def step_loss(network: torch.nn.Module, pairs: LesionPairs, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Return the loss of a batch and its terms by name; a share of the batches is self-supervised (equation 9).

    Parameters
    ----------
    network : DLT
        The network, or a wrapper with it as ``module``.
    pairs : LesionPairs
        The batch.
    generator : torch.Generator
        Source of the random numbers.
    """
    config = cast(DLTConfig, getattr(network, "module", network).config)
    if is_self_supervised(config.ssl_share, generator):
        pairs = make_self_supervised(pairs, config, generator)
    logits = network(pairs)
    target = label(pairs, tuple(logits.shape[1:]), config)
    terms = {"focal": focal_loss(logits, target)}
    if config.lambda_place:
        terms["place"] = position_loss(logits, target, pairs.found)
    return {"loss": terms["focal"] + config.lambda_place * terms.get("place", 0.0), **terms}
