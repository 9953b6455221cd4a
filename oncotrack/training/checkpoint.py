"""Checkpoints: the complete state of a training run in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from oncotrack.atomic import replacing
from oncotrack.errors import TrainingError
from oncotrack.training.plan import Plan

NAME = "checkpoint.safetensors"


def save(
    path: Path,
    step: int,
    model: torch.nn.Module,
    average: dict[str, torch.Tensor],
    optimisers: Sequence[torch.optim.Optimizer],
    plan: Plan,
    about: str,
) -> None:
    """Write model, moving average and optimisers after `step` steps; `about` describes network and data of the run."""
    from safetensors.torch import save_file

    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.items()}
    for which, optimiser in enumerate(optimisers):
        for n, values in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{which}.{n}.{name}": torch.as_tensor(value) for name, value in values.items()}
    tensors = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    with replacing(path) as temporary:
        save_file(tensors, temporary, {"step": str(step), "plan": json.dumps(asdict(plan)), "about": about})


def restore(
    path: Path,
    model: torch.nn.Module,
    average: dict[str, torch.Tensor],
    optimisers: Sequence[torch.optim.Optimizer],
    plan: Plan,
    about: str,
) -> int:
    """Load a checkpoint into model, average and optimisers, and return the number of steps done.

    Raises
    ------
    TrainingError
        The file is damaged, or was written by a run with another plan, network or data.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise TrainingError(f"The checkpoint {path} is damaged. Delete it to start again.") from error
    if metadata["about"] != about or _required_entries(json.loads(metadata["plan"])) != _required_entries(asdict(plan)):
        raise TrainingError(
            f"{path.parent} holds a run with another network, data or plan. Choose another output folder, or delete this one.",
            parameter="out",
        )
    parts: dict[str, dict[str, torch.Tensor]] = {"model": {}, "average": {}, "optimiser": {}}
    for name, value in tensors.items():
        kind, rest = name.split(".", 1)
        parts[kind][rest] = value
    model.load_state_dict(parts["model"])
    for name, value in parts["average"].items():
        average[name].copy_(value)
    states: list[dict[int, dict[str, torch.Tensor]]] = [{} for _ in optimisers]
    for name, value in parts["optimiser"].items():
        which, n, key = name.split(".", 2)
        states[int(which)].setdefault(int(n), {})[key] = value
    for optimiser, state in zip(optimisers, states, strict=True):
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(metadata["step"])


def _required_entries(plan: dict) -> dict:
    """Return the entries of a plan that must agree to continue a run."""
    return {name: value for name, value in plan.items() if name not in ("log_every", "save_every", "workers")}
