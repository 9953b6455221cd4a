"""Tracker without trained weights: affine registration, then a dense self-similarity search round its estimate.

There are three levels from coarse to fine. On each, MIND descriptors of the baseline round the clicked point are
searched in the follow-up, which is resampled into the baseline's frame by the registration; the coarse cost is weighted
by the Gaussian anatomy map. The best coarse candidates are refined; the return match of each gives its cycle error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from oncotrack.background.jobs import Progress, part_of, silent
from oncotrack.findings.finding import Alternative, point
from oncotrack.followup.match_lesions import Lesion
from oncotrack.followup.mind import MARGIN, gaussian_weight, mind_ssc, search, subvoxel
from oncotrack.followup.parallel import match_in_parallel
from oncotrack.followup.tracker import (
    DEFAULT_RADIUS_MM,
    MAXIMUM_CYCLE_MM,
    OUTSIDE,
    Match,
    ScanPair,
    return_match_reason,
)
from oncotrack.images.geometry import Geometry, transform_points
from oncotrack.images.volume import Volume
from oncotrack.networks.heatmap import DLT_N
from oncotrack.networks.threads import one_thread_per_operation


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
_COPY_MM = 2.0
_CANDIDATES = 4
_MINIMUM_DISTANCE_MM = 12.0
_TEMPERATURE = 0.02  # cost that equals a factor e in the anatomy map
_TRUSTED_CYCLE_MM = 2.0
MINIMUM_SCORE = 0.6


class SelfSimilarity:
    """Tracker without trained weights, "selfsim"; see the module's docstring.

    References
    ----------
    Heinrich et al., MIND, Medical Image Analysis 2012. Anatomy map: Cai et al., Deep Lesion Tracker, equation 2.
    """

    name = "selfsim"

    def match(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Match:
        """Match one baseline lesion.

        Parameters
        ----------
        pair, at, radius_mm, progress
            As in `Tracker.match`.

        Raises
        ------
        InputError
            The point lies outside the baseline.
        RegistrationError
            The scans cannot be registered.
        """
        with one_thread_per_operation():
            return self._match(pair, at, radius_mm, progress)

    def match_many(self, pair: ScanPair, lesions: Sequence[Lesion], progress: Progress = silent) -> list[Match]:
        """Match several baseline lesions, in parallel on the CPU.

        Parameters
        ----------
        pair, lesions, progress
            As in `SupportsBatch.match_many`.
        """
        pair.registration(part_of(progress, 0.0, 0.6))
        _sides(pair)  # creates the resampled copies that all searches share
        return match_in_parallel(
            lambda part, lesion: self.match(pair, *lesion, part), lesions, part_of(progress, 0.6, 1.0)
        )

    def cycle_error(
        self, pair: ScanPair, at: Sequence[float], position: Sequence[float], radius_mm: float
    ) -> float | None:
        """Return the distance in mm between `at` and the return match of `position`, or None when there is none.

        Parameters
        ----------
        pair, at, position, radius_mm
            As in `SupportsCycleError.cycle_error`.
        """
        with one_thread_per_operation():
            error = _cycle_error(_sides(pair), position, at, radius_mm)
        return error if np.isfinite(error) else None

    def probability_map(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Volume:
        """Return the similarity over the coarse search, weighted by the anatomy map.

        It is 1 at the best position and ``exp(-d / 0.02)`` where the weighted cost is higher by d.

        Parameters
        ----------
        pair, at, radius_mm, progress
            As in `Tracker.match`.
        """
        at = pair.check_click(at)
        registration = pair.registration(lambda fraction, text: progress(0.7 * fraction, text))
        progress(0.7, "Searching")
        with one_thread_per_operation():
            sides = _sides(pair)
            start = sides[0].to_common(at)
            costs = _coarse_costs(_Search(*sides, start, COARSE), start, radius_mm)
        lowest = float(costs.min())
        similarity = np.exp((lowest - costs) / _TEMPERATURE) if np.isfinite(lowest) else np.zeros_like(costs)
        common = Volume(
            similarity.astype(np.float32), Geometry.around(start, COARSE.search, COARSE.spacing), "similarity"
        )
        reach = COARSE.search * max(registration.scale, 1.0)
        grid = Geometry.around(registration.to_followup(at), reach, COARSE.spacing / 2)
        return common.resampled(grid, np.linalg.inv(registration.matrix), fill=0.0)

    def _match(self, pair: ScanPair, at: Sequence[float], radius_mm: float, progress: Progress) -> Match:
        at = pair.check_click(at)
        registration = pair.registration(lambda fraction, text: progress(0.7 * fraction, text))
        expected = point(registration.to_followup(at))
        radius = radius_mm * registration.scale
        outside = Match(False, expected, expected, radius, 0.0, None, reason=OUTSIDE, method=self.name)
        if not pair.followup.geometry.contains(expected, margin_mm=-COARSE.search):
            return outside
        progress(0.7, "Preparing the search")
        sides = _sides(pair)
        progress(0.8, "Searching")
        candidates = _find(*sides, at, radius_mm, _CANDIDATES)
        candidates = [c for c in candidates if pair.followup.geometry.contains(c.position)]
        if not candidates:
            return outside
        progress(0.9, "Checking the return match")
        best, cycle_mm = candidates[0], _cycle_error(sides, candidates[0].position, at, radius)
        if cycle_mm > MAXIMUM_CYCLE_MM:
            for other in candidates[1:]:
                if (error := _cycle_error(sides, other.position, at, radius)) < min(cycle_mm, _TRUSTED_CYCLE_MM):
                    best, cycle_mm = other, error
        others = [c for c in candidates if c is not best]
        reason = return_match_reason(cycle_mm) or _low_score_reason(best.score)
        return Match(
            not reason,
            best.position,
            expected,
            radius,
            best.score,
            cycle_mm if np.isfinite(cycle_mm) else None,
            tuple(Alternative(c.position, c.score) for c in others),
            reason,
            self.name,
        )


def _low_score_reason(score: float) -> str:
    if score >= MINIMUM_SCORE:
        return ""
    return (
        f"No similar tissue found in the follow-up (similarity {score:.2f}). "
        "The lesion may have vanished: please check."
    )


@dataclass(frozen=True)
class _Candidate:
    position: tuple[float, float, float]
    score: float
    common: np.ndarray  # the same position in the common frame


class _Side:
    """One scan of the pair with its mapping from the common frame, which is the baseline's RAS space."""

    def __init__(self, pair: ScanPair, which: Literal["baseline", "followup"]) -> None:
        self.volume: Volume = getattr(pair, which)
        registration = pair.registration()
        is_baseline = which == "baseline"
        self.from_common = np.eye(4) if is_baseline else registration.matrix
        self._window: tuple[float, float] = pair.cached((which, "window"), lambda: _window(self.volume))
        self.copy: Volume = pair.cached((which, "copy"), self._copy)

    def _copy(self) -> Volume:
        return self.volume.resampled(self.volume.geometry.ras_aligned(_COPY_MM), fill=self._fill)

    @property
    def _fill(self) -> float:
        """Value of voxels outside the scan, well below the window."""
        low, high = self._window
        return 2 * low - high

    def to_common(self, position: Sequence[float]) -> np.ndarray:
        """Map a point of this scan to the common frame by the affine registration."""
        return transform_points(np.linalg.inv(self.from_common), position)

    def descriptors(self, centre: np.ndarray, steps: int, spacing: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Return descriptors (12, N, N, N) and scanned mask (N, N, N), N = 2 steps + 1, round a common-frame point."""
        grid = Geometry.around(centre, (steps + MARGIN) * spacing, spacing)
        source = self.copy if spacing >= _COPY_MM else self.volume
        array = torch.from_numpy(source.resampled(grid, self.from_common, fill=self._fill).array)
        low, high = self._window
        scanned = array > low - (high - low) / 4
        inner = (slice(MARGIN, -MARGIN),) * 3
        return mind_ssc((array.clamp(low, high) - low) / (high - low)), scanned[inner].float()


def _sides(pair: ScanPair) -> tuple[_Side, _Side]:
    return _Side(pair, "baseline"), _Side(pair, "followup")


def _window(volume: Volume) -> tuple[float, float]:
    """Return the intensity range to compare: -1000 to 500 HU in CT, otherwise the 1st to 99th percentile."""
    if volume.is_ct:
        return -1000.0, 500.0
    low, high = np.percentile(volume.array[::2, ::4, ::4], (1, 99))
    return float(low), float(max(high, low + 1e-3))


def _find(source: _Side, target: _Side, at: Sequence[float], radius_mm: float, count: int) -> list[_Candidate]:
    """Return the positions in `target` most similar to `at` in `source`: the best, refined, then up to `count` - 1."""
    start = source.to_common(at)
    factor = float(np.clip(radius_mm / DEFAULT_RADIUS_MM, 1.0, 2.5))
    coarse, middle, fine = (
        _Search(source, target, start, level) for level in (COARSE, MIDDLE.scaled(factor), FINE.scaled(factor))
    )
    starts = _minima(_coarse_costs(coarse, start, radius_mm), start, COARSE.spacing, count)
    refined = sorted((m for position, _ in starts for m in middle.minima(position)), key=lambda m: m[1])
    if not refined:
        return []
    best = fine.minima(refined[0][0]) or refined[:1]
    found: list[_Candidate] = []
    for common, cost in (*best, *refined[1:]):
        if all(np.linalg.norm(common - other.common) > _MINIMUM_DISTANCE_MM / 2 for other in found):
            position = point(transform_points(target.from_common, common))
            found.append(_Candidate(position, 1.0 - float(np.sqrt(cost)), common))
    return found


def _cycle_error(sides: tuple[_Side, _Side], position: Sequence[float], at: Sequence[float], radius_mm: float) -> float:
    """Return the distance in mm between `at` and the return match of `position`; infinite when there is none."""
    baseline, followup = sides
    back = _find(followup, baseline, position, radius_mm, 2)
    return float(np.linalg.norm(np.subtract(back[0].position, at))) if back else np.inf


class _Search:
    """Search of the template round one point of `source` in `target`, at one level."""

    def __init__(self, source: _Side, target: _Side, at: np.ndarray, level: Level) -> None:
        self._target, self._level = target, level
        self._half, self.reach = (
            int(np.ceil(value / level.spacing - 1e-6)) for value in (level.template, level.search)
        )
        self._template, scanned = source.descriptors(at, self._half, level.spacing)
        self._weight = gaussian_weight(self._half, level.sigma / level.spacing) * scanned

    def costs(self, centre: np.ndarray) -> np.ndarray:
        """Return the costs of the positions round `centre`, (M, M, M) with M = 2 reach + 1."""
        searched, scanned = self._target.descriptors(centre, self._half + self.reach, self._level.spacing)
        return search(self._template, self._weight, searched, scanned).numpy()

    def minima(self, centre: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """Return the position of lowest cost and that cost; an empty list where the target was not scanned."""
        return _minima(self.costs(centre), centre, self._level.spacing, 1)


def _coarse_costs(coarse: _Search, start: np.ndarray, radius_mm: float) -> np.ndarray:
    """Return the costs round `start` plus the anatomy map's penalty, (M, M, M)."""
    prior = _squared_distance(coarse.reach, COARSE.spacing) / (2 * (DLT_N * radius_mm) ** 2)
    return coarse.costs(start) + _TEMPERATURE * prior


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
