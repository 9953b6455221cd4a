"""``oncotrack evaluate dls``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.evaluate.files import print_evaluation
from oncotrack.cli.options import Json, Out


def dls(
    truth: Annotated[Path, typer.Argument(help="The Deep Longitudinal Study's JSON file.")],
    predictions: Annotated[Path, typer.Argument(help="Predictions in the released format.")],
    json: Json = None,
    out: Out = None,
) -> None:
    """Evaluate predictions for Deep Longitudinal Study: MED, CPM.

    CPM is given in the three definitions in use: those of DLT, TLT and UAE.
    """
    from oncotrack.evaluation import evaluate_dls

    print_evaluation(evaluate_dls(truth, predictions), json, out)
