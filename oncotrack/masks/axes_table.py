"""Tables of RECIST axes: read from CSV or .mrk.json, written as CSV; an error in a row does not affect the others."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oncotrack.atomic import write_text
from oncotrack.errors import InputError
from oncotrack.findings.finding import Observation
from oncotrack.images.volume import lps_to_ras
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.axes_files import is_lps, points, read_axes

ENDS = tuple(f"{axis}_{end}_{way}" for axis in ("long", "short") for end in ("start", "end") for way in "ras")
"""Columns of the end points, RAS mm (LPS for rows whose column ``coordinates`` is LPS)."""


@dataclass(frozen=True)
class AxesRow:
    """One lesion of a table: its axes, or None with an error message. `image` is a path, or empty."""

    label: str
    axes: RecistAxes | None
    error: str = ""
    image: str = ""


def read_table(path: str | Path) -> list[AxesRow]:
    """Read the rows of a table.

    Parameters
    ----------
    path : path
        CSV with the columns `ENDS` and optionally ``label``, ``image`` and ``coordinates``; a ``.mrk.json`` in
        which each two successive lines belong to one lesion; or the JSON of one pair of axes.

    Raises
    ------
    InputError
        The file is missing or damaged, lacks a column, or holds no row.
    """
    path = Path(path).expanduser()
    if path.name.lower().endswith(".json"):
        return _markups(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist. Check the path.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a readable text file. Save the table as CSV (UTF-8).") from error
    reader = csv.DictReader(io.StringIO(text))
    missing = [name for name in ENDS if name not in (reader.fieldnames or ())]
    if missing:
        raise InputError(f"{path} lacks the columns {', '.join(missing[:3])}; a table of axes has {', '.join(ENDS)}.")
    rows = [_row(line, row) for line, row in enumerate(reader, 2)]
    if not rows:
        raise InputError(f"{path} holds no row below its header. Choose another table.")
    return rows


def _row(line: int, row: Mapping[str, str]) -> AxesRow:
    label = (row.get("label") or "").strip() or f"line {line}"
    image = (row.get("image") or "").strip()
    try:
        ends = np.array([float(row[name]) for name in ENDS]).reshape(4, 3)
        system = (row.get("coordinates") or "RAS").strip().upper()
        ends = lps_to_ras(ends) if is_lps(system, f"Line {line}") else ends
        return AxesRow(label, RecistAxes.of(ends[:2], ends[2:], label), image=image)
    except (TypeError, ValueError):
        return AxesRow(label, None, f"Line {line}: an end of an axis is not three numbers.", image)
    except InputError as error:
        return AxesRow(label, None, f"Line {line}: {error}", image)


def _markups(path: Path) -> list[AxesRow]:
    try:
        lines = json.loads(path.read_text(encoding="utf-8"))["markups"]
        lines = [line for line in lines if line["type"] == "Line"]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError):
        axes = read_axes(path)  # a single pair of axes, or an error message
        return [AxesRow(path.name.split(".")[0], axes)]
    if not lines or len(lines) % 2:
        raise InputError(f"{path} holds {len(lines)} lines; each lesion has two, its long and its short axis.")
    rows = []
    for n, pair in enumerate(zip(lines[::2], lines[1::2], strict=True), 1):
        label = f"L {n}"
        try:
            one, other = (
                points([p.get("position") for p in line.get("controlPoints", [])],
                       is_lps(line.get("coordinateSystem", "LPS"), path), path)
                for line in pair
            )  # fmt: skip
            rows.append(AxesRow(label, RecistAxes.of(one, other, label)))
        except InputError as error:
            rows.append(AxesRow(label, None, str(error)))
    return rows


COLUMNS = (
    "label", "image", "error", "long_axis_mm", "short_axis_mm", "volume_mm3", "centre_r", "centre_a", "centre_s",
    *(f"box_{end}_{way}" for end in ("low", "high") for way in "ras"), *ENDS,
)  # fmt: skip
"""Columns that `write_table` writes; `read_table` accepts such a table."""


@dataclass(frozen=True)
class ResultRow:
    """A row to write: the observation of a finding, or None with an error message."""

    label: str
    observation: Observation | None = None
    error: str = ""
    image: str = ""


def write_table(path: str | Path, rows: Iterable[ResultRow | tuple[str, Observation]]) -> Path:
    """Write findings as CSV: axes and box in RAS mm, volume in mm^3.

    Parameters
    ----------
    path : path
        The file to write.
    rows : iterable of ResultRow or of (str, Observation)
        One for each finding; a pair is its label and its observation.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(_cells(row if isinstance(row, ResultRow) else ResultRow(*row)))
    return write_text(path, text.getvalue())


def _cells(row: ResultRow) -> dict[str, object]:
    cells: dict[str, object] = {"label": row.label, "image": row.image, "error": row.error}
    observation = row.observation
    if observation is None:
        return cells
    cells |= _numbers(("centre_r", "centre_a", "centre_s"), observation.centre)
    if observation.volume_mm3 is not None:
        cells["volume_mm3"] = round(observation.volume_mm3, 1)
    if observation.box is not None:
        cells |= _numbers(
            [name for name in COLUMNS if name.startswith("box")], (*observation.box.low, *observation.box.high)
        )
    if observation.long_axis is not None and observation.short_axis is not None:
        both = (observation.long_axis, observation.short_axis)
        cells |= _numbers(("long_axis_mm", "short_axis_mm"), [axis.length_mm for axis in both])
        cells |= _numbers(ENDS, [value for axis in both for end in (axis.start, axis.end) for value in end])
    return cells


def _numbers(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    return {name: round(float(value), 3) for name, value in zip(names, values, strict=True)}
