"""``oncotrack bench``: its commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.options import Device, Json, out_folder

bench = typer.Typer(help="Measure speed and accuracy beside what would be used instead.", no_args_is_help=True)


@bench.command("detect")
def bench_detect(
    image: Annotated[
        Path | None, typer.Argument(help="A CT; a synthetic one when missing.", show_default=False)
    ] = None,
    unet: Annotated[
        Path | None, typer.Option("--unet", help="Weights of the U-Net, to be timed too.", show_default=False)
    ] = None,
    device: Device = "auto",
    json: Json = None,
) -> None:
    """LN-Tracker: seconds a slice and a scan, memory, GFLOPs; beside stacking and a 3D U-Net."""
    from oncotrack.cli.bench import detect as run

    run(image, device, unet, json)


@bench.command("follow")
def bench_follow(
    lung: Annotated[
        Path | None, typer.Option("--lung", help="Folder of the lung pair; the sample when missing.")
    ] = None,
    large: Annotated[
        Path | None, typer.Option("--large", help="A large CT to warp; a synthetic one when missing.")
    ] = None,
    json: Json = None,
) -> None:
    """Follow-up: self-similarity and the default beside affine and B-spline registration."""
    from oncotrack.cli.bench import follow as run

    run(lung, large, json)


@bench.command("mask")
def bench_mask(json: Json = None) -> None:
    """A mask from two diameters: milliseconds and Dice; beside a threshold and region growing."""
    from oncotrack.cli.bench import mask as run

    run(json)


@bench.command("view")
def bench_view(json: Json = None) -> None:
    """The browser viewer: time to a usable page, a new slice, a shown match; memory."""
    from oncotrack.cli.bench import view as run

    run(json)


@bench.command("phantom")
def bench_phantom(
    out: Annotated[Path, out_folder("Where to write.")] = Path("out/phantom"),
    real: Annotated[list[Path] | None, typer.Option("--real", help="A real CT to set beside; repeat.")] = None,
    patients: Annotated[int, typer.Option("--patients", min=1, help="Bodies whose nodes are measured.")] = 16,
    json: Json = None,
) -> None:
    """Synthetic patients beside real ones: attenuation, noise, node sizes."""
    from oncotrack.cli.bench import phantom as run

    run(out, real or [], patients, json)
