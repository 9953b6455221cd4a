"""Training of the MR detector from RECIST axes."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch

from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets.node_scans import HELD_OUT, held_out_mr, mr_phantom_scan
from oncotrack.detection.mr.config import CONFIGS, MRConfig
from oncotrack.detection.mr.detector import MRDetector
from oncotrack.detection.mr.network import MaskRCNN
from oncotrack.detection.mr.uncertainty import UncertaintyLoss
from oncotrack.errors import InputError
from oncotrack.evaluation.mr_detectors import proposal_threshold
from oncotrack.networks import weights
from oncotrack.training import loop
from oncotrack.training.bookmarked_slices import BookmarkedSlices, SliceBatch, write
from oncotrack.training.plan import Plan
from oncotrack.training.provenance import run_record
from oncotrack.training.stored_cases import store
from oncotrack.training.synthetic_jobs import check_seeds

ABLATIONS: dict[str, dict[str, object]] = {
    "full": {},
    "mask-rcnn": {"attention": False, "uncertainty": False},
    "mask-rcnn-without-pseudo-mask": {"attention": False, "uncertainty": False, "mask_branch": False},
    "without-pseudo-mask": {"mask_branch": False},
    "without-attention": {"attention": False},
    "without-uncertainty": {"uncertainty": False},
    **{
        name: {"uncertainty": False, "task_weights": values}
        for name, values in {
            "weights-10-1-1-1-1": (10.0, 1.0, 1.0, 1.0, 1.0),
            "weights-1-10-1-1-1": (1.0, 10.0, 1.0, 1.0, 1.0),
            "weights-10-10-1-1-1": (10.0, 10.0, 1.0, 1.0, 1.0),
            "weights-1-1-1-1-10": (1.0, 1.0, 1.0, 1.0, 10.0),
            "weights-1-1-10-1-1": (1.0, 1.0, 10.0, 1.0, 1.0),
            "weights-1-1-1-10-1": (1.0, 1.0, 1.0, 10.0, 1.0),
            "weights-1-1-10-10-10": (1.0, 1.0, 10.0, 10.0, 10.0),
        }.items()
    },
}
"""The rows of the paper's table 2, then of its table 3 (weights of first-stage class and box, second-stage class, box and
mask; all equal to 1 is "without-uncertainty"), as changes to a configuration."""
SHAPES = {"paper": (1024, 1024), "compact": (128, 128)}
"""Rows and columns of a sample: whole slices, or crops."""
# RAdam rectifies its first steps, so a short run needs no long warm-up and tolerates a high rate
PLANS = {
    "paper": Plan(steps=25_000, batch=4, learning_rate=1e-3, clip=5.0, precision="bf16", workers=8),
    "compact": Plan(
        steps=3_000, batch=4, learning_rate=3e-3, warmup=10, clip=5.0, average=0.998, precision="bf16", workers=1
    ),
}


def step_loss(network: torch.nn.Module, slices: SliceBatch, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Compute the losses of a batch (eq. 6), and add the learned sigmas for the log."""
    parts = network(slices.images, slices.targets, generator)
    balance = getattr(network, "module", network).balance
    if isinstance(balance, UncertaintyLoss):
        parts |= {f"sigma {n}": sigma.detach() for n, sigma in enumerate(balance.sigmas, 1)}
    return parts


def train(
    out: Path,
    config: str,
    phantoms: int,
    *,
    ablation: str = "full",
    plan: Plan | None = None,
    scans: Path | None = None,
    device: str = "auto",
    max_minutes: float | None = None,
    calibrating: int = 8,
    progress: Progress = silent,
) -> Path:
    """Train the MR detector, or continue a run.

    Parameters
    ----------
    out : Path
        Folder of the checkpoint, ``log.csv`` and the weights.
    config : str
        "compact" or "paper".
    phantoms : int
        Synthetic T2-like scans, from seed 0, with RECIST axes.
    ablation : str
        A row of the paper's table 2 or 3, one of `ABLATIONS`.
    plan : Plan, optional
        That of the configuration if missing.
    scans : Path, optional
        Folder of the prepared slices, which several runs can share; ``scans`` in `out` if missing.
    device : str
        "auto", "cpu", "cuda" or "mps".
    max_minutes : float, optional
        Stop after this time, with a checkpoint.
    calibrating : int
        Validation scans on which the least score of proposed nodes is chosen; 0 does not choose one.
    progress : callable
        Receives the completed fraction (0 to 1) and a message.

    Returns
    -------
    Path
        The weights file.

    Raises
    ------
    InputError
        Unknown names, or more scans than there are seeds to train on.
    TrainingError
        No training data, or a checkpoint of another run in `out`.
    """
    weights.check_config("The MR detector", config, CONFIGS)
    if ablation not in ABLATIONS:
        raise InputError(
            f'The MR detector has no ablation "{ablation}". Choose one of {", ".join(ABLATIONS)}.', parameter="ablation"
        )
    check_seeds("scans", phantoms)
    chosen: MRConfig = replace(CONFIGS[config], **ABLATIONS[ablation])
    plan = plan or PLANS[config]
    data = f"{phantoms} synthetic MR with RECIST axes"
    jobs = ((f"phantom-{seed}", partial(mr_phantom_scan, seed)) for seed in range(phantoms))
    grid = f"pixels of {chosen.pixel_mm:g} mm" if chosen.pixel_mm else f"{chosen.side} pixels"
    paths = store(scans or out / "scans", jobs, f"{data}, {grid}", progress, partial(write, config=chosen))
    torch.manual_seed(plan.seed)
    network = MaskRCNN(chosen)
    samples = BookmarkedSlices(paths, SHAPES[config], plan.seed, pseudo_masks=chosen.mask_branch)
    about = repr({"system": "mr", "config": asdict(chosen), "scans": [path.stem for path in paths]})
    state, steps = loop.train(
        network, samples, step_loss, plan, out, about=about, device=device, max_minutes=max_minutes, progress=progress
    )
    record = run_record(data, plan, steps, device, slices=len(samples), ablation=ablation)
    path = weights.save(out / f"mr-{config}.safetensors", "mr", chosen, state, record)
    if calibrating:
        cases = held_out_mr(calibrating, HELD_OUT)
        record["threshold"] = proposal_threshold(MRDetector(device, weights=path, threshold=0.0), cases, progress)
        weights.save(path, "mr", chosen, state, record)
    return path
