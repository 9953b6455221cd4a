"""Output of the commands: progress and messages on standard error, results on standard output."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oncotrack.background.jobs import Progress
    from oncotrack.followup.tracker import Match


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show a bar on standard error that disappears when the work is done."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda fraction, text: bar.update(task, completed=fraction, description=text)


def print_message(text: str) -> None:
    """Print one line on standard error."""
    sys.stderr.write(f"{text}\n")


def print_written(path: str | Path) -> None:
    """Report a file that was written."""
    print_message(f"Written: {Path(path).absolute()}")


def print_result(result: Mapping[str, Any], target: str | None, lines: Mapping[str, str]) -> None:
    """Print the result as JSON on standard output (``-``), or as a table, and as JSON into the file `target`."""
    if target == "-":
        sys.stdout.write(json.dumps(result, indent=2, allow_nan=False) + "\n")
        return
    if target is not None:
        from oncotrack.atomic import write_text

        print_written(write_text(target, json.dumps(result, indent=2, allow_nan=False) + "\n"))
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in lines.items():
        table.add_row(name, value)
    Console(markup=False, highlight=False).print(table)


def format_position(position: Sequence[float]) -> str:
    """Return an RAS position in mm as text."""
    return "R {:.1f}  A {:.1f}  S {:.1f} mm".format(*position)


def format_seconds(seconds: Mapping[str, float]) -> str:
    """Return named durations as text."""
    return ", ".join(f"{name} {value:.2f}" for name, value in seconds.items())


def match_as_json(match: Match) -> dict[str, Any]:
    """Return a match with the JSON keys that scripts read; `match_ras` and `affine_ras` are the names before version 0.3."""
    return {
        "found": match.found,
        "position_ras": list(match.position),
        "expected_ras": list(match.registration_guess),
        "match_ras": list(match.position),
        "affine_ras": list(match.registration_guess),
        "score": match.score,
        "cycle_error_mm": match.cycle_error_mm,
        "alternatives": [
            {"position_ras": list(a.centre), "match_ras": list(a.centre), "score": a.score} for a in match.alternatives
        ],
        "radius_mm": match.radius_mm,
        "reason": match.reason,
        "method": match.method,
    }


def program() -> str:
    """Return how to call this program again from any folder: the command beside the interpreter where there is one."""
    found, beside = shutil.which("oncotrack"), shutil.which("oncotrack", path=str(Path(sys.executable).parent))
    if beside and not (found and Path(found).samefile(beside)):
        return f'"{beside}"' if " " in beside else beside
    return "oncotrack" if found else f"{sys.executable} -m oncotrack"
