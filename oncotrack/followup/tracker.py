"""Interface of the lesion trackers: the pair of scans, the match, and the protocols."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from oncotrack.background.jobs import Progress, silent
from oncotrack.background.work_process import Kept, in_work_process
from oncotrack.errors import InputError
from oncotrack.findings.finding import (
    Alternative,
    MatchEvidence,
    Observation,
    Point,
    Provenance,
    State,
    point,
)
from oncotrack.images.volume import Volume
from oncotrack.registration.register import register
from oncotrack.registration.registration import Registration

DEFAULT_RADIUS_MM = 10.0
MAXIMUM_CYCLE_MM = 5.0
"""Largest cycle error of a match that counts as found."""
OUTSIDE = "The expected position lies outside the follow-up's field of view."
"""Reason of a match where the follow-up was not scanned."""


@dataclass(frozen=True)
class Match:
    """Position of a baseline lesion in the follow-up.

    Attributes
    ----------
    found : bool
        False when the lesion may have vanished; `position` is then the best estimate and `reason` explains it.
    position, registration_guess : Point
        RAS mm of the follow-up: the position found by the tracker, and that from registration alone.
    radius_mm : float
        Expected radius in the follow-up.
    score : float
        The tracker's own similarity, 0 to 1.
    cycle_error_mm : float or None
        Distance between the return match and the clicked point: the measure of trust shown to the reader.
    alternatives : tuple of Alternative
        Other candidates, the best first.
    reason : str
        Why the lesion was not found; "" when it was.
    method, weights_sha256 : str
        The tracker's name and the hash of its weights, for the provenance.
    """

    found: bool
    position: Point
    registration_guess: Point
    radius_mm: float
    score: float
    cycle_error_mm: float | None
    alternatives: tuple[Alternative, ...] = ()
    reason: str = ""
    method: str = ""
    weights_sha256: str = ""

    def observation(self) -> Observation:
        """Return the follow-up observation to propose to the reader."""
        evidence = MatchEvidence(
            self.registration_guess, self.radius_mm, self.cycle_error_mm, self.alternatives, self.reason
        )
        return Observation(
            centre=self.position,
            state=State.PROPOSED if self.found else State.NOT_FOUND,
            radius_mm=self.radius_mm,
            score=self.score,
            evidence=evidence,
            provenance=Provenance(method=self.method, weights_sha256=self.weights_sha256),
        )


def return_match_reason(cycle_error_mm: float | None) -> str:
    """Return why a match is not counted as found by its return match; "" up to `MAXIMUM_CYCLE_MM`.

    Parameters
    ----------
    cycle_error_mm : float or None
        None or infinite when the return match found no position in the baseline.
    """
    if cycle_error_mm is not None and cycle_error_mm <= MAXIMUM_CYCLE_MM:
        return ""
    if cycle_error_mm is None or not math.isfinite(cycle_error_mm):
        problem = "The reverse search left the baseline's field of view."
    else:
        problem = f"Reverse check: {cycle_error_mm:.0f} mm off (good below {MAXIMUM_CYCLE_MM:.0f})."
    return f"{problem} The lesion may be gone: please check."


class ScanPair(Kept):
    """Baseline and follow-up of one patient; registration and features are computed once and shared by all matches.

    Parameters
    ----------
    baseline, followup : Volume
        The two scans.
    registration : Registration, optional
        An existing one; otherwise `register` runs on first use.
    cache : bool
        Whether registrations are read from and written to the disk cache.
    """

    def __init__(
        self, baseline: Volume, followup: Volume, registration: Registration | None = None, *, cache: bool = True
    ) -> None:
        self.cache = cache
        self.baseline = baseline.checked(minimum_slices=4)
        self.followup = followup.checked(minimum_slices=4)
        self._registration = registration
        self._cache: dict[Hashable, Any] = {}

    def registration(self, progress: Progress = silent) -> Registration:
        """Return the registration; the first call computes it.

        Parameters
        ----------
        progress : Progress
            Called while it is computed.

        Raises
        ------
        RegistrationError
            The scans could not be aligned.
        """
        if self._registration is None:
            self._registration = _registered(self, progress)
        return self._registration

    def __getstate__(self) -> dict[str, Any]:
        """Return the scans and their registration, without what trackers have computed."""
        return {**self.__dict__, "_cache": {}}

    @property
    def is_registered(self) -> bool:
        """Whether `registration` returns without computing."""
        return self._registration is not None

    def cached(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return the value of `key`; the first call computes it.

        Parameters
        ----------
        key : hashable
            Names the value among all trackers that use this pair.
        make : callable
            Computes it.
        """
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    @property
    def kept_bytes(self) -> int:
        """Memory of the images among the values of `cached`."""
        return sum(value.array.nbytes for value in list(self._cache.values()) if isinstance(value, Volume))

    def check_click(self, at: Sequence[float]) -> Point:
        """Return a clicked point after checking that it lies in the baseline.

        Parameters
        ----------
        at : (3,) float
            RAS mm.

        Raises
        ------
        InputError
            It lies outside the baseline or is not three finite numbers.
        """
        at = point(at, "clicked position")
        if not self.baseline.geometry.contains(at):
            low, high = (", ".join(f"{v:.1f}" for v in corner) for corner in self.baseline.geometry.bounds)
            raise InputError(
                f"The point R {at[0]:.1f}, A {at[1]:.1f}, S {at[2]:.1f} mm lies outside {self.baseline.name}, "
                f"which reaches from ({low}) to ({high}) mm. "
                "Click inside the baseline."
            )
        return at


