"""``oncotrack pacs send``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.output import print_message, progress_bar
from oncotrack.cli.pacs.options import ArchiveName, SettingsFile, open_archive


def send(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE...]", help="DICOM files or folders; none sends what waits in the outbox."),
    ] = None,
    archive: ArchiveName = "",
    settings: SettingsFile = None,
) -> None:
    """Send DICOM files; what is not taken is sent later.

    Files go through an outbox on disk: what the archive does not take waits there. Nothing is sent twice.
    """
    from oncotrack.pacs.archive import ArchiveError
    from oncotrack.pacs.outbox import Outbox

    found = open_archive(archive, settings)
    outbox = Outbox(found.name)
    paths = [each for path in files or () for each in (sorted(path.glob("*.dcm")) if path.is_dir() else [path])]
    outbox.add(paths)
    with progress_bar() as progress:
        result = outbox.send(found, progress)
    print_message(f"{result.sent} sent to {found.name}, {result.waiting} waiting.")
    if result.problem:
        raise ArchiveError(f"{result.problem} What was not sent waits in the outbox: send again later.")
