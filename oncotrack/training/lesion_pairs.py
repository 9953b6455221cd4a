"""Training samples of the lesion trackers: crops around a lesion in the baseline and around its estimate in the follow-up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

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
    """Random variation of the samples. Lengths in mm.

    The largest registration error is that of the affine estimates released with DLS (5.5, 6.4 and 11.2 mm along R, A and S
    over the 906 validation pairs); the least is a seventh of it, because synthetic patients move less.

    Attributes
    ----------
    registration_mm : (3,) float
        Standard deviation of the registration error along R, A, S.
    least_registration : float
        Least factor of that.
    farthest : float
        Largest registration error, as a fraction of the distance to the border of the crop; a lesion outside the crop
        cannot be found.
    click : float
        Largest shift of the clicked position, in radii (DLT's centre augmentation).
    turn_deg, scale : float
        Rotation and largest factor of both crops.
    between_deg, between_scale : float
        Rotation and largest factor of the follow-up relative to the baseline.
    hu_shift, hu_gain, noise_hu : float
        Standard deviation of the shift, of the gain of bright voxels, and largest one of the noise.
    landmarks : float
        Fraction of samples whose position is an anatomical landmark instead of a lesion.
    """

    registration_mm: tuple[float, float, float] = (6.0, 7.0, 11.0)
    least_registration: float = 0.15
    farthest: float = 0.85
    click: float = 0.25
    turn_deg: float = 8.0
    scale: float = 1.12
    between_deg: float = 3.0
    between_scale: float = 1.04
    hu_shift: float = 12.0
    hu_gain: float = 0.15
    noise_hu: float = 12.0
    landmarks: float = 0.3


class LesionPairSamples:
    """Crops from stored pairs of visits, read in either direction.

    Parameters
    ----------
    paths : sequence of Path
        Written by `stored_visits.store`.
    spacing : (3,) float
        Millimetres between voxels of both crops, z, y, x.
    crop : (3,) int
        Voxels of both crops, z, y, x.
    seed : int
        Of the random numbers.
    variety : Variety, optional
        The default if missing.

    Raises
    ------
    TrainingError
        There are no pairs.
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
        self._crop = tuple(map(int, crop))
        z, y, x = map(float, spacing)
        self._spacing = (z, y, x)
        self._seed, self._variety = seed, variety or Variety()

    def sample(self, index: int) -> LesionPairs:
        """Return sample `index`, a batch of one."""
        rng = np.random.default_rng([self._seed, index])
        pair = self._pairs[rng.choice(len(self._pairs), p=self._weights)]
        lesion, backwards = self._lesion(pair, rng)
        radius = cast("float", lesion.radii_mm[0])
        variety = self._variety
        turn = _linear(rng, variety.turn_deg, variety.scale, mirror=True)
        template_at, search_at = (np.asarray(position) for position in lesion.positions)
        click = template_at + _in_ball(rng, variety.click * radius)
        error = rng.uniform(variety.least_registration, 1) * rng.normal(size=3) * variety.registration_mm
        farthest = variety.farthest * np.multiply(self._crop, self._spacing)[::-1] / 2
        error = np.clip(error, -farthest, farthest)
        frames = (turn, turn @ _linear(rng, variety.between_deg, variety.between_scale))
        expected_at = search_at + error + frames[1] @ np.linalg.inv(frames[0]) @ (click - template_at)
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
        """Join samples to a batch."""
        names = ("template", "search", "template_centre", "expected", "centre", "radius_mm", "found")
        joined = {name: torch.cat([getattr(sample, name) for sample in samples]) for name in names}
        return LesionPairs(**joined, spacing=self._spacing)

    def _lesion(self, pair: StoredVisits, rng: np.random.Generator) -> tuple[VisitLesion, bool]:
        """Draw a lesion that is present at the first visit, and whether the visits are exchanged."""
        kind = pair.landmarks if pair.landmarks and rng.random() < self._variety.landmarks else pair.lesions
        both = [(lesion, False) for lesion in kind] + [(lesion.reversed(), True) for lesion in kind]
        present = [(lesion, backwards) for lesion, backwards in both if lesion.radii_mm[0] is not None]
        return present[rng.integers(len(present))]

    def _part(
        self,
        pair: StoredVisits,
        visit: int,
        at: np.ndarray,
        frame: np.ndarray,
        points: Sequence[np.ndarray],
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (D, H, W) HU around `at`, at most 1.5 voxels off the centre, and the points in its voxels z, y, x."""
        spacing, size = np.array(self._spacing[::-1]), np.array(self._crop[::-1])
        origin = -((size - 1) / 2 + rng.uniform(-1.5, 1.5, 3)) * spacing
        mapping = np.eye(4)
        mapping[:3, :3], mapping[:3, 3] = frame, at
        array = pair.part(visit, Geometry(tuple(size), tuple(spacing), tuple(origin)), mapping)
        voxels = ((np.stack(points) - at) @ np.linalg.inv(frame).T - origin) / spacing
        return self._change_intensities(array, rng), voxels[:, ::-1]

    def _change_intensities(self, array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Change calibration, contrast and noise at random, as in another scan."""
        variety = self._variety
        bright = np.clip(array, 60, 300) - 60
        noise = rng.standard_normal(array.shape, np.float32) * np.float32(variety.noise_hu * rng.random())
        changed = array + bright * (variety.hu_gain * rng.normal()) + variety.hu_shift * rng.normal() + noise
        return np.where(array > -1000, changed, array).astype(np.float32)


def _linear(rng: np.random.Generator, turn_deg: float, scale: float, mirror: bool = False) -> np.ndarray:
    """Draw a (3, 3) rotation and scaling; `mirror` exchanges left and right in half of the draws."""
    turn = Rotation.from_rotvec(np.deg2rad(turn_deg) * rng.normal(size=3) / 2).as_matrix()
    side = -1.0 if mirror and rng.random() < 0.5 else 1.0
    return turn @ np.diag([side, 1.0, 1.0]) * scale ** rng.uniform(-1, 1)


def _in_ball(rng: np.random.Generator, radius: float) -> np.ndarray:
    """Draw a point uniformly from a ball."""
    direction = rng.normal(size=3)
    return direction / np.linalg.norm(direction) * radius * rng.random() ** (1 / 3)


def _tensor(values) -> torch.Tensor:
    return torch.as_tensor(np.ascontiguousarray(values), dtype=torch.float32)
