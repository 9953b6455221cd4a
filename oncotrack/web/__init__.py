"""The viewer in a browser: layout, panels and state of the page, on top of the scene package that the Slicer modules share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def serve(
    baseline: Path | None = None,
    followup: Path | None = None,
    *more: Path,
    series: Sequence[str] = (),
    resample: bool = False,
    folders: Sequence[Path] = (),
    host: str = "127.0.0.1",
    port: int = 0,
    open_browser: bool = False,
    out: Path | None = None,
    pet: Path | None = None,
    allow_other_computers: bool = False,
    public_address: str = "",
    worklist: Path | None = None,
) -> None:
    """Serve the viewer until it is stopped (Ctrl+C), and print its address, which contains a token that works once.

    Parameters
    ----------
    baseline, followup : Path, optional
        Scans to open: DICOM (a folder, DICOMDIR, zip archive or file) or an image file; `baseline` may also be an .mrb
        scene.
    more : Path
        Scans of additional visits, earliest first.
    series : sequence of str
        For each scan which of several series: its number, UID or words of its description. Where it is missing or ""
        the page asks.
    resample : bool
        Whether slices that are not regular are resampled without asking.
    folders : sequence of Path
        Folders from which the page may open files, besides the paths of the scans and `out`.
    host : str
        Address to listen on. Any but the loopback needs `allow_other_computers`.
    port : int
        0 for any free one.
    open_browser : bool
        Whether to open the address in the reader's browser.
    out : Path, optional
        Where scenes, findings, reports and the autosave are written. When missing, every patient and study has a folder
        of its own in ``oncotrack-results`` of the current folder.
    allow_other_computers : bool
        Whether computers that know the token may connect. The connection is not encrypted: use a reverse proxy with TLS.
    public_address : str
        The address of such a reverse proxy, "https://viewer.example.org".
    pet : Path, optional
        PET of the baseline CT: DICOM, or an image file that holds SUV.
    worklist : Path, optional
        Results of ``oncotrack archive run``, whose patients a tab lists. Findings of a patient are saved beside them.

    Raises
    ------
    OncoTrackError
        trame-slicer or an OpenGL library is missing, or the address is taken or not allowed.
    """
    from oncotrack.web.server import run

    run(
        baseline,
        followup,
        *more,
        series=series,
        resample=resample,
        folders=folders,
        host=host,
        port=port,
        open_browser=open_browser,
        out=out,
        pet=pet,
        allow_other_computers=allow_other_computers,
        public_address=public_address,
        worklist=worklist,
    )
