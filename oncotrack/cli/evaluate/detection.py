"""``oncotrack evaluate detection``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.evaluate.files import print_evaluation
from oncotrack.cli.options import Json, Out


def detection(
    truth: Annotated[Path, typer.Argument(help="Findings file or a folder of them.")],
    predictions: Annotated[Path, typer.Argument(help="Findings file or a folder of them.")],
    kind: Annotated[
        str | None, typer.Option("--kind", help="Which paper's metrics; all that apply when missing.")
    ] = None,
    json: Json = None,
    out: Out = None,
) -> None:
    """Compare detected boxes with ground truth boxes, from files."""
    from oncotrack.evaluation import evaluate_detection

    print_evaluation(evaluate_detection(truth, predictions, kind), json, out)
