"""Follow a lesion through several visits, each searched from the last visit where it was found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from oncotrack.background.jobs import Progress, part_of, silent
from oncotrack.errors import InputError, RegistrationError
from oncotrack.findings.finding import Point, point
from oncotrack.followup.match_lesions import match_all
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, Match, ScanPair, Tracker
from oncotrack.images.volume import Volume
from oncotrack.registration.registration import Registration


@dataclass(frozen=True)
class KnownPosition:
    """A lesion's position at a visit, RAS mm; without a radius, that of the previous visit is used."""

    at: Point
    radius_mm: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", point(self.at))


@dataclass(frozen=True)
class Link:
    """The match of a lesion at a visit, and the visit `start` that it was searched from; visits count from 0."""

    visit: int
    start: int
    match: Match


KnownPositions = Mapping[int, KnownPosition | None]
"""A lesion's positions that a reader has set, by visit; None for a visit that is not searched (lesion absent, or match
rejected). At least one is a position; the chain starts at the first."""


class VisitPairs:
    """The scans of a patient, earliest first; any two of them form a `ScanPair`, which is created once.

    Parameters
    ----------
    volumes : sequence of Volume
        At least two.
    cache : bool
        Whether registrations are read from and written to the disk cache.

    Raises
    ------
    InputError
        There are fewer than two scans.
    """

    def __init__(self, volumes: Sequence[Volume], *, cache: bool = True) -> None:
        if len(volumes) < 2:
            raise InputError("Following a lesion needs two visits or more. Give at least two scans.")
        self.volumes, self._cache = tuple(volumes), cache
        self._pairs: dict[tuple[int, int], ScanPair] = {}
        self._problems: dict[tuple[int, int], str] = {}

    def __len__(self) -> int:
        return len(self.volumes)

    def __call__(self, earlier: int, later: int) -> ScanPair:
        """Return the pair of two visits.

        Parameters
        ----------
        earlier, later : int
            Visits, from 0.
        """
        if (earlier, later) not in self._pairs:
            scans = self.volumes[earlier], self.volumes[later]
            self._pairs[earlier, later] = ScanPair(*scans, cache=self._cache)
        return self._pairs[earlier, later]

    def problem(self, earlier: int, later: int, progress: Progress = silent) -> str:
        """Return why two visits cannot be compared, a sentence; "" where they are registered. It is tried once.

        Parameters
        ----------
        earlier, later : int
            Visits, from 0.
        progress : Progress
            Called while they are registered; it may cancel.
        """
        visits = earlier, later
        if visits not in self._problems:
            try:
                self(earlier, later).registration(progress)
                self._problems[visits] = ""
            except (RegistrationError, InputError) as error:
                self._problems[visits] = str(error)
        return self._problems[visits]

    @property
    def problems(self) -> dict[tuple[int, int], str]:
        """Why visits cannot be compared, by (earlier, later) visit, of those that `problem` was asked for."""
        return {visits: text for visits, text in sorted(self._problems.items()) if text}

    @property
    def registrations(self) -> dict[tuple[int, int], Registration]:
        """The registrations computed so far, by (earlier, later) visit."""
        return {visits: pair.registration() for visits, pair in self._pairs.items() if pair.is_registered}


def follow_chain(
    pair_of: Callable[[int, int], ScanPair],
    visits: int,
    tracker: Tracker,
    known: KnownPositions,
    progress: Progress = silent,
) -> tuple[Link, ...]:
    """Follow one lesion; see `follow_chains`.

    Parameters
    ----------
    pair_of, visits, tracker, progress
        As in `follow_chains`.
    known : KnownPositions
        The lesion.
    """
    return follow_chains(pair_of, visits, tracker, [known], progress)[0]


def follow_chains(
    pair_of: Callable[[int, int], ScanPair],
    visits: int,
    tracker: Tracker,
    lesions: Sequence[KnownPositions],
    progress: Progress = silent,
    *,
    can_search: Callable[[int, int], bool] = lambda _earlier, _later: True,
) -> list[tuple[Link, ...]]:
    """Follow lesions from the first visit with a known position through all later ones.

    Each visit is searched from the previous one. Where a lesion was not found, or the reader marked it absent, the
    next visit is searched from the last one with a position. A position that the reader set is not searched again;
    the chain continues from there.

    Parameters
    ----------
    pair_of : callable
        Returns the `ScanPair` of (earlier visit, later visit); only called for pairs that are needed.
    visits : int
        Number of visits.
    tracker : Tracker
        The method to use.
    lesions : sequence of KnownPositions
        One per lesion.
    progress : Progress
        Called with the fraction done; it may cancel.
    can_search : callable
        Returns whether the later of two visits can be searched from the earlier; a visit that cannot has no link, and the
        next one is searched from the last visit with a position.

    Returns
    -------
    list of tuples of Link
        For each lesion, one link per searched visit, in order of the visits.

    Raises
    ------
    InputError
        A lesion has no known position, or one lies outside its scan.

    References
    ----------
    Cai et al., Deep Lesion Tracker, CVPR 2021, figure 9.
    """
    last = [_first_position(known) for known in lesions]
    chains: list[list[Link]] = [[] for _ in lesions]
    for visit in range(1, visits):
        searched: dict[int, list[int]] = defaultdict(list)
        for number, known in enumerate(lesions):
            if visit <= last[number][0]:
                continue
            if visit not in known:
                if can_search(last[number][0], visit):
                    searched[last[number][0]].append(number)
            elif (position := known[visit]) is not None:
                last[number] = visit, _with_radius(position, last[number][1].radius_mm)
        for done, (start, numbers) in enumerate(searched.items()):
            begin, end = ((visit - 1 + (done + n) / len(searched)) / (visits - 1) for n in (0, 1))
            part = _prefix_messages(part_of(progress, begin, end), f"Visit {visit + 1} of {visits}")
            part(0.0, "")
            clicks = [(last[number][1].at, last[number][1].radius_mm or DEFAULT_RADIUS_MM) for number in numbers]
            for number, match in zip(numbers, match_all(tracker, pair_of(start, visit), clicks, part), strict=True):
                chains[number].append(Link(visit, start, match))
                if match.found:
                    last[number] = visit, KnownPosition(match.position, match.radius_mm)
    return [tuple(chain) for chain in chains]


def _first_position(known: KnownPositions) -> tuple[int, KnownPosition]:
    """Return the first visit with a position, and that position."""
    positions = [(visit, position) for visit, position in known.items() if position is not None]
    if not positions:
        raise InputError(
            "The lesion has no position at any visit, so there is nothing to follow. Click it in one visit."
        )
    visit, position = min(positions, key=lambda each: each[0])
    return visit, _with_radius(position, DEFAULT_RADIUS_MM)


def _with_radius(position: KnownPosition, radius_mm: float | None) -> KnownPosition:
    """Return the position with `radius_mm` where it has no radius."""
    return replace(position, radius_mm=position.radius_mm or radius_mm)


def _prefix_messages(progress: Progress, name: str) -> Progress:
    return lambda fraction, text: progress(fraction, f"{name}: {text}" if text else name)
