"""The size of a lesion of which only a position is known, from its borders in the image, and whether it is a tube."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from oncotrack.findings.finding import Axis, point
from oncotrack.images.volume import Volume
from oncotrack.masks.air import AIR_HU
from oncotrack.masks.axes import SHORTEST_MM, RecistAxes

FARTHEST_MM, STEP_MM = 30.0, 0.5
"""Length of the rays that look for the border, and distance of their samples."""
TUBE = 3.0
"""A structure that is so many times longer than wide is a tube."""
WIDEST_TUBE_MM = 16.0
"""A wider structure is not called a vessel."""
LONGEST_OF_TUBE = 1.5
"""Long axis of a suggestion in a tube, in short axes."""
_CORE_MM, _SNAP_MM, _AROUND_MM = 1.6, 3.0, (8.0, 20.0)
_CONTRAST = 2.0  # of lesion and surroundings, in standard deviations of the noise, below which no border is seen
_DIRECTIONS, _IN_PLANE = 96, 24


@dataclass(frozen=True)
class Extent:
    """What the image shows around a position.

    Attributes
    ----------
    axes : RecistAxes
        Long and short axis in the axial plane, RAS mm; in a tube the long one is limited to `LONGEST_OF_TUBE`.
    is_tube : bool
        Whether the structure goes on as a tube, as a vessel or bronchus does.
    """

    axes: RecistAxes
    is_tube: bool


def extent_at(image: Volume, centre: Sequence[float]) -> Extent | None:
    """Measure the structure at a position by rays to its border, where the intensity is midway to the surroundings.

    Parameters
    ----------
    image : Volume
        The scan.
    centre : (3,) float
        A position inside the lesion, RAS mm; in CT, a position in air or lung is moved to the densest place within 3 mm.

    Returns
    -------
    Extent or None
        None where the image shows no border: too little contrast, or the structure is larger than the rays.
    """
    rays = _Rays(image, np.asarray(centre, float))
    if rays.half is None:
        return None
    angles = np.arange(_IN_PLANE) * np.pi / _IN_PLANE
    in_plane = np.stack([np.cos(angles), np.sin(angles), np.zeros(_IN_PLANE)], 1)
    ends = np.stack([rays.border(in_plane), rays.border(-in_plane)], 1)
    chords = ends.sum(1)
    across = np.roll(chords, _IN_PLANE // 2)
    best = int(np.argmax(chords))
    is_long = across[best] < WIDEST_TUBE_MM and chords[best] > TUBE * across[best]
    is_tube = bool(is_long or rays.is_tube())
    if is_tube:
        best = int((np.argmin(chords) + _IN_PLANE // 2) % _IN_PLANE)
        ends[best] *= min(1.0, LONGEST_OF_TUBE * across[best] / chords[best])
    elif chords[best] >= 2 * FARTHEST_MM - STEP_MM:
        return None
    other = (best + _IN_PLANE // 2) % _IN_PLANE
    if min(ends[best].sum(), ends[other].sum()) < SHORTEST_MM:
        return None
    long, short = (
        Axis(point(rays.centre - back * in_plane[n]), point(rays.centre + ahead * in_plane[n]))
        for n, (ahead, back) in ((best, ends[best]), (other, ends[other]))
    )
    return Extent(RecistAxes.of(long, short), is_tube)


class _Rays:
    """Rays from a position to the border of the structure there."""

    def __init__(self, image: Volume, centre: np.ndarray) -> None:
        self._image, self.centre = image, centre
        inside = self._ball(_CORE_MM)
        if image.is_ct and np.median(inside) < AIR_HU / 2:
            self.centre = self._densest()
            inside = self._ball(_CORE_MM)
        self._core = float(np.median(inside))
        shell = self._sample(self.centre + self._distances(*_AROUND_MM))
        noise = 1.48 * float(np.median(np.abs(inside - self._core))) + 1e-6
        away = float(np.median(shell)) - self._core
        self.half: float | None = away / 2 if abs(away) > _CONTRAST * noise else None

    def border(self, directions: np.ndarray) -> np.ndarray:
        """Return the distance of the border along (n, 3) unit vectors, (n,) mm; `FARTHEST_MM` where there is none."""
        steps = np.arange(0, FARTHEST_MM + STEP_MM, STEP_MM)
        values = self._sample(self.centre + steps[None, :, None] * directions[:, None])
        smooth = scipy.ndimage.gaussian_filter1d(values, 1.0, axis=1, mode="nearest")
        assert self.half is not None
        is_outside = (smooth - self._core) * np.sign(self.half) > abs(self.half)
        return np.where(is_outside.any(1), steps[is_outside.argmax(1)], FARTHEST_MM)

    def is_tube(self) -> bool:
        """Return whether the structure is `TUBE` times longer than wide."""
        directions = _sphere(_DIRECTIONS)
        chords = self.border(directions) + self.border(-directions)
        along = directions[int(chords.argmax())]
        across = chords[np.abs(directions @ along) < 0.35]
        width = float(np.median(across))
        return width < WIDEST_TUBE_MM and float(chords.max()) > TUBE * width

    def _distances(self, low: float, high: float) -> np.ndarray:
        directions = _sphere(_DIRECTIONS)
        radii = np.linspace(low, high, 7)
        return np.concatenate([radii[:, None, None] * directions, -radii[:, None, None] * directions]).reshape(-1, 3)

    def _ball(self, radius: float) -> np.ndarray:
        offsets = np.stack(np.meshgrid(*[np.linspace(-radius, radius, 5)] * 3, indexing="ij"), -1).reshape(-1, 3)
        return self._sample(self.centre + offsets[np.linalg.norm(offsets, axis=1) <= radius])

    def _densest(self) -> np.ndarray:
        offsets = np.stack(np.meshgrid(*[np.linspace(-_SNAP_MM, _SNAP_MM, 9)] * 3, indexing="ij"), -1).reshape(-1, 3)
        offsets = offsets[np.linalg.norm(offsets, axis=1) <= _SNAP_MM]
        return self.centre + offsets[int(self._sample(self.centre + offsets).argmax())]

    def _sample(self, ras: np.ndarray) -> np.ndarray:
        """Return the intensities at (..., 3) positions, RAS mm."""
        kji = np.moveaxis(self._image.geometry.to_ijk(ras)[..., ::-1], -1, 0)
        return scipy.ndimage.map_coordinates(self._image.array, kji, np.float32, order=1, mode="nearest")


def _sphere(count: int) -> np.ndarray:
    """Return evenly spread unit vectors of a half sphere, (count, 3)."""
    n = np.arange(count) + 0.5
    z, turn = n / count, np.pi * (1 + 5**0.5) * n
    return np.stack([np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn), z], 1)
