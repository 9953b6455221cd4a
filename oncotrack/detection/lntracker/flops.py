"""How large a configuration is, counted without building it in memory."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.lntracker.network import LNTracker, TrackQueries


def cost(config: LNTrackerConfig, height: int = 512, width: int = 512, tracks: int = 0) -> dict[str, float]:
    """Parameters and work of one forward pass of one slice.

    The work is counted as papers on detectors count it: one multiplication with its addition is one operation
    (fvcore's "flops", half of torch's), and only convolutions, linear layers and the products of
    self-attention count; normalisation, activation and the sampling of deformable attention do not.

    Parameters
    ----------
    height, width : of the slice in pixels
    tracks : how many track queries come with it

    Returns
    -------
    dict
        ``parameters`` and ``gflops``, in units of 1 and of 10^9.
    """
    with torch.device("meta"), torch.no_grad():
        network = LNTracker(config).eval()
        images = torch.empty(1, config.slices, height, width)
        followed = TrackQueries(
            torch.empty(1, tracks, config.width), torch.empty(1, tracks, 4), torch.ones(1, tracks, dtype=torch.bool)
        )
        with FlopCounterMode(display=False) as counter:
            network(images, followed)
    parameters = sum(each.numel() for each in network.parameters())
    return {"parameters": parameters, "gflops": counter.get_total_flops() / 2e9}
