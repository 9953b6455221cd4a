"""``oncotrack evaluate detection``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.evaluate.files import print_evaluation
from oncotrack.cli.options import Json, Out
from oncotrack.errors import InputError


def detection(
    truth: Annotated[Path, typer.Argument(help="Findings file or a folder of them.")],
    predictions: Annotated[Path, typer.Argument(help="The same, or what oncotrack detect wrote with --json or --out.")],
    kind: Annotated[
        str | None, typer.Option("--kind", help="Compare only these findings: lymph node or lesion.")
    ] = None,
    json: Json = None,
    out: Out = None,
) -> None:
    """Compare detected boxes with ground truth boxes, from files."""
    from oncotrack.evaluation import evaluate_detection
    from oncotrack.findings.finding import Kind

    if kind is not None and kind not in tuple(Kind):
        raise InputError(f'There is no kind "{kind}". Choose one of: {", ".join(Kind)}.', parameter="kind")
    print_evaluation(evaluate_detection(truth, predictions, Kind(kind) if kind else None), json, out)
