"""What TLT learns by: focal loss on the classes, L1 on the globally regressed centre (sec. 3.3)."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from oncotrack.followup.lesion_pairs import LesionPairs
from oncotrack.followup.tlt.config import TLTConfig
from oncotrack.followup.tlt.predictor import global_regression
from oncotrack.followup.tlt.selection import gaussian_map

_ALPHA = _BETA = 2


def label(pairs: LesionPairs, shape: tuple[int, ...], config: TLTConfig) -> torch.Tensor:
    """The Gaussian map of the true centre, stretched to 0 to 1 on the cells; all 0 where the lesion vanished.

    The radius is the baseline's: a click tells no other. (B, D, H, W).
    """
    radius = pairs.radius_mm.clamp_max(config.label_radius_mm or torch.inf)
    gaussian = gaussian_map(shape, config.stride, pairs.centre, radius, config.spacing)
    low, high = (edge.view(-1, 1, 1, 1) for edge in gaussian.flatten(1).aminmax(dim=1))
    stretched = (gaussian - low) / (high - low).clamp_min(1e-12)
    return stretched * pairs.found[:, None, None, None]


def focal_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Equation 5 with alpha = beta = 2, summed over the cells and averaged over the samples.

    Parameters
    ----------
    logits, target : (B, D, H, W); the sigmoid of the logits is the paper's estimate, `target` its label
    """
    said = logits.sigmoid()
    positive = (1 - said) ** _ALPHA * -F.logsigmoid(logits)
    negative = (1 - target) ** _BETA * said**_ALPHA * -F.logsigmoid(-logits)
    return torch.where(target == 1, positive, negative).flatten(1).sum(1).mean()


def place_loss(logits: torch.Tensor, target: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """Cross-entropy between the softmax of equation 4 and the label as a distribution, over the lesions found."""
    wanted = target.flatten(1) / target.flatten(1).sum(1, keepdim=True).clamp_min(1e-12)
    each = -(wanted * logits.flatten(1).log_softmax(1)).sum(1)
    return (each * found).sum() / found.sum().clamp_min(1)


def l1_loss(centre: torch.Tensor, truth: torch.Tensor, found: torch.Tensor, config: TLTConfig) -> torch.Tensor:
    """Equation 4, ``|c - c_s|`` over the axes, in units of ``l1_mm``, over the lesions found.

    Parameters
    ----------
    centre, truth : (B, 3) voxels z, y, x
    """
    apart = ((centre - truth) * truth.new_tensor(config.spacing)).abs().sum(1) / config.l1_mm
    return (apart * found).sum() / found.sum().clamp_min(1)


def step_loss(network: torch.nn.Module, pairs: LesionPairs, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """The loss of a batch and its parts; nothing in it is random, so `generator` is not drawn from."""
    config: TLTConfig = getattr(network, "module", network).config
    prediction = network(pairs)
    target = label(pairs, tuple(prediction.logits.shape[1:]), config)
    focal = focal_loss(prediction.logits, target)
    l1 = l1_loss(global_regression(prediction), pairs.centre, pairs.found, config)
    parts = {"focal": focal, "l1": l1}
    if config.lambda_place:
        parts["place"] = place_loss(prediction.logits, target, pairs.found)
    return {"loss": focal + l1 + config.lambda_place * parts.get("place", 0.0), **parts}
