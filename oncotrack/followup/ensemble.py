"""Self-similarity and a learned tracker asked together: where they disagree, the one whose way back is the better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from oncotrack.background.jobs import Progress, part_of, silent
from oncotrack.findings.finding import Alternative
from oncotrack.followup.match_lesions import Lesion, matched
from oncotrack.followup.tissue import flag_tissue_change
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, ChecksBack, Match, ScanPair, Tracker
from oncotrack.images.volume import Volume

AGREE_MM = 4.0
"""Places as near as this are one answer; chosen on validation pairs, where 3 to 8 mm made little difference."""
NO_WAY_BACK_MM = 40.0
"""What a match without a way back counts."""


class Ensemble:
    """Two trackers as one, "ensemble".

    Where they agree the place is the plain one's, which is the more exact; where they do not, that of the smaller cycle
    error, and the other place becomes the first alternative. A place of other tissue is doubted. Scans that are no CT
    are left to the plain one.

    Parameters
    ----------
    plain, learned : Tracker
        The learned one was trained on CT alone.
    """

    name = "ensemble"

    def __init__(self, plain: Tracker, learned: Tracker) -> None:
        self._plain, self._learned = plain, learned

    def match(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Match:
        """Match the baseline lesion at RAS point `at` (mm) with radius `radius_mm`; raises what its trackers raise."""
        return self.match_many(pair, [(at, radius_mm)], progress)[0]

    def match_many(self, pair: ScanPair, lesions: Sequence[Lesion], progress: Progress = silent) -> list[Match]:
        """Match each (RAS point, radius in mm) of the baseline; the answers come in the same order."""
        plain = matched(self._plain, pair, lesions, part_of(progress, 0.0, 0.7))
        if not (pair.baseline.is_ct and pair.followup.is_ct):
            return [replace(match, method=self.name) for match in plain]
        learned = matched(self._learned, pair, lesions, part_of(progress, 0.7, 1.0))
        decided = [decide(one, other) for one, other in zip(plain, learned, strict=True)]
        return [
            replace(flag_tissue_change(match, pair, *lesion), method=self.name, weights_sha256=other.weights_sha256)
            for match, lesion, other in zip(decided, lesions, learned, strict=True)
        ]

    def cycle_error(
        self, pair: ScanPair, at: Sequence[float], place: Sequence[float], radius_mm: float
    ) -> float | None:
        """Millimetres by which matching back from a follow-up place misses `at`, the plain tracker's; see `ChecksBack`."""
        return self._plain.cycle_error(pair, at, place, radius_mm) if isinstance(self._plain, ChecksBack) else None

    def probability_map(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Volume:
        """That of the learned tracker, or on scans that are no CT of the plain one; see `MapsProbability`."""
        chosen = self._learned if pair.baseline.is_ct and pair.followup.is_ct else self._plain
        return chosen.probability_map(pair, at, radius_mm, progress)


def decide(plain: Match, learned: Match) -> Match:
    """The better one of two answers for one lesion."""
    if np.linalg.norm(np.subtract(plain.position, learned.position)) <= AGREE_MM:
        return plain if plain.found or not learned.found else replace(plain, found=True, reason="")
    chosen, other = (plain, learned) if _miss(plain) <= _miss(learned) else (learned, plain)
    alternatives = (Alternative(other.position, other.score), *chosen.alternatives)
    return replace(chosen, alternatives=alternatives[:3])


def _miss(match: Match) -> float:
    return NO_WAY_BACK_MM if match.cycle_error_mm is None else match.cycle_error_mm
