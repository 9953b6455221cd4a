"""Parameters and operations of the PET/CT networks, counted without allocating them."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from oncotrack.detection.petct.config import GLNetConfig, StageOneConfig, TaggerConfig
from oncotrack.detection.petct.glnet import GLNet
from oncotrack.detection.petct.lesanet import LesaNet
from oncotrack.detection.petct.stage_one import StageOne
from oncotrack.detection.petct.tagger import CompactTagger


def cost_of_stage_one(config: StageOneConfig) -> dict[str, float]:
    """Count parameters, and operations of all networks on one sub-volume of inference.

    One multiplication with its addition is one operation (fvcore's "flops", half of torch's).

    Parameters
    ----------
    config : StageOneConfig
        The networks.

    Returns
    -------
    dict of str to float
        ``parameters``, ``parameters of a network`` (by name), ``gflops`` (10^9 operations).
    """
    with torch.device("meta"), torch.no_grad():
        network = StageOne(config).eval()
        patch = torch.empty(1, 3, *config.window)
        with FlopCounterMode(display=False) as counter:
            network(dict.fromkeys(config.categories, patch))
    each = {name: _parameters(net) for name, net in network.nets.items()}
    return {"parameters": _parameters(network), **each, "gflops": counter.get_total_flops() / 2e9}


def cost_of_glnet(config: GLNetConfig) -> dict[str, float]:
    """Count parameters, and operations for one candidate.

    Parameters
    ----------
    config : GLNetConfig
        The network.

    Returns
    -------
    dict of str to float
        ``parameters``, ``features`` (inputs of the last layer), ``gflops``.
    """
    with torch.device("meta"), torch.no_grad():
        network = GLNet(config).eval()
        crop = torch.empty(1, len(config.modalities), *config.crop)
        with FlopCounterMode(display=False) as counter:
            network(crop, torch.empty(1, 6), torch.empty(1, config.tags))
    return {
        "parameters": _parameters(network),
        "features": network.head.in_features,
        "gflops": counter.get_total_flops() / 2e9,
    }


def parameters_of_tagger(name: str) -> int:
    """Count the parameters of a tagger.

    Parameters
    ----------
    name : str
        "lesanet" or "compact".

    Returns
    -------
    int
        Number of parameters.
    """
    with torch.device("meta"):
        return _parameters(LesaNet() if name == "lesanet" else CompactTagger(TaggerConfig()))


def _parameters(network: torch.nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())
