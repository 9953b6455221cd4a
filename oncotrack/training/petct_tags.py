"""The tags that are known of a place in a synthetic patient, and the samples of the tagger."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from oncotrack.detection.petct.config import StageOneConfig, TaggerConfig
from oncotrack.detection.petct.tagger import ATTRIBUTES, TAGS, TISSUES, UPTAKE, tagger_input
from oncotrack.errors import TrainingError
from oncotrack.phantom.tissues import ORGANS
from oncotrack.training.petct_samples import TaggedBatch
from oncotrack.training.petct_store import KnownStudy, read_study

ORGAN_TAGS = {
    "lung": "lung", "airway": "airway", "artery": "blood vessel", "vein": "blood vessel", "lung vessel": "blood vessel",
    "heart": "soft tissue", "bone": "bone", "cartilage": "bone", "disc": "bone", "muscle": "muscle", "diaphragm": "muscle", "fat": "fat", "visceral fat": "fat",
    "liver": "liver", "spleen": "spleen", "kidney": "kidney", "pancreas": "pancreas", "adrenal": "adrenal gland", "stomach": "stomach",
    "bowel": "intestine", "thyroid": "thyroid gland", "oesophagus": "soft tissue", "gland": "soft tissue",
}  # fmt: skip
"""LesaNet's term for each of the phantom's organs, where there is one."""
STATION_TAGS = {
    "supraclavicular": "supraclavicular lymph node", "axillary": "axilla lymph node", "2": "superior mediastinum lymph node", "3": "superior mediastinum lymph node",
    "5": "aorticopulmonary window", "6": "aorticopulmonary window", "7": "subcarinal lymph node", "10": "hilum lymph node", "cardiophrenic": "cardiophrenic",
    "retrocrural": "retrocrural lymph node", "hepatic hilum": "porta Hepatis lymph node", "para-aortic": "paraaortic", "aortocaval": "paraaortic",
    "paracaval": "paracaval lymph node", "mesenteric": "mesentery lymph node",
}  # fmt: skip
"""LesaNet's term for each of the phantom's stations, by the beginning of its name."""
_HOT_SUV = 3.0
_SHARES = (0.5, 0.25, 0.25)
_SOURCES = ("instances", "hot", "body")
_RETROPERITONEAL = ("para-aortic", "aortocaval", "paracaval", "retrocrural")


def known_tags(known: KnownStudy, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the tags of a box, and which of them are known.

    Parameters
    ----------
    known : KnownStudy
        The study with its truth.
    box : (6,) ndarray
        First voxel z, y, x, then one past the last.

    Returns
    -------
    tags, is_known : (T,) float32 ndarray
        0 or 1, in the order of `TAGS`. Of places outside nodes and lesions region, kind, tissue and uptake are known.
    """
    shape = np.array(known.study.ct.shape)
    low, high = np.clip(box[:3], 0, shape - 1).astype(int), np.clip(box[3:], 1, shape).astype(int)
    where = tuple(slice(a, max(b, a + 1)) for a, b in zip(low, high, strict=True))
    names: set[str] = set()
    numbers, counts = np.unique(known.instances[where], return_counts=True)
    inside = {int(n): int(c) for n, c in zip(numbers, counts, strict=True) if n > 0}
    instance = known.about.get(str(max(inside, key=lambda n: inside[n]))) if inside else None
    organs = np.bincount(known.organs[where].ravel(), minlength=len(ORGANS))
    organs[0] = 0
    organ = ORGANS[int(organs.argmax())] if organs.any() else ""
    names |= _region(known, (low + high) / 2, organ, instance)
    if instance is not None:
        names |= _of_instance(instance)
    elif organ in ORGAN_TAGS:
        names.add(ORGAN_TAGS[organ])
    if known.study.pet[where].max() >= _HOT_SUV:
        names |= set(UPTAKE)
    tags = np.array([name in names for name in TAGS], np.float32)
    open_names = set(TISSUES) if instance is not None or organ not in ORGAN_TAGS else set()
    if instance is None:
        open_names |= set(ATTRIBUTES)
    return tags, np.array([name not in open_names for name in TAGS], np.float32)


def _region(known: KnownStudy, centre: np.ndarray, organ: str, instance: dict | None) -> set[str]:
    """Return the tags of the body part."""
    if instance is not None and instance["region"] in ("neck", "axilla", "mediastinum", "abdomen"):
        region, site = instance["region"], instance["site"]
        found = {region} | ({"chest"} if region == "mediastinum" else set())
        return found | ({"retroperitoneum"} if site.startswith(_RETROPERITONEAL) else set())
    if organ in ("lung", "lung vessel", "airway"):
        return {"chest"}
    if organ == "heart":
        return {"chest", "mediastinum"}
    if organ in ("liver", "spleen", "stomach", "bowel", "gallbladder"):
        return {"abdomen"}
    if organ in ("kidney", "pancreas", "adrenal"):
        return {"abdomen", "retroperitoneum"}
    if organ == "thyroid":
        return {"neck"}
    level = known.organs[int(np.clip(centre[0], 0, len(known.organs) - 1))]
    if (level == ORGANS.index("lung")).sum() > (level == ORGANS.index("bowel")).sum() + 50:
        return {"chest"}
    lungs = np.flatnonzero((known.organs == ORGANS.index("lung")).any((1, 2)))
    return {"neck"} if len(lungs) and centre[0] > lungs[-1] else {"abdomen"}


