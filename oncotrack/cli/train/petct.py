"""``oncotrack train petct``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.options import Config, Device
from oncotrack.cli.output import print_written, progress_bar
from oncotrack.cli.train import options
from oncotrack.cli.train.options import plan_with


def petct(
    out: options.RunFolder,
    stage: Annotated[
        str,
        typer.Option("--stage", help="one (candidates), tagger (tags of candidates) or two (GLNet), in this order."),
    ] = "one",
    config: Config = "compact",
    ablation: Annotated[
        str,
        typer.Option(
            "--ablation",
            help="full; stage one also without-stratification, se-unet, ct or fusion; stage two also ct, ct-pet, ct-tags "
            "or tags.",
        ),
    ] = "full",
    studies: Annotated[int, typer.Option("--studies", min=1, help="Number of synthetic PET/CT to train on.")] = 60,
    validation: Annotated[
        int, typer.Option("--validation", min=0, help="Number of those on which thresholds are chosen.")
    ] = 12,
    scans: Annotated[
        Path | None, typer.Option("--scans", metavar="DIR", help="Folder of prepared studies, shared by several runs.")
    ] = None,
    first: Annotated[
        Path | None, typer.Option("--first", metavar="FILE", help="First stage whose candidates stage two reads.")
    ] = None,
    tagger: Annotated[
        Path | None, typer.Option("--tagger", metavar="FILE", help="LesaNet's weights, for stage two of config paper.")
    ] = None,
    steps: options.Steps = None,
    batch: options.Batch = None,
    learning_rate: options.LearningRate = None,
    warmup: options.Warmup = None,
    start: options.Start = None,
    seed: options.Seed = None,
    device: Device = "auto",
    max_minutes: options.MaxMinutes = None,
) -> None:
    """Train the lymph node detector for PET/CT, stage by stage.

    Training data: synthetic PET/CT with a primary tumour and its significant lymph nodes.
    """
    from oncotrack.training.petct import PLANS, Run, train

    changes = {"steps": steps, "batch": batch, "learning_rate": learning_rate, "warmup": warmup, "seed": seed}
    plan = PLANS.get(config, {}).get(stage) if any(value is not None for value in changes.values()) else None
    with progress_bar() as progress:
        written = train(
            stage,
            Run(
                out, config, studies, validation, ablation, plan_with(plan, **changes), start, first, tagger, scans,
                device, max_minutes, progress,
            ),
        )  # fmt: skip
    print_written(written)
