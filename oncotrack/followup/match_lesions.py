"""Asking a tracker for several lesions, and for the trust of its alternatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from oncotrack.background.jobs import Progress, part_of, silent
from oncotrack.followup.tracker import ChecksBack, Match, MatchesMany, ScanPair, Tracker

Lesion = tuple[Sequence[float], float]
"""A RAS point in the baseline and a radius, mm."""


def match_all(tracker: Tracker, pair: ScanPair, lesions: Sequence[Lesion], progress: Progress = silent) -> list[Match]:
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
        In the order of `lesions`. The alternatives of one lesion alone come with their cycle errors; of several, only
        those do that had to be compared.

    Raises
    ------
    InputError
        A point lies outside the baseline; nothing is matched then.
    """
    matches = matched(tracker, pair, lesions, progress)
    if len(matches) == 1:
        return [checked_back(tracker, pair, lesions[0][0], matches[0])]
    return matches


def matched(tracker: Tracker, pair: ScanPair, lesions: Sequence[Lesion], progress: Progress = silent) -> list[Match]:
    """The same, alternatives left as the tracker gave them."""
    places = [(pair.check_click(at), radius_mm) for at, radius_mm in lesions]
    if len(places) > 1 and isinstance(tracker, MatchesMany):
        return tracker.match_many(pair, places, progress)
    matches = []
    for number, (at, radius_mm) in enumerate(places):
        part = part_of(progress, number / len(places), (number + 1) / len(places))
        part(0.0, told(number, len(places)))
        matches.append(tracker.match(pair, at, radius_mm, part))
    return matches


def told(number: int, count: int) -> str:
    """What a progress bar says before lesion `number` (from 0) of `count`; "" when it is the only one."""
    return f"Lesion {number + 1} of {count}" if count > 1 else ""


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
