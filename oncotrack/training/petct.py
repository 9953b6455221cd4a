"""Training of the PET/CT detector: first stage, tagger, second stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch.nn import functional as F

from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets.node_scans import HELD_OUT
from oncotrack.datasets.petct_scans import petct_scan
from oncotrack.detection.petct.candidates import normalised
from oncotrack.detection.petct.config import STAGE_ONE, STAGE_TWO, StageOneConfig, TaggerConfig
from oncotrack.detection.petct.detector import SYSTEMS, FirstStage, SecondStage, weights_path
from oncotrack.detection.petct.glnet import GLNet, jittered
from oncotrack.detection.petct.lesanet import LesaNetTagger
from oncotrack.detection.petct.stage_one import StageOne, segmentation_loss
from oncotrack.detection.petct.tagger import CompactTagger, Tagger, TrainedTagger
from oncotrack.errors import InputError
from oncotrack.evaluation.petct import compare_candidates, operating_point, proposal_threshold, sweep
from oncotrack.networks import weights
from oncotrack.training import loop
from oncotrack.training.petct_crops import store_candidates
from oncotrack.training.petct_plans import ABLATIONS, EPOCHS, PLANS, STAGES, SUB_VOLUMES
from oncotrack.training.petct_samples import CandidateBatch, Candidates, RegionPatches, SubVolumes, TaggedBatch
from oncotrack.training.petct_store import pet_statistics, read_study, store_studies
from oncotrack.training.petct_tags import TaggedBoxes
from oncotrack.training.plan import Plan
from oncotrack.training.provenance import run_record, starting_weights
from oncotrack.training.synthetic_jobs import check_seeds


@dataclass(frozen=True)
class Run:
    """What the stages of a training have in common.

    Attributes
    ----------
    out : Path
        Folder of the prepared studies, the checkpoints, the logs and the weights of all stages.
    config : str
        "compact" or "paper".
    studies : int
        Synthetic studies, from seed 0.
    validation : int
        Validation studies, from seed `HELD_OUT`, on which operating point and threshold are chosen.
    ablation : str
        A row of `ABLATIONS` of the stage.
    plan : Plan, optional
        That of the configuration if missing.
    start : Path, optional
        Weights of the same stage and row to start from; random ones if missing.
    first : Path, optional
        Weights of the first stage for stage two; those in `out` if missing.
    tagger : Path, optional
        Weights of LesaNet for stage two.
    scans : Path, optional
        Folder of the prepared studies, which several runs can share; in `out` if missing.
    device : str
        "auto", "cpu", "cuda" or "mps".
    max_minutes : float, optional
        Stop after this time, with a checkpoint.
    progress : callable
        Receives the completed fraction (0 to 1) and a message.
    """

    out: Path
    config: str = "compact"
    studies: int = 60
    validation: int = 12
    ablation: str = "full"
    plan: Plan | None = None
    start: Path | None = None
    first: Path | None = None
    tagger: Path | None = None
    scans: Path | None = None
    device: str = "auto"
    max_minutes: float | None = None
    progress: Progress = silent


def train(stage: str, run: Run) -> Path:
    """Train one stage, or continue a run, and return its weights file.

    Parameters
    ----------
    stage : str
        One of `STAGES`: "one" first; "tagger" and then "two" need its prepared studies.
    run : Run
        Data, configuration, device.

    Raises
    ------
    InputError
        Unknown names, more studies than there are seeds to train on, or weights of another network to start from.
    TrainingError
        No training data, or a checkpoint of another run in the folder.
    WeightsError
        Stage two lacks the weights of the first stage; or those to start from are damaged.
    """
    if stage not in STAGES:
        raise InputError(f'There is no stage "{stage}". Choose one of {", ".join(STAGES)}.', parameter="stage")
    weights.check_config("The PET/CT detector", run.config, STAGE_ONE)
    if run.ablation not in ABLATIONS[stage]:
        raise InputError(
            f'Stage {stage} has no ablation "{run.ablation}". Choose one of {", ".join(ABLATIONS[stage])}.',
            parameter="ablation",
        )
    check_seeds("studies", run.studies, run.validation)
    return {"one": _train_first, "tagger": _train_tagger, "two": _train_second}[stage](run)


def first_stage_loss(network: torch.nn.Module, batch: SubVolumes, _: torch.Generator) -> dict[str, torch.Tensor]:
    """Sum the losses of all networks, each over its own region; they share no weights."""
    parts: dict[str, torch.Tensor] = {}
    for name, logits in network(batch.images).items():
        region = name.split()[1]
        terms = segmentation_loss(logits.float(), batch.masks[region], batch.valid[region])
        parts |= {f"{name} {term}": value for term, value in terms.items()}
    return {"loss": torch.stack(list(parts.values())).sum(), **parts}


def tagger_loss(network: torch.nn.Module, batch: TaggedBatch, _: torch.Generator) -> dict[str, torch.Tensor]:
    """Compute the cross-entropy of the known tags."""
    logits = network(batch.patches, batch.boxes, batch.place)
    return {"loss": F.binary_cross_entropy_with_logits(logits.float(), batch.tags, batch.known)}


def second_stage_loss(
    network: torch.nn.Module, batch: CandidateBatch, generator: torch.Generator, pet: tuple[float, float] = (0.0, 1.0)
) -> dict[str, torch.Tensor]:
    """Compute the cross-entropy of the candidates' labels, with jittered boxes."""
    config = cast("GLNet", getattr(network, "module", network)).config
    boxes = jittered(batch.boxes, config.jitter, generator)
    logits = network(normalised(batch.crops, config, *pet), boxes, batch.tags[:, : config.tags])
    return {"loss": F.binary_cross_entropy_with_logits(logits.float(), batch.labels)}


