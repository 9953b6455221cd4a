"""``oncotrack samples``."""

from __future__ import annotations

from oncotrack.cli.output import give, say
from oncotrack.samples import FOLDER_VARIABLE, catalogue, sample


def run(fetch: str | None, json: str | None) -> None:
    """List the samples, after downloading one when asked."""
    if fetch is not None:
        say(f"{fetch} lies in {sample(fetch).fetch()}")
    found = {entry.name: entry.local_folder() for entry in catalogue()}
    result = {
        entry.name: {
            "title": entry.title,
            "licence": entry.licence,
            "origin": entry.origin,
            "folder": str(found[entry.name]) if found[entry.name] else None,
        }
        for entry in catalogue()
    }
    lines = {
        name: f"{about['title']} ({about['licence']}). "
        + (
            f"In {about['folder']}"
            if about["folder"]
            else f"Not here: oncotrack samples --fetch {name}, or set {FOLDER_VARIABLE}"
        )
        for name, about in result.items()
    }
    give(result, json, lines)
