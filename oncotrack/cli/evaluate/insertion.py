"""``oncotrack evaluate insertion``."""

from __future__ import annotations

from typing import Annotated

import typer

from oncotrack.cli.options import InsertInto, Json
from oncotrack.cli.output import print_result, progress_bar


def insertion(
    insert: InsertInto = None,
    scans: Annotated[
        int, typer.Option("--scans", min=1, help="Scans with inserted nodes that are made from each CT.")
    ] = 4,
    json: Json = None,
) -> None:
    """Try to distinguish inserted nodes from real small structures.

    A regression on attenuation, texture and border is tested on CTs that it was not fitted on. AUC 0.5: they cannot be
    distinguished.
    """
    from oncotrack.datasets.real_cts import read_cts
    from oncotrack.evaluation.insertion import evaluate_insertion

    with progress_bar() as progress:
        result = evaluate_insertion(read_cts(insert or ()), scans, progress)
    pairs = sum(result["structures"].values())
    lines = {"AUC": f"{result['AUC']:.2f}, {pairs} inserted nodes and as many real structures"}
    lines |= {f"AUC, {name} alone": f"{value:.2f}" for name, value in result["AUC by group"].items()}
    for name, value in result["AUC by CT"].items():
        lines[f"AUC in {name}"] = f"{value:.2f}, {result['structures'][name]} of each"
    print_result(result, json, lines)
