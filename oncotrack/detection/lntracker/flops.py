"""Parameters and operations of a configuration, counted without allocating the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.lntracker.network import LNTracker
from oncotrack.detection.lntracker.slice_data import TrackQueries


def cost(config: LNTrackerConfig, height: int = 512, width: int = 512, tracks: int = 0) -> dict[str, float]:
    """Count the parameters, and the operations of one forward pass of one slice.

    Operations are counted as in papers on detectors: one multiplication with its addition is one operation (fvcore's
    "flops", half of torch's); only convolutions, linear layers and the products of self-attention count, not
    normalisation, activation and the sampling of deformable attention.

    Parameters
    ----------
    config : LNTrackerConfig
        The network.
    height, width : int
        Of the slice in pixels.
    tracks : int
        Number of track queries.

    Returns
    -------
    dict of str to float
        ``parameters`` and ``gflops`` (10^9 operations).
    """
    with torch.device("meta"), torch.no_grad():
        network = LNTracker(config).eval()
        images = torch.empty(1, config.slices, height, width)
        queries = TrackQueries(
            torch.empty(1, tracks, config.width), torch.empty(1, tracks, 4), torch.ones(1, tracks, dtype=torch.bool)
        )
        with FlopCounterMode(display=False) as counter, _SamplingWithoutValues():
            network(images, queries)
    parameters = sum(each.numel() for each in network.parameters())
    return {"parameters": parameters, "gflops": counter.get_total_flops() / 2e9}


class _SamplingWithoutValues(TorchFunctionMode):
    """Return empty tensors from grid sampling, which is not counted: torch composes it of a hundred operations on meta."""

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is F.grid_sample:
            values, grid = args
            return values.new_empty(*values.shape[:2], *grid.shape[1:-1])
        return func(*args, **(kwargs or {}))
