"""The tables of an archive's results: their columns, their schema as JSON and as text, and their Parquet files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oncotrack.archive.entries import arrow
from oncotrack.atomic import replacing, write_text

VERSION = "1"
"""Version of the columns; stands in the files' metadata."""
SCHEMA_FILE = "tables.schema.json"
_BATCH = 5000  # rows that are held in memory for each table
_JSON = {"text": "string", "number": "number", "integer": "integer", "boolean": "boolean"}


@dataclass(frozen=True)
class Column:
    """A column: its name, its kind ("text", "number", "integer" or "boolean") and its content."""

    name: str
    kind: str
    about: str
    can_miss: bool = False


def _text(name: str, about: str) -> Column:
    return Column(name, "text", about)


def _number(name: str, about: str) -> Column:
    return Column(name, "number", about, can_miss=True)


_PATIENT = _text("patient", "Patient ID, or what the index tells patients apart by")
_FINDING = (
    _PATIENT,
    _text("uid", "tracking UID of the finding"),
    _text("label", "its label in findings.json"),
)
_VISIT = (
    Column("visit", "integer", "number of the visit, from 0"),
    _text("date", "date of the scan, YYYYMMDD"),
)
_POSITION = tuple(_number(f"{axis}_mm", f"position, RAS {axis.upper()}") for axis in "ras")
TABLES: dict[str, tuple[str, tuple[Column, ...]]] = {
    "patients": (
        "One row for each patient that was computed.",
        (
            _PATIENT,
            _text("folder", "name of the folder below patients/"),
            Column("visits", "integer", "number of visits"),
            _text("first_date", "date of the first scan, YYYYMMDD"),
            _text("last_date", "date of the last scan, YYYYMMDD"),
            Column("findings", "integer", "number of findings"),
            Column("new_findings", "integer", "of which new at a later visit"),
            _text("best_response", "best overall response, of proposals that no reader has checked"),
            _text("last_response", "response at the last visit"),
            Column("progression", "boolean", "whether there is progression at any visit"),
            _number("best_change_percent", "best change of the sum of target diameters from baseline"),
            _text("no_response", "why there is no response, a sentence"),
            *(_number(f"{stage}_seconds", f"seconds: {what}") for stage, what in (
                ("read", "reading the scans"), ("detect", "detecting"), ("follow", "following"),
                ("measure", "measuring"), ("respond", "the response"), ("export", "writing DICOM objects"))),
            _text("version", "version of OncoTrack"),
            _text("key", "key of images, weights and settings"),
        ),
    ),
    "findings": (
        "One row for each finding.",
        (
            *_FINDING,
            _text("kind", "lymph node, lesion or other"),
            _text("role", "proposed role in RECIST: target, non-target, new or none"),
            _text("side", "side of the body"),
            _text("region", "region of the body"),
            Column("first_visit", "integer", "number of the first visit where it was seen"),
            Column("visits_seen", "integer", "number of visits where it was seen"),
            _number("probability", "highest calibrated probability of its proposals"),
        ),
    ),
    "matches": (
        "One row for each finding at each later visit to which it was followed.",
        (
            *_FINDING, *_VISIT,
            Column("found", "boolean", "whether the method found it"),
            Column("detected", "boolean", "whether the detector proposes it there too"),
            *_POSITION,
            *(_number(f"expected_{axis}_mm", f"position by registration alone, RAS {axis.upper()}") for axis in "ras"),
            _number("cycle_error_mm", "result of the reverse check"),
            _number("score", "similarity, 0 to 1"),
            _text("reason", "why it was not found, a sentence"),
            _text("method", "method and weights"),
        ),
    ),
    "measurements": (
        "One row for each finding at each visit where it was seen.",
        (
            *_FINDING, *_VISIT, *_POSITION,
            _number("long_mm", "long axis"),
            _number("short_mm", "short axis"),
            _number("volume_mm3", "volume of the mask"),
            Column("measured", "boolean", "whether the axes are measured on a mask; else they are sides of a box"),
            _number("probability", "calibrated probability of the proposal at this visit"),
            _text("doubts", "what is doubtful in the mask, sentences"),
            _text("method", "method"),
        ),
    ),
    "responses": (
        "One row for each patient and visit after baseline, from proposed roles that no reader has checked.",
        (
            _PATIENT, *_VISIT,
            Column("days", "integer", "days since baseline", can_miss=True),
            _text("criteria", "RECIST 1.1 or iRECIST"),
            _number("sum_mm", "sum of target diameters"),
            _number("baseline_percent", "change of the sum from baseline"),
            _number("nadir_percent", "change of the sum from its smallest value"),
            _text("target", "response of the target lesions"),
            _text("non_target", "response of the non-target lesions"),
            _text("possibly_new", "labels of lesions that may be new, joined by commas"),
            _text("overall", "overall response"),
            _text("why", "the rule and the measurements that gave it, a sentence"),
        ),
    ),
    "failures": (
        "One row for each patient that could not be computed, and for each two visits that could not be compared.",
        (
            _PATIENT,
            _text("folder", "name of the folder below patients/"),
            _text("stage", "what was being done: read, detect, follow, measure, respond or export; register: two visits could "
                           "not be compared, all else is computed"),
            _text("reason", "why, a sentence"),
            _text("when", "time, ISO 8601, UTC"),
        ),
    ),
}  # fmt: skip
"""What each table holds, and its columns."""


