"""Training samples of the MR detector: slices with RECIST axes, and pseudo-masks made from the axes (MR, sec. 3.1).

A sample uses the images and the axes of a case only; true masks only determine where a reader would draw the axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians, sin
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from oncotrack.atomic import replacing
from oncotrack.datasets.bookmarks import bookmarks
from oncotrack.datasets.case import Case
from oncotrack.datasets.node_scans import LEAST_SHORT_MM_IN_MR
from oncotrack.detection.mr.config import MRConfig
from oncotrack.detection.mr.sampling import MRTargets
from oncotrack.detection.mr.slices import MRGrid
from oncotrack.errors import TrainingError
from oncotrack.images.volume import Volume
from oncotrack.masks.pseudo_mask import pseudo_mask
from oncotrack.training.slice_pairs import Augmentation, change_intensities

_LEAST_PIXELS = 4
_AUGMENTATION = Augmentation(scale=1.2, rotation_deg=12.0, intensity=0.15, gamma=0.3, near_node=0.8)


def write(path: Path, case: Case, config: MRConfig) -> None:
    """Write the bookmarked slices of one case to a safetensors file.

    It contains ``images`` (n, 3, H, W) uint8, 0-255 for 0-1; ``labels`` (n, H, W) uint8, the pseudo-masks of bookmarks
    1, 2, ... of each slice; ``ends`` (m, 4, 2) float32, x and y in pixels of the ends of long and short axis; ``owner``
    (m, 2), slice 0 ... n - 1 and number of each bookmark.
    """
    from safetensors.torch import save_file

    ((name, volume),) = case.images.items()
    slices = MRGrid(volume, config)
    scaled = Volume(slices.array, slices.geometry, volume.name, "MR")
    marked = bookmarks(case.masks[name], LEAST_SHORT_MM_IN_MR)
    levels = sorted({mark.index for mark in marked})
    shape = slices.geometry.shape[1:]
    images = np.zeros((len(levels), 3, *shape), np.uint8)
    labels = np.zeros((len(levels), *shape), np.uint8)
    ends, owner = np.zeros((len(marked), 4, 2), np.float32), np.zeros((len(marked), 2), np.int64)
    for n, k in enumerate(levels):
        images[n] = np.rint(slices.stack(k) * 255)
    for m, mark in enumerate(marked):
        n = levels.index(mark.index)
        number = 1 + int((owner[:m, 0] == n).sum())
        mask = pseudo_mask(scaled, mark.axes).resampled(slices.geometry, fill=0, nearest=True).array[mark.index]
        labels[n][mask > 0] = number
        ends[m] = slices.geometry.to_ijk(mark.axes.ends)[:, :2] + 0.5
        owner[m] = n, number
    tensors = {"images": images, "labels": labels, "ends": ends, "owner": owner}
    with replacing(path) as temporary:
        save_file({key: torch.from_numpy(value) for key, value in tensors.items()}, temporary)


@dataclass(frozen=True, eq=False)
class SliceBatch:
    """A batch: (B, 3, H, W) images, 0 to 1, and their targets."""

    images: torch.Tensor
    targets: list[MRTargets]

    def to(self, device: torch.device) -> SliceBatch:
        """Copy the batch to a device."""
        return SliceBatch(self.images.to(device), [target.to(device) for target in self.targets])


class BookmarkedSlices:
    """Randomly rotated, scaled and mirrored slices of stored cases: whole, or crops of which most show a node.

    Parameters
    ----------
    paths : sequence of Path
        Written by `write`.
    shape : (int, int)
        Rows and columns of a sample, multiples of 32; a smaller slice is centred in it.
    seed : int
        Of the random numbers.
    pseudo_masks : bool
        Whether boxes and masks come from the pseudo-masks; otherwise boxes are the rectangles around the axes, without
        masks (MR, table 2).

    Raises
    ------
    TrainingError
        No slice shows a node.
    """

    def __init__(self, paths: Sequence[Path], shape: tuple[int, int], seed: int, *, pseudo_masks: bool = True) -> None:
        from safetensors.torch import load_file

        self._cases = [case for path in paths if len((case := load_file(path))["images"])]
        if not self._cases:
            raise TrainingError("There is nothing to train on: no slice shows a node. Train on more synthetic scans.")
        self._index = [(c, n) for c, case in enumerate(self._cases) for n in range(len(case["images"]))]
        self._shape, self._seed, self._pseudo_masks = shape, seed, pseudo_masks

    def __len__(self) -> int:
        """Return the number of slices."""
        return len(self._index)

    def sample(self, index: int) -> tuple[torch.Tensor, MRTargets]:
        """Return the (3, H, W) image of sample `index` and its targets."""
        rng = np.random.default_rng([self._seed, index])
        c, n = self._index[rng.integers(len(self._index))]
        case = self._cases[c]
        height, width = case["labels"].shape[1:]
        slice_ends = case["ends"][case["owner"][:, 0] == n].numpy()
        centre, matrix = self._draw_placement(rng, slice_ends.mean(1), (height, width))
        grid = self._grid(centre, matrix, (height, width))
        image = F.grid_sample(case["images"][n][None].float() / 255, grid, align_corners=False)[0]
        labels = F.grid_sample(case["labels"][n][None, None].float(), grid, mode="nearest", align_corners=False)[0, 0]
        ends = (slice_ends - centre) @ np.linalg.inv(matrix).T
        ends = torch.from_numpy((ends + np.array(self._shape[::-1]) / 2).astype(np.float32))
        image = change_intensities(image, rng, _AUGMENTATION)
        if self._pseudo_masks:
            return image, _targets_of_labels(labels.to(torch.uint8))
        return image, _targets_of_axes(ends, self._shape)

    def collate(self, samples: list) -> SliceBatch:
        """Join slices to a batch."""
        images, targets = zip(*samples, strict=True)
        return SliceBatch(torch.stack(images), list(targets))

    def _draw_placement(
        self, rng: np.random.Generator, nodes: np.ndarray, shape: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw the point (x, y) of the slice at the centre of the sample, and the (2, 2) matrix from sample to slice.

        `nodes` are the (m, 2) centres of the slice's nodes.
        """
        turn = radians(rng.uniform(-1, 1) * _AUGMENTATION.rotation_deg)
        scale = _AUGMENTATION.scale ** rng.uniform(-1, 1)
        flip = rng.choice([-1.0, 1.0])
        whole, size = np.array(shape[::-1], float), np.array(self._shape[::-1], float)
        if rng.random() < _AUGMENTATION.near_node:
            centre = nodes[rng.integers(len(nodes))] + rng.uniform(-0.4, 0.4, 2) * size
        else:
            centre = rng.uniform(0, 1, 2) * whole
        centre = np.clip(centre, np.minimum(size, whole) / 2, whole - np.minimum(size, whole) / 2)
        centre = centre + (size >= whole) * rng.uniform(-16, 16, 2)
        return centre, scale * np.array([[cos(turn), -sin(turn)], [sin(turn), cos(turn)]]) @ np.diag([flip, 1.0])

    def _grid(self, centre: np.ndarray, matrix: np.ndarray, shape: tuple[int, int]) -> torch.Tensor:
        """Return the (1, H, W, 2) sampling positions in the slice, -1 to 1."""
        rows, columns = (np.arange(n) + 0.5 - n / 2 for n in self._shape)
        steps = np.stack(np.meshgrid(columns, rows), -1)
        positions = 2 * (centre + steps @ matrix.T) / np.array(shape[::-1]) - 1
        return torch.from_numpy(positions[None].astype(np.float32))


def _targets_of_labels(labels: torch.Tensor) -> MRTargets:
    """Return the boxes and masks of the numbers of one (H, W) label map."""
    array = labels.numpy()
    boxes, masks = [], []
    for number, where in enumerate(ndimage.find_objects(array), 1):
        if where is not None and (array[where] == number).sum() >= _LEAST_PIXELS:
            rows, columns = where
            boxes.append((columns.start, rows.start, columns.stop, rows.stop))
            masks.append(array == number)
    stacked = np.stack(masks) if masks else np.zeros((0, *array.shape), bool)
    return MRTargets(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.from_numpy(stacked))


def _targets_of_axes(ends: torch.Tensor, shape: tuple[int, int]) -> MRTargets:
    """Return the smallest rectangles around (m, 4, 2) ends, clipped to a sample of `shape`, without masks."""
    size = torch.tensor(shape[::-1], dtype=torch.float32)
    low, high = ends.amin(1).clamp_min(0), torch.minimum(ends.amax(1), size)
    boxes = torch.cat([low, high], 1)
    return MRTargets(boxes[(high - low).amin(1) >= 2] if len(boxes) else boxes.reshape(0, 4))
