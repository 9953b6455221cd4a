"""How large a configuration is, counted without building it in memory."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from oncotrack.detection.mr.config import MRConfig
from oncotrack.detection.mr.network import MaskRCNN


def cost(config: MRConfig, height: int = 512, width: int = 512) -> dict[str, float]:
    """Parameters and work for one slice: all proposals are classified and all detections get a mask.

    One multiplication with its addition is one operation (fvcore's "flops", half of torch's); only convolutions and linear
    layers count, RoIAlign, norms and suppression do not.

    Parameters
    ----------
    height, width : of what the network reads, in pixels

    Returns
    -------
    dict
        ``parameters`` and ``gflops``, in units of 1 and of 10^9.
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
