"""``oncotrack bench dicom``."""

from __future__ import annotations

from typing import Annotated

import typer

from oncotrack.cli.options import Json
from oncotrack.cli.output import print_result, progress_bar


def dicom(
    slices: Annotated[int, typer.Option("--slices", help="Slices of the CT.")] = 275,
    lesions: Annotated[int, typer.Option("--lesions", help="Findings, each with a mask.")] = 80,
    json: Json = None,
) -> None:
    """Time writing findings as DICOM, and retrieving from an archive.

    Next to highdicom called once for each segment, and to DCMTK's getscu.
    """
    from oncotrack.bench.dicom import bench_dicom

    with progress_bar() as progress:
        result = bench_dicom(slices, lesions, progress=progress)
    ratio = result["write_seconds"] / result["highdicom_seconds"]
    lines = {
        f"Writing {lesions} findings": f"{result['write_seconds']:.1f} s ({result['write_cpu_seconds']:.1f} s of processor), "
        f"peak memory {result['memory_mib']:.0f} MiB",
        "highdicom once a segment": f"{result['highdicom_seconds']:.1f} s ({result['highdicom_cpu_seconds']:.1f} s); the share is {ratio:.2f}",
        "Segmentation": f"{result['seg_bytes'] / 2**20:.1f} MiB, {result['seg_bytes'] / result['naive_bytes']:.3f} of "
        "all slices for all segments",
        "Reading them": f"{result['read_seconds']:.1f} s",
    }
    if "retrieve_seconds" in result:
        lines["Retrieving the CT"] = f"{result['retrieve_seconds']:.2f} s; getscu {result['getscu_seconds']:.2f} s"
    print_result(result, json, lines)
