"""The training loop: any network, any samples, one or several devices, resumable to the step."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from oncotrack import atomic
from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import MissingPackageError, TrainingError
from oncotrack.training import checkpoint
from oncotrack.training.optimisers import optimisers
from oncotrack.training.plan import Plan

if TYPE_CHECKING:
    from accelerate import Accelerator

LOG = "log.csv"
StepLoss = Callable[[torch.nn.Module, Any, torch.Generator], Mapping[str, torch.Tensor]]


class Samples(Protocol):
    """An endless stream whose sample n is always the same, so that an interrupted run can be continued exactly."""

    def sample(self, index: int) -> Any:
        """Return the n-th sample."""
        ...

    def collate(self, samples: list) -> Any:
        """Join samples to a batch: a tensor, or an object with ``to(device)``."""
        ...


def train(
    model: torch.nn.Module,
    samples: Samples,
    step_loss: StepLoss,
    plan: Plan,
    out: Path,
    *,
    about: str = "",
    device: str = "auto",
    max_minutes: float | None = None,
    progress: Progress = silent,
) -> tuple[dict[str, torch.Tensor], int]:
    """Train a network, continuing from a checkpoint in `out` if there is one.

    Every step draws its samples and random numbers from the seed and its own number, so that an interrupted and continued
    run equals an uninterrupted one. Several processes (``torchrun``) read a batch each and use the mean of their
    gradients.

    Parameters
    ----------
    model : Module
        Changed in place.
    samples : Samples
        The training data.
    step_loss : callable
        ``(model, batch, generator) -> {"loss": ..., part: ...}``, scalars; the first is minimised, all are logged.
    plan : Plan
        Length, batch, optimiser and learning rate.
    out : Path
        Folder of the checkpoint and of ``log.csv``.
    about : str
        Description of network and data; a checkpoint with another description is refused.
    device : str
        "auto", "cpu", "cuda" or "mps".
    max_minutes : float, optional
        Stop after this time, with a checkpoint.
    progress : callable
        Receives the completed fraction (0 to 1) and a message.

    Returns
    -------
    state : dict of str to Tensor
        The weights, or their moving average if the plan has one.
    steps : int
        Number of steps done.

    Raises
    ------
    TrainingError
        The loss is not finite, or the checkpoint belongs to another run.
    MissingPackageError
        accelerate is not installed.
    """
    try:
        from accelerate import Accelerator, DistributedDataParallelKwargs
    except ImportError as error:
        raise MissingPackageError('Training needs the package accelerate: pip install "oncotrack[train]".') from error
    from oncotrack.networks.devices import device as chosen_device
    from oncotrack.networks.devices import has_bfloat16

    started = time.monotonic()
    target = chosen_device(device)
    torch.manual_seed(plan.seed)
    # a slice without nodes leaves some weights without gradient
    parallel = DistributedDataParallelKwargs(find_unused_parameters=True)
    precision = plan.precision if has_bfloat16(target) else "no"  # imitated bfloat16 is ten times slower
    accelerator = Accelerator(mixed_precision=precision, cpu=target.type == "cpu", kwargs_handlers=[parallel])
    model.to(accelerator.device)
    all_optimisers = optimisers(model, plan)
    average = {name: value.detach().clone() for name, value in model.state_dict().items()} if plan.average else {}
    out.mkdir(parents=True, exist_ok=True)
    path, step = out / checkpoint.NAME, 0
    if path.is_file():
        step = checkpoint.restore(path, model, average, all_optimisers, plan, about)
    wrapped, *prepared = accelerator.prepare(model, *all_optimisers)
    log = Log(out / LOG, step) if accelerator.is_main_process else None
    dataset = _BatchDataset(samples, plan, step, accelerator.process_index, accelerator.num_processes)
    batches = DataLoader(dataset, batch_size=None, num_workers=plan.workers, persistent_workers=plan.workers > 0)
    model.train()
    for batch in batches:
        if max_minutes is not None and _is_true_anywhere(accelerator, time.monotonic() - started > 60 * max_minutes):
            break
        progress(step / plan.steps, f"Training, step {step} of {plan.steps}")
        generator = torch.Generator(accelerator.device).manual_seed(_seed(plan.seed, step, accelerator.process_index))
        torch.manual_seed(generator.initial_seed())
        for optimiser in prepared:
            for group in optimiser.param_groups:
                group["lr"] = plan.rate(step)
        with accelerator.autocast():
            parts = step_loss(wrapped, batch.to(accelerator.device), generator)
        if not torch.isfinite(parts["loss"]):
            raise TrainingError(
                f"The loss became {parts['loss'].item()} at step {step}. Continue from {path} with a lower learning rate.",
                parameter="learning_rate",
            )
        accelerator.backward(parts["loss"])
        accelerator.clip_grad_norm_(wrapped.parameters(), plan.clip)
        for optimiser in prepared:
            optimiser.step()
        wrapped.zero_grad()
        _update_average(average, model, plan.average, step)
        step += 1
        if log is not None:
            log.add(step, plan.rate(step - 1), parts, is_due=step % plan.log_every == 0)
            if step % plan.save_every == 0:
                checkpoint.save(path, step, model, average, all_optimisers, plan, about)
    if log is not None:
        log.write()
        checkpoint.save(path, step, model, average, all_optimisers, plan, about)
    return average or model.state_dict(), step


def _is_true_anywhere(accelerator: Accelerator, condition: bool) -> bool:
    """Return whether it is true in any process: all must stop at the same step."""
    if accelerator.num_processes == 1:
        return condition
    flags = accelerator.gather(torch.tensor([float(condition)], device=accelerator.device))
    return bool(cast("torch.Tensor", flags).any())


class _BatchDataset(Dataset):
    """The batches of this process, starting at a step."""

    def __init__(self, samples: Samples, plan: Plan, first: int, rank: int, processes: int) -> None:
        self._samples, self._plan, self._first, self._rank, self._processes = samples, plan, first, rank, processes

    def __len__(self) -> int:
        return self._plan.steps - self._first

    def __getitem__(self, n: int):
        start = ((self._first + n) * self._processes + self._rank) * self._plan.batch
        return self._samples.collate([self._samples.sample(start + k) for k in range(self._plan.batch)])


class Log:
    """``log.csv``: step, learning rate, seconds for each step, and the mean of every loss since the last row."""

    def __init__(self, path: Path, step: int) -> None:
        self._path, self._sums, self._count, self._since = path, {}, 0, time.monotonic()
        self._rows: list[dict[str, str]] = []
        if path.is_file():
            with path.open(newline="") as file:
                self._rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]

    def add(self, step: int, rate: float, parts: Mapping[str, torch.Tensor], is_due: bool) -> None:
        """Add the losses of a step, and write a row when one is due."""
        for name, value in parts.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value.detach())
        self._count += 1
        if is_due:
            seconds = (time.monotonic() - self._since) / self._count
            row = {"step": str(step), "learning_rate": f"{rate:.3g}", "seconds": f"{seconds:.3f}"}
            self._rows.append(row | {name: f"{total / self._count:.5f}" for name, total in self._sums.items()})
            self._sums, self._count, self._since = {}, 0, time.monotonic()
            self.write()

    def write(self) -> None:
        """Write the whole file."""
        if not self._rows:
            return
        names = list(dict.fromkeys(name for row in self._rows for name in row))
        lines = [",".join(names), *(",".join(row.get(name, "") for name in names) for row in self._rows)]
        atomic.write_text(self._path, "\n".join(lines) + "\n")


def _update_average(average: dict[str, torch.Tensor], model: torch.nn.Module, decay: float, step: int) -> None:
    """Move the average towards the model, faster in the first steps."""
    decay = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name in average:
                if value.dtype.is_floating_point:
                    average[name].lerp_(value, 1 - decay)
                else:
                    average[name].copy_(value)


def _seed(*numbers: int) -> int:
    """Return one seed from several numbers, the same on every machine."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 2)
