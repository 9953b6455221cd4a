"""Parameters, operations and receptive field of a configuration, with the backbone on the meta device."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from oncotrack.followup.tlt.backbone import TLTBackbone
from oncotrack.followup.tlt.config import TLTConfig
from oncotrack.followup.tlt.network import TLT


def cost(config: TLTConfig, radius_mm: float = 10.0) -> dict[str, Any]:
    """Return the size of a network and the operations to match one lesion, with both crops encoded.

    One multiplication and its addition count as one operation (as in `oncotrack.detection.lntracker.flops.cost`). Only
    convolutions, linear layers and the products of the attention are counted.

    Parameters
    ----------
    config : TLTConfig
        The network's configuration.
    radius_mm : float
        Lesion radius; a larger one selects more template cells.

    Returns
    -------
    dict
        ``parameters``, ``gflops`` (10^9 operations), ``receptive_field_mm`` (z, y, x) of a cell before the attention,
        ``input`` (shape and spacing of each of the two crops).
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
    """Return the edge of the receptive field of a cell of the last stage, voxels.

    Parameters
    ----------
    config : TLTConfig
        The network's configuration.
    """
    field = config.stem_kernel + 2 * (config.stem_convs - 1)
    step = 1
    for count in config.blocks:
        field += 2 * step  # the convolution of stride 2
        step *= 2
        field += 2 * step * (2 * count - 1)
    return field
