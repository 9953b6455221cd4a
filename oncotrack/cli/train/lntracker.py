"""``oncotrack train lntracker``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.options import Config, Device, InsertInto
from oncotrack.cli.output import print_written, progress_bar
from oncotrack.cli.train import options
from oncotrack.cli.train.options import plan_with


def lntracker(
    out: options.RunFolder,
    config: Config = "compact",
    ablation: Annotated[
        str,
        typer.Option(
            "--ablation",
            help="full, without-masked-attention, without-similarity-loss, without-track-queries or trackformer.",
        ),
    ] = "full",
    stage: Annotated[
        str, typer.Option("--stage", help="all (at once), or one after the other and faster: proposals, then queries.")
    ] = "all",
    crop: Annotated[int | None, typer.Option("--crop", min=64, help="Pixels of a crop, 0.8 mm each.")] = None,
    phantoms: options.NodePhantoms = 160,
    insert: InsertInto = None,
    insertions: options.Insertions = 40,
    nih: Annotated[
        tuple[Path, Path] | None, typer.Option("--nih", metavar="SCANS MASKS", help="Folders of NIH CT Lymph Nodes.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Folder of CTs with node masks, X_image and X_mask.")
    ] = None,
    steps: options.Steps = None,
    batch: options.Batch = None,
    learning_rate: options.LearningRate = None,
    warmup: options.Warmup = None,
    optimiser: Annotated[
        str | None,
        typer.Option(
            "--optimiser", help="radam, adam, or muon (torch 2.9 or newer; slow on processors without bfloat16)."
        ),
    ] = None,
    seed: options.Seed = None,
    start: options.Start = None,
    backbone: Annotated[
        Path | None,
        typer.Option("--backbone", help="torchvision's ResNet-50 weights (ImageNet), for the config paper."),
    ] = None,
    device: Device = "auto",
    max_minutes: options.MaxMinutes = None,
) -> None:
    """Train LN-Tracker, the lymph node detector for CT.

    Training data: synthetic scans, real CTs with inserted synthetic nodes, and annotated scans (--nih, --folder).
    """
    from oncotrack.training.lntracker import PLANS, train
    from oncotrack.training.node_sources import NodeSources

    plan = plan_with(
        PLANS.get(config), steps=steps, batch=batch, learning_rate=learning_rate, warmup=warmup, seed=seed,
        optimiser=optimiser,
    )  # fmt: skip
    sources = NodeSources(phantoms=phantoms, insert=insert or (), insertions=insertions, nih=nih, folder=folder)
    with progress_bar() as progress:
        written = train(
            out, config, sources, ablation=ablation, part=stage, crop=crop, plan=plan, start=start, backbone=backbone,
            device=device, max_minutes=max_minutes, progress=progress,
        )  # fmt: skip
    print_written(written)
