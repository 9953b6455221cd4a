"""The matcher that needs no weights: affine guess, then a dense self-similarity search round it.

Three levels from coarse to fine. On each, MIND descriptors of the baseline round the clicked point are searched in
the follow-up, resampled into the baseline's frame by the registration; the coarse cost is weighted by the Gaussian
anatomy map. The best coarse places are refined; matching back from each gives the cycle error that is shown as trust.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from oncotrack.background.jobs import Progress, part_of, silent
from oncotrack.findings.finding import Alternative, point
from oncotrack.followup.match_lesions import Lesion
from oncotrack.followup.mind import MARGIN, gaussian_weight, mind_ssc, search, subvoxel
from oncotrack.followup.rounds import matched_side_by_side
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, OUTSIDE, Match, ScanPair
from oncotrack.images.geometry import Geometry, transform_points
from oncotrack.images.volume import Volume
from oncotrack.networks.heatmap import DLT_N
from oncotrack.networks.threads import one_thread_an_operation


@dataclass(frozen=True)
class Level:
    """One step of the search, all in mm: voxel size, reach and width of the template, reach of the search."""

    spacing: float
    template: float
    sigma: float
    search: float

    def scaled(self, factor: float) -> Level:
        """The same step for a lesion `factor` times larger."""
        return Level(*(factor * value for value in (self.spacing, self.template, self.sigma, self.search)))


COARSE = Level(spacing=4.0, template=40.0, sigma=16.0, search=36.0)
MIDDLE = Level(spacing=2.5, template=20.0, sigma=8.0, search=10.0)
FINE = Level(spacing=1.5, template=12.0, sigma=6.0, search=4.5)
_COPY_MM = 2.0
_CANDIDATES = 4
_APART_MM = 12.0
_TEMPERATURE = 0.02  # how much cost the anatomy map outweighs
MAXIMUM_CYCLE_MM = 5.0
_TRUSTED_CYCLE_MM = 2.0
MINIMUM_SCORE = 0.6


class SelfSimilarity:
    """Tracker without learned weights; see the module's text.

    References
    ----------
    Heinrich et al., MIND, Medical Image Analysis 2012. Anatomy map: Cai et al., Deep Lesion Tracker, equation 2.
    """

    name = "selfsim"

    def match(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Match:
        """Match the baseline lesion at RAS point `at` (mm) with radius `radius_mm`.

        Raises
        ------
        InputError
            The point lies outside the baseline.
        RegistrationError
            The scans cannot be registered.
        """
        with one_thread_an_operation():
            return self._match(pair, at, radius_mm, progress)

    def match_many(self, pair: ScanPair, lesions: Sequence[Lesion], progress: Progress = silent) -> list[Match]:
        """Match each (RAS point, radius in mm) of the baseline; the answers come in the same order."""
        pair.registration(part_of(progress, 0.0, 0.6))
        _Side(pair, "baseline"), _Side(pair, "followup")  # copies that all searches share
        return matched_side_by_side(
            lambda part, lesion: self.match(pair, *lesion, part), lesions, part_of(progress, 0.6, 1.0)
        )

    def cycle_error(
        self, pair: ScanPair, at: Sequence[float], place: Sequence[float], radius_mm: float
    ) -> float | None:
        """Millimetres by which matching back from a follow-up place misses `at`; see `ChecksBack`."""
        with one_thread_an_operation():
            error = _cycle_error((_Side(pair, "baseline"), _Side(pair, "followup")), place, at, radius_mm)
        return error if np.isfinite(error) else None

    def probability_map(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Volume:
        """How alike each place of the coarse search is to RAS point `at`, weighted by the anatomy map; see `MapsProbability`.

        The best place has 1; a place whose weighted cost is higher by d has exp(-d / 0.02).
        """
        at = pair.check_click(at)
        registration = pair.registration(lambda fraction, text: progress(0.7 * fraction, text))
        progress(0.7, "Searching")
        with one_thread_an_operation():
            sides = _Side(pair, "baseline"), _Side(pair, "followup")
            start = sides[0].to_common(at)
            costs = _coarse_costs(_Search(*sides, start, COARSE), start, radius_mm)
        lowest = float(costs.min())
        likely = np.exp((lowest - costs) / _TEMPERATURE) if np.isfinite(lowest) else np.zeros_like(costs)
        common = Volume(likely.astype(np.float32), Geometry.around(start, COARSE.search, COARSE.spacing), "similarity")
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
        there = _Side(pair, "baseline"), _Side(pair, "followup")
        progress(0.8, "Searching")
        candidates = _find(*there, at, radius_mm, _CANDIDATES)
        candidates = [c for c in candidates if pair.followup.geometry.contains(c.place)]
        if not candidates:
            return outside
        progress(0.9, "Matching back")
        best, cycle = candidates[0], _cycle_error(there, candidates[0].place, at, radius)
        if cycle > MAXIMUM_CYCLE_MM:
            for other in candidates[1:]:
                if (error := _cycle_error(there, other.place, at, radius)) < min(cycle, _TRUSTED_CYCLE_MM):
                    best, cycle = other, error
        others = [c for c in candidates if c is not best]
        reason = _doubt(best.score, cycle)
        return Match(
            not reason,
            best.place,
            expected,
            radius,
            best.score,
            cycle if np.isfinite(cycle) else None,
            tuple(Alternative(c.place, c.score) for c in others),
            reason,
            self.name,
        )


def _doubt(score: float, cycle_mm: float) -> str:
    if cycle_mm > MAXIMUM_CYCLE_MM:
        missed = (
            f"misses the clicked point by {cycle_mm:.0f} mm" if np.isfinite(cycle_mm) else "leads out of the baseline"
        )
        return f"Matching back from the best place {missed}; the lesion may have vanished. Look for it by eye."
    if score < MINIMUM_SCORE:
        return f"Nothing in the follow-up looks alike (similarity {score:.2f}); the lesion may have vanished."
    return ""


@dataclass(frozen=True)
class _Candidate:
    place: tuple[float, float, float]
    score: float
    common: np.ndarray


class _Side:
    """One scan of the pair, and how the baseline's frame maps into it."""

    def __init__(self, pair: ScanPair, which: str) -> None:
        self.volume: Volume = getattr(pair, which)
        registration = pair.registration()
        is_baseline = which == "baseline"
        self.from_common = np.eye(4) if is_baseline else registration.matrix
        self._window: tuple[float, float] = pair.cached((which, "window"), lambda: _window(self.volume))
        self.copy: Volume = pair.cached((which, "copy"), self._copy)

    def _copy(self) -> Volume:
        return self.volume.resampled(self.volume.geometry.ras_aligned(_COPY_MM), fill=self._not_scanned)

    @property
    def _not_scanned(self) -> float:
        low, high = self._window
        return 2 * low - high

    def to_common(self, place: Sequence[float]) -> np.ndarray:
        """A place of this scan in the common frame (baseline RAS through the affine part)."""
        return transform_points(np.linalg.inv(self.from_common), place)

    def descriptors(self, centre: np.ndarray, steps: int, spacing: float) -> tuple[torch.Tensor, torch.Tensor]:
        """(12, N, N, N) descriptors and (N, N, N) what was scanned, N = 2 steps + 1, round a common-frame point."""
        grid = Geometry.around(centre, (steps + MARGIN) * spacing, spacing)
        source = self.copy if spacing >= _COPY_MM else self.volume
        array = torch.from_numpy(source.resampled(grid, self.from_common, fill=self._not_scanned).array)
        low, high = self._window
        seen = array > low - (high - low) / 4
        inner = (slice(MARGIN, -MARGIN),) * 3
        return mind_ssc((array.clamp(low, high) - low) / (high - low)), seen[inner].float()


