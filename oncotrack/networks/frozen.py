"""Networks prepared for inference on a processor."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import cast

import torch
from torch import nn

Forward = Callable[[torch.Tensor], torch.Tensor]


@torch.inference_mode(False)
@torch.no_grad()
def frozen(network: nn.Module, example: torch.Tensor) -> Forward:
    """Return a network with its batch norms folded into the convolutions, all in oneDNN's own memory layout.

    The results differ by rounding only; a narrow 3D U-Net takes 0.4 of the time. Later changes of the weights have no effect.

    Parameters
    ----------
    network : Module
        In evaluation mode, on the CPU; its operations must not depend on the values or the shape of its input.
    example : Tensor
        A small input.

    Returns
    -------
    callable
        From input to output.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(network, example.clone(), check_trace=False)
        return cast(Forward, torch.jit.optimize_for_inference(torch.jit.freeze(traced)))
