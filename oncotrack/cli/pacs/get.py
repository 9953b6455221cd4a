"""``oncotrack pacs get``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.options import out_folder
from oncotrack.cli.output import print_written, progress_bar
from oncotrack.cli.pacs.options import ArchiveName, SettingsFile, open_archive


def get(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Study Instance UID, as pacs list gives it.")],
    out: Annotated[Path, out_folder("Write each series into a folder below this one.")],
    series: Annotated[
        list[str] | None,
        typer.Option("--series", metavar="UID", help="Only this series; repeatable.", show_default=False),
    ] = None,
    archive: ArchiveName = "",
    settings: SettingsFile = None,
) -> None:
    """Retrieve the series of a study.

    Each series is retrieved completely, or not at all.
    """
    from oncotrack.errors import InputError
    from oncotrack.pacs.retrieve import retrieve_series

    found = open_archive(archive, settings)
    there = found.find_series(study)
    wanted = [each for each in there if not series or each.uid in series]
    if not wanted or (series and len(wanted) < len(set(series))):
        raise InputError(f"The archive has no such series in the study {study}. List them first.", parameter="series")
    for each in wanted:
        with progress_bar() as progress:
            folder = retrieve_series(found, each, out, progress)
        print_written(folder)
