"""``oncotrack bench petct``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.options import Device, Json
from oncotrack.cli.output import print_result, progress_bar


def petct(
    weights: Annotated[
        Path | None,
        typer.Option("--weights", metavar="DIR", help="Folder of the weights; the bundled ones when missing."),
    ] = None,
    size: Annotated[
        tuple[int, int, int], typer.Option("--size", metavar="X Y Z", help="Voxels of the synthetic CT.")
    ] = (512, 512, 200),
    device: Device = "auto",
    json: Json = None,
) -> None:
    """Time the PET/CT detector next to MONAI's sliding window.

    Both run the same four networks, MONAI's on the whole grid at an overlap of 0.25.
    """
    from oncotrack.bench.petct import bench_petct

    with progress_bar() as progress:
        result = bench_petct(device, weights, size, progress)
    lines = {
        "Scan": f"{' x '.join(map(str, result['scan']))} voxels, on {result['device']}, {result['threads']} threads",
        "Detector": f"{result['seconds']:.1f} s, {result['nodes']} nodes",
        "Segmentation": f"{result['segmentation']:.1f} s; MONAI {result['monai']:.1f} s; ratio {result['ratio']:.2f}",
    }
    if result["peak_mib"] is not None:
        lines["Memory"] = f"{result['peak_mib']:.0f} MiB at most"
    print_result(result, json, lines)
