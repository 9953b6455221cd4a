"""A lesion followed through many visits: from each visit to the next, from the last place where it was seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from oncotrack.background.jobs import Progress, part_of, silent
from oncotrack.errors import InputError
from oncotrack.findings.finding import Point, point
from oncotrack.followup.match_lesions import match_all
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, Match, ScanPair, Tracker
from oncotrack.images.volume import Volume
from oncotrack.registration.registration import Registration


@dataclass(frozen=True)
class Place:
    """Where a lesion lies at a visit, RAS mm; without a radius it is as large as at the visit before."""

    at: Point
    radius_mm: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", point(self.at))


@dataclass(frozen=True)
class Link:
    """What was found of a lesion at a visit, and from which visit it was looked for; visits count from 0."""

    visit: int
    start: int
    match: Match


Known = Mapping[int, Place | None]
"""What a reader says of a lesion, by visit: where it lies, or None where it is not to be looked for (absent, or a match
that was refused). It has at least one place; the chain begins at the first."""


class VisitPairs:
    """The scans of a patient, earliest first: any two of them as a `ScanPair` that is registered and encoded once.

    Parameters
    ----------
    volumes : sequence of Volume
        At least two.
    cache : bool
        Whether registrations may come from, and go to, the disk.
    """

    def __init__(self, volumes: Sequence[Volume], *, cache: bool = True) -> None:
        if len(volumes) < 2:
            raise InputError("A lesion is followed through two visits or more. Give at least two scans.")
        self.volumes, self._cache = tuple(volumes), cache
        self._pairs: dict[tuple[int, int], ScanPair] = {}

    def __len__(self) -> int:
        return len(self.volumes)

    def __call__(self, earlier: int, later: int) -> ScanPair:
        """The pair of two visits."""
        if (earlier, later) not in self._pairs:
            scans = self.volumes[earlier], self.volumes[later]
            self._pairs[earlier, later] = ScanPair(*scans, cache=self._cache)
        return self._pairs[earlier, later]

    @property
    def registrations(self) -> dict[tuple[int, int], Registration]:
        """Those that were needed so far, by the two visits."""
        return {visits: pair.registration() for visits, pair in self._pairs.items() if pair.is_registered}


def follow_chain(
    pair_of: Callable[[int, int], ScanPair],
    visits: int,
    tracker: Tracker,
    known: Known,
    progress: Progress = silent,
) -> tuple[Link, ...]:
    """Follow one lesion; see `follow_chains`."""
    return follow_chains(pair_of, visits, tracker, [known], progress)[0]


def follow_chains(
    pair_of: Callable[[int, int], ScanPair],
    visits: int,
    tracker: Tracker,
    lesions: Sequence[Known],
    progress: Progress = silent,
) -> list[tuple[Link, ...]]:
    """Follow lesions from the first visit where each is known through all later ones.

    Each visit is searched from the one before; where a lesion was not found, or a reader says that it is absent, the
    next visit is searched from the last one where it was seen. A place that a reader gave is never searched again,
    and the chain goes on from there.

    Parameters
    ----------
    pair_of : callable
        (earlier visit, later visit) to their `ScanPair`; only pairs that are needed are asked for.
    visits : int
        How many there are.
    tracker : Tracker
    lesions : sequence of Known
    progress : Progress

    Returns
    -------
    list of tuples of Link
        For each lesion one link a visit that was searched, in order.

    Raises
    ------
    InputError
        A lesion is known nowhere, or a place lies outside its scan.

    References
    ----------
    Cai et al., Deep Lesion Tracker, CVPR 2021, figure 9.
    """
    last = [_first(known) for known in lesions]
    chains: list[list[Link]] = [[] for _ in lesions]
    for visit in range(1, visits):
        searched: dict[int, list[int]] = defaultdict(list)
        for number, known in enumerate(lesions):
            if visit <= last[number][0]:
                continue
            if visit not in known:
                searched[last[number][0]].append(number)
            elif (place := known[visit]) is not None:
                last[number] = visit, _sized(place, last[number][1])
        for done, (start, numbers) in enumerate(searched.items()):
            begin, end = ((visit - 1 + (done + n) / len(searched)) / (visits - 1) for n in (0, 1))
            part = _named(part_of(progress, begin, end), f"Visit {visit + 1} of {visits}")
            part(0.0, "")
            places = [(last[number][1].at, last[number][1].radius_mm) for number in numbers]
            for number, match in zip(numbers, match_all(tracker, pair_of(start, visit), places, part), strict=True):
                chains[number].append(Link(visit, start, match))
                if match.found:
                    last[number] = visit, Place(match.position, match.radius_mm)
    return [tuple(chain) for chain in chains]


def _first(known: Known) -> tuple[int, Place]:
    visits = [visit for visit, place in known.items() if place is not None]
    if not visits:
        raise InputError("The lesion is not seen at any visit, so there is nothing to follow. Click it in one of them.")
    place = known[min(visits)]
    return min(visits), replace(place, radius_mm=place.radius_mm or DEFAULT_RADIUS_MM)


def _sized(place: Place, before: Place) -> Place:
    return replace(place, radius_mm=place.radius_mm or before.radius_mm)


def _named(progress: Progress, name: str) -> Progress:
    return lambda fraction, text: progress(fraction, f"{name}: {text}" if text else name)
