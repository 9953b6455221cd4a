"""``oncotrack evaluate petct``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from oncotrack.cli.evaluate.comparisons import comparison_text
from oncotrack.cli.options import Device, Json
from oncotrack.cli.output import print_result, progress_bar
from oncotrack.errors import InputError

Scan = TypeVar("Scan")


def petct(
    studies: Annotated[int, typer.Option("--studies", min=1, help="Number of synthetic studies.")] = 100,
    first: Annotated[
        list[str] | None,
        typer.Option("--first", metavar="NAME=FILE", help="First stages (table 1); the bundled one when missing."),
    ] = None,
    second: Annotated[
        list[str] | None,
        typer.Option("--second", metavar="NAME=FILE", help="Second stages (table 2); the bundled one when missing."),
    ] = None,
    tagger: Annotated[
        Path | None, typer.Option("--tagger", metavar="FILE", help="Weights of the compact tagger.", show_default=False)
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", help="Evaluate no further study after this time.")
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Keep the results of every study here, and continue from them."),
    ] = None,
    validation: Annotated[bool, typer.Option("--validation", help="Use the validation studies.")] = False,
    device: Device = "auto",
    json: Json = None,
) -> None:
    """Evaluate the PET/CT detector on synthetic studies.

    No network was trained on these studies. First stage: recall at precision 0.15 and mRecall; second stage: best F1,
    mFROC and recall at 3 false positives; each with its 95 % interval and, where the paper (OSLN) has this row in its
    tables 1 and 2, with the paper's figures, in the paper's order.
    """
    from oncotrack.datasets.node_scans import HELD_OUT, TEST
    from oncotrack.datasets.petct_scans import held_out_petct
    from oncotrack.detection.petct.detector import FirstStage, SecondStage, weights_path
    from oncotrack.detection.petct.tagger import TrainedTagger
    from oncotrack.evaluation.petct_detectors import evaluate_petct

    firsts = {
        name: FirstStage(path, device) for name, path in _files(first, weights_path("one", "compact"), "full").items()
    }
    describing = TrainedTagger(tagger or weights_path("tagger", "compact"), device)
    seconds = {
        name: SecondStage(path, describing, device)
        for name, path in _files(second, weights_path("two", "compact"), "full").items()
    }
    with progress_bar() as progress:
        scans = _until(held_out_petct(studies, HELD_OUT if validation else TEST), max_minutes)
        result = evaluate_petct(firsts, seconds, scans, progress, keep)
    print_result(result, json, _lines(result))


def _files(entries: Sequence[str] | None, default: Path, name: str) -> dict[str, Path]:
    """Return files by name from "NAME=FILE"."""
    files: dict[str, Path] = {}
    for entry in entries or ():
        given, equals, file = entry.partition("=")
        if not equals or given in files:
            raise InputError(f'Give every weights file a name of its own, as in NAME=FILE; "{entry}" has none.')
        files[given] = Path(file)
    return files or {name: default}


def _until(scans: Iterable[Scan], minutes: float | None) -> Iterator[Scan]:
    """Yield scans until the time is over, at least one."""
    started = time.monotonic()
    for scan in scans:
        yield scan
        if minutes is not None and time.monotonic() - started > 60 * minutes:
            return


def _lines(result: Mapping[str, Any]) -> dict[str, str]:
    """Return the table of `evaluate_petct`."""
    tables = {"first stage": ("Recall@0.15", "mRecall@0.10-0.20"), "second stage": ("F1", "mFROC", "Recall@3FP")}
    lines: dict[str, str] = {"Studies": str(next(iter(result["first stage"].values()))["patients"])}
    for table, columns in tables.items():
        for name, metrics in result[table].items():
            label = metrics["row"] if metrics["row"] == name else f"{metrics['row']} ({name})"
            lines[f"{table.capitalize()}, {label}"] = _with_intervals(metrics, columns) + _paper(metrics["paper"])
    lines["Candidates"] = "at probability {threshold:g}: precision {precision:.1f}, recall {recall:.1f}".format(
        **result["operating point"]
    )
    for gained in ("Recall@0.15 gained by", "mFROC gained by"):
        for step, over in result[gained].items():
            lines[f"{gained} {step}"] = f"{comparison_text(over)}; paper {over['paper']:+.1f}"
    return lines


def _paper(figures: Mapping[str, float] | None) -> str:
    """Return the paper's figures as text."""
    return "; paper " + ", ".join(f"{value:.1f}" for value in figures.values()) if figures else ""


def _with_intervals(metrics: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return metrics with their intervals as text."""
    parts = []
    for name in names:
        low, high = metrics[f"{name} interval"] or (float("nan"), float("nan"))
        parts.append(f"{name} {metrics[name]:.1f} ({low:.1f} to {high:.1f})")
    return ", ".join(parts)