def _window(volume: Volume) -> tuple[float, float]:
    if volume.is_ct:
        return -1000.0, 500.0
    low, high = np.percentile(volume.array[::2, ::4, ::4], (1, 99))
    return float(low), float(max(high, low + 1e-3))


def _find(source: _Side, target: _Side, at: Sequence[float], radius_mm: float, count: int) -> list[_Candidate]:
    """The places of `target` that look like `at` in `source`: the best one refined, then up to `count` - 1 others."""
    start = source.to_common(at)
    factor = float(np.clip(radius_mm / DEFAULT_RADIUS_MM, 1.0, 2.5))
    coarse, middle, fine = (
        _Search(source, target, start, level) for level in (COARSE, MIDDLE.scaled(factor), FINE.scaled(factor))
    )
    places = _minima(_coarse_costs(coarse, start, radius_mm), start, COARSE.spacing, count)
    refined = sorted((m for place, _ in places for m in middle.minima(place)), key=lambda m: m[1])
    if not refined:
        return []
    best = fine.minima(refined[0][0]) or refined[:1]
    found: list[_Candidate] = []
    for place, cost in (*best, *refined[1:]):
        if all(np.linalg.norm(place - other.common) > _APART_MM / 2 for other in found):
            there = point(transform_points(target.from_common, place))
            found.append(_Candidate(there, 1.0 - float(np.sqrt(cost)), place))
    return found


