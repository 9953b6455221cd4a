"""Parameters, operations and receptive field of a configuration, computed without allocating the network."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from oncotrack.followup.dlt.config import DLTConfig
from oncotrack.followup.dlt.correlation import Flatten, cross_correlation
from oncotrack.followup.dlt.network import DLT


def cost(config: DLTConfig) -> dict[str, Any]:
    """Return the size of a network and the operations to match one lesion, with both crops encoded.

    One multiplication and its addition count as one operation (as in `oncotrack.detection.lntracker.flops.cost`). Only
    convolutions and the products of the correlation are counted.

    Parameters
    ----------
    config : DLTConfig
        The network's configuration.

    Returns
    -------
    dict
        ``parameters``, ``gflops`` (10^9 operations), ``fast_over_direct`` (`correlation_share`), ``receptive_field_mm``
        (z, y, x) of a cell of the finest scale before the pyramid and of the coarsest, ``input`` (shape and spacing of
        each of the two crops).
    """
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network = DLT(config).eval()
        centre, radius = torch.zeros(1, 3), torch.ones(1)
        template, search = (network.encode(torch.empty(1, 1, *config.crop)) for _ in range(2))
        network.search(search, network.template(template, centre, radius), centre, radius)
    fields = receptive_fields(config)
    return {
        "parameters": sum(each.numel() for each in network.parameters()),
        "gflops": counter.get_total_flops() / 2e9,
        "fast_over_direct": correlation_share(config) if config.global_kernel else None,
        "receptive_field_mm": [
            [cells * mm for cells, mm in zip(field, config.spacing, strict=True)] for field in (fields[0], fields[-1])
        ],
        "input": {"shape": [1, 1, *config.crop], "spacing_mm": list(config.spacing), "crops": 2},
    }


def correlation_share(config: DLTConfig) -> float:
    """Return the operations of equation 6, flattening included, divided by those of equation 5, on the finest scale.

    Parameters
    ----------
    config : DLTConfig
        A configuration with a global kernel.
    """
    shape = (config.crop[0], *(size // config.strides[0] for size in config.crop[1:]))
    work = []
    for is_fast in (True, False):
        with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
            search = torch.empty(1, config.fused_width, *shape)
            large = torch.empty(1, config.fused_width, *config.global_kernel)
            kernels = Flatten(config.fused_width, config.global_kernel, True)(large) if is_fast else [large]
            for kernel in (torch.empty(1, config.fused_width, *config.kernel), *kernels):
                cross_correlation(kernel, search)
        work.append(counter.get_total_flops())
    return work[0] / work[1]


def receptive_fields(config: DLTConfig) -> list[tuple[int, int, int]]:
    """Return the receptive field of a cell of each DenseNet scale, voxels along z, y, x, finest first.

    Parameters
    ----------
    config : DLTConfig
        The network's configuration.
    """
    slices = rows = config.stem_kernel  # rows and columns are equal
    step, fields = 2, []
    if config.stem_pool:
        rows, step = rows + 2 * step, 2 * step
    for number, layers in enumerate(config.blocks):
        if number:  # the pooling of a transition
            rows, step = rows + step, 2 * step
        slices, rows = slices + 2 * layers, rows + 2 * layers * step
        fields.append((slices, rows, rows))
    return fields
