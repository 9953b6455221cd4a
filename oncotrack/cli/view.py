"""``oncotrack view``."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from oncotrack.errors import InputError, MissingPackageError


def run(
    baseline: Path | None,
    followup: Path | None,
    host: str,
    port: int,
    folders: Sequence[Path],
    out: Path | None,
    browser: bool,
) -> None:
    """Serve the viewer until it is stopped; without scans it shows the sample pair, else the demo's scene."""
    if importlib.util.find_spec("trame_slicer") is None:
        raise MissingPackageError(
            'The browser viewer needs the package trame-slicer. Install it with: pip install "oncotrack[web]"'
        )
    from oncotrack.web import serve

    for path in (baseline, followup):
        if path is not None and not path.exists():
            raise InputError(f"{path} does not exist. Check the path.")
    serve(baseline, followup, folders=folders, host=host, port=port, open_browser=browser, out=out)
