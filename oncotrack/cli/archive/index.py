"""``oncotrack archive index``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oncotrack.cli.options import Json
from oncotrack.cli.output import print_message, print_result, print_written, progress_bar
from oncotrack.errors import InputError

if TYPE_CHECKING:
    from oncotrack.archive.index import Index
    from oncotrack.archive.selection import Rules

_LISTED = 12  # reasons that are printed; the index holds all


def index(
    root: Annotated[Path, typer.Argument(help="Folder with DICOM files at any depth.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--out", metavar="INDEX.parquet", help="Index to write, or to bring up to date.")
    ],
    rules: Annotated[
        Path | None,
        typer.Option("--rules", metavar="RULES.toml", help="Rules by which a series is chosen.", show_default=False),
    ] = None,
    print_rules: Annotated[
        bool, typer.Option("--print-rules", help="Print the rules as a TOML file, and make no index.")
    ] = False,
    read_all: Annotated[bool, typer.Option("--read-all", help="Also read folders that have not changed.")] = False,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Number of processes; 0 for one a core.")] = 0,
    pacs: Annotated[
        str,
        typer.Option("--pacs", metavar="NAME", help="First retrieve what is new in this archive (PACS) into ROOT."),
    ] = "",
    date: Annotated[
        str, typer.Option("--date", metavar="DATE", help="With --pacs: studies of YYYYMMDD or YYYYMMDD-YYYYMMDD.")
    ] = "",
    patient: Annotated[str, typer.Option("--patient", metavar="ID", help="With --pacs: this patient.")] = "",
    json: Json = None,
) -> None:
    """Index the series of an archive, and choose which are read.

    Only headers are read. Where the index exists, folders that have not changed since are not read again.
    """
    from oncotrack.archive.entries import read_index, write_index
    from oncotrack.archive.index import index_archive
    from oncotrack.archive.selection import Rules

    chosen = Rules.load(rules) if rules else Rules()
    if print_rules:
        typer.echo(chosen.as_toml(), nl=False)
        return
    root = root.absolute()
    if pacs:
        _retrieve(pacs, date, patient, root, chosen)
    before, old_root = read_index(out) if out.exists() else ([], root)
    with progress_bar() as progress:
        found = index_archive(
            root, chosen, () if read_all or old_root != root else before, processes=workers, progress=progress
        )
    print_written(write_index(out, list(found.entries), root))
    summary = _summary(found)
    print_result(summary, json, {"Patients": str(summary["patients"]), "Visits": str(summary["visits"]),
                                 "Series": str(summary["series"]),
                                 "Folders": f"{found.read_folders} read, {found.known_folders} unchanged"})  # fmt: skip
    reasons = list(summary["left_out"].items())
    if reasons and json != "-":
        print_message("Not read:")
        for reason, count in reasons[:_LISTED]:
            print_message(f"  {count} series: {reason}")
        if len(reasons) > _LISTED:
            print_message(f"  and {len(reasons) - _LISTED} more reasons; the column reason of {out.name} has all.")


def _retrieve(pacs: str, date: str, patient: str, root: Path, rules: Rules) -> None:
    """Retrieve the series that a query finds into the root."""
    from oncotrack.archive.retrieving import retrieve_archive
    from oncotrack.cli.pacs.options import open_archive
    from oncotrack.pacs.archive import Query

    if not (date or patient):
        raise InputError("Nothing to search for: give dates or a patient.", parameter="date")
    with progress_bar() as progress:
        done = retrieve_archive(open_archive(pacs, None), Query(patient, date=date), root, rules, progress)
    root.mkdir(parents=True, exist_ok=True)
    print_message(f"{done.retrieved} series retrieved from {pacs}, {done.known} were here already.")
    for reason, count in done.left_out.most_common(_LISTED):
        print_message(f"  {count} series not retrieved: {reason}")


def _summary(found: Index) -> dict[str, Any]:
    series = [entry for entry in found.entries if entry.series_uid]
    read = [entry for entry in series if entry.is_read]
    left = Counter(entry.reason for entry in series if not entry.is_read)
    return {
        "patients": len({entry.patient for entry in read}),
        "visits": len(read),
        "series": len(series),
        "folders_read": found.read_folders,
        "folders_unchanged": found.known_folders,
        "left_out": dict(left.most_common()),
    }
