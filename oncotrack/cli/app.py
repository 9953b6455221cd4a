"""All commands in one place; each imports what it needs when it runs, so that ``--help`` answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.followup import DEFAULT_METHOD

app = typer.Typer(
    name="oncotrack",
    help="Follow lesions and lymph nodes from scan to scan. Research use only; not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
evaluate = typer.Typer(help="Measure against truth: the papers' metrics.", no_args_is_help=True)
train = typer.Typer(help="Train a network, or go on where it stopped.", no_args_is_help=True)
bench = typer.Typer(help="Measure speed and accuracy beside what would be used instead.", no_args_is_help=True)
app.add_typer(evaluate, name="evaluate")
app.add_typer(train, name="train")
app.add_typer(bench, name="bench")

Image = Annotated[Path, typer.Argument(help="DICOM folder, NIfTI, NRRD or MetaImage file.", show_default=False)]
Json = Annotated[
    str | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON; - prints only that.")
]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write results into this folder.")]
Method = Annotated[str, typer.Option("--method", help="ensemble, selfsim, dlt, tlt, affine or bspline.")]
Radius = Annotated[float, typer.Option("--radius", metavar="MM", help="Radius of the lesion in mm.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
Config = Annotated[str, typer.Option("--config", help="compact (bundled) or paper.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Register anew, and keep nothing on disk.")]


Dls = Annotated[
    tuple[Path, Path] | None,
    typer.Option("--dls", metavar="JSON IMAGES", help="Annotation and exported sub-volumes of DLS."),
]


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
def demo(out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write.")] = Path("demo")) -> None:
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
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write.")],
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
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where findings are kept.")] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the browser.")] = True,
) -> None:
    """Open the reading room in a browser."""
    from oncotrack.cli.view import run

    run((baseline, followup, *(more or ())), host, port, folder or [], out, browser)


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
        typer.Option("--data", help="Judge masks made of axes instead: phantom, phantom-mr, lidc, deeplesion, "
                     "or a folder with X_image and X_mask."),
    ] = None,
    scans: Annotated[
        Path | None, typer.Option("--scans", metavar="DIR", help="Where lidc's scans or deeplesion's slices lie.")
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
    insert: Annotated[list[Path] | None, typer.Option("--insert", help="A real CT to put nodes into; repeat.")] = None,
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
            "--method", help="A follow-up method, or copy (the same place); repeat to compare with the first."
        ),
    ] = None,
    cases: Annotated[int, typer.Option("--cases", min=1, help="How many pairs of visits.")] = 10,
    warp: Annotated[list[Path] | None, typer.Option("--warp", help="A real CT to warp; repeat.")] = None,
    dls: Dls = None,
    shifts: Annotated[int, typer.Option("--shifts", min=0, help="Clicks beside each centre, for robustness.")] = 0,
    validation: Annotated[bool, typer.Option("--validation", help="The validation pairs, not the test pairs.")] = False,
    json: Json = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write pictures of ten matches.")] = None,
) -> None:
    """Follow lesions that are known at both visits and that nothing was trained on: CPM, MED, trust."""
    from oncotrack.cli.evaluate import follow

    follow(data, cases, warp or [], dls, method or [DEFAULT_METHOD, "affine"], shifts, validation, json, out)


@train.command("lntracker")
def train_lntracker(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Checkpoint, log and weights; a run there goes on.")
    ],
    config: Config = "compact",
    ablation: Annotated[
        str,
        typer.Option(
            "--ablation",
            help="full, without-masked-attention, without-similarity-loss, without-track-queries or trackformer.",
        ),
    ] = "full",
    phantoms: Annotated[int, typer.Option("--phantoms", min=0, help="Synthetic scans.")] = 160,
    insert: Annotated[list[Path] | None, typer.Option("--insert", help="A real CT to put nodes into; repeat.")] = None,
    insertions: Annotated[int, typer.Option("--insertions", min=0, help="Scans made of those.")] = 40,
    nih: Annotated[
        tuple[Path, Path] | None, typer.Option("--nih", metavar="SCANS MASKS", help="NIH CT Lymph Nodes.")
    ] = None,
    folder: Annotated[Path | None, typer.Option("--folder", help="CTs with node masks, X_image and X_mask.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1)] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=1)] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", min=0)] = None,
    warmup: Annotated[int | None, typer.Option("--warmup", min=0)] = None,
    seed: Annotated[int | None, typer.Option("--seed")] = None,
    start: Annotated[
        Path | None, typer.Option("--start", help="Weights to begin with; random ones when missing.")
    ] = None,
    device: Device = "auto",
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", help="Stop, with a checkpoint, after so long.")
    ] = None,
) -> None:
    """LN-Tracker, on synthetic scans, real CTs with inserted nodes, or annotated scans."""
    from oncotrack.cli.train import lntracker

    sources = {"phantoms": phantoms, "insert": insert or [], "insertions": insertions, "nih": nih, "folder": folder}
    plan = {"steps": steps, "batch": batch, "learning_rate": learning_rate, "warmup": warmup, "seed": seed}
    lntracker(out, config, ablation, sources, plan, start, device, max_minutes)


@train.command("mr")
def train_mr(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Checkpoint, log and weights; a run there goes on.")
    ],
    config: Config = "compact",
    ablation: Annotated[
        str,
        typer.Option(
            "--ablation",
            help="full, mask-rcnn, mask-rcnn-without-pseudo-mask, without-pseudo-mask, without-attention, "
            "without-uncertainty, or fixed weights of the five losses, as weights-10-1-1-1-1.",
        ),
    ] = "full",
    phantoms: Annotated[int, typer.Option("--phantoms", min=1, help="Synthetic scans with RECIST axes.")] = 160,
    scans: Annotated[
        Path | None, typer.Option("--scans", metavar="DIR", help="Prepared slices, shared by several runs.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1)] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=1)] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", min=0)] = None,
    warmup: Annotated[int | None, typer.Option("--warmup", min=0)] = None,
    seed: Annotated[int | None, typer.Option("--seed")] = None,
    device: Device = "auto",
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", help="Stop, with a checkpoint, after so long.")
    ] = None,
) -> None:
    """The MR detector, on slices with RECIST axes."""
    from oncotrack.cli.train import mr

    plan = {"steps": steps, "batch": batch, "learning_rate": learning_rate, "warmup": warmup, "seed": seed}
    mr(out, config, ablation, phantoms, scans, plan, device, max_minutes)


@train.command("unet")
def train_unet(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Checkpoint, log and weights; a run there goes on.")
    ],
    phantoms: Annotated[int, typer.Option("--phantoms", min=0, help="Synthetic scans.")] = 160,
    insert: Annotated[list[Path] | None, typer.Option("--insert", help="A real CT to put nodes into; repeat.")] = None,
    insertions: Annotated[int, typer.Option("--insertions", min=0, help="Scans made of those.")] = 40,
    device: Device = "auto",
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", help="Stop, with a checkpoint, after so long.")
    ] = None,
) -> None:
    """The 3D U-Net that LN-Tracker is compared with."""
    from oncotrack.cli.train import unet

    unet(out, {"phantoms": phantoms, "insert": insert or [], "insertions": insertions}, device, max_minutes)


def _train_tracker(system: str, title: str) -> None:
    """The command that trains one of the two lesion trackers."""

    @train.command(system, help=f"{title}, on synthetic patients, warped real CTs with lesions put in, or DLS.")
    def command(
        out: Annotated[
            Path, typer.Option("--out", metavar="DIR", help="Checkpoint, log and weights; a run there goes on.")
        ],
        config: Config = "compact",
        phantoms: Annotated[int, typer.Option("--phantoms", min=0, help="Synthetic patients of three visits.")] = 26,
        warp: Annotated[
            list[Path] | None, typer.Option("--warp", help="A real CT to put lesions into and to warp; repeat.")
        ] = None,
        warps: Annotated[int, typer.Option("--warps", min=0, help="Pairs made of those.")] = 45,
        dls: Dls = None,
        visits: Annotated[
            Path | None,
            typer.Option("--visits", metavar="DIR", help="Where prepared pairs are kept; in --out when missing."),
        ] = None,
        steps: Annotated[int | None, typer.Option("--steps", min=1)] = None,
        batch: Annotated[int | None, typer.Option("--batch", min=1)] = None,
        learning_rate: Annotated[float | None, typer.Option("--learning-rate", min=0)] = None,
        warmup: Annotated[int | None, typer.Option("--warmup", min=0)] = None,
        seed: Annotated[int | None, typer.Option("--seed")] = None,
        start: Annotated[
            Path | None, typer.Option("--start", help="Weights to begin with; random ones when missing.")
        ] = None,
        device: Device = "auto",
        max_minutes: Annotated[
            float | None, typer.Option("--max-minutes", help="Stop, with a checkpoint, after so long.")
        ] = None,
    ) -> None:
        from oncotrack.cli.train import lesion_tracker

        sources = {"phantoms": phantoms, "warp": warp or [], "warps": warps, "dls": dls}
        plan = {"steps": steps, "batch": batch, "learning_rate": learning_rate, "warmup": warmup, "seed": seed}
        lesion_tracker(system, out, config, sources, visits, plan, start, device, max_minutes)


_train_tracker("dlt", "Deep Lesion Tracker")
_train_tracker("tlt", "Transformer Lesion Tracker")


@bench.command("detect")
def bench_detect(
    image: Annotated[
        Path | None, typer.Argument(help="A CT; a synthetic one when missing.", show_default=False)
    ] = None,
    device: Device = "auto",
    json: Json = None,
) -> None:
    """LN-Tracker: seconds a slice and a scan, memory, GFLOPs; beside stacking and a 3D U-Net."""
    from oncotrack.cli.bench import detect as run

    run(image, device, json)


@bench.command("follow")
def bench_follow(
    lung: Annotated[
        Path | None, typer.Option("--lung", help="Folder of the lung pair; the sample when missing.")
    ] = None,
    large: Annotated[
        Path | None, typer.Option("--large", help="A large CT to warp; a synthetic one when missing.")
    ] = None,
    json: Json = None,
) -> None:
    """Follow-up: self-similarity and the default beside affine and B-spline registration."""
    from oncotrack.cli.bench import follow as run

    run(lung, large, json)


@bench.command("mask")
def bench_mask(json: Json = None) -> None:
    """A mask from two diameters: milliseconds and Dice; beside a threshold and region growing."""
    from oncotrack.cli.bench import mask as run

    run(json)


@bench.command("view")
def bench_view(json: Json = None) -> None:
    """The browser viewer: time to a usable page, a new slice, a shown match; memory."""
    from oncotrack.cli.bench import view as run

    run(json)


@bench.command("phantom")
def bench_phantom(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write.")] = Path("out/phantom"),
    real: Annotated[list[Path] | None, typer.Option("--real", help="A real CT to set beside; repeat.")] = None,
    patients: Annotated[int, typer.Option("--patients", min=1, help="Bodies whose nodes are measured.")] = 16,
    json: Json = None,
) -> None:
    """Synthetic patients beside real ones: attenuation, noise, node sizes."""
    from oncotrack.cli.bench import phantom as run

    run(out, real or [], patients, json)
