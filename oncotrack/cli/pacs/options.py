"""Options that the commands of ``oncotrack pacs`` share, and the archive that they name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oncotrack.pacs.archive import Archive

ArchiveName = Annotated[
    str,
    typer.Option(
        "--archive", metavar="NAME", help="Archive of the settings, where there are several.", show_default=False
    ),
]
SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", metavar="FILE", help="Another settings file than archives.toml.", show_default=False),
]


def open_archive(name: str, settings: Path | None) -> Archive:
    """Return the archive of a name, or the only one."""
    from oncotrack.pacs.archives import choose, read_archives
    from oncotrack.pacs.connect import connect

    return connect(*choose(read_archives(settings), name))
