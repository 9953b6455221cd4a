"""The viewer in a browser: layout, panels and bindings over the scene that the desktop modules share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def serve(
    baseline: Path | None = None,
    followup: Path | None = None,
    *more: Path,
    folders: Sequence[Path] = (),
    host: str = "127.0.0.1",
    port: int = 0,
    open_browser: bool = False,
    out: Path | None = None,
) -> None:
    """Show the viewer until it is stopped (Ctrl+C); prints its address, which holds a token that works once.

    Parameters
    ----------
    baseline, followup : Path, optional
        Scans to start with: a DICOM folder or an image file; `baseline` may also be an .mrb scene.
    more : Path
        Scans of further visits, earliest first.
    folders : sequence of Path
        Where the page may open files from, beside the places of the two scans and `out`.
    host : str
        Any other address than the loopback lets other computers in that know the token.
    port : int
        0 takes a free one.
    open_browser : bool
        Open the address in the reader's browser.
    out : Path, optional
        Where scenes, findings, reports and the autosave go; ``oncotrack-results`` in the current folder when missing.

    Raises
    ------
    OncoTrackError
        trame-slicer or an OpenGL library is missing, or the address is taken.
    """
    from oncotrack.web.server import run

    run(baseline, followup, *more, folders=folders, host=host, port=port, open_browser=open_browser, out=out)
