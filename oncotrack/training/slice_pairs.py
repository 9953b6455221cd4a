"""LN-Tracker's samples: pairs of neighbouring slices with the boxes and identities of their nodes (sec. 3.2, 6.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians, sin
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from oncotrack.detection.lntracker.grid import CONTEXT
from oncotrack.detection.lntracker.network import LNTargets
from oncotrack.errors import TrainingError
from oncotrack.training.stored_cases import StoredCase

_LEAST_PIXELS = 4
"""A slice of a node that shows fewer pixels (2.6 mm^2) has no box."""


@dataclass(frozen=True)
class Augmentation:
    """The paper's augmentations, the same for both slices of a pair; it names them, the strengths are ours.

    Mirroring left and right (the probability ``mirror``) and a shift of the brightness are ours too: few scans have to
    teach much. So many samples (``near_node``) lie around a node, which is drawn by the root of its number of slices: large
    nodes are few, and look different from one slice to the next. The others lie anywhere, for what is mistaken for a node
    is mostly far from one.
    """

    scale: float = 1.25
    rotation_deg: float = 15.0
    intensity: float = 0.1
    gamma: float = 0.25
    near_node: float = 0.6
    mirror: float = 0.5


@dataclass(frozen=True, eq=False)
class Pairs:
    """A batch of pairs: (2, B, 9, H, W) slices, reference first; `targets[0]` and `targets[1]` hold B targets each."""

    images: torch.Tensor
    targets: tuple[list[LNTargets], list[LNTargets]]

    def to(self, device: torch.device) -> Pairs:
        """The batch on a device."""
        return Pairs(self.images.to(device), tuple([each.to(device) for each in part] for part in self.targets))


class SlicePairs:
    """Pairs from stored cases.

    Parameters
    ----------
    paths : sequence of Path
        What `stored_cases.store` wrote.
    size : int
        Pixels along each side of a crop, 0.8 mm each.
    seed : int
    augmentation : Augmentation
    """

    def __init__(self, paths: Sequence[Path], size: int, seed: int, augmentation: Augmentation | None = None) -> None:
        if not paths:
            raise TrainingError("There is nothing to train on: name synthetic patients, real CTs or a data set.")
        self._size, self._seed, self._how = size, seed, augmentation or Augmentation()
        self._cases = [StoredCase(path) for path in paths]
        self._weights = _shares([len(case.nodes) + 1.0 for case in self._cases])
        self._chances = [_shares(np.sqrt([len(slices) for slices in case.nodes])) for case in self._cases]

    def sample(self, index: int) -> tuple[torch.Tensor, LNTargets, LNTargets]:
        """(2, 9, size, size) images and the targets of both; the reference lies below or, as often, above."""
        rng = np.random.default_rng([self._seed, index])
        number = rng.choice(len(self._cases), p=self._weights)
        case = self._cases[number]
        step = int(rng.choice([-1, 1]))
        depth, height, width = case.shape
        if len(case.nodes) and rng.random() < self._how.near_node:
            slices = case.nodes[rng.choice(len(case.nodes), p=self._chances[number])]
            z, y, x = slices[rng.integers(len(slices))]
            z += int(rng.integers(0, 2)) * step
        else:
            z, y, x = rng.integers(depth), rng.uniform(0.2, 0.8) * height, rng.uniform(0.2, 0.8) * width
        centre = np.array([x, y]) + rng.uniform(-0.4, 0.4, 2) * self._size
        stack = np.clip(np.arange(z - CONTEXT - 1, z + CONTEXT + 2), 0, depth - 1)
        x, y = self._places(rng, centre)
        columns, rows = _reach(x, width), _reach(y, height)
        image, labels = case.read(stack, rows, columns)
        grid = torch.stack([_share(x, columns), _share(y, rows)], -1)[None]
        image = F.grid_sample(image[None].float() / 255, grid, align_corners=False)[0]
        labels = F.grid_sample(labels[None].float(), grid, mode="nearest", align_corners=False)[0].to(torch.uint8)
        image = intensities(image, rng, self._how)
        first = CONTEXT + 1 - step
        pair = torch.stack([image[n - CONTEXT : n + CONTEXT + 1] for n in (first, CONTEXT + 1)])
        return pair, _targets(labels[first]), _targets(labels[CONTEXT + 1])

    def collate(self, samples: list) -> Pairs:
        """Stack pairs."""
        images, first, second = zip(*samples, strict=True)
        return Pairs(torch.stack(images, 1), (list(first), list(second)))

    def _places(self, rng: np.random.Generator, centre: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """(size, size) x and y in pixels of the slice, of a crop that is turned, scaled and perhaps mirrored."""
        turn = radians(rng.uniform(-1, 1) * self._how.rotation_deg)
        scale = self._how.scale ** rng.uniform(-1, 1)
        axis = (np.arange(self._size) - (self._size - 1) / 2) * scale
        v, u = np.meshgrid(axis, axis, indexing="ij")
        if rng.random() < self._how.mirror:
            u = -u
        x = centre[0] + u * cos(turn) - v * sin(turn)
        y = centre[1] + u * sin(turn) + v * cos(turn)
        return torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y.astype(np.float32))


def _shares(weights) -> np.ndarray:
    """(n,) weights that sum to one."""
    weights = np.asarray(weights, float)
    return weights / weights.sum()


def _reach(places: torch.Tensor, length: int) -> slice:
    """The pixels of an axis that places on it are read from, at least two."""
    low = min(max(int(places.min()) - 1, 0), length - 2)
    return slice(low, max(min(int(places.max()) + 3, length), low + 2))


def _share(places: torch.Tensor, part: slice) -> torch.Tensor:
    """Pixels as `grid_sample` counts them in a part of the axis: -1 to 1 from edge to edge."""
    return (2 * (places - part.start) + 1) / (part.stop - part.start) - 1


def intensities(image: torch.Tensor, rng: np.random.Generator, how: Augmentation) -> torch.Tensor:
    """Brightness, contrast and gamma, drawn at random."""
    gain, shift = 1 + rng.uniform(-1, 1) * how.intensity, rng.uniform(-1, 1) * how.intensity / 2
    gamma = float(np.exp(rng.uniform(-1, 1) * how.gamma))
    return (((image - 0.5) * gain + 0.5 + shift).clamp(0, 1)) ** gamma


def _targets(labels: torch.Tensor) -> LNTargets:
    """Boxes (centre, size; 0 to 1), numbers and masks of the nodes of one (H, W) slice."""
    array = labels.numpy()
    boxes, ids = [], []
    for number, where in enumerate(ndimage.find_objects(array), 1):
        if where is not None and (array[where] == number).sum() >= _LEAST_PIXELS:
            rows, columns = where
            low, high = np.array([columns.start, rows.start]), np.array([columns.stop, rows.stop])
            boxes.append((*(low + high) / 2, *(high - low)))
            ids.append(number)
    scale = torch.tensor([array.shape[1], array.shape[0]] * 2, dtype=torch.float32)
    ids = torch.tensor(ids, dtype=torch.long)
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4) / scale
    return LNTargets(boxes, ids, labels == ids[:, None, None])