@in_work_process
def _registered(pair: ScanPair, progress: Progress = silent) -> Registration:
    """Return the registration of a pair, which a work process keeps with its own copy of the pair."""
    if not pair.is_registered:
        pair._registration = register(pair.baseline, pair.followup, progress=progress, cache=pair.cache)
    return pair.registration()


class Tracker(Protocol):
    """A method that finds a baseline lesion in the follow-up."""

    name: str

    def match(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Match:
        """Match one lesion.

        Parameters
        ----------
        pair : ScanPair
            Baseline and follow-up.
        at : (3,) float
            The lesion in the baseline, RAS mm.
        radius_mm : float
            Its radius in the baseline.
        progress : Progress
            Called with the fraction done; it may cancel.
        """
        ...


@runtime_checkable
class SupportsCycleError(Protocol):
    """A tracker that can match backwards from any point of the follow-up."""

    def cycle_error(
        self, pair: ScanPair, at: Sequence[float], position: Sequence[float], radius_mm: float
    ) -> float | None:
        """Return the distance in mm between `at` and the return match of `position`, or None when there is none.

        Parameters
        ----------
        pair : ScanPair
            Baseline and follow-up.
        at : (3,) float
            The lesion in the baseline, RAS mm.
        position : (3,) float
            A point of the follow-up, RAS mm.
        radius_mm : float
            The lesion's radius in the follow-up.
        """
        ...


@runtime_checkable
class SupportsBatch(Protocol):
    """A tracker that matches several lesions together faster than one by one."""

    def match_many(
        self, pair: ScanPair, lesions: Sequence[tuple[Sequence[float], float]], progress: Progress = silent
    ) -> list[Match]:
        """Return a match for each lesion, in their order.

        Parameters
        ----------
        pair : ScanPair
            Baseline and follow-up.
        lesions : sequence of (RAS point in the baseline, radius)
            Both in mm.
        progress : Progress
            Called with the fraction done; it may cancel.
        """
        ...


@runtime_checkable
class SupportsProbabilityMap(Protocol):
    """A tracker that can map its probability over the region that it searched."""

    def probability_map(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Volume:
        """Return the lesion's probability in the searched part of the follow-up, float32, 0 to 1.

        Parameters
        ----------
        pair, at, radius_mm, progress
            As in `Tracker.match`.
        """
        ...
