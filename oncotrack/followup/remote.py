"""Trackers that run in the work process, see `oncotrack.background.work_process`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from oncotrack.background.jobs import Progress, silent
from oncotrack.background.work_process import Remote, call_method, in_work_process
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, Match, ScanPair, SupportsProbabilityMap, Tracker
from oncotrack.images.volume import Volume

WORK = ("oncotrack.followup.match_lesions", "oncotrack.followup.methods", "oncotrack.registration.elastix")
"""What a work process imports when it starts."""


class RemoteTracker(Remote):
    """Stands for a tracker that is loaded in the work process.

    Parameters
    ----------
    name : str
        The name of a method.
    make : callable
        Makes the tracker of a name.
    """

    def __init__(self, name: str, make: Callable[[str], Tracker]) -> None:
        super().__init__(make, name)
        self.name = name

    def match(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Match:
        """Match one lesion.

        Parameters
        ----------
        pair, at, radius_mm, progress
            As in `Tracker.match`.
        """
        return call_method(self, "match", pair, at, radius_mm, progress=progress)


class RemoteMapTracker(RemoteTracker):
    """Stands for a tracker that also gives probability maps."""

    def probability_map(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Volume:
        """Return the lesion's probability in the searched part of the follow-up.

        Parameters
        ----------
        pair, at, radius_mm, progress
            As in `SupportsProbabilityMap.probability_map`.
        """
        return call_method(self, "probability_map", pair, at, radius_mm, progress=progress)


def remote_tracker(name: str, make: Callable[[str], Tracker]) -> RemoteTracker:
    """Load a tracker in the work process, and return what stands for it here.

    Parameters
    ----------
    name : str
        The name of a method.
    make : callable
        Makes the tracker of a name; a function of a module.

    Raises
    ------
    WeightsError
        Its weights are missing.
    """
    tracker = RemoteTracker(name, make)
    return RemoteMapTracker(name, make) if _maps_probability(tracker) else tracker


@in_work_process
def _maps_probability(tracker: Tracker) -> bool:
    return isinstance(tracker, SupportsProbabilityMap)
