"""LN-Tracker's samples: pairs of neighbouring slices with the boxes and identities of their nodes (sec. 3.2, 6.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, radians, sin
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from oncotrack.detection.ct_slices import CONTEXT
from oncotrack.detection.lntracker.slice_data import LNTargets
from oncotrack.errors import TrainingError
from oncotrack.training.stored_cases import UNLABELLED, StoredCase

_LEAST_PIXELS = 4
"""Nodes with fewer pixels on a slice (2.6 mm^2) have no box there."""


@dataclass(frozen=True)
class Augmentation:
    """Augmentations, the same for both slices of a pair; named by the paper, which does not state their strength.

    Mirroring and the shift of the brightness are additions, because there are few training scans.

    Attributes
    ----------
    scale : float
        Largest factor.
    rotation_deg : float
        Largest rotation.
    intensity, gamma : float
        Strength of contrast and brightness changes, and logarithm of the largest gamma.
    near_node : float
        Fraction of samples around a node, drawn with a probability proportional to the square root of its number of
        slices: large nodes are few, and vary from slice to slice.
    near_error : float
        Fraction of samples around a hard negative, in cases that have any. The other samples lie anywhere, because most
        false positives are far from nodes.
    mirror : float
        Probability of exchanging left and right.
    """

    scale: float = 1.25
    rotation_deg: float = 15.0
    intensity: float = 0.1
    gamma: float = 0.25
    near_node: float = 0.6
    near_error: float = 0.25
    mirror: float = 0.5


@dataclass(frozen=True, eq=False)
class Pairs:
    """A batch of pairs: (2, B, 9, H, W) slices, reference first, and B targets for each of the two."""

    images: torch.Tensor
    targets: tuple[list[LNTargets], list[LNTargets]]

    def to(self, device: torch.device) -> Pairs:
        """Copy the batch to a device."""
        before, now = ([each.to(device) for each in part] for part in self.targets)
        return Pairs(self.images.to(device), (before, now))


class SlicePairs:
    """Random pairs of slices from stored cases.

    Parameters
    ----------
    paths : sequence of Path
        Written by `stored_cases.store`.
    size : int
        Pixels of each side of a crop, 0.8 mm each.
    seed : int
        Of the random numbers.
    augmentation : Augmentation, optional
        The default if missing.
    margin : int
        Pixels read around a crop; at least 1, for the interpolation.
    errors : mapping of Path to (n, 3) ndarray, optional
        Hard negatives of some of the cases: z, y, x.

    Raises
    ------
    TrainingError
        There are no cases.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        size: int,
        seed: int,
        augmentation: Augmentation | None = None,
        margin: int = 1,
        errors: Mapping[Path, np.ndarray] | None = None,
    ) -> None:
        if not paths:
            raise TrainingError("There is nothing to train on: name synthetic patients, real CTs or a data set.")
        self._size, self._seed, self._margin = size, seed, margin
        self._augmentation = augmentation or Augmentation()
        self._cases = [StoredCase(path) for path in paths]
        self._errors = [(errors or {}).get(path, np.empty((0, 3), int)) for path in paths]
        self._weights = _normalise([len(case.nodes) + 1.0 for case in self._cases])
        self._chances = [_normalise(np.sqrt([len(slices) for slices in case.nodes])) for case in self._cases]

    def sample(self, index: int) -> tuple[torch.Tensor, LNTargets, LNTargets]:
        """Return (2, 9, size, size) images and the targets of both; the reference lies below or above, equally often."""
        rng = np.random.default_rng([self._seed, index])
        number = rng.choice(len(self._cases), p=self._weights)
        case = self._cases[number]
        step = int(rng.choice([-1, 1]))
        depth, height, width = case.shape
        errors, kind = self._errors[number], rng.random()
        if len(case.nodes) and kind < self._augmentation.near_node:
            slices = case.nodes[rng.choice(len(case.nodes), p=self._chances[number])]
            z, y, x = slices[rng.integers(len(slices))]
            z += int(rng.integers(0, 2)) * step
        elif len(errors) and kind < self._augmentation.near_node + self._augmentation.near_error:
            z, y, x = errors[rng.integers(len(errors))]
        else:
            z, y, x = rng.integers(depth), rng.uniform(0.2, 0.8) * height, rng.uniform(0.2, 0.8) * width
        centre = np.array([x, y]) + rng.uniform(-0.4, 0.4, 2) * self._size
        stack = np.clip(np.arange(z - CONTEXT - 1, z + CONTEXT + 2), 0, depth - 1)
        x, y = self._positions(rng, centre)
        columns, rows = _covering_slice(x, width, self._margin), _covering_slice(y, height, self._margin)
        image, labels = case.read(stack, rows, columns)
        grid = torch.stack([_to_grid_coordinates(x, columns), _to_grid_coordinates(y, rows)], -1)[None]
        image = F.grid_sample(image[None].float() / 255, grid, align_corners=False)[0]
        labels = F.grid_sample(labels[None].float(), grid, mode="nearest", align_corners=False)[0].to(torch.uint8)
        image = change_intensities(image, rng, self._augmentation)
        first = CONTEXT + 1 - step
        pair = torch.stack([image[n - CONTEXT : n + CONTEXT + 1] for n in (first, CONTEXT + 1)])
        return pair, _targets(labels[first]), _targets(labels[CONTEXT + 1])

    def collate(self, samples: list) -> Pairs:
        """Join pairs to a batch."""
        images, first, second = zip(*samples, strict=True)
        return Pairs(torch.stack(images, 1), (list(first), list(second)))

    def _positions(self, rng: np.random.Generator, centre: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the x and y, (size, size) pixels of the slice, of a randomly rotated, scaled and mirrored crop."""
        turn = radians(rng.uniform(-1, 1) * self._augmentation.rotation_deg)
        scale = self._augmentation.scale ** rng.uniform(-1, 1)
        axis = (np.arange(self._size) - (self._size - 1) / 2) * scale
        v, u = np.meshgrid(axis, axis, indexing="ij")
        if rng.random() < self._augmentation.mirror:
            u = -u
        x = centre[0] + u * cos(turn) - v * sin(turn)
        y = centre[1] + u * sin(turn) + v * cos(turn)
        return torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y.astype(np.float32))


def _normalise(weights: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return (n,) weights that sum to one."""
    weights = np.asarray(weights, float)
    return weights / weights.sum()


def _covering_slice(positions: torch.Tensor, length: int, margin: int) -> slice:
    """Return the pixels of an axis, at least two, from which positions on it are interpolated."""
    low = min(max(int(positions.min()) - margin, 0), length - 2)
    return slice(low, max(min(int(positions.max()) + 2 + margin, length), low + 2))


def _to_grid_coordinates(positions: torch.Tensor, part: slice) -> torch.Tensor:
    """Convert pixels to `grid_sample`'s coordinates in a part of the axis: -1 to 1 from edge to edge."""
    return (2 * (positions - part.start) + 1) / (part.stop - part.start) - 1


def change_intensities(image: torch.Tensor, rng: np.random.Generator, augmentation: Augmentation) -> torch.Tensor:
    """Change brightness, contrast and gamma of an image (0 to 1) at random."""
    gain, shift = 1 + rng.uniform(-1, 1) * augmentation.intensity, rng.uniform(-1, 1) * augmentation.intensity / 2
    gamma = float(np.exp(rng.uniform(-1, 1) * augmentation.gamma))
    return (((image - 0.5) * gain + 0.5 + shift).clamp(0, 1)) ** gamma


def _targets(labels: torch.Tensor) -> LNTargets:
    """Return the targets of one (H, W) slice of node numbers."""
    array = labels.numpy()
    boxes, ids = [], []
    for number, where in enumerate(ndimage.find_objects(array, UNLABELLED - 1), 1):
        if where is not None and (array[where] == number).sum() >= _LEAST_PIXELS:
            rows, columns = where
            low, high = np.array([columns.start, rows.start]), np.array([columns.stop, rows.stop])
            boxes.append((*(low + high) / 2, *(high - low)))
            ids.append(number)
    scale = torch.tensor([array.shape[1], array.shape[0]] * 2, dtype=torch.float32)
    ids = torch.tensor(ids, dtype=torch.long)
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4) / scale
    return LNTargets(boxes, ids, labels == ids[:, None, None], labels == UNLABELLED)
