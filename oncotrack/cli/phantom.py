"""``oncotrack phantom``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.options import out_folder
from oncotrack.cli.output import print_written


def phantom(
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="The same seed gives the same patient.")],
    out: Annotated[Path, out_folder("Where to write.")],
    visits: Annotated[int, typer.Option("--visits", min=1, help="Number of scans over time.")] = 2,
    region: Annotated[str, typer.Option("--region", help="trunk, or whole-body: brain to mid-thigh.")] = "trunk",
    size: Annotated[
        tuple[int, int, int] | None,
        typer.Option("--size", metavar="I J K", help="Voxels.", show_default="256 256 128, or 240 for whole-body"),
    ] = None,
    modality: Annotated[list[str], typer.Option("--modality", help="CT, PT or MR; repeatable.")] = ["CT"],  # noqa: B006
    dicom: Annotated[bool, typer.Option("--dicom", help="Write DICOM series too.")] = False,
) -> None:
    """Make a synthetic patient over time, with its ground truth.

    Writes the scans, masks of lesions, nodes and organs, findings.json and truth.json.
    """
    from oncotrack.phantom import make_patient, write_patient

    size = size or (256, 256, 240 if region == "whole-body" else 128)
    patient = make_patient(seed, visits=visits, size=size, region=region, modalities=modality)
    print_written(write_patient(patient, out, dicom=dicom))
