"""Starting weights of a training run, and the record of the run that is stored with its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from oncotrack.errors import InputError
from oncotrack.networks import weights
from oncotrack.networks.devices import device as chosen_device
from oncotrack.networks.devices import has_bfloat16
from oncotrack.training.plan import Plan


def starting_weights(
    path: Path | None, system: str, config: Any, switches: Mapping[str, Any] | None = None
) -> weights.Weights | None:
    """Read the weights that a run starts from.

    Parameters
    ----------
    path : Path, optional
        A weights file; None starts from random weights.
    system : str
        Name of the network.
    config : dataclass
        The network that is trained.
    switches : mapping of str to value, optional
        Fields of the configuration that may differ, and their values in `config`.

    Returns
    -------
    Weights or None
        None without a file.

    Raises
    ------
    InputError
        The weights belong to another configuration.
    WeightsError
        The file is missing, damaged or belongs to another system.
    """
    if path is None:
        return None
    start = weights.load(path, system)
    if asdict(start.config_as(type(config))) | dict(switches or {}) != asdict(config):
        raise InputError(f"{path} holds weights of another {system} configuration than the one to train.")
    return start


def run_record(
    data: str, plan: Plan, steps: int, device: str, started_from: Mapping[str, Any] | str | None = None, **extra: Any
) -> dict[str, Any]:
    """Return the record of a run that is written into its weights file.

    Parameters
    ----------
    data : str
        Description of the training data.
    plan : Plan
        Of the run; the record has the precision that the device computed in.
    steps : int
        Steps done.
    device : str
        As requested.
    started_from : mapping or str, optional
        Record of the starting weights, or a description of them; left out of the record if missing.
    **extra : value
        More entries.

    Returns
    -------
    dict of str to value
        JSON-serialisable.
    """
    plan = replace(plan, precision=plan.precision if has_bfloat16(chosen_device(device)) else "no")
    record = {"data": data, "plan": asdict(plan), "steps": steps, "device": device, "torch": torch.__version__, **extra}
    return record if started_from is None else record | {"started from": started_from}
