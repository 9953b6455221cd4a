"""``oncotrack view``."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.options import BaselineSeries, FollowupSeries, Resample, out_folder
from oncotrack.errors import InputError, MissingPackageError

_DEMO = Path("demo") / "scene.mrb"


def view(
    baseline: Annotated[Path | None, typer.Argument(help="Baseline scan.", show_default=False)] = None,
    followup: Annotated[Path | None, typer.Argument(help="Follow-up scan.", show_default=False)] = None,
    more: Annotated[
        list[Path] | None, typer.Argument(help="Scans of additional visits, earliest first.", show_default=False)
    ] = None,
    series: BaselineSeries = None,
    followup_series: FollowupSeries = None,
    resample: Resample = False,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            help="Address to listen on; any other than the default needs --allow-other-computers.",
        ),
    ] = "127.0.0.1",
    allow_other_computers: Annotated[
        bool,
        typer.Option(
            "--allow-other-computers",
            help="Let other computers connect that know the token. The connection is not encrypted: use a reverse proxy.",
        ),
    ] = False,
    public_address: Annotated[
        str,
        typer.Option("--public-address", help="Address of a reverse proxy before it, https://viewer.example.org."),
    ] = "",
    port: Annotated[int, typer.Option("--port", help="0 chooses a free port.")] = 0,
    folder: Annotated[
        list[Path] | None, typer.Option("--folder", help="The page may open files in this folder; repeatable.")
    ] = None,
    out: Annotated[
        Path | None,
        out_folder("Where findings are saved. [default: a folder for each patient and study in oncotrack-results]"),
    ] = None,
    pet: Annotated[
        Path | None, typer.Option("--pet", metavar="PET", help="PET of the baseline CT: DICOM, or a file in SUV.")
    ] = None,
    worklist: Annotated[
        Path | None,
        typer.Option(
            "--worklist", metavar="DIR", help="Results of oncotrack archive run: its patients, one after the other."
        ),
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the browser.")] = True,
) -> None:
    """Open the viewer in a browser.

    Where a scan is one of several series, the page asks which. It runs until Ctrl+C. Without scans it shows the scene of oncotrack demo, which is made first where it is missing.
    """
    if worklist and baseline:
        raise InputError("Open scans or a worklist, not both.", parameter="worklist")
    if importlib.util.find_spec("trame_slicer") is None:
        raise MissingPackageError(
            'The browser viewer needs the package trame-slicer. Install it with: pip install "oncotrack[web]"'
        )
    from oncotrack.cli.scans import series_of_followups
    from oncotrack.web import serve

    scans = [path for path in (baseline, followup, *(more or ())) if path is not None]
    for path in [*scans, *([pet] if pet else [])]:
        if not path.exists():
            raise InputError(f"{path} does not exist. Check the path.")
    wanted = (series or "", *(each or "" for each in series_of_followups(max(len(scans) - 1, 0), followup_series)))
    serve(
        *(scans or ([] if worklist else [_demo_scene()])),
        series=wanted,
        resample=resample,
        folders=folder or (),
        host=host,
        port=port,
        open_browser=browser,
        out=out,
        pet=pet,
        allow_other_computers=allow_other_computers,
        public_address=public_address,
        worklist=worklist,
    )


def _demo_scene() -> Path:
    """Return the scene of the demo, made now when it does not exist."""
    if not _DEMO.exists():
        from oncotrack.cli.demo import demo

        demo(_DEMO.parent)
    return _DEMO
