"""``oncotrack bench detect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.options import Device, Json, Resample, Series
from oncotrack.cli.output import print_result, progress_bar


def detect(
    image: Annotated[
        Path | None, typer.Argument(help="A CT; a synthetic one when missing.", show_default=False)
    ] = None,
    unet: Annotated[
        Path | None, typer.Option("--unet", help="Weights of the U-Net, to time it too.", show_default=False)
    ] = None,
    series: Series = None,
    resample: Resample = False,
    device: Device = "auto",
    json: Json = None,
) -> None:
    """Time LN-Tracker next to box stacking and a 3D U-Net.

    Seconds per slice and per scan, memory, GFLOPs.
    """
    from oncotrack.bench.detect import bench_detect

    with progress_bar() as progress:
        result = bench_detect(image, device, progress, unet=unet, series=series, resample=resample)
    lines = {"Scan": f"{result['scan']}, {result['slices']} slices, on {result['device']}"}
    titles = {
        "tracking": "Tracking",
        "stacking": "Stacking",
        "measured": "With region, masks and axes",
        "unet": "U-Net",
    }
    for name, title in titles.items():
        if name in result:
            lines[title] = "{seconds:.1f} s, {seconds_per_slice:.2f} s per slice, {nodes} nodes".format(**result[name])
    if result["peak_mib"] is not None:
        lines["Memory"] = f"{result['peak_mib']:.0f} MiB at most"
    for name in ("compact", "paper"):
        lines[f"Config {name}"] = "{parameters:,} parameters, {gflops:.1f} GFLOPs per slice of 512x512".format(
            **result[name]
        )
    print_result(result, json, lines)
