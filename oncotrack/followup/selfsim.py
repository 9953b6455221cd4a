"""Tracker without trained weights: affine registration, then a dense self-similarity search round its estimate.

There are three levels from coarse to fine. On each, MIND descriptors of the baseline round the clicked point are
searched in the follow-up, which is resampled into the baseline's frame by the registration; the coarse cost is weighted
by the Gaussian anatomy map. The best coarse candidates are refined; the return match of each gives its cycle error.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oncotrack.background.jobs import Progress, part_of, silent
from oncotrack.findings.finding import Alternative, point
from oncotrack.followup.match_lesions import Lesion
from oncotrack.followup.parallel import match_in_parallel
from oncotrack.followup.selfsim_search import (
    COARSE,
    TEMPERATURE,
    Search,
    coarse_costs,
    find_similar,
    return_distance,
    sides_of,
)
from oncotrack.followup.tracker import (
    DEFAULT_RADIUS_MM,
    MAXIMUM_CYCLE_MM,
    OUTSIDE,
    Match,
    ScanPair,
    return_match_reason,
)
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.networks.threads import one_thread_per_operation

_CANDIDATES = 4
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
        sides_of(pair)  # creates the resampled copies that all searches share
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
            error = return_distance(sides_of(pair), position, at, radius_mm)
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
            sides = sides_of(pair)
            start = sides[0].to_common(at)
            costs = coarse_costs(Search(*sides, start, COARSE), start, radius_mm)
        lowest = float(costs.min())
        similarity = np.exp((lowest - costs) / TEMPERATURE) if np.isfinite(lowest) else np.zeros_like(costs)
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
        sides = sides_of(pair)
        progress(0.8, "Searching")
        candidates = find_similar(*sides, at, radius_mm, _CANDIDATES)
        candidates = [c for c in candidates if pair.followup.geometry.contains(c.position)]
        if not candidates:
            return outside
        progress(0.9, "Checking the return match")
        best, cycle_mm = candidates[0], return_distance(sides, candidates[0].position, at, radius)
        if cycle_mm > MAXIMUM_CYCLE_MM:
            for other in candidates[1:]:
                if (error := return_distance(sides, other.position, at, radius)) < min(cycle_mm, _TRUSTED_CYCLE_MM):
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
    return f"No similar tissue found (similarity {score:.2f}). The lesion may be gone: please check."
