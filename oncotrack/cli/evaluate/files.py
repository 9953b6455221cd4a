"""Output of the evaluations that compare files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from oncotrack.cli.output import print_result, print_written


def print_evaluation(result: dict[str, Any], json: str | None, out: Path | None) -> None:
    """Print every number of a result, and write its report into the folder `out`."""
    if out is not None:
        from oncotrack.evaluation import write_report

        for path in write_report(result, out):
            print_written(path)
    print_result(result, json, dict(_flat(result)))


def _flat(result: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in result.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name} ")
        elif isinstance(value, (int, float, str)):
            yield f"{prefix}{name}", f"{value:.2f}" if isinstance(value, float) else str(value)
