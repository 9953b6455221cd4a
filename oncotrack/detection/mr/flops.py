"""Parameters and operations of a configuration, counted without allocating the network."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from oncotrack.detection.mr.config import MRConfig
from oncotrack.detection.mr.network import MaskRCNN


def cost(config: MRConfig, height: int = 512, width: int = 512) -> dict[str, float]:
    """Count the parameters, and the operations for one slice: all proposals classified, masks for all detections.

    One multiplication with its addition is one operation (fvcore's "flops", half of torch's); only convolutions and linear
    layers count, not RoIAlign, norms and non-maximum suppression.

    Parameters
    ----------
    config : MRConfig
        The network.
    height, width : int
        Of the network's input in pixels.

    Returns
    -------
    dict of str to float
        ``parameters`` and ``gflops`` (10^9 operations).
    """
    with torch.device("meta"), torch.no_grad():
        network = MaskRCNN(config).eval()
        cells = torch.empty(config.proposals, config.width, config.box_size, config.box_size)
        with FlopCounterMode(display=False) as counter:
            network.proposing(network.pyramid(network.backbone(torch.empty(1, 3, height, width))))
            if network.attention is not None:
                network.attention(torch.stack([cells] * (1 + len(config.global_scales)), 1))
            network.box_head(cells)
            if network.mask_head is not None:
                half = config.mask_size // 2
                network.mask_head(torch.empty(config.detections, config.width, half, half))
    parameters = sum(each.numel() for each in network.parameters())
    return {"parameters": parameters, "gflops": counter.get_total_flops() / 2e9}
