"""``oncotrack series``."""

from __future__ import annotations

import sys
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oncotrack.cli.options import Json
from oncotrack.cli.output import print_message, print_written
from oncotrack.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oncotrack.images.dicom import Series
    from oncotrack.scene.files.series_list import SeriesRow

_COLUMNS = {
    "No.": "number",
    "Patient": "patient",
    "Modality": "modality",
    "Description": "description",
    "Date": "date",
    "Slices": "slices",
    "Spacing": "spacing",
    "Thickness": "thickness",
    "Kernel": "kernel",
    "Contrast": "contrast",
}
_NARROWEST = 140  # characters; narrower tables break numbers


def series(
    path: Annotated[Path, typer.Argument(help="DICOM folder, file, DICOMDIR or zip archive.", show_default=False)],
    json: Json = None,
) -> None:
    """List the series of a DICOM folder, DICOMDIR or zip archive.

    The number, the UID or words of the description choose a series in the other commands (--series).
    """
    from oncotrack.images.dicom import load_study
    from oncotrack.images.files import is_image_file

    if is_image_file(path):
        raise InputError(f"{path.name} holds one image and no DICOM series. The commands read it as it is.")
    study = load_study(path)
    result = {"path": str(path), "series": [_as_json(n, each) for n, each in enumerate(study.series, 1)]}
    if json == "-":
        sys.stdout.write(dumps(result, indent=2, allow_nan=False) + "\n")
        return
    if json is not None:
        from oncotrack.atomic import write_text

        print_written(write_text(json, dumps(result, indent=2, allow_nan=False) + "\n"))
    from oncotrack.scene.files.series_list import rows_of

    _print_table(rows_of(study))
    count = len(study.volumes)
    print_message(f"{len(study.series)} series, {count} volume{'' if count == 1 else 's'}")


def _print_table(rows: Sequence[SeriesRow]) -> None:
    """Print the columns that are not empty, and whether each series is a volume."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    shown = {title: name for title, name in _COLUMNS.items() if any(getattr(row, name) for row in rows)}
    for title in shown:
        table.add_column(title, justify="right" if title in ("No.", "Slices") else "left", overflow="fold")
    table.add_column("Volume")
    for row in rows:
        cells = (str(getattr(row, name) or "") for name in shown.values())
        table.add_row(*cells, _volume_text(row))
    console = Console(markup=False, highlight=False)
    console.width = max(console.width, _NARROWEST)
    console.print(table)


def _volume_text(row: SeriesRow) -> str:
    """Return whether a series is a volume, and why not."""
    if row.problem:
        return f"no: {row.problem}"
    return f"if resampled: {row.resampling}" if row.resampling else "yes"


def _as_json(number: int, series: Series) -> dict[str, Any]:
    """Return one series with the JSON keys that scripts read."""
    return {
        "number": number,
        "uid": series.uid,
        "key": series.key,
        "modality": series.modality,
        "kind": series.kind,
        "description": series.description,
        "part": series.part,
        "date": series.date,
        "time": series.time,
        "series_number": series.number,
        "patient_id": series.patient_id,
        "patient_name": series.patient_name,
        "study_uid": series.study_uid,
        "slices": series.slices,
        "size": series.size,
        "spacing_mm": series.spacing,
        "thickness_mm": series.thickness,
        "kernel": series.kernel,
        "contrast": series.contrast,
        "is_volume": series.is_volume,
        "problem": series.problem,
        "needs_resampling": series.needs_resampling,
        "deviation_mm": series.deviation,
        "notes": series.notes,
    }
