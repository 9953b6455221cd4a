"""Training of a lesion tracker, DLT or TLT: both learn from the same pairs by the same loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import InputError
from oncotrack.networks import weights
from oncotrack.training import loop
from oncotrack.training.lesion_calibration import found_threshold
from oncotrack.training.lesion_pairs import LesionPairSamples
from oncotrack.training.plan import Plan
from oncotrack.training.stored_visits import store
from oncotrack.training.visit_sources import VisitSources


@dataclass(frozen=True)
class System:
    """What tells one tracker's training from another's.

    Parameters
    ----------
    name : str
    network : callable
        Config to network.
    configs : mapping of str to config
        Each with ``spacing`` (mm) and ``crop`` (voxels) along z, y, x.
    plans : mapping of str to Plan
        Of the same configs.
    step_loss : callable
        See `loop.train`; its batches are `LesionPairs`.
    """

    name: str
    network: Callable[[Any], torch.nn.Module]
    configs: Mapping[str, Any]
    plans: Mapping[str, Plan]
    step_loss: loop.StepLoss


def train(
    system: System,
    out: Path,
    config: str,
    sources: VisitSources,
    *,
    visits: Path | None = None,
    plan: Plan | None = None,
    start: Path | None = None,
    device: str = "auto",
    max_minutes: float | None = None,
    progress: Progress = silent,
) -> Path:
    """Train a lesion tracker, or go on with it.

    Parameters
    ----------
    out : Path
        Folder of the checkpoint, ``log.csv`` and the weights.
    config : str
        "compact" or "paper".
    visits : Path, optional
        Where the prepared pairs are kept, for both systems; ``visits`` in `out` when missing.
    plan : Plan, optional
        That of the config when missing.
    start : Path, optional
        Weights to begin with, of the same network; random ones when missing.

    Returns
    -------
    Path of the weights.

    Raises
    ------
    InputError
        An unknown config, or weights of another network.
    TrainingError
        Nothing to train on, or a checkpoint of another run in `out`.
    """
    if config not in system.configs:
        raise InputError(f'{system.name} has no config "{config}"; choose {" or ".join(system.configs)}.')
    chosen, plan = system.configs[config], plan or system.plans[config]
    paths = store(visits or out / "visits", sources.jobs(), str(sources), progress)
    samples = LesionPairSamples(paths, chosen.spacing, chosen.crop, plan.seed)
    torch.manual_seed(plan.seed)
    network = system.network(chosen)
    begun = weights.load(start, system.name) if start else None
    if begun is not None:
        if begun.config_as(type(chosen)) != chosen:
            raise InputError(f"{start} holds another {system.name} than the one that is to be trained.")
        network.load_state_dict(begun.state)
    about = {
        "system": system.name,
        "config": asdict(chosen),
        "pairs": [path.stem for path in paths],
        "start": begun.sha256 if begun else "",
    }
    state, steps = loop.train(
        network, samples, system.step_loss, plan, out, about=repr(about), device=device, max_minutes=max_minutes,
        progress=progress,
    )  # fmt: skip
    network.load_state_dict(state)
    unseen = LesionPairSamples(paths, chosen.spacing, chosen.crop, plan.seed + 1)
    threshold = found_threshold(network, unseen, progress)
    told = {
        "found_threshold": threshold, "data": str(sources), "plan": asdict(plan), "steps": steps, "device": device, "torch": torch.__version__,
        "started from": begun.about if begun else "random weights",
    }  # fmt: skip
    return weights.save(out / f"{system.name}-{config}.safetensors", system.name, chosen, state, told)
