"""``oncotrack train``: its commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.options import Config, Device, Dls, Insert, out_folder

RunFolder = Annotated[Path, out_folder("Checkpoint, log and weights; a run there goes on.")]
Insertions = Annotated[int, typer.Option("--insertions", min=0, help="Scans made of those.")]
Steps = Annotated[int | None, typer.Option("--steps", min=1)]
Batch = Annotated[int | None, typer.Option("--batch", min=1)]
LearningRate = Annotated[float | None, typer.Option("--learning-rate", min=0)]
Warmup = Annotated[int | None, typer.Option("--warmup", min=0)]
NodePlacement = Annotated[int | None, typer.Option("--seed")]
Start = Annotated[Path | None, typer.Option("--start", help="Weights to begin with; random ones when missing.")]
MaxMinutes = Annotated[float | None, typer.Option("--max-minutes", help="Stop, with a checkpoint, after so long.")]

train = typer.Typer(help="Train a network, or go on where it stopped.", no_args_is_help=True)


@train.command("lntracker")
def train_lntracker(
    out: RunFolder,
    config: Config = "compact",
    ablation: Annotated[
        str,
        typer.Option(
            "--ablation",
            help="full, without-masked-attention, without-similarity-loss, without-track-queries or trackformer.",
        ),
    ] = "full",
    part: Annotated[
        str,
        typer.Option("--part", help="all, or alone and faster: proposals, then queries."),
    ] = "all",
    crop: Annotated[int | None, typer.Option("--crop", min=64, help="Pixels of a crop, 0.8 mm each.")] = None,
    phantoms: Annotated[int, typer.Option("--phantoms", min=0, help="Synthetic scans.")] = 160,
    insert: Insert = None,
    insertions: Insertions = 40,
    nih: Annotated[
        tuple[Path, Path] | None, typer.Option("--nih", metavar="SCANS MASKS", help="NIH CT Lymph Nodes.")
    ] = None,
    folder: Annotated[Path | None, typer.Option("--folder", help="CTs with node masks, X_image and X_mask.")] = None,
    steps: Steps = None,
    batch: Batch = None,
    learning_rate: LearningRate = None,
    warmup: Warmup = None,
    optimiser: Annotated[str | None, typer.Option("--optimiser", help="radam, or muon (torch 2.9 or newer).")] = None,
    seed: NodePlacement = None,
    start: Start = None,
    backbone: Annotated[
        Path | None, typer.Option("--backbone", help="torchvision's ResNet-50 of ImageNet, for the config paper.")
    ] = None,
    device: Device = "auto",
    max_minutes: MaxMinutes = None,
) -> None:
    """LN-Tracker, on synthetic scans, real CTs with inserted nodes, or annotated scans."""
    from oncotrack.cli.train import lntracker

    sources = {"phantoms": phantoms, "insert": insert or [], "insertions": insertions, "nih": nih, "folder": folder}
    plan = {"steps": steps, "batch": batch, "learning_rate": learning_rate, "warmup": warmup, "seed": seed,
            "optimiser": optimiser}  # fmt: skip
    lntracker(out, config, ablation, part, crop, sources, plan, start, backbone, device, max_minutes)


@train.command("mr")
def train_mr(
    out: RunFolder,
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
    steps: Steps = None,
    batch: Batch = None,
    learning_rate: LearningRate = None,
    warmup: Warmup = None,
    seed: NodePlacement = None,
    device: Device = "auto",
    max_minutes: MaxMinutes = None,
) -> None:
    """The MR detector, on slices with RECIST axes."""
    from oncotrack.cli.train import mr

    plan = {"steps": steps, "batch": batch, "learning_rate": learning_rate, "warmup": warmup, "seed": seed}
    mr(out, config, ablation, phantoms, scans, plan, device, max_minutes)


@train.command("unet")
def train_unet(
    out: RunFolder,
    phantoms: Annotated[int, typer.Option("--phantoms", min=0, help="Synthetic scans.")] = 160,
    insert: Insert = None,
    insertions: Insertions = 40,
    steps: Steps = None,
    batch: Batch = None,
    learning_rate: LearningRate = None,
    warmup: Warmup = None,
    seed: NodePlacement = None,
    start: Start = None,
    device: Device = "auto",
    max_minutes: MaxMinutes = None,
) -> None:
    """The 3D U-Net that LN-Tracker is compared with."""
    from oncotrack.cli.train import unet

    sources = {"phantoms": phantoms, "insert": insert or [], "insertions": insertions}
    plan = {"steps": steps, "batch": batch, "learning_rate": learning_rate, "warmup": warmup, "seed": seed}
    unet(out, sources, plan, start, device, max_minutes)


def _train_tracker(system: str, title: str) -> None:
    """The command that trains one of the two lesion trackers."""

    @train.command(system, help=f"{title}, on synthetic patients, warped real CTs with lesions put in, or DLS.")
    def command(
        out: RunFolder,
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
        steps: Steps = None,
        batch: Batch = None,
        learning_rate: LearningRate = None,
        warmup: Warmup = None,
        seed: NodePlacement = None,
        start: Start = None,
        device: Device = "auto",
        max_minutes: MaxMinutes = None,
    ) -> None:
        from oncotrack.cli.train import lesion_tracker

        sources = {"phantoms": phantoms, "warp": warp or [], "warps": warps, "dls": dls}
        plan = {"steps": steps, "batch": batch, "learning_rate": learning_rate, "warmup": warmup, "seed": seed}
        lesion_tracker(system, out, config, sources, visits, plan, start, device, max_minutes)


_train_tracker("dlt", "Deep Lesion Tracker")
_train_tracker("tlt", "Transformer Lesion Tracker")
