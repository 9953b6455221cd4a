"""The trackers by name, and the two registrations that stand beside them as what a user would use instead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oncotrack.errors import InputError
from oncotrack.findings import point
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, OUTSIDE, Match, ScanPair, Tracker
from oncotrack.jobs import Progress, silent
from oncotrack.registration import Registration, register

METHODS = ("selfsim", "affine", "bspline")
DEFAULT_METHOD = "selfsim"


class RegistrationTracker:
    """Takes the registered place as it is: elastix affine, or affine and B-spline."""

    def __init__(self, bspline: bool = False) -> None:
        self.name = "bspline" if bspline else "affine"

    def registration(self, pair: ScanPair, progress: Progress = silent) -> Registration:
        """The registration whose map is the answer."""
        if self.name == "affine":
            return pair.register(progress)
        return pair.encoded(
            "bspline", lambda: register(pair.baseline, pair.followup, bspline=True, progress=progress, cache=pair.cache)
        )

    def match(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Match:
        """The registered place; its cycle error is that of the map's own inverse."""
        at = pair.check_click(at)
        registration = self.registration(pair, progress)
        place = point(registration.to_followup(at))
        cycle = float(np.linalg.norm(registration.to_baseline(place) - at))
        inside = bool(pair.followup.geometry.contains(place))
        reason = "" if inside else OUTSIDE
        expected = point(pair.register().to_followup(at))
        radius = radius_mm * registration.scale
        return Match(inside, place, expected, radius, registration.similarity, cycle, (), reason, self.name)


def prepare(chosen: Tracker, pair: ScanPair, progress: Progress = silent) -> Registration:
    """Run the registration that a tracker needs, so that its first match does not wait for it."""
    if isinstance(chosen, RegistrationTracker):
        return chosen.registration(pair, progress)
    return pair.register(progress)


def tracker(name: str = DEFAULT_METHOD) -> Tracker:
    """The tracker called `name`; InputError lists the names when there is none."""
    if name == "selfsim":
        from oncotrack.followup.selfsim import SelfSimilarity

        return SelfSimilarity()
    if name in METHODS:
        return RegistrationTracker(bspline=name == "bspline")
    raise InputError(f'There is no follow-up method "{name}". Choose one of: {", ".join(METHODS)}.')
