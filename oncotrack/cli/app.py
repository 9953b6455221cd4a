"""The commands and their options; each imports what it needs when it runs, so that ``--help`` answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.app_bench import bench
from oncotrack.cli.app_evaluate import evaluate
from oncotrack.cli.app_train import train
from oncotrack.cli.options import Config, Device, Image, Json, Method, NoCache, Out, Radius, out_folder
from oncotrack.followup import DEFAULT_METHOD

app = typer.Typer(
    name="oncotrack",
    help="Follow lesions and lymph nodes from scan to scan. Research use only; not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(evaluate, name="evaluate")
app.add_typer(train, name="train")
app.add_typer(bench, name="bench")


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        from oncotrack import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.command()
def follow(
    scans: Annotated[
        list[Path],
        typer.Argument(
            metavar="BASELINE FOLLOWUP...",
            help="Scans, earliest first: DICOM folder, NIfTI, NRRD or MetaImage file. More than two are followed through.",
            show_default=False,
        ),
    ],
    at: Annotated[
        tuple[float, float, float], typer.Option("--at", metavar="R A S", help="The lesion in the baseline, RAS mm.")
    ],
    radius: Radius = 10.0,
    method: Method = DEFAULT_METHOD,
    json: Json = None,
    out: Out = None,
    no_cache: NoCache = False,
) -> None:
    """Find a baseline lesion in the follow-up, or in every one of several."""
    from oncotrack.cli.follow import run

    run(scans, at, radius, method, json, out, not no_cache)


@app.command()
def detect(
    image: Image,
    method: Annotated[str, typer.Option("--method", help="lntracker (CT) or mr.")] = "lntracker",
    device: Device = "auto",
    config: Config = "compact",
    weights: Annotated[Path | None, typer.Option("--weights", help="Other weights than the bundled ones.")] = None,
    json: Json = None,
    out: Out = None,
) -> None:
    """Find the lymph nodes of a CT or an MR."""
    from oncotrack.cli.detect import run

    run(image, method, device, config, weights, json, out)


@app.command()
def mask(
    image: Image,
    axes: Annotated[
        Path | None,
        typer.Argument(help="Long and short axis: JSON, or a .mrk.json with two lines.", show_default=False),
    ] = None,
    more: Annotated[
        list[Path] | None, typer.Option("--more", metavar="AXES", help="Axes on another slice; repeat. Makes 3D.")
    ] = None,
    in_3d: Annotated[bool, typer.Option("--3d", help="Carry the mask to the slices above and below.")] = False,
    method: Annotated[
        str, typer.Option("--method", help="bounded (keeps near the axes' ellipse) or paper (plain GrabCut).")
    ] = "bounded",
    table: Annotated[
        Path | None,
        typer.Option("--batch", metavar="TABLE", help="Many axes: CSV, .mrk.json, or DeepLesion's DL_info.csv, for which "
                     "IMAGE is the folder of its slices. --out is a folder then."),
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option("--pairs", metavar="DIR", help="Write crops of image and mask to train from.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the mask on the image's grid: .seg.nrrd (Slicer), .nii.gz, ..."),
    ] = None,
    json: Json = None,
) -> None:  # fmt: skip
    """Make a mask from two RECIST diameters, in their slice or in 3D."""
    from oncotrack.cli import mask as command
    from oncotrack.errors import InputError

    if (axes is None) == (table is None):
        raise InputError("Give the axes of one lesion, or a table of them with --batch.")
    if table is not None:
        command.batch(image, table, in_3d, method, pairs, out, json)
    else:
        command.run(image, axes, more or [], in_3d, method, pairs, out, json)


@app.command()
def demo(out: Annotated[Path, out_folder("Where to write.")] = Path("demo")) -> None:
    """Follow several lesions on a public sample, or on a synthetic patient when no sample is at hand."""
    from oncotrack.cli.demo import run

    run(out)


@app.command()
def samples(
    fetch: Annotated[str | None, typer.Option("--fetch", metavar="NAME", help="Download this sample.")] = None,
    json: Json = None,
) -> None:
    """List the public sample scans, and where they lie."""
    from oncotrack.cli.samples import run

    run(fetch, json)


@app.command()
def info(
    system: Annotated[
        str | None, typer.Argument(help="lntracker, mr, or a follow-up method; what is installed when missing.")
    ] = None,
    config: Config = "compact",
    json: Json = None,
) -> None:
    """Tell what is installed, and what a system does."""
    from oncotrack.cli.info import run

    run(system, config, json)


@app.command()
def phantom(
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same patient.")],
    out: Annotated[Path, out_folder("Where to write.")],
    visits: Annotated[int, typer.Option("--visits", min=1, help="Scans over time.")] = 2,
    region: Annotated[str, typer.Option("--region", help="trunk, or whole-body: brain to mid-thigh.")] = "trunk",
    size: Annotated[
        tuple[int, int, int] | None,
        typer.Option("--size", metavar="I J K", help="Voxels.", show_default="256 256 128, or 240 for whole-body"),
    ] = None,
    modality: Annotated[list[str], typer.Option("--modality", help="CT, PT or MR; repeat for several.")] = ["CT"],  # noqa: B006
    dicom: Annotated[bool, typer.Option("--dicom", help="Write DICOM series too.")] = False,
) -> None:
    """Make a synthetic patient over time, with the truth."""
    from oncotrack.cli.phantom import run

    run(seed, out, visits, region, size, modality, dicom)


@app.command()
def view(
    baseline: Annotated[Path | None, typer.Argument(help="Baseline scan.", show_default=False)] = None,
    followup: Annotated[Path | None, typer.Argument(help="Follow-up scan.", show_default=False)] = None,
    more: Annotated[
        list[Path] | None, typer.Argument(help="Scans of further visits, earliest first.", show_default=False)
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on; keep the default unless you mean it.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option("--port", help="0 takes a free one.")] = 0,
    folder: Annotated[list[Path] | None, typer.Option("--folder", help="Files inside may be opened.")] = None,
    out: Annotated[Path | None, out_folder("Where findings are kept.")] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the browser.")] = True,
) -> None:
    """Open the reading room in a browser."""
    from oncotrack.cli.view import run

    run((baseline, followup, *(more or ())), host, port, folder or [], out, browser)
