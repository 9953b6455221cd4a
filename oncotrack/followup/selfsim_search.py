"""The self-similarity search: levels from coarse to fine, both scans in one frame, and the most similar points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from oncotrack.findings.finding import point
from oncotrack.followup.mind import MARGIN, gaussian_weight, mind_ssc, search, subvoxel
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, ScanPair
from oncotrack.images.geometry import Geometry, transform_points
from oncotrack.images.volume import Volume
from oncotrack.networks.heatmap import DLT_N


@dataclass(frozen=True)
class Level:
    """One level of the search, all in mm.

    Attributes
    ----------
    spacing : float
        Voxel size.
    template : float
        Half the edge of the template.
    sigma : float
        Standard deviation of the template's Gaussian weights.
    search : float
        Farthest position searched along each axis.
    """

    spacing: float
    template: float
    sigma: float
    search: float

    def scaled(self, factor: float) -> Level:
        """Return the level for a lesion `factor` times larger.

        Parameters
        ----------
        factor : float
            Multiplies all lengths.
        """
        return Level(*(factor * value for value in (self.spacing, self.template, self.sigma, self.search)))


COARSE = Level(spacing=4.0, template=40.0, sigma=16.0, search=36.0)
MIDDLE = Level(spacing=2.5, template=20.0, sigma=8.0, search=10.0)
FINE = Level(spacing=1.5, template=12.0, sigma=6.0, search=4.5)
TEMPERATURE = 0.02
"""Cost that equals a factor e in the anatomy map."""
_COPY_MM = 2.0
_MINIMUM_DISTANCE_MM = 12.0


@dataclass(frozen=True)
class SimilarPoint:
    """A position of the searched scan (RAS mm), its similarity (at most 1), and the same position in the common frame."""

    position: tuple[float, float, float]
    score: float
    common: np.ndarray


class Side:
    """One scan of the pair with its mapping from the common frame, which is the baseline's RAS space.

    Parameters
    ----------
    pair : ScanPair
        Both scans.
    which : str
        "baseline" or "followup".
    """

    def __init__(self, pair: ScanPair, which: Literal["baseline", "followup"]) -> None:
        self.volume: Volume = getattr(pair, which)
        registration = pair.registration()
        is_baseline = which == "baseline"
        self.from_common = np.eye(4) if is_baseline else registration.matrix
        self.window: tuple[float, float] = pair.cached((which, "window"), lambda: _window(self.volume))
        self.copy: Volume = pair.cached((which, "copy"), self._copy)

    def _copy(self) -> Volume:
        return self.volume.resampled(self.volume.geometry.ras_aligned(_COPY_MM), fill=self._fill)

    @property
    def _fill(self) -> float:
        """Value of voxels outside the scan, well below the window."""
        low, high = self.window
        return 2 * low - high

    def to_common(self, position: Sequence[float]) -> np.ndarray:
        """Map a point of this scan to the common frame by the affine registration.

        Parameters
        ----------
        position : (3,) float
            RAS mm.
        """
        return transform_points(np.linalg.inv(self.from_common), position)

    def descriptors(self, centre: np.ndarray, steps: int, spacing: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Return descriptors (12, N, N, N) and scanned mask (N, N, N), N = 2 steps + 1, round a common-frame point.

        Parameters
        ----------
        centre : (3,) ndarray
            The point, common-frame mm.
        steps : int
            Voxels on each side of it.
        spacing : float
            Voxel size, mm.
        """
        grid = Geometry.around(centre, (steps + MARGIN) * spacing, spacing)
        source = self.copy if spacing >= _COPY_MM else self.volume
        array = torch.from_numpy(source.resampled(grid, self.from_common, fill=self._fill).array)
        low, high = self.window
        scanned = array > low - (high - low) / 4
        inner = (slice(MARGIN, -MARGIN),) * 3
        return mind_ssc((array.clamp(low, high) - low) / (high - low)), scanned[inner].float()


def sides_of(pair: ScanPair) -> tuple[Side, Side]:
    """Return baseline and follow-up; their resampled copies are made once for each pair.

    Parameters
    ----------
    pair : ScanPair
        Both scans.
    """
    return Side(pair, "baseline"), Side(pair, "followup")


def _window(volume: Volume) -> tuple[float, float]:
    """Return the intensity range to compare: -1000 to 500 HU in CT, otherwise the 1st to 99th percentile."""
    if volume.is_ct:
        return -1000.0, 500.0
    low, high = np.percentile(volume.array[::2, ::4, ::4], (1, 99))
    return float(low), float(max(high, low + 1e-3))


