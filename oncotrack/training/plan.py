"""How long, how fast and how carefully a network is trained."""

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
        Optimiser steps of the whole run; the learning rate's course depends on it.
    batch : int
        Samples a step and process: with several processes a step sees so many times more.
    learning_rate, final_learning_rate : float
        Start and end of the cosine.
    warmup : int
        Steps of linear increase before it.
    weight_decay : float
    clip : float
        Largest norm of the gradient.
    optimiser : str
        "radam" or "muon", see `optimisers`.
    precision : str
        "no" (float32) or "bf16" (mixed).
    average : float
        Decay a step of the exponential moving average of the weights that is saved; 0 saves the weights themselves.
    seed : int
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
            raise InputError("A training run needs at least one step, one sample a step, and whole numbers above zero.")
        if self.precision not in ("no", "bf16"):
            raise InputError(f'There is no precision "{self.precision}"; choose no or bf16.')

        if self.optimiser not in ("radam", "muon"):
            raise InputError(f'There is no optimiser "{self.optimiser}"; choose radam or muon.')

    def rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then half a cosine from first to final rate."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(self.steps - self.warmup, 1)
        swing = (1 + math.cos(math.pi * min(done, 1.0))) / 2
        return self.final_learning_rate + (self.learning_rate - self.final_learning_rate) * swing
