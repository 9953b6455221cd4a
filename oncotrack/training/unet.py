"""Training of the U-Net baseline, on the same scans as LN-Tracker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from oncotrack.background.jobs import Progress, silent
from oncotrack.evaluation.unet import UNetConfig, network
from oncotrack.networks import weights
from oncotrack.training import loop
from oncotrack.training.node_sources import NodeSources
from oncotrack.training.plan import Plan
from oncotrack.training.provenance import run_record, starting_weights
from oncotrack.training.slice_pairs import Augmentation, change_intensities
from oncotrack.training.stored_cases import UNLABELLED, StoredCase, store

PLAN = Plan(steps=3_000, batch=2, learning_rate=1e-3, warmup=100, clip=1.0, average=0.998, precision="bf16")
_NEAR_NODE = 0.7


@dataclass(frozen=True, eq=False)
class Patches:
    """A batch: (B, 1, D, H, W) images, 0 to 1, and masks of the same shape, 0 or 1."""

    images: torch.Tensor
    masks: torch.Tensor

    def to(self, device: torch.device) -> Patches:
        """Copy the batch to a device."""
        return Patches(self.images.to(device), self.masks.to(device))


class NodePatches:
    """Random patches of stored scans, most of them with a node.

    Parameters
    ----------
    paths : sequence of Path
        Written by `stored_cases.store`.
    config : UNetConfig
        Size of the patches.
    seed : int
        Of the random numbers.
    """

    def __init__(self, paths: Sequence[Path], config: UNetConfig, seed: int) -> None:
        self._cases, self._patch, self._seed = [StoredCase(path) for path in paths], np.array(config.patch), seed

    def sample(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the image and the mask of sample `index`, (1, D, H, W) each."""
        rng = np.random.default_rng([self._seed, index])
        case = self._cases[rng.integers(len(self._cases))]
        shape = np.array(case.shape)
        if case.nodes and rng.random() < _NEAR_NODE:
            slices = case.nodes[rng.integers(len(case.nodes))]
            centre = slices[rng.integers(len(slices))] + rng.uniform(-0.4, 0.4, 3) * self._patch
        else:
            centre = rng.uniform(0.1, 0.9, 3) * shape
        low = np.clip((centre - self._patch / 2).astype(int), 0, np.maximum(shape - self._patch, 0))
        image, labels = case.read(np.clip(np.arange(low[0], low[0] + self._patch[0]), 0, shape[0] - 1))
        (y, x), (h, w) = low[1:], self._patch[1:]
        image, labels = image[:, y : y + h, x : x + w].float() / 255, labels[:, y : y + h, x : x + w]
        image = change_intensities(image, rng, augmentation := Augmentation())
        if rng.random() < augmentation.mirror:
            image, labels = image.flip(2), labels.flip(2)
        margin = (0, int(w - image.shape[2]), 0, int(h - image.shape[1]))
        return F.pad(image, margin)[None], F.pad(((labels > 0) & (labels < UNLABELLED)).float(), margin)[None]

    def collate(self, samples: list) -> Patches:
        """Join patches to a batch."""
        images, masks = zip(*samples, strict=True)
        return Patches(torch.stack(images), torch.stack(masks))


def step_loss(model: torch.nn.Module, batch: Patches, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Compute Dice loss plus cross-entropy (Isensee et al., nnU-Net, Nature Methods 2021)."""
    from monai.losses.dice import DiceLoss

    logits = model(batch.images).float()
    dice = DiceLoss(sigmoid=True, batch=True)(logits, batch.masks)
    entropy = F.binary_cross_entropy_with_logits(logits, batch.masks)
    return {"loss": dice + entropy, "dice": dice, "entropy": entropy}


def train(
    out: Path,
    sources: NodeSources,
    *,
    plan: Plan = PLAN,
    start: Path | None = None,
    device: str = "auto",
    max_minutes: float | None = None,
    progress: Progress = silent,
) -> Path:
    """Train the U-Net, or continue a run.

    Parameters
    ----------
    out : Path
        Folder of the prepared scans, the checkpoint, ``log.csv`` and the weights.
    sources : NodeSources
        The training data.
    plan : Plan
        Of the run.
    start : Path, optional
        Weights to start from; random ones if missing.
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
        Weights of another network.
    TrainingError
        A checkpoint of another run in `out`.
    """
    config = UNetConfig()
    torch.manual_seed(plan.seed)
    model = network(config)
    initial = starting_weights(start, "unet", config)
    if initial is not None:
        initial.fill(model)
    paths = store(out / "scans", sources.jobs(), str(sources), progress)
    about = repr({
        "system": "unet", "config": asdict(config), "scans": [path.stem for path in paths],
        "start": initial.sha256 if initial else "",
    })  # fmt: skip
    state, steps = loop.train(
        model, NodePatches(paths, config, plan.seed), step_loss, plan, out, about=about, device=device,
        max_minutes=max_minutes, progress=progress,
    )  # fmt: skip
    record = run_record(str(sources), plan, steps, device, initial.about if initial else "random weights")
    return weights.save(out / "unet.safetensors", "unet", config, state, record)
