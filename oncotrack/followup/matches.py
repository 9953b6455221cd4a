"""Asking a tracker for several lesions, and for the trust of its alternatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch

from oncotrack.followup.tracker import ChecksBack, Match, MatchesMany, ScanPair, Tracker
from oncotrack.jobs import Progress, part_of, silent
from oncotrack.threads import at_once, side_by_side

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
        part(0.0, _told(number, len(places)))
        matches.append(tracker.match(pair, at, radius_mm, part))
    return matches


def matched_side_by_side(
    match: Callable[[Progress, Lesion], Match], lesions: Sequence[Lesion], progress: Progress
) -> list[Match]:
    """What `match` says of each lesion, on the CPU with as many at once as `threads.at_once` tells.

    Progress is told, and may stop it, between such rounds, on the calling thread alone.
    """
    matches: list[Match] = []
    for first in range(0, len(lesions), at_once()):
        few = lesions[first : first + at_once()]
        part = part_of(progress, first / len(lesions), (first + len(few)) / len(lesions))
        part(0.0, _told(first, len(lesions)))
        matches += side_by_side(partial(match, part if len(few) == 1 else silent), few, torch.device("cpu"))
    return matches


def _told(number: int, count: int) -> str:
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
