"""Training of the lesion trackers, DLT and TLT: same samples, same loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from oncotrack.background.jobs import Progress, silent
from oncotrack.networks import weights
from oncotrack.training import loop
from oncotrack.training.lesion_calibration import SAMPLES, found_threshold
from oncotrack.training.lesion_pairs import LesionPairSamples
from oncotrack.training.plan import Plan
from oncotrack.training.provenance import run_record, starting_weights
from oncotrack.training.stored_visits import store
from oncotrack.training.visit_sources import VisitSources


@dataclass(frozen=True)
class System:
    """The parts of the training that differ between the trackers.

    Parameters
    ----------
    name : str
        Of the weights.
    network : callable
        Builds the network from its configuration.
    configs : mapping of str to config
        Each with ``spacing`` (mm) and ``crop`` (voxels) along z, y, x.
    plans : mapping of str to Plan
        Of the same configurations.
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
    calibrating: int = SAMPLES,
    progress: Progress = silent,
) -> Path:
    """Train a lesion tracker, or continue a run.

    Parameters
    ----------
    system : System
        The tracker.
    out : Path
        Folder of the checkpoint, ``log.csv`` and the weights.
    config : str
        "compact" or "paper".
    sources : VisitSources
        The training data.
    visits : Path, optional
        Folder of the prepared pairs, shared by both systems; ``visits`` in `out` if missing.
    plan : Plan, optional
        That of the configuration if missing.
    start : Path, optional
        Weights to start from, of the same network; random ones if missing.
    device : str
        "auto", "cpu", "cuda" or "mps".
    max_minutes : float, optional
        Stop after this time, with a checkpoint.
    calibrating : int
        Samples from which the score that separates present from vanished lesions is chosen.
    progress : callable
        Receives the completed fraction (0 to 1) and a message.

    Returns
    -------
    Path
        The weights file.

    Raises
    ------
    InputError
        An unknown configuration, or weights of another network.
    TrainingError
        No training data, or a checkpoint of another run in `out`.
    """
    weights.check_config(system.name, config, system.configs)
    chosen, plan = system.configs[config], plan or system.plans[config]
    paths = store(visits or out / "visits", sources.jobs(), str(sources), progress)
    samples = LesionPairSamples(paths, chosen.spacing, chosen.crop, plan.seed)
    torch.manual_seed(plan.seed)
    network = system.network(chosen)
    initial = starting_weights(start, system.name, chosen)
    if initial is not None:
        initial.fill(network)
    about = {
        "system": system.name,
        "config": asdict(chosen),
        "pairs": [path.stem for path in paths],
        "start": initial.sha256 if initial else "",
    }
    state, steps = loop.train(
        network, samples, system.step_loss, plan, out, about=repr(about), device=device, max_minutes=max_minutes,
        progress=progress,
    )  # fmt: skip
    network.load_state_dict(state)
    unseen = LesionPairSamples(paths, chosen.spacing, chosen.crop, plan.seed + 1)
    threshold = found_threshold(network, unseen, progress, count=calibrating)
    started_from = initial.about if initial else "random weights"
    record = run_record(str(sources), plan, steps, device, started_from, found_threshold=threshold)
    return weights.save(out / f"{system.name}-{config}.safetensors", system.name, chosen, state, record)
