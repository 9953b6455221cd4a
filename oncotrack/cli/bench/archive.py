"""``oncotrack bench archive``."""

from __future__ import annotations

from typing import Annotated

import typer

from oncotrack.cli.options import Json
from oncotrack.cli.output import print_result, progress_bar
from oncotrack.errors import InputError


def archive(
    patients: Annotated[int, typer.Option("--patients", min=1, help="Patients of the cohort.")] = 60,
    files: Annotated[int, typer.Option("--files", min=200, help="Files of the tree that is indexed.")] = 20000,
    part: Annotated[
        list[str] | None, typer.Option("--part", help="run, index or many; repeatable; all when missing.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Worker processes.")] = 2,
    detector: Annotated[str, typer.Option("--detector", help="fatblobs, lntracker or combined.")] = "fatblobs",
    against: Annotated[
        list[str] | None,
        typer.Option("--against", help="loop or xargs, next to which a run is timed; repeatable; both when missing."),
    ] = None,
    json: Json = None,
) -> None:
    """Time an archive on Dask workers next to loops of commands.

    Also the index next to a loop of pydicom, and the cost of thousands of patients for the scheduler.
    """
    from oncotrack.bench.archive import PARTS, RIVALS, bench_archive

    parts, rivals = tuple(part or PARTS), tuple(against or RIVALS)
    if set(rivals) - set(RIVALS):
        raise InputError("A run is timed next to loop or xargs.", parameter="against")
    if unknown := set(parts) - set(PARTS):
        raise InputError(f"There is no part {', '.join(sorted(unknown))}. Choose run, index or many.", parameter="part")
    with progress_bar() as progress:
        result = bench_archive(patients, files, parts, workers, detector, rivals, progress)
    lines = {}
    if run := result.get("run"):
        others = "; ".join(f"{name} {run[name]:.0f} s ({run[name] / run['dask']:.2f} times)" for name in rivals)
        lines[f"{patients} patients"] = f"{run['dask']:.0f} s on {workers} workers; {others}"
    if index := result.get("index"):
        lines[f"Index of {files} files"] = (
            f"{index['seconds']:.1f} s; pydicom {index['pydicom']:.1f} s ({index['pydicom'] / index['seconds']:.2f} times); "
            f"{index['mib']:.0f} MiB, {index['mib_of_a_tenth']:.0f} MiB for a tenth of the files"
        )
    for row in result.get("many", ()):
        lines[f"{row['jobs']} jobs of 1 ms"] = (
            f"{row['ms_per_job']:.1f} ms each, client and scheduler {row['mib']:.0f} MiB"
        )
    print_result(result, json, lines)
