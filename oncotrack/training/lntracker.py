"""Training of LN-Tracker: what one step is, and what it is trained on."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch

from oncotrack.background.jobs import Progress, silent
from oncotrack.detection.lntracker.backbone import load_imagenet
from oncotrack.detection.lntracker.config import CONFIGS, LNTrackerConfig
from oncotrack.detection.lntracker.losses import dense_loss, losses
from oncotrack.detection.lntracker.network import LNTracker, Proposer
from oncotrack.detection.lntracker.track_queries import TRACKFORMER, TrackAugmentation, aged, augment_tracks
from oncotrack.errors import InputError
from oncotrack.networks import weights
from oncotrack.training import loop
from oncotrack.training.node_sources import NodeSources
from oncotrack.training.plan import Plan
from oncotrack.training.slice_pairs import Pairs, SlicePairs
from oncotrack.training.stored_cases import store

ABLATIONS: dict[str, dict[str, bool]] = {
    "full": {},
    "without-masked-attention": {"masked_attention": False},
    "without-similarity-loss": {"similarity_loss": False},
    "without-track-queries": {"track_queries": False, "similarity_loss": False},
    "trackformer": {"trackformer": True, "masked_attention": False, "similarity_loss": False},
}
"""The networks of the paper's tables 2 and 4 that are trained otherwise, as changes to a config.

