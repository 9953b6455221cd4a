"""Training of LN-Tracker: the loss of one step, and the run."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import cast

import torch

from oncotrack.background.jobs import Progress, silent
from oncotrack.detection.lntracker.backbone import load_imagenet
from oncotrack.detection.lntracker.config import CONFIGS, LNTrackerConfig
from oncotrack.detection.lntracker.dense_supervision import dense_loss
from oncotrack.detection.lntracker.losses import losses
from oncotrack.detection.lntracker.network import LNTracker
from oncotrack.detection.lntracker.proposer import Proposer
from oncotrack.detection.lntracker.track_queries import TRACKFORMER, TrackAugmentation, age_tracks, augment_tracks
from oncotrack.errors import InputError
from oncotrack.networks import weights
from oncotrack.networks.foreign_weights import load_foreign
from oncotrack.training import loop
from oncotrack.training.hard_negatives import find_hard_negatives
from oncotrack.training.node_sources import NodeSources
from oncotrack.training.plan import Plan
from oncotrack.training.provenance import run_record, starting_weights
from oncotrack.training.slice_pairs import Pairs, SlicePairs
from oncotrack.training.stored_cases import store

ABLATIONS: dict[str, dict[str, bool]] = {
    "full": {},
    "without-masked-attention": {"masked_attention": False},
    "without-similarity-loss": {"similarity_loss": False},
    "without-track-queries": {"track_queries": False, "similarity_loss": False},
    "trackformer": {"trackformer": True, "masked_attention": False, "similarity_loss": False},
}
"""Networks of the paper's tables 2 and 4 that need their own training, as changes to a configuration.

Table 4's row without track queries is the full network with stacked boxes; the ablation of that name also trains without
track queries.
"""
SWITCHES = sorted({name for row in ABLATIONS.values() for name in row})
CROPS = {"paper": 512, "compact": 128}
"""Pixels of a training crop, 0.8 mm each; the paper does not state them."""
TRACKS = {"paper": TRACKFORMER, "compact": TrackAugmentation(false=0.3, aged=0.5)}
PLANS = {
    # the paper trains for 30 epochs and does not state how many pairs these have
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
    network: torch.nn.Module,
    pairs: Pairs,
    generator: torch.Generator,
    augmentation: TrackAugmentation = TRACKFORMER,
) -> dict[str, torch.Tensor]:
    """Compute the losses of a batch of slice pairs (sec. 3.2).

    The queries matched on the first slice of a pair are the track queries of the second. As in TrackFormer, no gradients
    flow through the first slice. Networks without track queries do not read it.
    """
    unwrapped = cast("LNTracker", getattr(network, "module", network))
    config = unwrapped.config
    before, now = pairs.targets
    tracks, ids = None, torch.empty(len(now), 0, dtype=torch.long, device=pairs.images.device)
    if config.track_queries:
        with torch.no_grad():
            encoded = unwrapped.encode(pairs.images[0])
            tracks, ids = augment_tracks(unwrapped.decode(encoded), before, config, generator, augmentation)
            if torch.rand(1, generator=generator, device=ids.device) < augmentation.aged:
                tracks = age_tracks(unwrapped.decode(encoded, tracks), tracks)
        torch.clear_autocast_cache()  # torch before 2.10 would reuse the casts made here, which have no gradient
    output = network(pairs.images[1], tracks, now, generator)
    return losses(output, now, ids, config)


def proposal_loss(network: torch.nn.Module, pairs: Pairs, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Compute the loss of the proposals only, on the second slice of each pair."""
    config = cast("Proposer", getattr(network, "module", network)).config
    size = (pairs.images.shape[-1], pairs.images.shape[-2])
    class_loss, box_loss = dense_loss(network(pairs.images[1]), pairs.targets[1], size, config)
    return {"loss": class_loss + box_loss, "dense_class": class_loss, "dense_box": box_loss}


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
    """Train LN-Tracker, or continue a run.

    Parameters
    ----------
    out : Path
        Folder of the prepared scans, the checkpoint, ``log.csv`` and the weights.
    config : str
        "compact" or "paper".
    sources : NodeSources
        The training data.
    ablation : str
        A row of the paper's table 4, one of `ABLATIONS`.
    part : str
        "all"; "proposals" trains backbone, encoder and proposals only, at a third of the cost, as a first stage;
        "queries" trains the remaining layers only, at half the cost, as a second stage. The weights always hold the whole
        network.
    crop : int, optional
        Pixels of a training crop; that of the configuration if missing.
    plan : Plan, optional
        That of the configuration if missing.
    start : Path, optional
        Weights to start from, of the same network except for the switches of the ablations; layers that they lack, and
        all layers without a file, start from random weights. What they wrongly propose in the real scans is shown more
        often.
    backbone : Path, optional
        torchvision's ResNet-50, trained on ImageNet (.pth or .safetensors), from which the configuration "paper" starts.
    device : str
        "auto", "cpu", "cuda" or "mps".
    max_minutes : float, optional
        Stop after this time, with a checkpoint.
    progress : callable
        Receives the completed fraction (0 to 1) and a message.

    Returns
    -------
    Path
        The weights file.

    Raises
    ------
    InputError
        Unknown names, or weights of another network.
    TrainingError
        No training data, or a checkpoint of another run in `out`.
    """
    chosen = _chosen_config(config, ablation, part, is_pretrained=bool(start or backbone))
    plan, crop = plan or PLANS[config], crop or CROPS[config]
    torch.manual_seed(plan.seed)
    network, initial = _initial_network(chosen, start, backbone)
    paths = store(out / "scans", sources.jobs(), str(sources), progress)
    model, loss = _trained_part(network, part, TRACKS[config])
    about = {
        "system": "lntracker",
        "config": asdict(chosen),
        "scans": [path.stem for path in paths],
        "part": part,
        "crop": crop,
        "start": initial.sha256 if initial else str(backbone or ""),
    }
    errors = find_hard_negatives(paths[sources.phantoms :], _proposer(network), out, progress) if initial else None
    samples = SlicePairs(paths, crop, plan.seed, errors=errors)
    state, steps = loop.train(
        model, samples, loss, plan, out, about=repr(about), device=device, max_minutes=max_minutes, progress=progress
    )
    started_from = initial.about if initial else backbone.name if backbone else "random weights"
    record = run_record(str(sources), plan, steps, device, started_from, ablation=ablation, part=part, crop=crop)
    path = out / f"lntracker-{config}.safetensors"
    return weights.save(path, "lntracker", chosen, network.state_dict() | state, record)


