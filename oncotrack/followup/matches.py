"""Asking a tracker for several lesions, and for the trust of its alternatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from oncotrack.followup.tracker import ChecksBack, Match, MatchesMany, ScanPair, Tracker
from oncotrack.jobs import Progress, part_of, silent


def match_all(
    tracker: Tracker,
    pair: ScanPair,
    lesions: Sequence[tuple[Sequence[float], float]],
    progress: Progress = silent,
) -> list[Match]:
    """Match each lesion, in one go where the tracker can.

    Parameters
    ----------
    tracker : Tracker
    pair : ScanPair
    lesions : sequence of (RAS point in the baseline, radius), mm
    progress : Progress
        Asked between lesions too, so that a reader can stop it there.

    Returns
    -------
    list of Match
        In the order of `lesions`. One by one, alternatives come with their cycle errors.

    Raises
    ------
    InputError
        A point lies outside the baseline; nothing is matched then.
    """
    places = [(pair.check_click(at), radius_mm) for at, radius_mm in lesions]
    if len(places) > 1 and isinstance(tracker, MatchesMany):
        return tracker.match_many(pair, places, progress)
    matches = []
    for number, (at, radius_mm) in enumerate(places):
        part = part_of(progress, number / len(places), (number + 1) / len(places))
        part(0.0, f"Lesion {number + 1} of {len(places)}" if len(places) > 1 else "")
        matches.append(checked_back(tracker, pair, at, tracker.match(pair, at, radius_mm, part)))
    return matches


def checked_back(tracker: Tracker, pair: ScanPair, at: Sequence[float], match: Match) -> Match:
    """The match with the cycle errors of its alternatives, so that a reader who takes one knows its trust too."""
    if not isinstance(tracker, ChecksBack):
        return match
    checked = (
        other
        if other.cycle_error_mm is not None
        else replace(other, cycle_error_mm=tracker.cycle_error(pair, at, other.centre, match.radius_mm))
        for other in match.alternatives
    )
    return replace(match, alternatives=tuple(checked))
