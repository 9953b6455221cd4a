"""What the commands print: progress and sentences on standard error, results on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from oncotrack.atomic import write_text
from oncotrack.background.jobs import Progress

_stderr = Console(stderr=True)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on standard error that vanishes when the work is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Bar(*columns, console=_stderr, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda fraction, text: bar.update(task, completed=fraction, description=text)


def say(text: str) -> None:
    """One line for a person, on standard error."""
    _stderr.print(text, highlight=False, soft_wrap=True, markup=False)


def give(result: Mapping[str, Any], target: str | None, lines: Mapping[str, str]) -> None:
    """The result as JSON (``-`` to standard output, else a file), or as a table for a person."""
    if target == "-":
        sys.stdout.write(json.dumps(result, indent=2, allow_nan=False) + "\n")
        return
    if target is not None:
        write_text(target, json.dumps(result, indent=2, allow_nan=False) + "\n")
        say(f"Written: {Path(target).absolute()}")
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in lines.items():
        table.add_row(name, value)
    Console().print(table, highlight=False)


def place(values) -> str:
    """A position for a person."""
    return "R {:.1f}  A {:.1f}  S {:.1f} mm".format(*values)
