"""``oncotrack samples``."""

from __future__ import annotations

from typing import Annotated

import typer

from oncotrack.cli.options import Json
from oncotrack.cli.output import print_message, print_result


def samples(
    fetch: Annotated[str | None, typer.Option("--fetch", metavar="NAME", help="Download this sample.")] = None,
    json: Json = None,
) -> None:
    """List the public sample scans, or download one."""
    from oncotrack.samples import FOLDER_VARIABLE, catalogue, sample

    if fetch is not None:
        print_message(f"The files of {fetch} are in {sample(fetch).fetch()}")
    result, lines = {}, {}
    for entry in catalogue():
        folder = entry.local_folder()
        result[entry.name] = {
            "title": entry.title,
            "licence": entry.licence,
            "origin": entry.origin,
            "folder": str(folder) if folder else None,
        }
        location = (
            f"In {folder}"
            if folder
            else f"Not on this computer: oncotrack samples --fetch {entry.name}, or set {FOLDER_VARIABLE}"
        )
        lines[entry.name] = f"{entry.title} ({entry.licence}). {location}"
    print_result(result, json, lines)
