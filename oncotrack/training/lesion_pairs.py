"""Samples of the lesion trackers: a lesion's surroundings in the baseline and, about its expected place, in the follow-up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from oncotrack.datasets.lesion_visits import VisitLesion
from oncotrack.errors import TrainingError
from oncotrack.followup.lesion_pairs import LesionPairs
from oncotrack.images.geometry import Geometry
from oncotrack.training.stored_visits import StoredVisits


@dataclass(frozen=True)
class Variety:
    """How samples vary. Lengths in mm, standard deviations unless said otherwise.

    The registration's error is at its largest that of the affine starts released with DLS (5.5, 6.4 and 11.2 mm along
    R, A and S over the 906 validation pairs), at its least a seventh: synthetic patients move less.
    """

    registration_mm: tuple[float, float, float] = (6.0, 7.0, 11.0)
    least_registration: float = 0.15
    farthest: float = 0.85
    """Of the way to the crop's border: what lies outside cannot be found."""
    click: float = 0.25
    """Largest shift of the clicked place, in radii (DLT's centre augmentation)."""
    turn_deg: float = 8.0
    scale: float = 1.12
    between_deg: float = 3.0
    between_scale: float = 1.04
    hu_shift: float = 12.0
    hu_gain: float = 0.15
    noise_hu: float = 12.0
    landmarks: float = 0.3
    """Share of samples whose place is no lesion."""


class LesionPairSamples:
    """Crops from stored pairs of visits, read in either direction.

    Parameters
    ----------
    paths : sequence of Path
        What `stored_visits.store` wrote.
    spacing, crop : (3,) z, y, x
        Millimetres a voxel, and voxels, of both crops.
    seed : int
    variety : Variety
    """

    def __init__(
        self,
        paths: Sequence[Path],
        spacing: Sequence[float],
        crop: Sequence[int],
        seed: int,
        variety: Variety | None = None,
    ) -> None:
        if not paths:
            raise TrainingError("There is nothing to train on: name synthetic patients, real CTs or a data set.")
        self._pairs = [StoredVisits(path) for path in paths]
        self._weights = np.sqrt([len(pair.lesions) for pair in self._pairs])
        self._weights /= self._weights.sum()
        self._spacing, self._crop = tuple(map(float, spacing)), tuple(map(int, crop))
        self._seed, self._how = seed, variety or Variety()

    def sample(self, index: int) -> LesionPairs:
        """A batch of one."""
        rng = np.random.default_rng([self._seed, index])
        pair = self._pairs[rng.choice(len(self._pairs), p=self._weights)]
        lesion, backwards = self._lesion(pair, rng)
        radius = lesion.radii_mm[0]
        how = self._how
        turn = _linear(rng, how.turn_deg, how.scale, mirror=True)
        template_at, search_at = (np.asarray(place) for place in lesion.places)
        click = template_at + _in_ball(rng, how.click * radius)
        missed = rng.uniform(how.least_registration, 1) * rng.normal(size=3) * how.registration_mm
        reach = how.farthest * np.multiply(self._crop, self._spacing)[::-1] / 2
        missed = np.clip(missed, -reach, reach)
        frames = (turn, turn @ _linear(rng, how.between_deg, how.between_scale))
        expected_at = search_at + missed + frames[1] @ np.linalg.inv(frames[0]) @ (click - template_at)
        visits = (1, 0) if backwards else (0, 1)
        template, click_voxel = self._part(pair, visits[0], click, frames[0], [click], rng)
        search, (expected, centre) = self._part(pair, visits[1], expected_at, frames[1], [expected_at, search_at], rng)
        return LesionPairs(
            template=torch.from_numpy(template)[None, None],
            search=torch.from_numpy(search)[None, None],
            template_centre=_tensor(click_voxel),
            expected=_tensor(expected[None]),
            centre=_tensor(centre[None]),
            radius_mm=_tensor([radius / np.cbrt(abs(np.linalg.det(frames[0])))]),
            found=torch.tensor([lesion.radii_mm[1] is not None]),
            spacing=self._spacing,
        )

    def collate(self, samples: list[LesionPairs]) -> LesionPairs:
        """One batch of several."""
        names = ("template", "search", "template_centre", "expected", "centre", "radius_mm", "found")
        joined = {name: torch.cat([getattr(sample, name) for sample in samples]) for name in names}
        return LesionPairs(**joined, spacing=self._spacing)

    def _lesion(self, pair: StoredVisits, rng: np.random.Generator) -> tuple[VisitLesion, bool]:
        """What to look for, and whether from the follow-up in the baseline."""
        kind = pair.landmarks if pair.landmarks and rng.random() < self._how.landmarks else pair.lesions
        ways = [(lesion, False) for lesion in kind] + [(lesion.reversed(), True) for lesion in kind]
        ways = [(lesion, backwards) for lesion, backwards in ways if lesion.radii_mm[0] is not None]
        return ways[rng.integers(len(ways))]

    def _part(
        self,
        pair: StoredVisits,
        visit: int,
        at: np.ndarray,
        frame: np.ndarray,
        points: Sequence[np.ndarray],
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(D, H, W) HU about `at`, which lies up to a voxel and a half off the middle, and points in its voxels z, y, x."""
        spacing, size = np.array(self._spacing[::-1]), np.array(self._crop[::-1])
        origin = -((size - 1) / 2 + rng.uniform(-1.5, 1.5, 3)) * spacing
        mapping = np.eye(4)
        mapping[:3, :3], mapping[:3, 3] = frame, at
        array = pair.part(visit, Geometry(tuple(size), tuple(spacing), tuple(origin)), mapping)
        voxels = ((np.stack(points) - at) @ np.linalg.inv(frame).T - origin) / spacing
        return self._rescanned(array, rng), voxels[:, ::-1]

    def _rescanned(self, array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Other calibration, contrast and noise."""
        how = self._how
        bright = np.clip(array, 60, 300) - 60
        noise = rng.standard_normal(array.shape, np.float32) * np.float32(how.noise_hu * rng.random())
        changed = array + bright * (how.hu_gain * rng.normal()) + how.hu_shift * rng.normal() + noise
        return np.where(array > -1000, changed, array).astype(np.float32)


def _linear(rng: np.random.Generator, turn_deg: float, scale: float, mirror: bool = False) -> np.ndarray:
    """(3, 3) random turn and scale; left and right exchanged half the time when `mirror`."""
    turn = Rotation.from_rotvec(np.deg2rad(turn_deg) * rng.normal(size=3) / 2).as_matrix()
    side = -1.0 if mirror and rng.random() < 0.5 else 1.0
    return turn @ np.diag([side, 1.0, 1.0]) * scale ** rng.uniform(-1, 1)


def _in_ball(rng: np.random.Generator, radius: float) -> np.ndarray:
    way = rng.normal(size=3)
    return way / np.linalg.norm(way) * radius * rng.random() ** (1 / 3)


def _tensor(values) -> torch.Tensor:
    return torch.as_tensor(np.ascontiguousarray(values), dtype=torch.float32)
