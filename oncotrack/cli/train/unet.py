"""``oncotrack train unet``."""

from __future__ import annotations

from oncotrack.cli.options import Device, InsertInto
from oncotrack.cli.output import print_written, progress_bar
from oncotrack.cli.train import options
from oncotrack.cli.train.options import plan_with


def unet(
    out: options.RunFolder,
    phantoms: options.NodePhantoms = 160,
    insert: InsertInto = None,
    insertions: options.Insertions = 40,
    steps: options.Steps = None,
    batch: options.Batch = None,
    learning_rate: options.LearningRate = None,
    warmup: options.Warmup = None,
    seed: options.Seed = None,
    start: options.Start = None,
    device: Device = "auto",
    max_minutes: options.MaxMinutes = None,
) -> None:
    """Train the 3D U-Net that LN-Tracker is compared with.

    Training data: synthetic scans and real CTs with inserted synthetic nodes.
    """
    from oncotrack.training.node_sources import NodeSources
    from oncotrack.training.unet import PLAN, train

    plan = plan_with(PLAN, steps=steps, batch=batch, learning_rate=learning_rate, warmup=warmup, seed=seed) or PLAN
    sources = NodeSources(phantoms=phantoms, insert=insert or (), insertions=insertions)
    with progress_bar() as progress:
        written = train(out, sources, plan=plan, start=start, device=device, max_minutes=max_minutes, progress=progress)
    print_written(written)