def _studies(run: Run, config: StageOneConfig, count: int, first: int, name: str) -> list[Path]:
    """Prepare studies from seed `first` on."""
    jobs = ((f"phantom-{seed}", partial(petct_scan, seed)) for seed in range(first, first + count))
    folder = (run.scans or run.out / "scans") / name
    return store_studies(folder, jobs, f"{count} synthetic PET/CT from seed {first}", config, run.progress)


def _train_first(run: Run) -> Path:
    base = replace(STAGE_ONE[run.config], **ABLATIONS["one"][run.ablation])
    paths = _studies(run, base, run.studies, 0, "training")
    mean, std = pet_statistics(paths)
    config = replace(base, pet_mean=mean, pet_std=std)
    plan = run.plan or PLANS[run.config]["one"]
    if run.plan is None and run.config == "paper":
        plan = replace(plan, steps=max(1, EPOCHS["one"] * SUB_VOLUMES * len(paths) // plan.batch))
    torch.manual_seed(plan.seed)
    network = StageOne(config).to(memory_format=torch.channels_last_3d)  # pyright: ignore[reportCallIssue]  (faster)
    samples = RegionPatches(paths, config, plan.seed)
    record = _run_loop(run, "one", network, samples, first_stage_loss, plan, config, paths)
    path = _save(run, "one", config, network, record)
    if run.validation:
        held_out = _studies(run, base, run.validation, HELD_OUT, "validation")
        record["operating point"] = choose_operating_point(path, held_out, run.device, run.progress)
        path = _save(run, "one", config, network, record)
    return path


def _train_tagger(run: Run) -> Path:
    first, config = STAGE_ONE[run.config], TaggerConfig()
    if run.config != "compact":
        raise InputError(
            "The paper's tagger is LesaNet, which is not trained here. Train the compact tagger, or give LesaNet's weights to "
            "stage two.",
            parameter="config",
        )
    paths = _studies(run, first, run.studies, 0, "training")
    plan = run.plan or PLANS[run.config]["tagger"]
    torch.manual_seed(plan.seed)
    network = CompactTagger(config)
    samples = TaggedBoxes(paths, first, config, plan.seed)
    record = _run_loop(run, "tagger", network, samples, tagger_loss, plan, config, paths)
    return _save(run, "tagger", config, network, record)


def _train_second(run: Run) -> Path:
    config = replace(STAGE_TWO[run.config], **ABLATIONS["two"][run.ablation])
    first = FirstStage(run.first or weights_path("one", run.config, run.out), run.device)
    tagger = _tagger(run, config.tagger or STAGE_TWO[run.config].tagger)
    paths = _studies(run, first.config, run.studies, 0, "training")
    store = partial(store_candidates, first=first, tagger=tagger, config=STAGE_TWO[run.config], progress=run.progress)
    samples = Candidates(store(run.out / "candidates", paths), 0, config.mirrored)
    plan = run.plan or PLANS[run.config]["two"]
    if run.plan is None and run.config == "paper":
        plan = replace(plan, steps=max(1, -(-EPOCHS["two"] * len(samples) // plan.batch)))
    torch.manual_seed(plan.seed)
    network = GLNet(config).to(memory_format=torch.channels_last_3d)  # pyright: ignore[reportCallIssue]  (faster)
    pet = (first.config.pet_mean, first.config.pet_std)
    loss = partial(second_stage_loss, pet=pet)
    record = _run_loop(run, "two", network, samples, loss, plan, config, paths, first=first.sha256)
    record |= {"pet mean": pet[0], "pet std": pet[1], "candidates": len(samples), "true candidates": samples.positives}
    path = _save(run, "two", config, network, record)
    if run.validation:
        held_out = _studies(run, first.config, run.validation, HELD_OUT, "validation")
        record["threshold"] = _choose_threshold(first, SecondStage(path, tagger, run.device), held_out, run.progress)
        path = _save(run, "two", config, network, record)
    return path


def choose_operating_point(path: Path, studies: Sequence[Path], device: str, progress: Progress = silent) -> float:
    """Return the threshold at which the first stage reaches a precision of 0.15 on stored studies (sec. 4.3)."""
    first = FirstStage(path, device)
    sweeps = []
    for n, each in enumerate(studies):
        progress(n / len(studies), f"Choosing the operating point, study {n + 1} of {len(studies)}")
        known = read_study(each, first.config)
        probability = first.network.segment(known.study)
        sweeps.append(sweep(probability, known.labels, first.config, known.study.geometry.voxel_mm3))
    return operating_point(sweeps)


def _choose_threshold(first: FirstStage, second: SecondStage, studies: Sequence[Path], progress: Progress) -> float:
    """Return the score above which there are at most 3 false nodes for each stored study."""
    comparisons = []
    for n, each in enumerate(studies):
        progress(n / len(studies), f"Choosing the threshold, study {n + 1} of {len(studies)}")
        known = read_study(each, first.config)
        found = first.candidates(known.study)
        scores = [scored.score for scored in second.score(known.study, found)]
        comparisons.append(compare_candidates(found, scores, known.labels, known.study.geometry.voxel_mm3))
    return proposal_threshold(comparisons)


def _tagger(run: Run, name: str) -> Tagger | None:
    """Return the tagger that describes the candidates; None where its weights are missing and nothing needs them."""
    if name == "lesanet":
        if run.tagger is None:
            raise InputError(
                "The second stage of the paper reads LesaNet's tags. Give its weights, or choose a row without tags "
                "(ct or ct-pet).",
                parameter="tagger",
            )
        return LesaNetTagger(run.tagger, run.device)
    return TrainedTagger(weights_path("tagger", run.config, run.out), run.device)


def _run_loop(
    run: Run,
    stage: str,
    network: torch.nn.Module,
    samples: loop.Samples,
    loss: Callable[[torch.nn.Module, Any, torch.Generator], dict[str, torch.Tensor]],
    plan: Plan,
    config: Any,
    paths: Sequence[Path],
    **extra: Any,
) -> dict[str, Any]:
    """Train, fill the network with the result and return the record of the run."""
    measured = {name: value for name, value in asdict(config).items() if name in ("pet_mean", "pet_std")}
    start = starting_weights(run.start, SYSTEMS[stage], config, measured)
    if start is not None:
        start.fill(network)
        extra["start"] = start.sha256
    about = repr({"system": SYSTEMS[stage], "config": asdict(config), "scans": [path.stem for path in paths], **extra})
    folder = run.out / _folder(stage, run.ablation)
    state, steps = loop.train(
        network, samples, loss, plan, folder, about=about, device=run.device, max_minutes=run.max_minutes,
        progress=run.progress,
    )  # fmt: skip
    network.load_state_dict(state)
    started_from = start and start.about
    return run_record(f"{len(paths)} synthetic PET/CT", plan, steps, run.device, started_from, ablation=run.ablation)


def _save(run: Run, stage: str, config: Any, network: torch.nn.Module, record: dict[str, Any]) -> Path:
    """Write the weights of a stage as half precision; rows other than the full network have a folder of their own."""
    state = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in network.state_dict().items()
    }
    folder = run.out if run.ablation == "full" else run.out / _folder(stage, run.ablation)
    return weights.save(weights_path(stage, run.config, folder), SYSTEMS[stage], config, state, record)


def _folder(stage: str, ablation: str) -> str:
    return f"{stage}-{ablation}"