def find_similar(source: Side, target: Side, at: Sequence[float], radius_mm: float, count: int) -> list[SimilarPoint]:
    """Return the positions in `target` most similar to `at` in `source`: the best, refined, then up to `count` - 1.

    Parameters
    ----------
    source, target : Side
        The scan of the lesion and the searched one.
    at : (3,) float
        The lesion, RAS mm of `source`.
    radius_mm : float
        Its radius.
    count : int
        Largest number of positions.
    """
    start = source.to_common(at)
    factor = float(np.clip(radius_mm / DEFAULT_RADIUS_MM, 1.0, 2.5))
    coarse, middle, fine = (
        Search(source, target, start, level) for level in (COARSE, MIDDLE.scaled(factor), FINE.scaled(factor))
    )
    starts = _minima(coarse_costs(coarse, start, radius_mm), start, COARSE.spacing, count)
    refined = sorted((m for position, _ in starts for m in middle.minima(position)), key=lambda m: m[1])
    if not refined:
        return []
    best = fine.minima(refined[0][0]) or refined[:1]
    found: list[SimilarPoint] = []
    for common, cost in (*best, *refined[1:]):
        if all(np.linalg.norm(common - other.common) > _MINIMUM_DISTANCE_MM / 2 for other in found):
            position = point(transform_points(target.from_common, common))
            found.append(SimilarPoint(position, 1.0 - float(np.sqrt(cost)), common))
    return found


def return_distance(
    sides: tuple[Side, Side], position: Sequence[float], at: Sequence[float], radius_mm: float
) -> float:
    """Return the distance in mm between `at` and the return match of `position`; infinite when there is none.

    Parameters
    ----------
    sides : (Side, Side)
        Baseline and follow-up.
    position, at : (3,) float
        The match, RAS mm of the follow-up, and the lesion, RAS mm of the baseline.
    radius_mm : float
        Radius of the lesion in the follow-up.
    """
    baseline, followup = sides
    back = find_similar(followup, baseline, position, radius_mm, 2)
    return float(np.linalg.norm(np.subtract(back[0].position, at))) if back else np.inf


class Search:
    """Search of the template round one point of `source` in `target`, at one level.

    Parameters
    ----------
    source, target : Side
        The scan of the template and the searched one.
    at : (3,) ndarray
        The point, common-frame mm.
    level : Level
        Sizes of template and search.
    """

    def __init__(self, source: Side, target: Side, at: np.ndarray, level: Level) -> None:
        self._target, self._level = target, level
        self._half, self.reach = (
            int(np.ceil(value / level.spacing - 1e-6)) for value in (level.template, level.search)
        )
        self._template, scanned = source.descriptors(at, self._half, level.spacing)
        self._weight = gaussian_weight(self._half, level.sigma / level.spacing) * scanned

    def costs(self, centre: np.ndarray) -> np.ndarray:
        """Return the costs of the positions round `centre`, (M, M, M) with M = 2 reach + 1.

        Parameters
        ----------
        centre : (3,) ndarray
            Common-frame mm.
        """
        searched, scanned = self._target.descriptors(centre, self._half + self.reach, self._level.spacing)
        return search(self._template, self._weight, searched, scanned).numpy()

    def minima(self, centre: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """Return the position of lowest cost and that cost; an empty list where the target was not scanned.

        Parameters
        ----------
        centre : (3,) ndarray
            As in `costs`.
        """
        return _minima(self.costs(centre), centre, self._level.spacing, 1)


def coarse_costs(coarse: Search, start: np.ndarray, radius_mm: float) -> np.ndarray:
    """Return the costs round `start` plus the anatomy map's penalty, (M, M, M).

    Parameters
    ----------
    coarse : Search
        The search at the level `COARSE`.
    start : (3,) ndarray
        The registration's estimate, common-frame mm.
    radius_mm : float
        Radius of the lesion.
    """
    prior = _squared_distance(coarse.reach, COARSE.spacing) / (2 * (DLT_N * radius_mm) ** 2)
    return coarse.costs(start) + TEMPERATURE * prior


def _minima(cost: np.ndarray, centre: np.ndarray, spacing: float, count: int) -> list[tuple[np.ndarray, float]]:
    """Return up to `count` minima (common-frame mm), `_MINIMUM_DISTANCE_MM` from each other, with their costs."""
    cost = cost.copy()
    reach = cost.shape[0] // 2
    blocked = int(np.ceil(_MINIMUM_DISTANCE_MM / spacing))
    minima = []
    for _ in range(count):
        k, j, i = np.unravel_index(int(np.argmin(cost)), cost.shape)
        index = int(k), int(j), int(i)
        if not np.isfinite(cost[index]):
            break
        offset = (np.asarray(index) + subvoxel(cost, index) - reach)[::-1] * spacing
        minima.append((centre + offset, float(cost[index])))
        cost[tuple(slice(max(0, n - blocked), n + blocked + 1) for n in index)] = np.inf
    return minima


def _squared_distance(reach: int, spacing: float) -> np.ndarray:
    line = (np.arange(-reach, reach + 1) * spacing) ** 2
    return line[:, None, None] + line[None, :, None] + line[None, None, :]
