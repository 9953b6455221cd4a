"""How large a configuration is, counted without building it in memory."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from oncotrack.followup.tlt.backbone import TLTBackbone
from oncotrack.followup.tlt.config import TLTConfig
from oncotrack.followup.tlt.network import TLT


def cost(config: TLTConfig, radius_mm: float = 10.0) -> dict[str, Any]:
    """Parameters and work of matching one lesion, both crops encoded.

    One multiplication with its addition is one operation (as `oncotrack.detection.lntracker.flops.cost` counts);
    convolutions, linear layers and the products of the attention count.

    Parameters
    ----------
    radius_mm : of the lesion; a larger one selects more template cells

    Returns
    -------
    dict
        ``parameters`` in units of 1, ``gflops`` in units of 10^9, ``receptive_field_mm`` (z, y, x) of a cell before the
        attention, ``input`` (shape and spacing of each of the two crops).
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        with torch.device("meta"):
            features = TLTBackbone(config).eval()(torch.empty(2, len(config.windows), *config.crop))
        network, middle = TLT(config).eval(), torch.tensor([config.crop]) / 2
        template, search = torch.zeros(features.shape).split(1)
        network.match(template, middle, search, middle, torch.tensor([radius_mm]))
    return {
        "parameters": sum(each.numel() for each in network.parameters()),
        "gflops": counter.get_total_flops() / 2e9,
        "receptive_field_mm": [receptive_field(config) * mm for mm in config.spacing],
        "input": {"shape": [1, 1, *config.crop], "spacing_mm": list(config.spacing), "crops": 2},
    }


def receptive_field(config: TLTConfig) -> int:
    """Edge of what a cell of the last stage sees, in voxels."""
    field = config.stem_kernel + 2 * (config.stem_convs - 1)
    step = 1
    for count in config.blocks:
        field += 2 * step  # the convolution of stride 2
        step *= 2
        field += 2 * step * (2 * count - 1)
    return field
