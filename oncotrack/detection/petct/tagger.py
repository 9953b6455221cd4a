"""The global module of GLNet: taggers that describe a candidate by a vector of tags (OSLN, sec. 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.detection.petct.config import TaggerConfig
from oncotrack.detection.petct.study import WorkingStudy
from oncotrack.networks.roi_gap import roi_gap

REGIONS = ("neck", "axilla", "chest", "mediastinum", "abdomen", "retroperitoneum", "pelvis", "extremity")
TISSUES = ("lung", "airway", "blood vessel", "bone", "muscle", "fat", "soft tissue", "liver", "spleen", "kidney", "pancreas", "adrenal gland",
           "stomach", "intestine", "thyroid gland")  # fmt: skip
KINDS = ("lymph node", "lymphadenopathy", "metastasis", "lung mass")
STATIONS = ("supraclavicular lymph node", "axilla lymph node", "mediastinum lymph node", "superior mediastinum lymph node",
            "aorticopulmonary window", "subcarinal lymph node", "hilum lymph node", "cardiophrenic", "abdomen lymph node", "retrocrural lymph node",
            "porta Hepatis lymph node", "paraaortic", "paracaval lymph node", "mesentery lymph node")  # fmt: skip
ATTRIBUTES = ("tiny", "subcentimeter", "large", "oval", "necrosis", "fat-containing", "hypoattenuation")
UPTAKE = ("high uptake",)
"""Not one of LesaNet's tags, which describe CT only."""
TAGS = REGIONS + TISSUES + KINDS + STATIONS + ATTRIBUTES + UPTAKE
"""Tags of the compact tagger; but for `UPTAKE` they are LesaNet's terms."""
_PATCH_SUV = 10.0


class Tagger(Protocol):
    """What describes candidates."""

    name: str
    count: int

    def describe(self, study: WorkingStudy, boxes: np.ndarray) -> torch.Tensor:
        """Return the tag vectors of candidates, (N, count), 0 to 1, on the CPU.

        Parameters
        ----------
        study : WorkingStudy
            The study.
        boxes : (N, 6) ndarray
            First voxel z, y, x, then one past the last.
        """
        ...


class CompactTagger(nn.Module):
    """Convolutions over a patch of 120 mm: three CT slices and one of the PET; the tags' logits.

    Parameters
    ----------
    config : TaggerConfig
        Widths.
    """

    def __init__(self, config: TaggerConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.slices + 1, *config.channels]
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, 2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(),
                          nn.Conv2d(b, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in pairwise(widths)
        )  # fmt: skip
        self.hidden = nn.Linear(sum(config.channels) + config.channels[-1] + 4, config.hidden)
        self.tags = nn.Linear(config.hidden, len(TAGS))

    def forward(self, patches: torch.Tensor, boxes: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
        """Compute the logits of the tags.

        Parameters
        ----------
        patches : (N, slices + 1, H, W) Tensor
            CT, 0 to 1, and SUV / 10.
        boxes : (N, 4) Tensor
            Lowest y, x, then highest, in pixels of the patch.
        place : (N, 4) Tensor
            The candidate's size along z, y and x and its distance from the midline, in units of 50 mm.

        Returns
        -------
        (N, T) Tensor
            Logits.
        """
        parts, x = [], patches
        for block in self.blocks:
            x = block(x)
            stride = torch.tensor([patches.shape[-1] / x.shape[-1]] * 2, device=x.device)
            parts.append(roi_gap(x, boxes, stride))
        return self.tags(F.relu(self.hidden(torch.cat([*parts, x.mean((2, 3)), place], 1))))


class TrainedTagger:
    """The compact tagger with its weights.

    Parameters
    ----------
    weights : path
        Written by ``oncotrack train petct --stage tagger``.
    device : str
        "auto", "cpu", "cuda" or "mps".

    Raises
    ------
    WeightsError
        The weights are missing, damaged or of another version.
    """

    name = "compact"
    count = len(TAGS)

    def __init__(self, weights: str | Path, device: str = "auto") -> None:
        from oncotrack.networks.weights import load_network

        trained = load_network(weights, "petct-tagger", TaggerConfig, CompactTagger, device)
        self.network, self.device, self.sha256 = trained.network, trained.device, trained.sha256

    @torch.inference_mode()
    def describe(self, study: WorkingStudy, boxes: np.ndarray) -> torch.Tensor:
        """Return the tag vectors of candidates, see `Tagger`.

        Parameters
        ----------
        study : WorkingStudy
            The study.
        boxes : (N, 6) ndarray
            First voxel z, y, x, then one past the last.

        Returns
        -------
        (N, T) Tensor
            0 to 1, on the CPU.
        """
        if not len(boxes):
            return torch.zeros(0, self.count)
        inputs = [tagger_input(study, box, self.network.config) for box in boxes]
        patches, rectangles, places = (torch.stack(each).to(self.device) for each in zip(*inputs, strict=True))
        return self.network(patches, rectangles, places).sigmoid().cpu()


def tagger_input(
    study: WorkingStudy, box: np.ndarray, config: TaggerConfig
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what the compact tagger reads of one candidate: patch, box in the patch, size and side.

    Parameters
    ----------
    study : WorkingStudy
        The study.
    box : (6,) ndarray
        First voxel z, y, x, then one past the last.
    config : TaggerConfig
        Size of the patch.

    Returns
    -------
    patch : (slices + 1, H, W) Tensor
        CT slices, then the PET.
    box : (4,) Tensor
        Lowest y, x, then highest, in pixels of the patch.
    place : (4,) Tensor
        Size along z, y, x, and distance from the midline.
    """
    side, half = config.patch, config.slices // 2
    z, y, x = (np.floor((box[:3] + box[3:] - 1) / 2 + 0.5)).astype(int)
    levels = np.clip(np.arange(z - half, z - half + config.slices), 0, len(study) - 1)
    low = np.array([y - side // 2, x - side // 2])
    patch = np.zeros((config.slices + 1, side, side), np.float32)
    start = np.clip(low, 0, study.ct.shape[1:])
    stop = np.clip(low + side, 0, study.ct.shape[1:])
    inside = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    target = tuple(slice(a, b) for a, b in zip(start - low, stop - low, strict=True))
    for n, level in enumerate(levels):
        patch[(n, *target)] = study.ct[(level, *inside)]
    patch[(config.slices, *target)] = study.pet[(np.clip(z, 0, len(study) - 1), *inside)] / _PATCH_SUV
    rectangle = np.concatenate([box[1:3] - low, box[4:6] - low])
    spacing = np.array(study.geometry.spacing[::-1])
    middle = study.ct.shape[2] / 2
    place = np.append((box[3:] - box[:3]) * spacing, abs((box[2] + box[5]) / 2 - middle) * spacing[2]) / 50.0
    tensors = (torch.from_numpy(each.astype(np.float32)) for each in (patch, rectangle, place))
    patch_tensor, box_tensor, place_tensor = tensors
    return patch_tensor, box_tensor, place_tensor


def named(tags: torch.Tensor, names: Sequence[str]) -> str:
    """Return the most likely of some tags by name, or "" if none reaches one half.

    Parameters
    ----------
    tags : (T,) Tensor
        Of the compact tagger.
    names : sequence of str
        Some of `TAGS`.

    Returns
    -------
    str
        The name.
    """
    values = torch.stack([tags[TAGS.index(name)] for name in names])
    return names[int(values.argmax())] if float(values.max()) >= 0.5 else ""
