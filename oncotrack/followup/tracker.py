"""What every lesion tracker takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from oncotrack.background.jobs import Progress, silent
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
OUTSIDE = "The lesion's place lies outside the follow-up's field of view."
"""Why nothing is found where the follow-up was not scanned."""


@dataclass(frozen=True)
class Match:
    """Where a baseline lesion lies in the follow-up. Positions RAS mm of the follow-up.

    `score` is the tracker's own similarity (0 to 1), `cycle_error_mm` how far matching back misses the clicked
    point: the trust to show. When `found` is false, `position` is the best guess and `reason` says why not. `registration_guess` is where the
    registration alone places the lesion.
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
        """The follow-up observation to propose to the reader."""
        evidence = MatchEvidence(
            self.registration_guess, self.radius_mm, self.cycle_error_mm, self.alternatives, self.reason
        )
        return Observation(
            centre=self.position,
            state=State.PROPOSED if self.found else State.ABSENT,
            radius_mm=self.radius_mm,
            score=self.score,
            evidence=evidence,
            provenance=Provenance(method=self.method, weights_sha256=self.weights_sha256),
        )


class ScanPair:
    """Baseline and follow-up of one patient: registered once, encoded once, asked many times.

    Parameters
    ----------
    baseline, followup : Volume
    registration : Registration, optional
        When it is known already; else `register` is run on the first use.
    cache : bool
        Whether registrations may come from, and go to, the disk.
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
        """The registration, computed on the first call."""
        if self._registration is None:
            self._registration = register(self.baseline, self.followup, progress=progress, cache=self.cache)
        return self._registration

    @property
    def is_registered(self) -> bool:
        """Whether `registration` will answer at once."""
        return self._registration is not None

    def cached(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What a tracker computed from a scan once; `make` is called on the first use of `key`."""
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    def check_click(self, at: Sequence[float]) -> Point:
        """The point, or InputError when it lies outside the baseline."""
        at = point(at, "clicked position")
        if not self.baseline.geometry.contains(at):
            low, high = (", ".join(f"{v:.1f}" for v in corner) for corner in self.baseline.geometry.bounds)
            raise InputError(
                f"The point R {at[0]:.1f}, A {at[1]:.1f}, S {at[2]:.1f} mm lies outside {self.baseline.name}, "
                f"which reaches from ({low}) to ({high}) mm. "
                "Click inside the baseline."
            )
        return at


class Tracker(Protocol):
    """Finds a baseline lesion in the follow-up."""

    name: str

    def match(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Match:
        """Match the lesion at RAS point `at` with radius `radius_mm`."""
        ...


@runtime_checkable
class ChecksBack(Protocol):
    """A tracker that can say how far matching back from any place of the follow-up leads."""

    def cycle_error(
        self, pair: ScanPair, at: Sequence[float], place: Sequence[float], radius_mm: float
    ) -> float | None:
        """Millimetres between `at` (baseline, RAS mm) and what `place` (follow-up, RAS mm) is matched back to.

        `radius_mm` is the lesion's in the follow-up. None when nothing is found back there.
        """
        ...


@runtime_checkable
class MatchesMany(Protocol):
    """A tracker that answers many clicks in one go, for much less than one by one."""

    def match_many(
        self, pair: ScanPair, lesions: Sequence[tuple[Sequence[float], float]], progress: Progress = silent
    ) -> list[Match]:
        """Match each (RAS point, radius in mm) of the baseline; the answers come in the same order."""
        ...


@runtime_checkable
class MapsProbability(Protocol):
    """A tracker that can show where it takes a lesion to be, all over the place where it searched."""

    def probability_map(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Volume:
        """How likely the lesion at RAS point `at` (mm) is at each place of the follow-up: float32, 0 to 1."""
        ...