def _cycle_error(sides: tuple[_Side, _Side], place: Sequence[float], at: Sequence[float], radius_mm: float) -> float:
    """Millimetres by which matching back from a place of the follow-up misses the clicked point."""
    back = _find(*sides[::-1], place, radius_mm, 2)
    return float(np.linalg.norm(np.subtract(back[0].place, at))) if back else np.inf


class _Search:
    """A template of `source` round one point, searched in `target` at one level."""

    def __init__(self, source: _Side, target: _Side, at: np.ndarray, level: Level) -> None:
        self._target, self._level = target, level
        self._half, self.reach = (
            int(np.ceil(value / level.spacing - 1e-6)) for value in (level.template, level.search)
        )
        self._template, scanned = source.descriptors(at, self._half, level.spacing)
        self._weight = gaussian_weight(self._half, level.sigma / level.spacing) * scanned

    def costs(self, centre: np.ndarray) -> np.ndarray:
        """(M, M, M) costs of the places round `centre`, M = 2 reach + 1."""
        searched, seen = self._target.descriptors(centre, self._half + self.reach, self._level.spacing)
        return search(self._template, self._weight, searched, seen).numpy()

    def minima(self, centre: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """The lowest place and its cost, or nothing where the target was not scanned."""
        return _minima(self.costs(centre), centre, self._level.spacing, 1)


def _coarse_costs(coarse: _Search, start: np.ndarray, radius_mm: float) -> np.ndarray:
    """(M, M, M) costs round `start`, with what the anatomy map adds to them."""
    prior = _squared_distance(coarse.reach, COARSE.spacing) / (2 * (DLT_N * radius_mm) ** 2)
    return coarse.costs(start) + _TEMPERATURE * prior


def _minima(cost: np.ndarray, centre: np.ndarray, spacing: float, count: int) -> list[tuple[np.ndarray, float]]:
    """Up to `count` lowest places (common-frame mm) at least `_APART_MM` apart, with their costs."""
    cost = cost.copy()
    reach = cost.shape[0] // 2
    blocked = int(np.ceil(_APART_MM / spacing))
    minima = []
    for _ in range(count):
        index = np.unravel_index(int(np.argmin(cost)), cost.shape)
        if not np.isfinite(cost[index]):
            break
        offset = (np.asarray(index) + subvoxel(cost, index) - reach)[::-1] * spacing
        minima.append((centre + offset, float(cost[index])))
        cost[tuple(slice(max(0, n - blocked), n + blocked + 1) for n in index)] = np.inf
    return minima


def _squared_distance(reach: int, spacing: float) -> np.ndarray:
    line = (np.arange(-reach, reach + 1) * spacing) ** 2
    return line[:, None, None] + line[None, :, None] + line[None, None, :]
