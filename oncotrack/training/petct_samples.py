"""Training samples of the PET/CT networks: sub-volumes, candidates and tagged boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from oncotrack.detection.petct.config import StageOneConfig
from oncotrack.detection.petct.distance import is_proximal
from oncotrack.errors import TrainingError

SOURCES = ("nodes", "hot", "body")
SHARES = (0.6, 0.15, 0.25)
"""How often a sub-volume is drawn around a significant node, other high uptake, and anything else in the body."""
_TURNED, _MIRRORED = 0.5, 0.25


@dataclass(frozen=True, eq=False)
class SubVolumes:
    """A batch by region: (B, 3, D, H, W) images, and (B, 1, D, H, W) masks and valid voxels."""

    images: dict[str, torch.Tensor]
    masks: dict[str, torch.Tensor]
    valid: dict[str, torch.Tensor]

    def to(self, device: torch.device) -> SubVolumes:
        """Copy the batch to a device."""
        return SubVolumes(*({key: value.to(device) for key, value in part.items()}
                            for part in (self.images, self.masks, self.valid)))  # fmt: skip


class RegionPatches:
    """Random sub-volumes of stored studies, one for each region and sample (OSLN, sec. 4.2).

    Augmentation is the paper's: rotation by 90, 180 or 270 degrees with probability 0.5, and flips in the axial view with
    probability 0.25 each. The paper does not state where sub-volumes are drawn; see `SHARES`.

    Parameters
    ----------
    paths : sequence of Path
        Written by `petct_store.write_study`.
    config : StageOneConfig
        Sub-volume, regions and normalisation.
    seed : int
        Of the random numbers.

    Raises
    ------
    TrainingError
        There are no studies.
    """

    def __init__(self, paths: Sequence[Path], config: StageOneConfig, seed: int) -> None:
        from safetensors import safe_open

        if not paths:
            raise TrainingError("There is nothing to train on: no study was prepared.")
        self._paths, self._config, self._seed = list(paths), config, seed
        self._places: list[dict[str, np.ndarray]] = []
        for path in self._paths:
            with safe_open(path, framework="np") as file:
                names = [f"{region} {source}" for region in config.categories for source in SOURCES]
                self._places.append({name: file.get_tensor(name).astype(int) for name in names})

    def sample(self, index: int) -> tuple[dict[str, torch.Tensor], ...]:
        """Return images, masks and valid voxels of sample `index`, each by region."""
        rng = np.random.default_rng([self._seed, index])
        drawn = {region: self._draw(rng, region) for region in self._config.categories}
        images, masks, valid = ({region: parts[n] for region, parts in drawn.items()} for n in range(3))
        return images, masks, valid

    def collate(self, samples: list) -> SubVolumes:
        """Join samples to a batch."""
        return SubVolumes(*({region: torch.stack([part[region] for part in parts]) for region in parts[0]}
                            for parts in zip(*samples, strict=True)))  # fmt: skip

    def _draw(self, rng: np.random.Generator, region: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        source = SOURCES[rng.choice(len(SOURCES), p=SHARES)]
        usable = [n for n, places in enumerate(self._places) if len(places[f"{region} {source}"])]
        if not usable:
            source, usable = "body", [n for n, places in enumerate(self._places) if len(places[f"{region} body"])]
        study = usable[rng.integers(len(usable))] if usable else int(rng.integers(len(self._paths)))
        places = self._places[study][f"{region} {source}"]
        size = np.array(self._config.patch)
        centre = places[rng.integers(len(places))] if len(places) else size // 2
        return self._cut(
            self._paths[study], centre + np.rint(rng.uniform(-0.3, 0.3, 3) * size).astype(int), rng, region
        )

    def _cut(
        self, path: Path, centre: np.ndarray, rng: np.random.Generator, region: str
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Read the sub-volume around a voxel, moved inward at the borders, and turn and mirror it."""
        from safetensors import safe_open

        config, size = self._config, np.array(self._config.patch)
        with safe_open(path, framework="np") as file:
            shape = np.array(file.get_slice("ct").get_shape())
            low = np.clip(centre - size // 2, 0, np.maximum(shape - size, 0))
            where = tuple(slice(a, b) for a, b in zip(low, np.minimum(low + size, shape), strict=True))
            ct, pet, distance, labels = (
                file.get_slice(name)[where].astype(np.float32) for name in ("ct", "pet", "distance", "labels")
            )
        limit = config.distance_limit
        near = is_proximal(distance, config.border_mm)
        valid = np.ones_like(near) if region == "all" else near if region == "proximal" else ~near
        image = np.stack([
            ct / 255, (pet - config.pet_mean) / config.pet_std,
            np.clip(distance / config.distance_scale_mm, -limit, limit), labels > 0, valid,
        ])  # fmt: skip
        missing = [(0, int(n)) for n in size - image.shape[1:]]
        image = np.pad(image, [(0, 0), *missing])
        image = turned_and_mirrored(image, rng)
        tensor = torch.from_numpy(np.ascontiguousarray(image, np.float32))
        return tensor[:3], tensor[3:4], tensor[4:]


def turned_and_mirrored(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn (..., H, W) by 90, 180 or 270 degrees with probability 0.5 and mirror rows and columns with 0.25 each."""
    if rng.random() < _TURNED:
        image = np.rot90(image, int(rng.integers(1, 4)), axes=(-2, -1))
    for axis in (-2, -1):
        if rng.random() < _MIRRORED:
            image = np.flip(image, axis)
    return image


@dataclass(frozen=True, eq=False)
class CandidateBatch:
    """A batch of candidates: (N, 2, d, h, w) crops in CT 0-1 and SUV, (N, 6) boxes, (N, T) tags, (N,) labels 0 or 1."""

    crops: torch.Tensor
    boxes: torch.Tensor
    tags: torch.Tensor
    labels: torch.Tensor

    def to(self, device: torch.device) -> CandidateBatch:
        """Copy the batch to a device."""
        return CandidateBatch(*(each.to(device) for each in (self.crops, self.boxes, self.tags, self.labels)))


class Candidates:
    """The stored candidates of all studies, in a new random order in each epoch.

    Parameters
    ----------
    paths : sequence of Path
        safetensors files of ``crops``, ``boxes``, ``tags`` and ``labels``.
    seed : int
        Of the order.
    mirrored : bool
        Whether crops are mirrored at random.

    Raises
    ------
    TrainingError
        There are none, or all are of one kind.
    """

    def __init__(self, paths: Sequence[Path], seed: int, mirrored: bool) -> None:
        from safetensors.torch import load_file

        files = [load_file(path) for path in paths]
        files = [file for file in files if len(file["labels"])]
        if not files or len(torch.cat([file["labels"] for file in files]).unique()) < 2:
            raise TrainingError(
                "There is nothing to train on: the first stage gives no candidates, or only true or only false ones. Train the "
                "first stage longer, or on more studies."
            )
        self._all = {name: torch.cat([file[name] for file in files]) for name in files[0]}
        self._seed, self._mirrored = seed, mirrored

    def __len__(self) -> int:
        """Return the number of candidates."""
        return len(self._all["labels"])

    @property
    def positives(self) -> int:
        """Number of true candidates."""
        return int(self._all["labels"].sum())

    def sample(self, index: int) -> tuple[torch.Tensor, ...]:
        """Return crop, box, tags and label of sample `index`."""
        epoch, place = divmod(index, len(self))
        n = int(np.random.default_rng([self._seed, epoch]).permutation(len(self))[place])
        crop, box, tags, label = (self._all[name][n].float() for name in ("crops", "boxes", "tags", "labels"))
        if self._mirrored:
            rng = np.random.default_rng([self._seed, index, 1])
            for axis in range(3):
                if rng.random() < 0.5:
                    crop = crop.flip(axis + 1)
                    box = box.clone()
                    box[[axis, axis + 3]] = crop.shape[axis + 1] - box[[axis + 3, axis]]
        return crop, box, tags, label

    def collate(self, samples: list) -> CandidateBatch:
        """Join candidates to a batch."""
        return CandidateBatch(*(torch.stack(each) for each in zip(*samples, strict=True)))


@dataclass(frozen=True, eq=False)
class TaggedBatch:
    """A batch for the tagger: patches, boxes and place of `tagger_input`; (N, T) tags, and which of them are known."""

    patches: torch.Tensor
    boxes: torch.Tensor
    place: torch.Tensor
    tags: torch.Tensor
    known: torch.Tensor

    def to(self, device: torch.device) -> TaggedBatch:
        """Copy the batch to a device."""
        return TaggedBatch(*(each.to(device) for each in (self.patches, self.boxes, self.place, self.tags, self.known)))
