"""Match several lesions with one tracker, and compute the cycle errors of their alternatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from oncotrack.background.jobs import Progress, part_of, silent
from oncotrack.background.work_process import in_work_process
from oncotrack.followup.tracker import Match, ScanPair, SupportsBatch, SupportsCycleError, Tracker

Lesion = tuple[Sequence[float], float]
"""A RAS point in the baseline and a radius, both mm."""


@in_work_process
def match_all(tracker: Tracker, pair: ScanPair, lesions: Sequence[Lesion], progress: Progress = silent) -> list[Match]:
    """Match each lesion, as one batch where the tracker supports it.

    Parameters
    ----------
    tracker : Tracker
        The method to use.
    pair : ScanPair
        Baseline and follow-up.
    lesions : sequence of (RAS point in the baseline, radius)
        Both in mm.
    progress : Progress
        Called between lesions too, so that the user can cancel there.

    Returns
    -------
    list of Match
        In the order of `lesions`. Alternatives have cycle errors when there is one lesion; when there are several,
        only where the tracker had to compare them.

    Raises
    ------
    InputError
        A point lies outside the baseline; nothing is matched then.
    """
    matches = match_each(tracker, pair, lesions, progress)
    if len(matches) == 1:
        return [add_cycle_errors(tracker, pair, lesions[0][0], matches[0])]
    return matches


def match_each(tracker: Tracker, pair: ScanPair, lesions: Sequence[Lesion], progress: Progress = silent) -> list[Match]:
    """Match each lesion like `match_all`, but without adding cycle errors to alternatives.

    Parameters
    ----------
    tracker, pair, lesions, progress
        As in `match_all`.
    """
    checked = [(pair.check_click(at), radius_mm) for at, radius_mm in lesions]
    if len(checked) > 1 and isinstance(tracker, SupportsBatch):
        return tracker.match_many(pair, checked, progress)
    matches = []
    for number, (at, radius_mm) in enumerate(checked):
        part = part_of(progress, number / len(checked), (number + 1) / len(checked))
        part(0.0, lesion_message(number, len(checked)))
        matches.append(tracker.match(pair, at, radius_mm, part))
    return matches


def lesion_message(number: int, count: int) -> str:
    """Return the progress message "Lesion 2 of 5", or "" for a single lesion.

    Parameters
    ----------
    number : int
        Index from 0.
    count : int
        Number of lesions.
    """
    return f"Lesion {number + 1} of {count}" if count > 1 else ""


def add_cycle_errors(tracker: Tracker, pair: ScanPair, at: Sequence[float], match: Match) -> Match:
    """Return the match with the cycle error of every alternative, so that the reader can compare them.

    Parameters
    ----------
    tracker : Tracker
        Trackers that cannot match backwards leave the match as it is.
    pair : ScanPair
        Baseline and follow-up.
    at : (3,) float
        Clicked point in the baseline, RAS mm.
    match : Match
        The match of that point.
    """
    if not isinstance(tracker, SupportsCycleError):
        return match
    checked = (
        other
        if other.cycle_error_mm is not None
        else replace(other, cycle_error_mm=tracker.cycle_error(pair, at, other.centre, match.radius_mm))
        for other in match.alternatives
    )
    return replace(match, alternatives=tuple(checked))
