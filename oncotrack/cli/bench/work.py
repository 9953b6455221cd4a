"""``oncotrack bench work``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.options import Json
from oncotrack.cli.output import print_result, progress_bar


def work(
    lung: Annotated[
        Path | None, typer.Option("--lung", help="Folder of the lung pair; a synthetic pair when missing.")
    ] = None,
    method: Annotated[str, typer.Option("--method", help="The follow-up method.")] = "ensemble",
    json: Json = None,
) -> None:
    """Time a click to its match through the work process of Slicer's modules.

    Next to the same in one process, in turn.
    """
    from oncotrack.bench.work import bench_work

    with progress_bar() as progress:
        result = bench_work(lung, method, progress)
    lines = {
        f"{title}, {result['pair']}, {method}": f"{result[f'{click}_process_s']:.3f} s; in one process "
        f"{result[f'{click}_here_s']:.3f} s: {result[f'{click}_ratio']:.2f} times"
        for click, title in (("first", "First click with registration"), ("later", "Later click"))
    }
    lines["Start of the process with its imports"] = f"{result['start_s']:.1f} s"
    print_result(result, json, lines)
