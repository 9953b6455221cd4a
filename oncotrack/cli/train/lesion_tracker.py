"""The options and the run of ``oncotrack train dlt`` and ``oncotrack train tlt``."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.options import Config, Device, Dls
from oncotrack.cli.output import print_written, progress_bar
from oncotrack.cli.train import options
from oncotrack.cli.train.options import plan_with


def training_command(name: str, title: str) -> Callable[..., None]:
    """Return the command that trains the lesion tracker called `name`."""

    def command(
        out: options.RunFolder,
        config: Config = "compact",
        phantoms: Annotated[
            int, typer.Option("--phantoms", min=0, help="Number of synthetic patients with three visits each.")
        ] = 26,
        warp: Annotated[
            list[Path] | None,
            typer.Option("--warp", metavar="CT", help="A real CT to warp and to insert lesions into; repeatable."),
        ] = None,
        warps: Annotated[
            int, typer.Option("--warps", min=0, help="Number of scan pairs made from the CTs of --warp.")
        ] = 45,
        dls: Dls = None,
        visits: Annotated[
            Path | None,
            typer.Option("--visits", metavar="DIR", help="Folder of prepared pairs; inside --out when missing."),
        ] = None,
        steps: options.Steps = None,
        batch: options.Batch = None,
        learning_rate: options.LearningRate = None,
        warmup: options.Warmup = None,
        seed: options.Seed = None,
        start: options.Start = None,
        device: Device = "auto",
        max_minutes: options.MaxMinutes = None,
    ) -> None:
        from oncotrack.training.lesion_tracker import train
        from oncotrack.training.visit_sources import VisitSources

        system = import_module(f"oncotrack.training.{name}").SYSTEM
        plan = plan_with(
            system.plans.get(config), steps=steps, batch=batch, learning_rate=learning_rate, warmup=warmup, seed=seed
        )
        sources = VisitSources(phantoms=phantoms, warp=warp or (), warps=warps, dls=dls)
        with progress_bar() as progress:
            written = train(
                system, out, config, sources, visits=visits, plan=plan, start=start, device=device,
                max_minutes=max_minutes, progress=progress,
            )  # fmt: skip
        print_written(written)

    command.__doc__ = (
        f"Train {title}.\n\n"
        "Training data: synthetic patients, real CTs that are warped and have lesions inserted, and the Deep "
        "Longitudinal Study (--dls)."
    )
    return command