def _of_instance(about: dict) -> set[str]:
    """Return the tags of a node or a lesion."""
    names: set[str] = set()
    if about["node"]:
        names.add("lymph node")
        if about["short"] >= 10:
            names.add("lymphadenopathy")
        if about["region"] in ("mediastinum", "abdomen"):
            names.add(f"{about['region']} lymph node")
        names |= {tag for start, tag in STATION_TAGS.items() if about["site"].startswith(start)}
    elif about["primary"]:
        names |= {"lung mass", "lung"}
    else:
        names |= {"metastasis"} | ({about["site"]} & {"lung", "liver", "bone"})
    if about["long"] < 6:
        names.add("tiny")
    if about["long"] < 10:
        names.add("subcentimeter")
    if about["long"] >= 30:
        names.add("large")
    if about["long"] > 1.3 * about["short"]:
        names.add("oval")
    return names


class TaggedBoxes:
    """Boxes around nodes, lesions, uptake and other places of stored studies, with their tags.

    Parameters
    ----------
    paths : sequence of Path
        Written by `petct_store.write_study`.
    first : StageOneConfig
        Grid of the studies.
    config : TaggerConfig
        Input of the tagger.
    seed : int
        Of the random numbers.
    boxes : int
        Drawn from each study when it is read.

    Raises
    ------
    TrainingError
        There are no studies.
    """

    def __init__(
        self, paths: Sequence[Path], first: StageOneConfig, config: TaggerConfig, seed: int, boxes: int = 250
    ) -> None:
        if not paths:
            raise TrainingError("There is nothing to train on: no study was prepared.")
        self._seed, self._config = seed, config
        self._rows: list[tuple[torch.Tensor, ...]] = []
        for number, path in enumerate(paths):
            self._rows += self._read(path, first, np.random.default_rng([seed, number]), boxes)

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self._rows)

    def sample(self, index: int) -> tuple[torch.Tensor, ...]:
        """Return the inputs and the tags of sample `index`; half of them mirrored."""
        rng = np.random.default_rng([self._seed, index])
        patch, box, place, tags, is_known = self._rows[rng.integers(len(self._rows))]
        patch = patch.float()
        if rng.random() < 0.5:
            patch, box = patch.flip(2), box.clone()
            box[[1, 3]] = patch.shape[2] - box[[3, 1]]
        return patch, box, place, tags, is_known

    def collate(self, samples: list) -> TaggedBatch:
        """Join samples to a batch."""
        return TaggedBatch(*(torch.stack(each) for each in zip(*samples, strict=True)))

    def _read(
        self, path: Path, first: StageOneConfig, rng: np.random.Generator, count: int
    ) -> list[tuple[torch.Tensor, ...]]:
        """Return the samples of one study."""
        known = read_study(path, first)
        spacing = np.array(known.study.geometry.spacing[::-1])
        rows = []
        for box in _boxes(known, rng, count, spacing):
            inputs = tagger_input(known.study, box, self._config)
            tags, is_known = known_tags(known, box)
            rows.append((inputs[0].half(), *inputs[1:], torch.from_numpy(tags), torch.from_numpy(is_known)))
        return rows


def _boxes(known: KnownStudy, rng: np.random.Generator, count: int, spacing: np.ndarray) -> list[np.ndarray]:
    """Draw boxes (6,): around instances, around uptake, and anywhere in the body."""
    hot, body = np.argwhere(known.study.pet > _HOT_SUV), np.argwhere(known.study.ct > 0.02)
    instances = [where for where in ndimage.find_objects(known.instances) if where is not None]
    boxes = []
    for _ in range(count):
        source = _SOURCES[rng.choice(len(_SOURCES), p=_SHARES)]
        if source == "instances" and instances:
            where = instances[rng.integers(len(instances))]
            low, high = (np.array(edge) for edge in zip(*((axis.start, axis.stop) for axis in where), strict=True))
            low, high = low + rng.integers(-1, 2, 3), high + rng.integers(-1, 2, 3)
            boxes.append(np.concatenate([low, np.maximum(high, low + 1)]).astype(float))
            continue
        voxels = hot if source == "hot" and len(hot) else body
        size = np.maximum(np.rint(np.exp(rng.uniform(np.log(4), np.log(24), 3)) / spacing), 1)
        low = voxels[rng.integers(len(voxels))] - size // 2
        boxes.append(np.concatenate([low, low + size]))
    return boxes
