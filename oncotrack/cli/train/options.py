"""Options that the training commands share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oncotrack.cli.options import out_folder

if TYPE_CHECKING:
    from oncotrack.training.plan import Plan

RunFolder = Annotated[Path, out_folder("Folder of checkpoint, log and weights; an existing run is continued.")]
NodePhantoms = Annotated[int, typer.Option("--phantoms", min=0, help="Number of synthetic scans.")]
Insertions = Annotated[
    int, typer.Option("--insertions", min=0, help="Number of scans made from the CTs of --insert-into.")
]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Optimiser steps.")]
Batch = Annotated[int | None, typer.Option("--batch", min=1, help="Samples for each step.")]
LearningRate = Annotated[float | None, typer.Option("--learning-rate", min=0, help="Largest learning rate.")]
Warmup = Annotated[int | None, typer.Option("--warmup", min=0, help="Steps in which the learning rate rises.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of the random numbers.")]
Start = Annotated[Path | None, typer.Option("--start", help="Initial weights; random ones when missing.")]
MaxMinutes = Annotated[float | None, typer.Option("--max-minutes", help="Stop after this time, with a checkpoint.")]


def plan_with(plan: Plan | None, **options: float | str | None) -> Plan | None:
    """Return a plan with the options that were given; None where there is no plan, which the training reports."""
    return plan and replace(plan, **{name: value for name, value in options.items() if value is not None})
