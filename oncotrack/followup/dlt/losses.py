"""What DLT learns by: focal loss against a Gaussian at the true centre (sec. 4.1), with self-supervised pairs (sec. 4.2)."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from oncotrack.followup.dlt.anatomy import gaussian_map, squared_mm
from oncotrack.followup.dlt.augmentation import is_self_supervised, self_supervised
from oncotrack.followup.dlt.config import DLTConfig
from oncotrack.followup.lesion_pairs import LesionPairs

_ALPHA, _BETA = 2, 4


def label(pairs: LesionPairs, shape: tuple[int, ...], config: DLTConfig) -> torch.Tensor:
    """``Y = G(mu_s, r_s)`` on the cells, 1 in the cell that holds the centre; all 0 where the lesion vanished.

    r_s is the baseline's radius, the one that a click tells. (B, D, H, W).
    """
    radius = pairs.radius_mm.clamp_max(config.label_radius_mm or torch.inf)
    gaussian = gaussian_map(shape, config.strides[0], pairs.centre, radius, config.spacing)
    nearest = squared_mm(shape, config.strides[0], pairs.centre, config.spacing).flatten(1).argmin(1)
    gaussian.flatten(1).scatter_(1, nearest[:, None], 1.0)
    return gaussian * pairs.found[:, None, None, None]


def focal_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Equation 8 (with the sign of a loss), summed over the cells and averaged over the samples.

    Parameters
    ----------
    logits, target : (B, D, H, W); the sigmoid of the logits is the paper's estimate, `target` its Y
    """
    said = logits.sigmoid()
    positive = (1 - said) ** _ALPHA * -F.logsigmoid(logits)
    negative = (1 - target) ** _BETA * said**_ALPHA * -F.logsigmoid(-logits)
    return torch.where(target == 1, positive, negative).flatten(1).sum(1).mean()


def place_loss(logits: torch.Tensor, target: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """Cross-entropy between the places' softmax and the label as a distribution, over the lesions found."""
    wanted = target.flatten(1) / target.flatten(1).sum(1, keepdim=True).clamp_min(1e-12)
    each = -(wanted * logits.flatten(1).log_softmax(1)).sum(1)
    return (each * found).sum() / found.sum().clamp_min(1)


def step_loss(network: torch.nn.Module, pairs: LesionPairs, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """The loss of a batch and its parts; a share of the batches is self-supervised (equation 9)."""
    config: DLTConfig = getattr(network, "module", network).config
    if is_self_supervised(config.ssl_share, generator):
        pairs = self_supervised(pairs, config, generator)
    logits = network(pairs)
    target = label(pairs, tuple(logits.shape[1:]), config)
    parts = {"focal": focal_loss(logits, target)}
    if config.lambda_place:
        parts["place"] = place_loss(logits, target, pairs.found)
    return {"loss": parts["focal"] + config.lambda_place * parts.get("place", 0.0), **parts}