def json_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of the tables: one definition for the rows of each."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Results of an archive",
        "version": VERSION,
        "$defs": {
            name: {
                "description": about,
                "type": "object",
                "additionalProperties": False,
                "required": [column.name for column in columns],
                "properties": {column.name: _property(column) for column in columns},
            }
            for name, (about, columns) in TABLES.items()
        },
    }


def _property(column: Column) -> dict[str, Any]:
    kind = _JSON[column.kind]
    return {"type": [kind, "null"] if column.can_miss else kind, "description": column.about}


def markdown() -> str:
    """Return the tables' columns as Markdown, for `docs/archive.md`."""
    lines = []
    for name, (about, columns) in TABLES.items():
        lines += [f"### `{name}.parquet`", "", about, "", "| column | kind | content |", "|---|---|---|"]
        lines += [
            f"| `{column.name}` | {column.kind}{' or missing' if column.can_miss else ''} | {column.about} |"
            for column in columns
        ]
        lines.append("")
    return "\n".join(lines)


def write_schema(path: Path) -> Path:
    """Write the JSON schema.

    Parameters
    ----------
    path : Path
        The file.
    """
    return write_text(path, json.dumps(json_schema(), indent=2) + "\n")


def write_tables(folder: Path, patients: Iterable[Mapping[str, list[dict[str, Any]]]]) -> list[Path]:
    """Write all tables as Parquet, each atomically, holding only some thousand rows in memory; return their paths.

    Parameters
    ----------
    folder : Path
        Where to write.
    patients : iterable of mapping of str to list of dict
        The rows of each patient, by table.
    """
    pa = arrow()
    waiting: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    paths = {name: folder / f"{name}.parquet" for name in TABLES}
    with ExitStack() as stack:
        writers = {}
        for name in TABLES:
            temporary = stack.enter_context(replacing(paths[name]))
            writer = pa.parquet.ParquetWriter(temporary, _schema(pa, name), compression="zstd")
            writers[name] = stack.enter_context(writer)

        def write(name: str) -> None:
            if waiting[name]:
                writers[name].write_table(pa.Table.from_pylist(waiting[name], schema=_schema(pa, name)))
                waiting[name] = []

        for rows in patients:
            for name, added in rows.items():
                waiting[name] += added
                if len(waiting[name]) >= _BATCH:
                    write(name)
        for name in TABLES:
            write(name)
    return [write_schema(folder / SCHEMA_FILE), *paths.values()]


def read_table(folder: Path, name: str, columns: list[str] | None = None) -> list[dict[str, Any]]:
    """Return the rows of a table; none where it does not exist.

    Parameters
    ----------
    folder : Path
        Where the tables are.
    name : str
        A key of `TABLES`.
    columns : list of str, optional
        Those to read; all when missing.
    """
    path = folder / f"{name}.parquet"
    return arrow().parquet.read_table(path, columns=columns).to_pylist() if path.is_file() else []


def _schema(pa: Any, name: str) -> Any:
    types = {"text": pa.string(), "number": pa.float64(), "integer": pa.int32(), "boolean": pa.bool_()}
    return pa.schema(
        [
            pa.field(column.name, types[column.kind], nullable=column.can_miss, metadata={"about": column.about})
            for column in TABLES[name][1]
        ],
        metadata={"oncotrack_table": f"{name} {VERSION}"},
    )
