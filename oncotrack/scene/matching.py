"""Matching as tasks: the tracker runs beside the interface, its answer becomes one command on the list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from oncotrack.errors import InputError, OncoTrackError
from oncotrack.findings import Finding, Kind, Observation, Point, Provenance, State, point
from oncotrack.followup.methods import METHODS
from oncotrack.followup.methods import tracker as make_tracker
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, ChecksBack, Match, ScanPair, Tracker
from oncotrack.jobs import Progress
from oncotrack.registration import Registration
from oncotrack.scene.finding_nodes import FindingNodes
from oncotrack.scene.scan_choice import ScanChoice
from oncotrack.scene.scans import Scans
from oncotrack.scene.tasks import Task, part_of

TRACKERS: Mapping[str, Callable[[], Tracker]] = {name: partial(make_tracker, name) for name in METHODS}
"""Methods by name; the first is the default."""
_REGISTERING = 0.5  # part of the progress bar


class Matching:
    """Makes the tasks that look for baseline findings in the follow-up.

    Parameters
    ----------
    nodes : FindingNodes
    choice : ScanChoice
    trackers : mapping of name to factory
        A factory may load weights: it is called on the worker, once.
    go_to : callable
        Shows a finding by its uid, after it was matched.
    """

    def __init__(
        self,
        nodes: FindingNodes,
        choice: ScanChoice,
        trackers: Mapping[str, Callable[[], Tracker]],
        go_to: Callable[[str], None],
    ) -> None:
        self._nodes, self._choice, self._go_to = nodes, choice, go_to
        self._factories = dict(trackers)
        self._trackers: dict[str, Tracker] = {}
        self._method = next(iter(self._factories))

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the trackers."""
        return tuple(self._factories)

    @property
    def method(self) -> str:
        """The tracker in use."""
        return self._method

    @method.setter
    def method(self, name: str) -> None:
        if name not in self._factories:
            raise InputError(f"There is no method {name}; choose one of {', '.join(self._factories)}.")
        self._method = name

    def follow(self, at: Sequence[float], radius_mm: float, kind: Kind, label: str) -> Task:
        """Look for what lies at a baseline point (RAS mm); applying adds a finding with both places and returns it."""
        at, time_point = point(at), self._choice.baseline_id

        def apply(matches: list[Match]) -> Finding:
            findings = self._nodes.findings
            hand = Provenance(reader="reader")
            seen = Observation(centre=at, state=State.ACCEPTED, radius_mm=radius_mm, provenance=hand)
            name = label or findings.next_label(kind)
            with findings.group(f"add {name}"):
                self._choice.name_time_points()
                finding = findings.add(self._choice.baseline_id, seen, kind=kind, label=name)
                findings.observe(finding.uid, self._choice.followup_id, matches[0].observation())
            self._go_to(finding.uid)
            return findings[finding.uid]

        def abandon() -> None:
            self._nodes.discard_placed(time_point, at)

        try:
            return self._task("Following the lesion", [(at, radius_mm)], apply, abandon)
        except InputError:
            abandon()
            raise

    def register(self) -> Task:
        """Register the scans, warm the method up, and draw the registration; applying returns it."""
        scans, method = self._choice.scans(), self._method

        def apply(registration: Registration) -> Registration:
            self._check(scans)
            self._choice.draw_registration(registration)
            return registration

        def work(progress: Progress) -> Registration:
            registration = scans.pair.register(part_of(progress, 0.0, _REGISTERING))
            progress(_REGISTERING, "Preparing the first match")
            with suppress(OncoTrackError):
                self._tracker(method).match(scans.pair, scans.pair.baseline.geometry.centre)
            return registration

        return Task("Registering the scans", work, apply)

    def follow_findings(self, findings: Sequence[Finding], text: str) -> Task:
        """Look for findings from where they lie in the baseline, as one step of undo; applying returns them."""
        lesions = []
        for finding in findings:
            seen = finding.at(self._choice.baseline_id)
            if seen is None:
                raise InputError(f"{finding.label} has no place in the baseline, so it cannot be followed from there.")
            lesions.append((seen.centre, seen.radius_mm or DEFAULT_RADIUS_MM))

        def apply(matches: list[Match]) -> tuple[Finding, ...]:
            known = self._nodes.findings
            with known.group(text):
                self._choice.name_time_points()
                for finding, match in zip(findings, matches, strict=True):
                    known.observe(finding.uid, self._choice.followup_id, match.observation())
            self._go_to(findings[0].uid)
            return tuple(known[finding.uid] for finding in findings)

        return self._task("Matching", lesions, apply)

    def _task(
        self,
        text: str,
        lesions: Sequence[tuple[Point, float]],
        apply: Callable[[list[Match]], object],
        abandon: Callable[[], None] = lambda: None,
    ) -> Task:
        scans, method = self._choice.scans(), self._method

        def work(progress: Progress) -> tuple[Registration, list[Match]]:
            pair = scans.pair
            places = [(pair.check_click(at), radius_mm) for at, radius_mm in lesions]
            registration = pair.register(part_of(progress, 0.0, _REGISTERING))
            tracker = self._tracker(method)
            step = (1 - _REGISTERING) / len(places)
            matches = []
            for start, (at, radius_mm) in enumerate(places):
                part = part_of(progress, _REGISTERING + start * step, _REGISTERING + (start + 1) * step)
                matches.append(_checked_back(tracker, pair, at, tracker.match(pair, at, radius_mm, part)))
            return registration, matches

        def finish(result: tuple[Registration, list[Match]]) -> object:
            registration, matches = result
            self._check(scans)
            self._choice.draw_registration(registration)
            return apply(matches)

        return Task(text, work, finish, abandon)

    def _tracker(self, method: str) -> Tracker:
        if method not in self._trackers:
            self._trackers[method] = self._factories[method]()
        return self._trackers[method]

    def _check(self, scans: Scans) -> None:
        if not scans.is_of(self._choice.baseline, self._choice.followup):
            raise InputError("The scans were changed meanwhile, so the match was dropped; match again.")


def _checked_back(tracker: Tracker, pair: ScanPair, at: Point, match: Match) -> Match:
    """The match with the cycle errors of its alternatives, so that a reader who takes one knows its trust too."""
    if not isinstance(tracker, ChecksBack):
        return match
    checked = (
        replace(other, cycle_error_mm=tracker.cycle_error(pair, at, other.centre, match.radius_mm))
        for other in match.alternatives
    )
    return replace(match, alternatives=tuple(checked))
