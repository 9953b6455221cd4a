"""The optimisers that a plan can name."""

from __future__ import annotations

import torch
from torch import nn

from oncotrack.errors import MissingPackageError
from oncotrack.training.plan import Plan

_LEAST_ROWS = 8
"""Matrices with fewer rows or columns (a small embedding, a score's weights) are left to RAdam."""


def optimisers(model: nn.Module, plan: Plan) -> list[torch.optim.Optimizer]:
    """Build the optimisers of a plan: RAdam or Adam for every weight, or Muon for matrices and RAdam for the rest.

    Muon (Jordan et al., 2024) makes every step of a matrix orthogonal; the kernel of a convolution counts as a matrix with
    one row for each output. Steps are scaled to the size of Adam's (Liu et al., Muon is scalable for LLM training, 2025),
    so that both optimisers share one learning rate.

    Raises
    ------
    MissingPackageError
        This torch has no Muon.
    """
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    if plan.optimiser == "radam":
        return [_radam(weights, plan)]
    if plan.optimiser == "adam":
        return [torch.optim.Adam(weights, plan.learning_rate, weight_decay=plan.weight_decay)]
    if not hasattr(torch.optim, "Muon"):
        raise MissingPackageError("Training with Muon needs torch 2.9 or newer; update torch, or choose radam.")
    matrices = [weight for weight in weights if weight.ndim > 1 and min(weight.flatten(1).shape) >= _LEAST_ROWS]
    flat = [nn.Parameter(weight.detach().flatten(1)) for weight in matrices]
    muon = torch.optim.Muon(flat, plan.learning_rate, plan.weight_decay, adjust_lr_fn="match_rms_adamw")

    def copy_in(*_: object) -> None:
        for matrix, weight in zip(flat, matrices, strict=True):
            matrix.data = weight.detach().flatten(1)
            matrix.grad = None if weight.grad is None else weight.grad.flatten(1)

    def copy_out(*_: object) -> None:
        for matrix, weight in zip(flat, matrices, strict=True):
            weight.detach().copy_(matrix.detach().view_as(weight))

    muon.register_step_pre_hook(copy_in)
    muon.register_step_post_hook(copy_out)
    taken = {id(weight) for weight in matrices}
    return [muon, _radam([weight for weight in weights if id(weight) not in taken], plan)]


def _radam(weights: list[nn.Parameter], plan: Plan) -> torch.optim.Optimizer:
    return torch.optim.RAdam(weights, plan.learning_rate, weight_decay=plan.weight_decay, decoupled_weight_decay=True)
