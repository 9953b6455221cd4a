"""``oncotrack view``."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from oncotrack.errors import InputError, MissingPackageError

_DEMO = Path("demo") / "scene.mrb"


def _demo_scene() -> Path:
    """The demo's scene, made now when it is not there yet."""
    if not _DEMO.exists():
        from oncotrack.cli.demo import run as demo

        demo(_DEMO.parent)
    return _DEMO


def run(
    scans: Sequence[Path | None],
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

    for path in scans:
        if path is not None and not path.exists():
            raise InputError(f"{path} does not exist. Check the path.")
    if not any(scans):
        scans = [_demo_scene()]
    serve(*scans, folders=folders, host=host, port=port, open_browser=browser, out=out)
