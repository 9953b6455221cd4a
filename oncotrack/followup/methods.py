"""The trackers by name, and the two registrations that stand beside them as what a user would use instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import InputError
from oncotrack.findings.finding import point
from oncotrack.followup import DEFAULT_METHOD
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, OUTSIDE, Match, ScanPair, Tracker
from oncotrack.registration.register import register
from oncotrack.registration.registration import Registration


class RegistrationTracker:
    """Takes the registered place as it is: elastix affine, or affine and B-spline."""

    def __init__(self, bspline: bool = False) -> None:
        self.name = "bspline" if bspline else "affine"

    def registration(self, pair: ScanPair, progress: Progress = silent) -> Registration:
        """The registration whose map is the answer."""
        if self.name == "affine":
            return pair.registration(progress)
        return pair.cached(
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
        expected = point(pair.registration().to_followup(at))
        radius = radius_mm * registration.scale
        return Match(inside, place, expected, radius, registration.similarity, cycle, (), reason, self.name)


def prepare(chosen: Tracker, pair: ScanPair, progress: Progress = silent) -> Registration:
    """Run the registration that a tracker needs, so that its first match does not wait for it."""
    if isinstance(chosen, RegistrationTracker):
        return chosen.registration(pair, progress)
    return pair.registration(progress)


@dataclass(frozen=True)
class Method:
    """What a reader is told of a tracker, and how it is made.

    Parameters
    ----------
    title : str
    about : str
        One line.
    make : callable
        Gives the tracker; where it needs weights that are missing, it raises WeightsError.
    caution : str
        What to keep in mind when its answers are read; "" when there is nothing.
    needs_torch : bool
        Whether it can be used without PyTorch.
    """

    title: str
    about: str
    make: Callable[[], Tracker]
    caution: str = ""
    needs_torch: bool = True


def _selfsim() -> Tracker:
    from oncotrack.followup.selfsim import SelfSimilarity

    return SelfSimilarity()


def _dlt() -> Tracker:
    from oncotrack.followup.dlt.tracker import DLTTracker

    return DLTTracker()


def _tlt() -> Tracker:
    from oncotrack.followup.tlt.tracker import TLTTracker

    return TLTTracker()


def _ensemble() -> Tracker:
    from oncotrack.followup.ensemble import Ensemble

    return Ensemble(_selfsim(), _dlt())


_REGISTERS_ONLY = "Does not look at the lesion: it cannot tell that one has vanished."
ABOUT: dict[str, Method] = {
    "ensemble": Method(
        "Ensemble",
        "Self-similarity and the Deep Lesion Tracker; where they disagree, the one that leads back better.",
        _ensemble,
        "One of the two was trained on synthetic and altered scans.",
    ),
    "selfsim": Method(
        "Self-similarity", "Compares the tissue round the lesion with the follow-up; nothing was trained.", _selfsim
    ),
    "affine": Method(
        "Affine registration",
        "Takes the place to which the affine registration of the scans leads.",
        RegistrationTracker,
        _REGISTERS_ONLY,
        needs_torch=False,
    ),
    "bspline": Method(
        "B-spline registration",
        "Takes the place to which a registration that bends the scan leads.",
        partial(RegistrationTracker, bspline=True),
        _REGISTERS_ONLY,
        needs_torch=False,
    ),
    "dlt": Method(
        "Deep Lesion Tracker",
        "A trained network (Cai et al., CVPR 2021) that looks for the lesion's image under an anatomy signal.",
        _dlt,
        "Trained on synthetic and altered scans; CT only.",
    ),
    "tlt": Method(
        "Transformer Lesion Tracker",
        "A trained network (Tang et al., MICCAI 2022) that compares the lesion with all places round the expected one.",
        _tlt,
        "Trained on synthetic and altered scans; CT only.",
    ),
}
"""The trackers by name, in the order in which they are offered; the default comes first."""
METHODS = tuple(ABOUT)


def tracker(name: str = DEFAULT_METHOD) -> Tracker:
    """The tracker called `name`; InputError lists the names when there is none, WeightsError when its weights lack."""
    if name not in ABOUT:
        raise InputError(f'There is no follow-up method "{name}". Choose one of: {", ".join(METHODS)}.')
    return ABOUT[name].make()
