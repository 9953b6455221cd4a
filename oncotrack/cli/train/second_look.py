"""``oncotrack train second-look``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.options import Device, InsertInto
from oncotrack.cli.output import print_written, progress_bar
from oncotrack.cli.train import options


def second_look(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to write, second-look.json.")],
    insert: InsertInto = None,
    insertions: options.Insertions = 12,
    annotated: Annotated[
        Path | None,
        typer.Option("--folder", help="Folder of CTs with node masks, used as they are.", show_default=False),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Weights of LN-Tracker; the bundled ones when missing.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Train and calibrate the second look at the proposals in CT.

    Training data: real CTs with synthetic nodes inserted into deep fat, and annotated CTs; in both the detector's other
    proposals are the counter-examples. One CT is read at a time.
    """
    from oncotrack.atomic import write_text
    from oncotrack.training.second_look import train

    with progress_bar() as progress:
        text = train(insert or (), insertions, annotated, device=device, weights=weights, progress=progress)
    print_written(write_text(out, text))