def _chosen_config(config: str, ablation: str, part: str, is_pretrained: bool) -> LNTrackerConfig:
    """Return the configuration to train, after checking that it exists and can be trained as requested."""
    weights.check_config("LN-Tracker", config, CONFIGS)
    if ablation not in ABLATIONS:
        raise InputError(
            f'LN-Tracker has no ablation "{ablation}". Choose one of {", ".join(ABLATIONS)}.', parameter="ablation"
        )
    chosen = replace(CONFIGS[config], **ABLATIONS[ablation])
    if part not in PARTS or (part == "proposals" and not chosen.dense_supervision):
        raise InputError(
            f"The part to train is one of {', '.join(PARTS)}; proposals can be trained separately only if their supervision "
            f'is dense, as in the config compact. "{part}" of "{config}" is not possible.',
            parameter="part",
        )
    if chosen.norm == "frozen" and not is_pretrained:
        raise InputError(
            f"The network of the config {config} starts from a ResNet-50 trained on ImageNet, because its norms are "
            "constant. Give torchvision's weights file as the backbone.",
            parameter="backbone",
        )
    return chosen


def _initial_network(
    config: LNTrackerConfig, start: Path | None, backbone: Path | None
) -> tuple[LNTracker, weights.Weights | None]:
    """Build the network with its initial weights; also return the weights file that it starts from, if any."""
    network = LNTracker(config)
    if backbone is not None:
        load_imagenet(network.backbone, load_foreign(backbone))
    initial = starting_weights(start, "lntracker", config, {name: getattr(config, name) for name in SWITCHES})
    if initial is not None:
        network.load_state_dict({name: initial.state.get(name, value) for name, value in network.state_dict().items()})
    return network, initial


def _trained_part(
    network: LNTracker, part: str, augmentation: TrackAugmentation
) -> tuple[torch.nn.Module, loop.StepLoss]:
    """Return the module to train and its loss; freezes the layers of `network` that are not trained."""
    if part == "proposals":
        return _proposer(network), proposal_loss
    if part == "queries":
        for frozen in (network.backbone, network.encoder, network.proposals):
            frozen.requires_grad_(False)
    return network, partial(step_loss, augmentation=augmentation)


def _proposer(network: LNTracker) -> Proposer:
    """Return the network's first part, as a copy."""
    proposer = Proposer(network.config)
    proposer.load_state_dict({name: network.state_dict()[name] for name in proposer.state_dict()})
    return proposer
