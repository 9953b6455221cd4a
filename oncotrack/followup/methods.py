"""The trackers by name, including affine and B-spline registration as reference methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from oncotrack.background.jobs import Progress, silent
from oncotrack.background.work_process import is_work_process_used
from oncotrack.errors import InputError
from oncotrack.findings.finding import point
from oncotrack.followup import DEFAULT_METHOD
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, OUTSIDE, Match, ScanPair, Tracker
from oncotrack.registration.register import register
from oncotrack.registration.registration import Registration


class RegistrationTracker:
    """Uses the registered position as the match: elastix affine, or affine followed by B-spline.

    Parameters
    ----------
    bspline : bool
        Whether to add the B-spline registration.
    """

    def __init__(self, bspline: bool = False) -> None:
        self.name = "bspline" if bspline else "affine"

    def registration(self, pair: ScanPair, progress: Progress = silent) -> Registration:
        """Return the registration that maps the lesion.

        Parameters
        ----------
        pair : ScanPair
            Baseline and follow-up.
        progress : Progress
            Called while it is computed.
        """
        if self.name == "affine":
            return pair.registration(progress)
        return pair.cached(
            "bspline", lambda: register(pair.baseline, pair.followup, bspline=True, progress=progress, cache=pair.cache)
        )

    def match(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Match:
        """Return the registered position; the cycle error is that of the registration's own inverse.

        Parameters
        ----------
        pair, at, radius_mm, progress
            As in `Tracker.match`.
        """
        at = pair.check_click(at)
        registration = self.registration(pair, progress)
        position = point(registration.to_followup(at))
        cycle_mm = float(np.linalg.norm(registration.to_baseline(position) - at))
        is_inside = bool(pair.followup.geometry.contains(position))
        reason = "" if is_inside else OUTSIDE
        expected = point(pair.registration().to_followup(at))
        radius = radius_mm * registration.scale
        return Match(is_inside, position, expected, radius, registration.similarity, cycle_mm, (), reason, self.name)


def prepare(chosen: Tracker, pair: ScanPair, progress: Progress = silent) -> Registration:
    """Run the registration that a tracker needs, so that its first match does not have to.

    Parameters
    ----------
    chosen : Tracker
        The method to use.
    pair : ScanPair
        Baseline and follow-up; keeps the result.
    progress : Progress
        Called with the fraction done.
    """
    if isinstance(chosen, RegistrationTracker):
        return chosen.registration(pair, progress)
    return pair.registration(progress)


@dataclass(frozen=True)
class Method:
    """Description of a tracker for the user interface, and its factory.

    Parameters
    ----------
    title : str
        Name shown to the user.
    about : str
        Description in one line.
    make : callable
        Creates the tracker; raises WeightsError when its weights are missing.
    caution : str
        Limitation that the reader should know; "" for none.
    needs_torch : bool
        False when it works without PyTorch.
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


_REGISTERS_ONLY = "Does not search for the lesion, so it cannot detect that a lesion has vanished."
METHOD_INFO: dict[str, Method] = {
    "ensemble": Method(
        "Ensemble",
        "Self-similarity and the Deep Lesion Tracker; "
        "if they disagree, it keeps the one whose reverse search returns closest to your click.",
        _ensemble,
        "The Deep Lesion Tracker was trained on synthetic and altered scans.",
    ),
    "selfsim": Method(
        "Self-similarity", "Compares the tissue round the lesion with the follow-up; no training.", _selfsim
    ),
    "affine": Method(
        "Affine registration",
        "Uses the position from the affine registration of the scans.",
        RegistrationTracker,
        _REGISTERS_ONLY,
        needs_torch=False,
    ),
    "bspline": Method(
        "B-spline registration",
        "Uses the position from a deformable registration of the scans.",
        partial(RegistrationTracker, bspline=True),
        _REGISTERS_ONLY,
        needs_torch=False,
    ),
    "dlt": Method(
        "Deep Lesion Tracker",
        "A trained network (Cai et al., CVPR 2021) that correlates the lesion's image and position with the follow-up.",
        _dlt,
        "Trained on synthetic and altered scans; CT only.",
    ),
    "tlt": Method(
        "Transformer Lesion Tracker",
        "A trained network (Tang et al., MICCAI 2022) that compares the lesion with all positions near the estimate.",
        _tlt,
        "Trained on synthetic and altered scans; CT only.",
    ),
}
"""The trackers by name, in the order of the user interface; the default is first."""
METHODS = tuple(METHOD_INFO)


def tracker(name: str = DEFAULT_METHOD) -> Tracker:
    """Create a tracker; it runs in the work process where one is used.

    Parameters
    ----------
    name : str
        One of `METHODS`.

    Raises
    ------
    InputError
        There is no such method; the message lists them.
    WeightsError
        Its weights are missing.
    """
    if name not in METHOD_INFO:
        raise InputError(
            f'There is no follow-up method "{name}". Choose one of: {", ".join(METHODS)}.', parameter="method"
        )
    if is_work_process_used():
        from oncotrack.followup.remote import remote_tracker

        return remote_tracker(name, make)
    return make(name)


def make(name: str) -> Tracker:
    """Create a tracker in this process.

    Parameters
    ----------
    name : str
        One of `METHODS`.
    """
    return METHOD_INFO[name].make()
