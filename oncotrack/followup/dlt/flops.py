"""How large a configuration is, counted without building it in memory."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from oncotrack.followup.dlt.config import DLTConfig
from oncotrack.followup.dlt.correlation import Flatten, cross_correlation
from oncotrack.followup.dlt.network import DLT


def cost(config: DLTConfig) -> dict[str, Any]:
    """Parameters and work of matching one lesion, both crops encoded.

    One multiplication with its addition is one operation (as `oncotrack.detection.lntracker.flops.cost` counts);
    convolutions and the products of the correlation count.

    Returns
    -------
    dict
        ``parameters`` in units of 1, ``gflops`` in units of 10^9, ``fast_over_direct`` (`correlation_share`),
        ``receptive_field_mm`` (z, y, x) of a cell of the finest scale before the pyramid and of the coarsest,
        ``input`` (shape and spacing of each of the two crops).
    """
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network = DLT(config).eval()
        place, radius = torch.zeros(1, 3), torch.ones(1)
        template, search = (network.encode(torch.empty(1, 1, *config.crop)) for _ in range(2))
        network.search(search, network.template(template, place, radius), place, radius)
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
    """Work of equation 6, flattening included, over that of equation 5, on the finest scale of a crop."""
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
    """Voxels along z, y, x that a cell of each scale of the DenseNet sees, finest first."""
    field, step, fields = [config.stem_kernel] * 3, 2, []
    if config.stem_pool:
        field, step = [field[0], field[1] + 2 * step, field[2] + 2 * step], 2 * step
    for number, layers in enumerate(config.blocks):
        if number:  # the pooling of a transition
            field, step = [field[0], field[1] + step, field[2] + step], 2 * step
        field = [field[0] + 2 * layers, *(edge + 2 * layers * step for edge in field[1:])]
        fields.append(tuple(field))
    return fields
