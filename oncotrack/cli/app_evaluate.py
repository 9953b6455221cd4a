"""``oncotrack evaluate``: its commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.options import Device, Dls, Image, Insert, Json, Method, NoCache, Out, Radius, out_folder
from oncotrack.followup import DEFAULT_METHOD

evaluate = typer.Typer(help="Measure against truth: the papers' metrics.", no_args_is_help=True)


@evaluate.command("landmarks")
def evaluate_landmarks(
    baseline: Image,
    followup: Image,
    baseline_points: Annotated[Path, typer.Argument(help="elastix point file (index or point).")],
    followup_points: Annotated[Path, typer.Argument(help="The same landmarks in the follow-up.")],
    method: Method = DEFAULT_METHOD,
    radius: Radius = 10.0,
    json: Json = None,
    no_cache: NoCache = False,
) -> None:
    """Distance between matched landmarks and where a person put them."""
    from oncotrack.cli.evaluate import landmarks

    landmarks(baseline, followup, baseline_points, followup_points, method, radius, json, not no_cache)


@evaluate.command("dls")
def evaluate_dls(
    truth: Annotated[Path, typer.Argument(help="The Deep Longitudinal Study's JSON file.")],
    predictions: Annotated[Path, typer.Argument(help="Predictions in the released format.")],
    json: Json = None,
    out: Out = None,
) -> None:
    """Lesion tracking on the Deep Longitudinal Study: MED and CPM in all three definitions."""
    from oncotrack.cli.evaluate import files

    files("evaluate_dls", (truth, predictions), json, out)


@evaluate.command("detection")
def evaluate_detection(
    truth: Annotated[Path, typer.Argument(help="Findings file or a folder of them.")],
    predictions: Annotated[Path, typer.Argument(help="Findings file or a folder of them.")],
    kind: Annotated[
        str | None, typer.Option("--kind", help="Which paper's metrics; all that apply when missing.")
    ] = None,
    json: Json = None,
    out: Out = None,
) -> None:
    """Detected boxes against true boxes."""
    from oncotrack.cli.evaluate import files

    files("evaluate_detection", (truth, predictions, kind), json, out)


@evaluate.command("masks")
def evaluate_masks(
    truth: Annotated[
        Path | None, typer.Argument(help="A mask file or a folder of them.", show_default=False)
    ] = None,
    predictions: Annotated[
        Path | None, typer.Argument(help="The same of what is judged.", show_default=False)
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", help="Judge masks made of axes instead: phantom, phantom-mr, lidc, sts, "
                     "deeplesion, or a folder with X_image and X_mask."),
    ] = None,
    scans: Annotated[
        Path | None, typer.Option("--scans", metavar="DIR", help="Where lidc's or sts's scans or deeplesion's slices lie.")
    ] = None,
    table: Annotated[Path | None, typer.Option("--table", help="DeepLesion's DL_info.csv.")] = None,
    cases: Annotated[int, typer.Option("--cases", min=1, help="How many phantoms.")] = 20,
    wobble: Annotated[
        float, typer.Option("--wobble", min=0, help="Displace the axes' ends by so many voxels, as a hand would.")
    ] = 0.0,
    least_short: Annotated[float, typer.Option("--least-short", metavar="MM", help="Smallest short axis.")] = 8.0,
    in_3d: Annotated[bool, typer.Option("--3d/--slice", help="Judge masks carried through the lesion too.")] = True,
    validation: Annotated[bool, typer.Option("--validation", help="The validation phantoms, not the test ones.")] = False,
    json: Json = None,
    out: Out = None,
) -> None:  # fmt: skip
    """Masks against true masks: Dice, ASD, box IoU."""
    if data is None:
        from oncotrack.cli.evaluate import files
        from oncotrack.errors import InputError

        if truth is None or predictions is None:
            raise InputError("Give two mask files or folders to compare, or --data to judge masks made of axes.")
        files("evaluate_masks", (truth, predictions), json, out)
        return
    from oncotrack.cli.evaluate_pseudo_masks import run

    run(data, scans, table, cases, wobble, least_short, in_3d, validation, json, out)


@evaluate.command("detector")
def evaluate_detector(
    data: Annotated[str, typer.Option("--data", help="phantom, or inserted (nodes put into real CTs).")] = "phantom",
    cases: Annotated[int, typer.Option("--cases", min=1, help="How many scans.")] = 100,
    insert: Insert = None,
    weights: Annotated[
        list[str] | None,
        typer.Option("--weights", metavar="NAME=FILE", help="Compare these; the bundled when missing."),
    ] = None,
    stacking: Annotated[bool, typer.Option("--stacking", help="Beside them the first one with stacked boxes.")] = False,
    unet: Annotated[Path | None, typer.Option("--unet", help="Beside them a U-Net with these weights.")] = None,
    method: Annotated[str, typer.Option("--method", help="lntracker (CT) or mr.")] = "lntracker",
    validation: Annotated[bool, typer.Option("--validation", help="The validation scans, not the test scans.")] = False,
    device: Device = "auto",
    json: Json = None,
    out: Out = None,
) -> None:
    """Detect on scans with known nodes that nothing was trained on: AS, AP (CT), AP25, SEN25 (MR), intervals."""
    if method == "mr":
        from oncotrack.cli.evaluate_mr import run

        run(cases, data, weights or [], validation, device, json, out)
        return
    from oncotrack.cli.evaluate import detectors

    detectors(data, cases, insert or [], weights or [], stacking, unet, validation, device, json, out)


@evaluate.command("follow")
def evaluate_follow(
    data: Annotated[
        str, typer.Option("--data", help="phantom, warped (lesions put into real CTs, which are moved) or dls.")
    ] = "phantom",
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            help="A follow-up method, copy (the same place) or convexadam (the library); repeat to compare with the first.",
        ),
    ] = None,
    cases: Annotated[int, typer.Option("--cases", min=1, help="How many pairs of visits.")] = 10,
    warp: Annotated[list[Path] | None, typer.Option("--warp", help="A real CT to warp; repeat.")] = None,
    dls: Dls = None,
    shifts: Annotated[int, typer.Option("--shifts", min=0, help="Clicks beside each centre, for robustness.")] = 0,
    validation: Annotated[bool, typer.Option("--validation", help="The validation pairs, not the test pairs.")] = False,
    json: Json = None,
    out: Annotated[Path | None, out_folder("Write pictures of ten matches.")] = None,
) -> None:
    """Follow lesions that are known at both visits and that nothing was trained on: CPM, MED, trust."""
    from oncotrack.cli.evaluate import follow

    follow(data, cases, warp or [], dls, method or [DEFAULT_METHOD, "affine"], shifts, validation, json, out)
