"""The plan of a training run: length, batch, optimiser and learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from oncotrack.errors import InputError


@dataclass(frozen=True)
class Plan:
    """A training run. The defaults are LN-Tracker's (sec. 4.2).

    Parameters
    ----------
    steps : int
        Optimiser steps of the whole run; the learning rate depends on it.
    batch : int
        Samples for each step and process.
    learning_rate, final_learning_rate : float
        Start and end of the cosine.
    warmup : int
        Steps of linear increase before it.
    weight_decay : float
        Decoupled from the gradient.
    clip : float
        Largest norm of the gradient.
    optimiser : str
        "radam", "adam" or "muon", see `optimisers`.
    precision : str
        "no" (float32) or "bf16" (mixed).
    average : float
        Decay for each step of the exponential moving average of the weights that is saved; 0 saves the weights.
    seed : int
        Of initial weights, samples and random numbers.
    log_every, save_every : int
        Steps between two rows of the log, and two checkpoints.
    workers : int
        Processes that prepare samples.
    """

    steps: int
    batch: int = 8
    learning_rate: float = 2e-4
    final_learning_rate: float = 1e-5
    warmup: int = 500
    weight_decay: float = 1e-4
    clip: float = 0.1
    optimiser: str = "radam"
    precision: str = "no"
    average: float = 0.0
    seed: int = 0
    log_every: int = 20
    save_every: int = 200
    workers: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.log_every, self.save_every) < 1:
            raise InputError(
                "A training run needs at least one step and one sample for each step; the intervals of log and checkpoint must be 1 or more."
            )
        if self.precision not in ("no", "bf16"):
            raise InputError(f'There is no precision "{self.precision}"; choose no or bf16.')

        if self.optimiser not in ("radam", "adam", "muon"):
            raise InputError(f'There is no optimiser "{self.optimiser}"; choose radam, adam or muon.')

    def rate(self, step: int) -> float:
        """Return the learning rate of a step: linear warm-up, then half a cosine from the first to the final rate."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(self.steps - self.warmup, 1)
        swing = (1 + math.cos(math.pi * min(done, 1.0))) / 2
        return self.final_learning_rate + (self.learning_rate - self.final_learning_rate) * swing
