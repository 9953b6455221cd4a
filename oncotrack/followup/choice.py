"""The choice among a learned tracker's candidates, by score and cycle error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from oncotrack.findings.finding import Alternative
from oncotrack.followup.candidates import Candidate
from oncotrack.followup.tracker import MAXIMUM_CYCLE_MM, Match, return_match_reason

_TRUSTED_CYCLE_MM = 2.0


def choose(unmatched: Match, found: Sequence[Candidate], threshold: float) -> Match:
    """Return the match of the best candidate, or of a convincing one when the best one's return match fails.

    Parameters
    ----------
    unmatched : Match
        The match without a position.
    found : sequence of Candidate
        At least one, the best first.
    threshold : float
        Least score of a lesion that is present.
    """
    best = found[0]
    if best.cycle_or_inf > MAXIMUM_CYCLE_MM:
        trusted = [e for e in found if e.cycle_or_inf < _TRUSTED_CYCLE_MM and e.score >= threshold]
        best = min(trusted, key=lambda each: each.cycle_or_inf, default=best)
    reason = return_match_reason(best.cycle_error_mm)
    if best.score < threshold:
        reason = f"No similar tissue found (similarity {best.score:.2f}). The lesion may be gone: please check."
    return replace(
        unmatched,
        found=not reason,
        position=best.position,
        score=best.score,
        cycle_error_mm=best.cycle_error_mm,
        alternatives=tuple(Alternative(e.position, e.score, e.cycle_error_mm) for e in found if e is not best),
        reason=reason,
    )
