"""Ensemble of self-similarity and a learned tracker: if they disagree, the smaller cycle error decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from oncotrack.background.jobs import Progress, part_of, silent
from oncotrack.errors import InputError
from oncotrack.findings.finding import Alternative
from oncotrack.followup.match_lesions import Lesion, match_each
from oncotrack.followup.tissue import flag_tissue_change
from oncotrack.followup.tracker import (
    DEFAULT_RADIUS_MM,
    Match,
    ScanPair,
    SupportsCycleError,
    SupportsProbabilityMap,
    Tracker,
)
from oncotrack.images.volume import Volume

AGREE_MM = 4.0
"""Positions up to this distance count as equal; chosen on validation pairs, where 3 to 8 mm made little difference."""
NO_RETURN_MATCH_MM = 40.0
"""Cycle error assumed for a match without a return match."""


class Ensemble:
    """Two trackers combined, "ensemble".

    If both agree, the position is the plain tracker's, which is the more precise one; if not, the one with the smaller
    cycle error, and the other becomes the first alternative. A match on different tissue is marked as not found. When
    a scan is not a CT, the plain tracker alone is used.

    Parameters
    ----------
    plain : Tracker
        Works on any modality.
    learned : Tracker
        Trained on CT only.
    """

    name = "ensemble"

    def __init__(self, plain: Tracker, learned: Tracker) -> None:
        self._plain, self._learned = plain, learned

    def match(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Match:
        """Match one baseline lesion; errors of the trackers are passed on.

        Parameters
        ----------
        pair, at, radius_mm, progress
            As in `Tracker.match`.
        """
        return self.match_many(pair, [(at, radius_mm)], progress)[0]

    def match_many(self, pair: ScanPair, lesions: Sequence[Lesion], progress: Progress = silent) -> list[Match]:
        """Match several baseline lesions.

        Parameters
        ----------
        pair, lesions, progress
            As in `SupportsBatch.match_many`.
        """
        plain = match_each(self._plain, pair, lesions, part_of(progress, 0.0, 0.7))
        if not (pair.baseline.is_ct and pair.followup.is_ct):
            return [replace(match, method=self.name) for match in plain]
        learned = match_each(self._learned, pair, lesions, part_of(progress, 0.7, 1.0))
        decided = [decide(one, other) for one, other in zip(plain, learned, strict=True)]
        return [
            replace(flag_tissue_change(match, pair, *lesion), method=self.name, weights_sha256=other.weights_sha256)
            for match, lesion, other in zip(decided, lesions, learned, strict=True)
        ]

    def cycle_error(
        self, pair: ScanPair, at: Sequence[float], position: Sequence[float], radius_mm: float
    ) -> float | None:
        """Return the plain tracker's cycle error in mm; None when there is no return match.

        Parameters
        ----------
        pair, at, position, radius_mm
            As in `SupportsCycleError.cycle_error`.
        """
        plain = self._plain
        return plain.cycle_error(pair, at, position, radius_mm) if isinstance(plain, SupportsCycleError) else None

    def probability_map(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Volume:
        """Return the learned tracker's map, or the plain tracker's when a scan is not a CT.

        Parameters
        ----------
        pair, at, radius_mm, progress
            As in `Tracker.match`.

        Raises
        ------
        InputError
            That tracker has no probability map.
        """
        chosen = self._learned if pair.baseline.is_ct and pair.followup.is_ct else self._plain
        if not isinstance(chosen, SupportsProbabilityMap):
            raise InputError(f"The method {chosen.name} has no probability map. Choose another method.")
        return chosen.probability_map(pair, at, radius_mm, progress)


def decide(plain: Match, learned: Match) -> Match:
    """Return the better of two matches of one lesion; see `Ensemble`.

    Parameters
    ----------
    plain, learned : Match
        The matches of the two trackers.
    """
    if np.linalg.norm(np.subtract(plain.position, learned.position)) <= AGREE_MM:
        return plain if plain.found or not learned.found else replace(plain, found=True, reason="")
    is_plain_better = _comparable_cycle_mm(plain) <= _comparable_cycle_mm(learned)
    chosen, other = (plain, learned) if is_plain_better else (learned, plain)
    alternatives = (Alternative(other.position, other.score), *chosen.alternatives)
    return replace(chosen, alternatives=alternatives[:3])


def _comparable_cycle_mm(match: Match) -> float:
    return NO_RETURN_MATCH_MM if match.cycle_error_mm is None else match.cycle_error_mm