Table 4's row without track queries is the full network, whose boxes are stacked (``--stacking``); the ablation of that name
goes further and trains without them.
"""
SWITCHES = sorted({name for row in ABLATIONS.values() for name in row})
CROPS = {"paper": 512, "compact": 128}
"""Pixels of a training crop, 0.8 mm each; the paper does not say."""
TRACKS = {"paper": TRACKFORMER, "compact": TrackAugmentation(false=0.3, aged=0.5)}
PLANS = {
    # the paper trains for 30 epochs and does not say how many pairs these have
    "paper": Plan(steps=30_000, batch=8, precision="bf16", workers=8),
    "compact": Plan(
        steps=5_000,
        batch=8,
        learning_rate=3e-3,
        warmup=100,
        clip=5.0,
        optimiser="muon",
        average=0.998,
        precision="bf16",
    ),
}
PARTS = ("all", "proposals", "queries")


def step_loss(
    network: torch.nn.Module, pairs: Pairs, generator: torch.Generator, how: TrackAugmentation = TRACKFORMER
) -> dict[str, torch.Tensor]:
    """One pair of slices a sample (sec. 3.2): the queries matched on the first are the track queries of the second.

    The reference slice is read without gradients and half the time, as in TrackFormer; where a network has no track
    queries there is nothing to read it for.
    """
    alone: LNTracker = getattr(network, "module", network)
    config = alone.config
    before, now = pairs.targets
    tracks, ids = None, torch.empty(len(now), 0, dtype=torch.long, device=pairs.images.device)
    if config.track_queries:
        with torch.no_grad():
            seen = alone.propose(pairs.images[0])
            tracks, ids = augment_tracks(alone.answer(seen), before, config, generator, how)
            if torch.rand(1, generator=generator, device=ids.device) < how.aged:
                tracks = aged(alone.answer(seen, tracks), tracks)
        torch.clear_autocast_cache()  # torch before 2.10 would go on with the casts made here, which have no gradient
    output = network(pairs.images[1], tracks, now, generator)
    return losses(output, now, ids, config)


def proposal_loss(network: torch.nn.Module, pairs: Pairs, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """The loss of the proposals alone, on the second slice of each pair."""
    config: LNTrackerConfig = getattr(network, "module", network).config
    size = tuple(pairs.images.shape[:-3:-1])
    by_class, by_box = dense_loss(network(pairs.images[1]), [t.boxes for t in pairs.targets[1]], size, config)
    return {"loss": by_class + by_box, "dense_class": by_class, "dense_box": by_box}


def train(
    out: Path,
    config: str,
    sources: NodeSources,
    *,
    ablation: str = "full",
    part: str = "all",
    crop: int | None = None,
    plan: Plan | None = None,
    start: Path | None = None,
    backbone: Path | None = None,
    device: str = "auto",
    max_minutes: float | None = None,
    progress: Progress = silent,
) -> Path:
    """Train LN-Tracker, or go on with it.

    Parameters
    ----------
    out : Path
        Folder of the prepared scans, the checkpoint, ``log.csv`` and the weights.
    config : str
        "compact" or "paper".
    ablation : str
        A row of the paper's table 4, one of `ABLATIONS`.
    part : str
        "all"; or "proposals", backbone, encoder and proposals alone, at a third of the cost, to begin with; or "queries",
        what comes after them alone, at half the cost, to go on with. The weights hold the whole network each time.
    crop : int, optional
        Pixels of a training crop; that of the config when missing.
    plan : Plan, optional
        That of the config when missing.
    start : Path, optional
        Weights to begin with, of the same network but for the switches of the ablations; random ones when missing, and
        for what those switches add.
    backbone : Path, optional
        torchvision's ResNet-50, trained on ImageNet (.pth or .safetensors), which the config paper begins with.

    Returns
    -------
    Path of the weights.

    Raises
    ------
    InputError
        Unknown names.
    TrainingError
        Nothing to train on, or a checkpoint of another run in `out`.
    """
    if config not in CONFIGS or ablation not in ABLATIONS:
        raise InputError(
            f"LN-Tracker has the configs {', '.join(CONFIGS)} and the ablations {', '.join(ABLATIONS)}; "
            f'"{config}" and "{ablation}" were asked for.'
        )
    chosen, plan = replace(CONFIGS[config], **ABLATIONS[ablation]), plan or PLANS[config]
    crop = crop or CROPS[config]
    if part not in PARTS or (part == "proposals" and not chosen.dense_supervision):
        raise InputError(
            f"A part to train is one of {', '.join(PARTS)}, and the proposals alone can learn only where their supervision "
            f'is dense, as in the config compact; "{part}" of "{config}" was asked for.'
        )
    if chosen.norm == "frozen" and not (start or backbone):
        raise InputError(
            f"The network of the config {config} begins with a ResNet-50 that was trained on ImageNet, whose norms stay as "
            "they are. Give torchvision's file of it with --backbone."
        )
    torch.manual_seed(plan.seed)
    network = LNTracker(chosen)
    if backbone is not None:
        load_imagenet(network.backbone, weights.load_foreign(backbone))
    begun = weights.load(start, "lntracker") if start else None
    if begun is not None:
        if replace(begun.config_as(LNTrackerConfig), **{name: getattr(chosen, name) for name in SWITCHES}) != chosen:
            raise InputError(f"{start} holds another LN-Tracker than the one that is to be trained.")
        network.load_state_dict({name: begun.state.get(name, value) for name, value in network.state_dict().items()})
    paths = store(out / "scans", sources.jobs(), str(sources), progress)
    model, loss = network, partial(step_loss, how=TRACKS[config])
    if part == "proposals":
        model, loss = Proposer(chosen), proposal_loss
        model.load_state_dict({name: network.state_dict()[name] for name in model.state_dict()})
    elif part == "queries":
        for known in (network.backbone, network.encoder, network.proposals):
            known.requires_grad_(False)
    samples = SlicePairs(paths, crop, plan.seed)
    about = {
        "system": "lntracker",
        "config": asdict(chosen),
        "scans": [path.stem for path in paths],
        "part": part,
        "crop": crop,
        "start": begun.sha256 if begun else str(backbone or ""),
    }
    state, steps = loop.train(
        model, samples, loss, plan, out, about=repr(about), device=device, max_minutes=max_minutes,
        progress=progress,
    )  # fmt: skip
    told = {
        "data": str(sources), "ablation": ablation, "part": part, "crop": crop, "plan": asdict(plan), "steps": steps, "device": device,
        "torch": torch.__version__, "started from": begun.about if begun else backbone.name if backbone else "random weights",
    }  # fmt: skip
    return weights.save(
        out / f"lntracker-{config}.safetensors", "lntracker", chosen, network.state_dict() | state, told
    )
