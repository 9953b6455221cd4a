"""Tables of RECIST axes: read from CSV or Slicer's lines, written as CSV; an error in a row does not affect the others."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oncotrack.atomic import write_text
from oncotrack.errors import InputError, long_names_refused
from oncotrack.findings.csv_text import as_written, without_formula
from oncotrack.findings.finding import Observation
from oncotrack.images.volume import lps_to_ras
from oncotrack.json_text import read_text
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.axes_files import LINE_FILES, axes_of_lines, is_lps, odd_number, read_axes_files, read_lines

ENDS = tuple(f"{axis}_{end}_{way}" for axis in ("long", "short") for end in ("start", "end") for way in "ras")
"""Columns of the end points, RAS mm (LPS for rows whose column ``coordinates`` is LPS)."""


@dataclass(frozen=True)
class AxesRow:
    """One lesion of a table: its axes, or None with an error message. `image` is a path, or empty."""

    label: str
    axes: RecistAxes | None
    error: str = ""
    image: str = ""


@long_names_refused()
def read_table(*paths: str | Path) -> list[AxesRow]:
    """Read the rows of a table.

    Parameters
    ----------
    *paths : path
        One CSV with the columns `ENDS` and optionally ``label``, ``image`` and ``coordinates``, separated by commas,
        semicolons or tabs; a decimal comma is read where commas do not separate the columns. Or files with lines of
        Slicer (`axes_files.read_lines`), of which each two successive ones belong to one lesion, or the folder of such
        files, in the order in which Slicer numbers them. Or the JSON of one pair of axes.

    Raises
    ------
    InputError
        A file is missing or damaged, lacks a column, or holds no row; or a line is left over.
    """
    first, *_more = files = [Path(path).expanduser() for path in paths]
    if first.is_dir():
        files = sorted((path for path in first.iterdir() if path.name.lower().endswith(LINE_FILES)), key=_in_order)
        if not files:
            raise InputError(f"{first} holds no lines of 3D Slicer ({', '.join(LINE_FILES)}). Choose another folder.")
    if all(path.name.lower().endswith(LINE_FILES) for path in files):
        return _line_rows(files)
    if len(files) > 1:
        raise InputError("Several files are read only where each holds lines of 3D Slicer. Choose one table.")
    if first.name.lower().endswith(".json"):
        (axes,) = read_axes_files([first])
        return [AxesRow(first.name.split(".")[0], axes)]
    return _csv_rows(first)


def _in_order(path: Path) -> list[tuple[int, str]]:
    """Return the key that sorts names as a reader counts: L, L_1, L_2, L_10."""
    name = path.name.lower().partition(".")[0]
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _csv_rows(path: Path) -> list[AxesRow]:
    text, separator = read_text(path, "is not a readable text in UTF-8. Save the table as CSV (UTF-8)."), ","
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep="):  # written by Excel
        text, first = rest, rest.partition("\n")[0]
    for each in (";", "\t"):
        if first.count(each) > first.count(separator):
            separator = each
    reader = csv.DictReader(io.StringIO(text), delimiter=separator)
    try:
        names = [name.strip().lower() for name in reader.fieldnames or ()]
        reader.fieldnames = names
        table = [(reader.line_num, row) for row in reader if any((row[name] or "").strip() for name in names)]
    except csv.Error as error:
        raise InputError(f"{path} is not a readable table ({error}). Save it as CSV (UTF-8).") from error
    missing = [name for name in ENDS if name not in names]
    if missing:
        raise InputError(f"{path} lacks the columns {', '.join(missing[:3])}; a table of axes has {', '.join(ENDS)}.")
    rows = [_row(line, row, is_decimal_comma=separator != ",") for line, row in table]
    if not rows:
        raise InputError(f"{path} holds no row below its header. Choose another table.")
    return rows


def _row(line: int, row: Mapping[str, str], *, is_decimal_comma: bool) -> AxesRow:
    label = as_written((row.get("label") or "").strip()) or f"line {line}"
    image = as_written((row.get("image") or "").strip())
    try:
        texts = [row[name].replace(",", ".") if is_decimal_comma else row[name] for name in ENDS]
        ends = np.array([float(text) for text in texts]).reshape(4, 3)
        system = (row.get("coordinates") or "RAS").strip().upper()
        ends = lps_to_ras(ends) if is_lps(system, f"Line {line}") else ends
        return AxesRow(label, RecistAxes.of(ends[:2], ends[2:], label), image=image)
    except (AttributeError, TypeError, ValueError):
        return AxesRow(label, None, f"Line {line}: an end of an axis is not three numbers.", image)
    except InputError as error:
        return AxesRow(label, None, f"Line {line}: {error}", image)


def _line_rows(files: Sequence[Path]) -> list[AxesRow]:
    lines = [line for path in files for line in read_lines(path)]
    if len(lines) % 2:
        raise next((line for line in lines if isinstance(line, InputError)), odd_number(len(lines), files[-1]))
    rows = []
    for n, (one, other) in enumerate(zip(lines[::2], lines[1::2], strict=True), 1):
        label = f"L {n}"
        try:
            rows.append(AxesRow(label, axes_of_lines(one, other)))
        except InputError as error:
            rows.append(AxesRow(label, None, str(error)))
    return rows


COLUMNS = (
    "label", "image", "segmentation", "error", "long_axis_mm", "short_axis_mm", "volume_mm3", "position_r", "position_a", "position_s",
    *(f"box_{end}_{way}" for end in ("low", "high") for way in "ras"), *ENDS,
)  # fmt: skip
"""Columns that `write_table` writes; `read_table` accepts such a table."""


@dataclass(frozen=True)
class ResultRow:
    """A row to write: the observation of a finding and the file of its mask, or None with an error message."""

    label: str
    observation: Observation | None = None
    error: str = ""
    image: str = ""
    segmentation: str = ""


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
        cells = _cells(row if isinstance(row, ResultRow) else ResultRow(*row))
        writer.writerow({name: without_formula(cell) for name, cell in cells.items()})
    return write_text(path, text.getvalue())


def _cells(row: ResultRow) -> dict[str, object]:
    cells: dict[str, object] = {
        "label": row.label, "image": row.image, "segmentation": row.segmentation, "error": row.error,
    }  # fmt: skip
    observation = row.observation
    if observation is None:
        return cells
    cells |= _numbers(("position_r", "position_a", "position_s"), observation.centre)
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
