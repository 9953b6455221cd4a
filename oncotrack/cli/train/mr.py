"""``oncotrack train mr``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.options import Config, Device
from oncotrack.cli.output import print_written, progress_bar
from oncotrack.cli.train import options
from oncotrack.cli.train.options import plan_with


def mr(
    out: options.RunFolder,
    config: Config = "compact",
    ablation: Annotated[
        str,
        typer.Option(
            "--ablation",
            help="full, mask-rcnn, mask-rcnn-without-pseudo-mask, without-pseudo-mask, without-attention, "
            "without-uncertainty, or fixed weights of the five losses, as weights-10-1-1-1-1.",
        ),
    ] = "full",
    phantoms: Annotated[
        int, typer.Option("--phantoms", min=1, help="Number of synthetic scans with RECIST axes.")
    ] = 160,
    scans: Annotated[
        Path | None, typer.Option("--scans", metavar="DIR", help="Folder of prepared slices, shared by several runs.")
    ] = None,
    steps: options.Steps = None,
    batch: options.Batch = None,
    learning_rate: options.LearningRate = None,
    warmup: options.Warmup = None,
    seed: options.Seed = None,
    device: Device = "auto",
    max_minutes: options.MaxMinutes = None,
) -> None:
    """Train the lymph node detector for MR.

    Training data: slices of synthetic T2-weighted scans with RECIST axes.
    """
    from oncotrack.training.mr import PLANS, train

    plan = plan_with(PLANS.get(config), steps=steps, batch=batch, learning_rate=learning_rate, warmup=warmup, seed=seed)
    with progress_bar() as progress:
        written = train(
            out, config, phantoms, ablation=ablation, plan=plan, scans=scans, device=device, max_minutes=max_minutes,
            progress=progress,
        )  # fmt: skip
    print_written(written)
